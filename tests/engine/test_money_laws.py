"""The laws of money, checked after every command of random streams; and that each of them can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.protocol.acts import (
    Act,
    Admit,
    BlockMember,
    DefineProgramme,
    ListInstruments,
    SetCapacity,
    SetFees,
)
from matching.reference_orders import blank
from matching.vocabulary import EventKind, OrderState, Side, TimeInForce
from settlement.reference import Asked, Listing, Member, Order, ReferenceLedger, share
from settlement.reference_programmes import shared
from settlement.reference_redemptions import Taken
from settlement.terms import ProgrammeTerms, Rate
from tests.engine.flow import Flow, MoneyFlow
from tests.engine.flow_world import IDS_PER_MEMBER, year_of
from tests.engine.laws import Laws
from tests.engine.market import NOON
from tests.engine.twin import Twin
from tests.engine.twin_members import JudgedAct

FLOWS = 4
COMMANDS = 1_500

FOUNDING = (Admit, BlockMember, DefineProgramme, ListInstruments, SetCapacity, SetFees)
"""The acts about trading that are played here; nobody judges the others but the engine."""


def play(seed: int, ledger: Callable[[], ReferenceLedger] = ReferenceLedger) -> Iterator[Laws]:
    """Play a flow on the twin alone, every other seed's mostly money; after each command yield the laws."""
    twin = Twin(IDS_PER_MEMBER, ledger)
    laws = Laws(twin.ledger)
    flow = MoneyFlow(seed) if seed % 2 else Flow(seed)
    for command, act, who in flow.steps(COMMANDS):
        if act is None:
            twin.apply(command)
        elif isinstance(act, JudgedAct):
            twin.judged(command, act, who)
        else:
            twin.decided(command, act if is_sound(act, twin) else None)
        yield laws


def is_sound(act: Act, twin: Twin) -> bool:
    """Tell whether an act about trading is played."""
    if isinstance(act, Admit):
        return act.member not in twin.names
    if isinstance(act, SetFees):
        return max(act.maker, act.taker) <= 10_000
    return isinstance(act, FOUNDING)


@pytest.mark.parametrize("nth", range(FLOWS))
def test_the_laws_of_money_hold_after_each_command(seed, scale, nth):
    for flow in range(nth, FLOWS * scale, FLOWS):
        for laws in play(seed + flow):
            assert laws.broken() == [], f"seed {seed + flow}, command {laws.ledger.sequence}"


# --- each law can fail -------------------------------------------------------------------------


class ForgetsToBurn(ReferenceLedger):
    """Owes still what was redeemed."""

    def burned(self, member: int, instrument: int, taken: Taken) -> None:
        super().burned(member, instrument, taken)
        self.listings[instrument].redeem(-taken.lots)


class HoldsTooLittle(ReferenceLedger):
    """Forgets the fees in what a buy must hold."""

    def need_of(self, order: Order) -> int:
        need = super().need_of(order)
        return max(need - 1, 0) if order.is_buy else need


class SellsRestricted(ReferenceLedger):
    """Gives free credits to whom a programme has paid."""

    def earn(self, buy: Order, sell: Order, price: int, quantity: int) -> int:
        subsidy = super().earn(buy, sell, price, quantity)
        if buy.programme is not None:
            self.credits_of(buy).available += 1
            self.credits_of(buy).restricted -= 1
        return subsidy


class PaysTwice(ReferenceLedger):
    """Pays what a programme owes, and posts half of it."""

    def pay_out(self, reason: str, programme: object, member: int, amount: int) -> None:
        super().pay_out(reason, programme, member, amount)  # type: ignore[arg-type]
        self.money(member).available += amount


class KeepsCover(ReferenceLedger):
    """Counts the lots of ended orders against the caps."""

    def release_cover(self, order: Order, keep: int) -> None:
        order.cover = max(order.cover, keep)


class EarnsTooMuch(ReferenceLedger):
    """Lets a group have what its cap does not leave."""

    def group_cap_left(self, programme: object, group: str) -> int:
        return 10**9


PLANTED = (ForgetsToBurn, HoldsTooLittle, SellsRestricted, PaysTwice, KeepsCover, EarnsTooMuch)


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_mistake_breaks_a_law(seed, planted):
    assert any(laws.broken() for nth in range(4) for laws in play(seed + nth, planted))


