"""The laws of the exchange as a simulation holds them: what is broken has a name, and stops the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from exchange.client.answers import Fill, Order
from exchange.client.errors import OrderRejected
from exchange.client.fillbook import FillBook, Gap
from exchange.engine import Engine
from exchange.protocol.acts import Act
from exchange.protocol.messages import Balance, Decided
from exchange.server.audit import open_lots_of
from matching.layout import HALVES, KEY_NONE, Book
from matching.vocabulary import NO_SLOT, Phase, Side
from settlement.layout import MONEY

if TYPE_CHECKING:
    from exchange.simulation.callers import Beliefs
    from exchange.simulation.chronicle import Chronicle

_UNCROSSED = (Phase.CONTINUOUS, Phase.AUCTION)
"""The phases in which no buyer pays what a seller asks and both wait."""


UNSURE = frozenset({"too_old", "clock_ahead", "client_id_invalid", "unknown_member"})
"""Refusals that say nothing of whether the id names an order: it may, and be forgotten."""


class LawBroken(AssertionError):
    """What must be true at every moment was not. `law` is its name, `what` tells of whom, in numbers."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law = law
        self.what = what


def must(law: str, faults: list[str]) -> None:
    """Raise `LawBroken` where a law has faults; of many, the first is told."""
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise LawBroken(law, faults[0] + more)


def crossed(book: Book) -> list[str]:
    """Return which books are crossed, or at one price on both sides, where what meets has traded."""
    halves, markets = book.halves, book.markets
    bids, asks = (halves["best_key"][side::HALVES] for side in (Side.BUY, Side.SELL))
    stand = (bids != KEY_NONE) & (asks != KEY_NONE) & np.isin(markets["phase"], _UNCROSSED)
    return [
        f"instrument {at}: bid {~bids[at]} ticks, ask {asks[at]} ticks"
        for at in np.flatnonzero(stand & (~bids >= asks))
    ]


def open_lots(book: Book) -> dict[int, int]:
    """Return what is open of each open order, by its id, hidden lots included."""
    rows = book.orders[: int(book.counts[0]["orders_used"])]
    rows = rows[rows["leaves"] > 0]
    return dict(zip(rows["id"].tolist(), open_lots_of(book, rows).tolist(), strict=True))


def used_by_groups(engine: Engine) -> dict[tuple[int, int], tuple[int, int]]:
    """Return what each group has of each programme, in hao and in subsidised lots, by the parcels and awards.

    The keys are (programme, group). The table of usages says the same; here it is summed up anew.
    """
    ledger, registry = engine.core.ledger, engine.registry
    parcels = ledger.parcels[: int(ledger.totals[0]["parcels"])]
    groups = ledger.members["group"][ledger.accounts["member"][parcels["account"]]]
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for programme, group, money, lots in zip(
        parcels["programme"].tolist(),
        groups.tolist(),
        (parcels["earned"] + parcels["reserved"]).tolist(),
        (parcels["covered_filled"] + parcels["cover"]).tolist(),
        strict=True,
    ):
        before = found.get((programme, group), (0, 0))
        found[programme, group] = before[0] + money, before[1] + lots
    for programme, awards in registry.awards.items():
        for member, amount in awards.items():
            key = programme, int(ledger.members[member]["group"])
            before = found.get(key, (0, 0))
            found[key] = before[0] + amount, before[1]
    return found


def usages_broken(engine: Engine, used: dict[tuple[int, int], tuple[int, int]]) -> Iterator[str]:
    """Yield where the table of what groups have used is not the sum of their parcels and awards."""
    ledger = engine.core.ledger
    rows = ledger.usages[: int(ledger.totals[0]["usages"])]
    noted: dict[tuple[int, int], tuple[int, int]] = {}
    for programme, group, money, lots in zip(
        *(rows[field].tolist() for field in ("programme", "group", "money", "lots")), strict=True
    ):
        before = noted.get((programme, group), (0, 0))
        noted[programme, group] = before[0] + money, before[1] + lots
    for key in sorted(used.keys() | noted.keys()):
        if used.get(key, (0, 0)) != noted.get(key, (0, 0)):
            programme, group = key
            yield (
                f"programme {programme}, group {group}: (hao, lots) {noted.get(key, (0, 0))} noted, "
                f"its parcels and awards come to {used.get(key, (0, 0))}"
            )


