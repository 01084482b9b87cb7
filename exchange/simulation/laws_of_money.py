"""Every hao told again: balances from trades and postings, and what programmes pay from their terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np

from exchange.engine import Engine, Outcome
from exchange.simulation.laws import asset_name, balances_of, member_name, must, usages_broken, used_by_groups
from matching.layout import Row
from matching.vocabulary import NO_SLOT, EventKind, Side, Size
from settlement.classes import KINDS, rate_index
from settlement.layout import HOUSE, MONEY
from settlement.rows import LegRow, Posting
from settlement.terms import ProgrammeTerms

BALANCES = "every hao and every lot is where it was posted"
ZERO = "an entry's postings sum to zero"
SUBSIDY = "a programme pays what its terms say"
CAPS = "no group above its cap"
BUDGETS = "what was paid is what was told"

_ACCOUNTS = {"free": 0, "restricted": 1, "redeeming": 2, "debt": 3}
"""The members' accounts, at their places in a balance; what is owed is posted with its sign turned."""

_DEALT = np.zeros(256, bool)
"""Whether a kind of event, by its number, says beside trades what a programme does for an order."""

for _kind in (EventKind.ACCEPTED, EventKind.REPLACED, EventKind.REDUCED, EventKind.TRIGGERED):
    _DEALT[_kind] = True

_BASIS_POINTS = 10_000


class Deal(msgspec.Struct):
    """What a programme does for one order. Money in hao.

    `most` is S, the most that it pays for the order; `gross` what the order has bought, at its programme's
    ceiling where it was above. While `is_exact` what is earned follows from these alone.
    """

    programme: int
    rate: int
    ceiling: int
    most: int
    is_exact: bool
    pays_at_trade: bool
    gross: int = 0
    earned: int = 0


