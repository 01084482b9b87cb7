"""How a venue stands, in plain Python: equal on engine and twin after each command."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exchange.engine import Engine
from exchange.registry import Registry
from matching.view import orders_of
from matching.vocabulary import NO_SLOT, Side
from settlement.layout import Ledger


class Balance(NamedTuple):
    """What a member has of one asset."""

    available: int = 0
    held: int = 0
    restricted: int = 0
    redeeming: int = 0
    debt: int = 0


class Budget(NamedTuple):
    """Where the budget of a programme stands."""

    uncommitted: int
    reserved: int
    paid: int
    vested: int


class Used(NamedTuple):
    """What a group has used of a programme, and what it has redeemed that an award may count."""

    money: int = 0
    lots: int = 0
    measured: int = 0


class Parcel(NamedTuple):
    """What a programme does for one order, and the restricted lots that the order brought."""

    order: int
    programme: int
    terms_version: int
    rate: int
    ceiling_price: int
    reserved: int
    gross: int
    earned: int
    cover: int
    covered_filled: int
    lots: int
    redeemed: int
    vested: int
    claimed: int


class Supply(NamedTuple):
    """How much of an instrument there was, and what became of it."""

    issued: int
    redeemed: int
    expired: int


class Owed(NamedTuple):
    """What a member owes to a programme: parts of what that has paid, and of what has vested."""

    programme: int
    paid: int
    vested: int


class Waiting(NamedTuple):
    """An open redemption; lots of it were restricted."""

    member: int
    instrument: int
    lots: int
    restricted: int
    state: str


class Stand(NamedTuple):
    """Everything but the memory and the names: equal where nothing has changed.

    `parcels` stand account by account, oldest first; `drawing` are those of orders without a fill.
    """

    balances: dict[tuple[int, int], Balance]
    budgets: list[Budget]
    usages: dict[tuple[int, int], Used]
    parcels: dict[tuple[int, int], list[Parcel]]
    drawing: dict[int, Parcel]
    supplies: list[Supply]
    debts: dict[int, int]
    owed: dict[int, list[Owed]]
    obligations: dict[tuple[int, int], Supply]
    redemptions: dict[int, Waiting]
    begun: dict[tuple[int, str], int]
    counters: list[tuple[int, int, int]]
    numbers: tuple[int, int]
    book: list[tuple[int, ...]]
    markets: list[tuple[int, ...]]


def stand_of(engine: Engine) -> Stand:
    """Return how an engine stands; what is all zeros is left out."""
    ledger = engine.core.ledger
    totals = ledger.totals[0]
    members = ledger.members[: totals["members"]]
    counters = zip(*(members[name].tolist() for name in ("open_orders", "turnover", "blocked")), strict=True)
    listings = ledger.listings[: totals["listings"]]
    supplies = zip(*(listings[name].tolist() for name in Supply._fields), strict=True)
    debts = enumerate(ledger.groups["debt"].tolist())
    return Stand(
        balances=balances_of(engine),
        budgets=budgets_of(engine),
        usages=usages_of(engine),
        parcels=parcels_of(ledger),
        drawing=drawing_of(ledger),
        supplies=[Supply(*one) for one in supplies],
        debts={group: debt for group, debt in debts if debt},
        owed=owed_by(engine.registry),
        obligations=obligations_of(engine.registry),
        redemptions=redemptions_of(engine.registry),
        begun={
            (member, meter): left
            for member, meters in engine.registry.begun.items()
            for meter, left in meters.items()
            if left
        },
        counters=[*counters],
        numbers=(int(totals["entries"]), int(totals["trades"])),
        book=book_of(engine),
        markets=engine.core.book.markets[["phase", "reference", "last"]].tolist(),
    )


def owed_by(registry: Registry) -> dict[int, list[Owed]]:
    """Return what members owe, in the order in which it arose."""
    return {
        member: [Owed(debt.ground.programme, debt.paid, debt.vested) for debt in debts]
        for member, debts in registry.debts.items()
        if debts
    }


def obligations_of(registry: Registry) -> dict[tuple[int, int], Supply]:
    """Return what each provider has issued of an instrument, and what became of it."""
    return {
        (instrument, provider): Supply(one.issued, one.redeemed, one.expired)
        for instrument, providers in registry.obligations.items()
        for provider, one in providers.items()
    }


def redemptions_of(registry: Registry) -> dict[int, Waiting]:
    """Return the open redemptions."""
    return {
        number: Waiting(one.member, one.instrument, one.lots, one.restricted, one.state)
        for number, one in registry.redemptions.items()
    }


def balances_of(engine: Engine) -> dict[tuple[int, int], Balance]:
    """Return every balance that is not nothing, by member and asset."""
    rows = engine.core.ledger.accounts[: engine.core.ledger.totals[0]["accounts"]]
    keys = zip(rows["member"].tolist(), rows["asset"].tolist(), strict=True)
    amounts = zip(*(rows[name].tolist() for name in Balance._fields), strict=True)
    return {key: Balance(*amount) for key, amount in zip(keys, amounts, strict=True) if any(amount)}


def budgets_of(engine: Engine) -> list[Budget]:
    return [Budget(*(getattr(row, name) for name in Budget._fields)) for row in engine.programmes()]


def usages_of(engine: Engine) -> dict[tuple[int, int], Used]:
    """Return what is used of each programme by each group, where that is not nothing."""
    rows = engine.core.ledger.usages[: engine.core.ledger.totals[0]["usages"]]
    keys = zip(rows["programme"].tolist(), rows["group"].tolist(), strict=True)
    amounts = zip(*(rows[name].tolist() for name in Used._fields), strict=True)
    return {key: Used(*amount) for key, amount in zip(keys, amounts, strict=True) if any(amount)}


def parcels_of(ledger: Ledger) -> dict[tuple[int, int], list[Parcel]]:
    """Return the parcels of each account that has any, by member and asset, oldest first."""
    parcels = {}
    for account in ledger.accounts[: ledger.totals[0]["accounts"]]:
        slot, chain = int(account["first_parcel"]), []
        while slot != NO_SLOT:
            if is_living(ledger.parcels[slot]):
                chain.append(parcel_of(ledger.parcels[slot]))
            last, slot = slot, int(ledger.parcels[slot]["behind"])
            assert slot != NO_SLOT or last == account["last_parcel"]
        if chain:
            parcels[int(account["member"]), int(account["asset"])] = chain
    return parcels


def drawing_of(ledger: Ledger) -> dict[int, Parcel]:
    """Return the parcels of open orders that have no fill yet, by order."""
    rows = ledger.parcels[: ledger.totals[0]["parcels"]]
    rows = rows[(rows["is_open"] != 0) & (rows["last_leg"] == NO_SLOT)]
    return {int(row["order"]): parcel_of(row) for row in rows}


def is_living(row: np.void) -> bool:
    """Tell whether lots of a parcel are left, or may still come: others may have left the chain."""
    return bool(row["is_open"] or row["redeemed"] < row["lots"])


def parcel_of(row: np.void) -> Parcel:
    return Parcel(*(int(row[name]) for name in Parcel._fields))


def book_of(engine: Engine) -> list[tuple[int, ...]]:
    """Return every order that rests, in priority order, book by book."""
    return [
        (instrument, side, *(int(row[name]) for name in ("id", "price", "leaves", "shown", "member")))
        for instrument in range(len(engine.core.book.markets))
        for side in Side
        for row in orders_of(engine.core.book, instrument, side)
    ]