def balances_of(engine: Engine) -> dict[tuple[int, int], list[int]]:
    """Return what members have, by (member, asset): free (held included), restricted, set aside, owed."""
    ledger = engine.core.ledger
    rows = ledger.accounts[: int(ledger.totals[0]["accounts"])]
    fields = (rows["available"] + rows["held"], rows["restricted"], rows["redeeming"], rows["debt"])
    return {
        (member, asset): has
        for member, asset, *has in zip(
            rows["member"].tolist(),
            rows["asset"].tolist(),
            *(field.tolist() for field in fields),
            strict=True,
        )
        if any(has)
    }


def asset_name(engine: Engine, asset: int) -> str:
    """Return what an asset is called: money, or an instrument's symbol."""
    if asset == MONEY:
        return "money"
    return engine.registry.instruments[asset - 1].symbol


def member_name(engine: Engine, member: int) -> str:
    """Return what a member is called."""
    return engine.registry.members[member].member if member != NO_SLOT else "nobody"


def member_broken(
    beliefs: Beliefs,
    engine: Engine,
    name: str,
    chronicle: Chronicle | None = None,
    heard: FillBook | None = None,
) -> list[str]:
    """Return where a member believes otherwise than it is, when all is calm and it has asked for all.

    Its open orders are those of the engine, and so is what it has, unless something has happened since it
    asked. Given the chronicle, whatever it knows of its orders is what became of them, each act that it was
    told is done stands there as its own, and what it `heard` of its fills is all of them, once each, but for
    the gaps that it was told of.
    """
    member = engine.registry.member_numbers[name]
    faults = [*_open_orders_unlike(beliefs, engine, member), *_account_unlike(beliefs, engine, member)]
    if chronicle is None:
        return faults
    for order in beliefs.orders.values():
        faults += _order_unlike(order, chronicle, member)
    for client_id, outcome in beliefs.placed.items():
        faults += _outcome_unlike(client_id, outcome, chronicle, member)
    for act, answer in beliefs.acts:
        if isinstance(answer, Decided):
            faults += _act_unlike(act, answer, chronicle, name)
    if heard is not None:
        faults += _fills_unlike(heard, chronicle, member)
    return faults


def _open_orders_unlike(beliefs: Beliefs, engine: Engine, member: int) -> Iterator[str]:
    """Yield which of a member's orders are open and believed otherwise, or the other way round."""
    book = engine.core.book
    rows = book.orders[: int(book.counts[0]["orders_used"])]
    own = rows[(rows["leaves"] > 0) & (rows["member"] == member)]["id"].tolist()
    lots = open_lots(book)
    there = {order: lots[order] for order in own}
    here = {order.id: order.leaves for order in beliefs.orders.values() if order.is_open}
    for order in sorted(there.keys() | here.keys()):
        if there.get(order, 0) != here.get(order, 0):
            yield f"order {order}: {there.get(order, 0)} lots are open, it believes {here.get(order, 0)}"