class Money:
    """Balances, deals and what programmes have paid, folded from events, effects and what acts brought."""

    def __init__(self) -> None:
        self._balances: dict[tuple[int, int], list[int]] = {}
        self._left: Counter[str] = Counter()
        self._spent: Counter[int] = Counter()
        self._deals: dict[int, Deal] = {}
        self._buys: dict[int, int] = {}
        """The buy of each trade that a programme has to do with."""

        self._terms: dict[tuple[int, int], ProgrammeTerms] = {}
        self._used: dict[tuple[int, int], tuple[int, int]] = {}
        self._groups: list[int] = []

    def take(self, engine: Engine, outcome: Outcome) -> None:
        """Take in one batch that an engine has applied. Raises `LawBroken` for what no terms allow."""
        for index, terms in enumerate(engine.registry.programmes):
            self._terms[index, terms.version] = terms
        self._post(outcome.happened.postings)
        for leg in outcome.happened.legs:
            self._note_leg(leg)
        for bust in outcome.happened.busts:  # what was earned and not paid yet goes without a leg
            if bust.trade in self._buys:
                self._deals[self._buys[bust.trade]].is_exact = False
        events, effects = outcome.events, outcome.effects
        kinds = events["kind"]
        is_dealt = _DEALT[kinds] & (effects["programme"] != NO_SLOT)
        for at in np.flatnonzero(is_dealt | (kinds == EventKind.TRADED)):
            if events[at]["kind"] == EventKind.TRADED:
                self._trade(engine, events[at], effects[at])
            else:
                self._deal(engine, events[at], effects[at])

    def hold_against(self, engine: Engine) -> None:
        """Raise `LawBroken` unless the ledger's rows say what was told."""
        self._check_balances(engine)
        for row in engine.programmes():
            if self._spent[row.index] != row.paid + row.vested:
                what = (
                    f"programme {row.programme}: {row.paid + row.vested} paid, {self._spent[row.index]} told"
                )
                must(BUDGETS, [what])
            if self._left[row.programme] != row.uncommitted + row.reserved:
                left = row.uncommitted + row.reserved
                what = f"programme {row.programme}: {left} left, {self._left[row.programme]} by the postings"
                must(BUDGETS, [what])
        used = used_by_groups(engine)
        must(CAPS, [*usages_broken(engine, used)])
        must(CAPS, [*self._above_caps(engine, used)])
        self._used = used
        self._groups = engine.core.ledger.members["group"].tolist()

    # --- balances ------------------------------------------------------------------------------

    def _add(self, member: int, asset: int, account: int, amount: int) -> None:
        if member != HOUSE:
            self._balances.setdefault((member, asset), [0, 0, 0, 0])[account] += amount

    def _post(self, postings: tuple[Posting, ...]) -> None:
        sums: Counter[tuple[int, int]] = Counter()
        for line in postings:
            sums[line.entry, line.asset] += line.amount
            account, _, code = line.account.partition(":")
            if account in _ACCOUNTS:
                amount = -line.amount if account == "debt" else line.amount
                self._add(line.member, line.asset, _ACCOUNTS[account], amount)
            elif account == "programme":
                self._left[code] += line.amount
        must(ZERO, [f"entry {entry}, asset {asset}: {rest}" for (entry, asset), rest in sums.items() if rest])

    def _check_balances(self, engine: Engine) -> None:
        there = balances_of(engine)
        here = {key: has for key, has in self._balances.items() if any(has)}
        if here == there:
            return
        nothing = [0, 0, 0, 0]
        for member, asset in sorted(here.keys() | there.keys()):
            has, posted = there.get((member, asset), nothing), here.get((member, asset), nothing)
            if has != posted and member != HOUSE:
                whose = f"{member_name(engine, member)}, {asset_name(engine, asset)}"
                told = "(free, restricted, set aside, owed)"
                must(BALANCES, [f"{whose}: {told} {has} in the ledger, {posted} by what was told"])

    def _trade(self, engine: Engine, event: Row, effect: Row) -> None:
        """Move what a trade moves: money and fees, credits, and what a programme pays of it."""
        amount, lots = int(event["price"]) * int(event["quantity"]), int(event["quantity"])
        buy, sell = ("", "maker_") if event["side"] == Side.BUY else ("maker_", "")
        buyer, seller = int(effect[buy + "member"]), int(effect[sell + "member"])
        buyer_fee, seller_fee = int(effect[buy + "fee"]), int(effect[sell + "fee"])
        programme, subsidy = int(effect[buy + "programme"]), int(effect["subsidy"])
        asset = int(event["instrument"]) + 1
        self._add(buyer, MONEY, 0, subsidy - amount - buyer_fee)
        self._add(seller, MONEY, 0, amount - seller_fee)
        self._add(buyer, asset, 0 if programme == NO_SLOT else 1, lots)
        self._add(seller, asset, 0, -lots)
        if programme == NO_SLOT:
            must(SUBSIDY, [f"trade {effect['trade']}: {subsidy} paid by no programme"] if subsidy else [])
            return
        self._spent[programme] += subsidy
        self._left[engine.registry.programmes[programme].code] -= subsidy
        order, earned = int(event[buy + "order"]), int(effect[buy + "paid"])
        self._buys[int(effect["trade"])] = order
        self._earn(order, int(event["price"]), lots, earned, subsidy)

    # --- what programmes pay -------------------------------------------------------------------

    def _deal(self, engine: Engine, event: Row, effect: Row) -> None:
        """Note what a programme has reserved for an order, or that it is not the order that it was."""
        order, kind = int(event["order"]), int(event["kind"])
        deal = self._deals.get(order)
        if kind == EventKind.ACCEPTED:
            self._deals[order] = self._begun(engine, event, effect)
        elif deal is not None:
            deal.is_exact = False  # what is covered follows from more than the fills from now on
            if kind == EventKind.REPLACED:
                deal.most = int(effect["paid"]) + int(effect["subsidy"])

    def _begun(self, engine: Engine, event: Row, effect: Row) -> Deal:
        """Return the deal of an order that has just entered; S is bounded by rate, ceiling and cap."""
        programme, version = int(effect["programme"]), int(effect["terms_version"])
        terms = self._terms.get((programme, version)) or engine.registry.programmes[programme]
        listing = engine.core.ledger.listings[int(event["instrument"])]
        instrument = engine.registry.instruments[int(event["instrument"])]
        size = Size(int(engine.core.ledger.members[int(effect["member"])]["firm_size"]))
        place = rate_index(size, KINDS.index(instrument.kind), instrument.domestic, instrument.filed)
        rate = terms.rate_table()[place]
        list_price = int(listing["list_price"])
        ceiling = list_price + list_price * terms.ceiling // _BASIS_POINTS
        most = int(effect["subsidy"])
        full = min(int(event["price"]) or ceiling, ceiling) * int(event["quantity"]) * rate // _BASIS_POINTS
        if not 0 < most <= min(full, terms.order_cap):
            cap = f"at {rate} basis points {full}, its cap {terms.order_cap}"
            must(SUBSIDY, [f"order {event['order']}: {terms.code} reserves {most}; it may have {cap}"])
        has_lots = bool(terms.order_lots or terms.group_lots)
        is_known = (programme, version) in self._terms
        return Deal(programme, rate, ceiling, most, is_known and not has_lots, terms.payout == "deduct")

    def _earn(self, order: int, price: int, lots: int, earned: int, subsidy: int) -> None:
        """Let an order earn by one fill, and hold what it was told against it."""
        deal = self._deals.get(order)
        if deal is None:
            deal = self._deals[order] = Deal(NO_SLOT, 0, 0, earned, is_exact=False, pays_at_trade=subsidy > 0)
        deal.gross += min(price, deal.ceiling) * lots
        grown, deal.earned = earned - deal.earned, earned
        full = min(deal.gross * deal.rate // _BASIS_POINTS, deal.most)
        where = f"order {order}: {earned} earned, {subsidy} of it paid at this trade"
        if earned > deal.most:
            must(SUBSIDY, [f"{where}; it is {deal.most} at most"])
        if not deal.is_exact:
            return
        if earned != full:
            must(
                SUBSIDY,
                [f"{where}; {deal.gross} at {deal.rate} basis points, {deal.most} at most, is {full}"],
            )
        if subsidy != (grown if deal.pays_at_trade else 0):
            must(SUBSIDY, [f"{where}; it has grown by {grown}"])

    def _note_leg(self, leg: LegRow) -> None:
        """Take in what a programme paid otherwise than at a trade, or took back."""
        self._spent[leg.programme] += leg.amount
        deal = self._deals.get(leg.order)
        if deal is not None and leg.reason in ("bust", "related", "ineligible"):
            deal.is_exact = False

    def _above_caps(self, engine: Engine, used: dict[tuple[int, int], tuple[int, int]]) -> Iterator[str]:
        """Yield which groups have more than their cap, and more than before.

        New terms may have lowered a cap below what was used; and two groups may have become one.
        """
        if self._groups != engine.core.ledger.members["group"].tolist():
            return
        rows = engine.core.ledger.programmes
        for (programme, group), (money, lots) in sorted(used.items()):
            before = self._used.get((programme, group), (0, 0))
            row = rows[programme]
            for what, has, had, cap in (
                ("hao", money, before[0], int(row["group_cap"])),
                ("lots", lots, before[1], int(row["group_lots"])),
            ):
                if cap and has > max(cap, had):
                    yield f"programme {programme}, group {group}: {has} {what}, its cap is {cap}"