# --- one order, however it is filled -----------------------------------------------------------

FIRM, SELLER, LIST_PRICE = 2, 1, 1_000


@st.composite
def terms(draw: st.DrawFn) -> ProgrammeTerms:
    return year_of(
        "DRAWN",
        2026,
        budget=draw(st.integers(1, 60_000)),
        rates=(Rate(rate=draw(st.integers(1_000, 10_000))),),
        ceiling=draw(st.sampled_from((0, 333, 1_000, 4_000))),
        order_cap=draw(st.integers(1, 40_000)),
        group_cap=draw(st.integers(1, 40_000)),
        order_lots=draw(st.sampled_from((0, 1, 7, 40))),
        group_lots=draw(st.sampled_from((0, 5, 50))),
        payout=draw(st.sampled_from(("deduct", "reimburse"))),
        regions=(),
    )


def venue(programme: ProgrammeTerms) -> ReferenceLedger:
    """Return a ledger with a seller, a firm and one programme."""
    ledger = ReferenceLedger()
    for name in ("HOUSE", "YUN", "ANN"):
        ledger.admit(Member(group=name))
    ledger.list_instrument(Listing(kind="model", provider=SELLER, list_price=LIST_PRICE))
    ledger.set_fees("model", 20, 50)
    ledger.define(programme)
    ledger.deposit(FIRM, 10**9)
    ledger.issue(0, 10**6)
    return ledger


def bought(ledger: ReferenceLedger, price: int, fills: list[tuple[int, int]]) -> Order:
    """Let a subsidised buy trade at (price, quantity) one after the other; return it, ended."""
    total = sum(quantity for _, quantity in fills)
    buy = Asked(FIRM, price, total, time_in_force=TimeInForce.DAY, programme=0, time=NOON)
    sell = Asked(SELLER, 1, total, side=Side.SELL)
    order = ledger.enter(buy, 1)
    ledger.enter(sell, 2)
    for at, quantity in fills:
        trade = blank(EventKind.TRADED, 0)._replace(order=1, maker_order=2, price=at, quantity=quantity)
        ledger.settle(trade)
    return order


@given(
    programme=terms(),
    fills=st.lists(st.tuples(st.integers(10, 2_000), st.integers(1, 30)), min_size=1, max_size=6),
)
def test_how_a_buy_is_filled_changes_neither_what_it_earns_nor_what_it_pays(programme, fills):
    limit = max(price for price, _ in fills)
    whole, split = venue(programme), venue(programme)
    order = bought(whole, limit, fills)
    other = bought(split, limit, [(price, 1) for price, quantity in fills for _ in range(quantity)])
    assert (order.earned, order.fees, order.gross) == (other.earned, other.fees, other.gross)
    assert whole.money(FIRM) == split.money(FIRM)
    assert order.earned <= share(order.gross, order.rate)
    assert order.earned <= min(programme.order_cap, programme.group_cap, programme.budget)
    lots = [price for price, quantity in fills for _ in range(quantity)]
    caps = [cap for cap in (programme.order_lots, programme.group_lots) if cap]
    gross = sum(min(price, order.ceiling) for price in lots[: min(caps, default=len(lots))])
    assert order.earned == min(share(gross, order.rate), order.subsidy_max)
    assert order.state == OrderState.FILLED
    assert Laws(whole).broken() == []


# --- claims share a budget ---------------------------------------------------------------------


@given(budget=st.integers(0, 10**18), claims=st.lists(st.integers(1, 10**18), max_size=12))
def test_claims_share_a_budget_to_the_last_hao(budget, claims):
    shares = shared(budget, claims)
    total = sum(claims)
    assert sum(shares) == min(budget, total)
    for part, claim in zip(shares, claims, strict=True):
        assert part <= claim
        assert abs(part * total - min(budget, total) * claim) < total


def test_what_is_left_over_goes_to_the_largest_remainders_and_of_equal_ones_to_the_first():
    assert shared(10, [1, 1, 1]) == [1, 1, 1]
    assert shared(2, [1, 1, 1]) == [1, 1, 0]
    assert shared(10, [10, 20, 30]) == [2, 3, 5]
    assert shared(7, [5, 5, 10]) == [2, 2, 3]
    assert shared(5, []) == []