def _account_unlike(beliefs: Beliefs, engine: Engine, member: int) -> Iterator[str]:
    """Yield of which asset a member was told that it has other than the ledger says, at the same sequence."""
    account = beliefs.account
    if account is None or account.sequence != engine.sequence:
        return
    numbers = {row.symbol: asset for asset, row in enumerate(engine.registry.instruments, MONEY + 1)}
    told = {numbers[symbol]: [*_parts_of(balance), 0] for symbol, balance in account.credits.items()}
    told[MONEY] = [*_parts_of(account.money), account.debt]
    true = {asset: has for (who, asset), has in balances_of(engine).items() if who == member}
    nothing = [0] * 4
    for asset in sorted(told.keys() | true.keys()):
        if told.get(asset, nothing) != true.get(asset, nothing):
            yield (
                f"{asset_name(engine, asset)}: it was told (free, restricted, set aside, owed) "
                f"{told.get(asset, nothing)} and has {true.get(asset, nothing)}"
            )


def _parts_of(balance: Balance) -> tuple[int, int, int]:
    return balance.available + balance.held, balance.restricted, balance.redeeming


def _order_unlike(order: Order, chronicle: Chronicle, member: int) -> Iterator[str]:
    """Yield how an order is not what is believed of it."""
    life = chronicle.lives.orders.get(order.id)
    if life is None or life.member != member:
        yield f"order {order.id}: it believes in it, and there is no such order of its own"
        return
    names = ("state", "quantity", "filled", "leaves", "gross", "fees", "price")
    believed: dict[str, object] = {name: getattr(order, name) for name in names}
    true: dict[str, object] = {name: getattr(life, name) for name in names}
    if not order.is_open:
        for name in ("quantity", "price"):  # of an order that has ended the last total is not told again
            believed.pop(name), true.pop(name)
    if believed != true:
        parted = [name for name in believed if believed[name] != true[name]]
        told = ", ".join(f"{name} {true[name]} and not {believed[name]}" for name in parted)
        yield f"order {order.id}: it is {told}"


def _outcome_unlike(
    client_id: bytes, outcome: Order | OrderRejected | None, chronicle: Chronicle, member: int
) -> Iterator[str]:
    """Yield how what came of an order is not what its member was answered."""
    if outcome is None:
        yield f"id {client_id!r}: it was placed, and never answered"
    elif isinstance(outcome, Order):
        life = chronicle.lives.orders.get(outcome.id)
        if life is None or life.member != member or life.client_id != client_id.rstrip(b"\0"):
            yield f"id {client_id!r}: it was answered with order {outcome.id}, which is not that"
    elif outcome.code not in UNSURE:
        named = chronicle.lives.names.get((member, client_id.rstrip(b"\0")))
        if named is not None and named.order:
            yield f"id {client_id!r}: it was refused ({outcome.code}), and is order {named.order}"


def _act_unlike(act: Act, answer: Decided, chronicle: Chronicle, name: str) -> Iterator[str]:
    """Yield how what was done under the sequence that a member was answered is not what it had decided."""
    done = chronicle.acts.get(answer.sequence)
    if done is None or (done.who, done.act) != (name, act):
        yield f"{act}: it was told that this is done at {answer.sequence}, and there is {done}"


def _fills_unlike(heard: FillBook, chronicle: Chronicle, member: int) -> Iterator[str]:
    """Yield which fills were heard twice, were never, or were missed behind no gap."""
    true = {(one.trade, one.order): one for one in chronicle.lives.fills.get(member, [])}
    gaps = [entry for entry in heard.entries if isinstance(entry, Gap)]
    told: set[tuple[int, int]] = set()
    for fill in heard.entries:
        if not isinstance(fill, Fill):
            continue
        key = fill.trade, fill.order
        one = true.get(key)
        if key in told:
            yield f"trade {fill.trade}: its fill of order {fill.order} was heard twice"
        told.add(key)
        if one is None or (one.price, one.quantity, one.fee) != (fill.price, fill.quantity, fill.fee):
            yield f"trade {fill.trade}: {fill.quantity} lots at {fill.price} were heard, {one} is true"
    for key, one in true.items():
        is_missed = any(gap.after < one.sequence <= gap.through for gap in gaps)
        if key not in told and not is_missed and gaps:
            yield f"trade {one.trade}: its fill of order {one.order} at {one.sequence} was not heard"
