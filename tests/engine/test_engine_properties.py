"""How an order is split into fills changes neither what a programme pays nor what is charged."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from exchange.protocol.acts import DefineProgramme
from matching.vocabulary import RejectReason
from settlement.terms import ProgrammeTerms, Rate
from tests.engine.market import VOUCHER, Said, Venue, founding
from tests.engine.stands import Balance, Budget

LIST_PRICE = 1_000
QWEN_TICK = 10


class Sell(NamedTuple):
    """Lots that somebody sells at a price, in so many orders."""

    price: int
    lots: int
    early: bool
    """Whether they rest when the buy arrives; else they come to it, and trade at its price."""


@st.composite
def sells(draw) -> tuple[Sell, ...]:
    rows = draw(
        st.lists(st.tuples(st.integers(1, 150), st.integers(1, 30), st.booleans()), min_size=1, max_size=6)
    )
    return tuple(Sell(price * QWEN_TICK, lots, early) for price, lots, early in rows)


@st.composite
def terms(draw) -> ProgrammeTerms:
    return msgspec.structs.replace(
        VOUCHER,
        code="DRAWN",
        rates=(Rate(rate=draw(st.integers(1, 10_000))),),
        budget=draw(st.integers(1, 60_000)),
        ceiling=draw(st.sampled_from((0, 333, 1_000, 4_000))),
        order_cap=draw(st.integers(1, 40_000)),
        group_cap=draw(st.integers(1, 40_000)),
        order_lots=draw(st.sampled_from((0, 1, 7, 40))),
        group_lots=draw(st.sampled_from((0, 5, 50))),
    )


class End(NamedTuple):
    """How a buy and its venue stand when all is done."""

    filled: int
    gross: int
    paid: int
    money: Balance
    credits: Balance
    budget: Budget


def buy(rows: tuple[Sell, ...], limit: int, quantity: int, programme: ProgrammeTerms, pieces: int) -> End:
    """Let ANN buy while YUN sells `rows`, each in so many pieces; whatever is left is cancelled."""
    venue = Venue(acts=(*founding(), DefineProgramme(programme)))
    said: list[Said] = []

    def offer(early: bool) -> None:
        for row in rows:
            if row.early == early:
                for lots in split(row.lots, pieces):
                    said.extend(
                        venue.sell("YUN", lots, "QWEN", row.price, last="gtc" if early else "ioc").said
                    )

    offer(early=True)
    bid = venue.buy("ANN", quantity, "QWEN", limit, last="day", programme="DRAWN")
    said += bid.said
    if bid.reason == RejectReason.NONE:
        offer(early=False)
        said += venue.cancel("ANN", bid.order).said
    trades = [one for one in said if one.trade]
    return End(
        filled=sum(one.quantity for one in trades),
        gross=sum(one.price * one.quantity for one in trades),
        paid=sum(one.subsidy for one in trades),
        money=venue.money("ANN"),
        credits=venue.credits("ANN", "QWEN"),
        budget=venue.budget("DRAWN"),
    )


def split(lots: int, pieces: int) -> list[int]:
    """Return `lots` as at most so many pieces, the larger ones first."""
    count = min(lots, pieces)
    return [lots // count + (nth < lots % count) for nth in range(count)]


@given(
    rows=sells(),
    limit=st.integers(1, 150).map(lambda ticks: ticks * QWEN_TICK),
    quantity=st.integers(1, 90),
    programme=terms(),
    pieces=st.integers(2, 30),
)
def test_how_a_buy_is_split_into_fills_changes_nothing(rows, limit, quantity, programme, pieces):
    whole = buy(rows, limit, quantity, programme, 1)
    assert buy(rows, limit, quantity, programme, pieces) == whole

    rate = programme.rates[0].rate
    assert whole.paid <= whole.gross * rate // 10_000
    assert whole.paid <= min(programme.order_cap, programme.group_cap, programme.budget)
    assert whole.budget == Budget(programme.budget - whole.paid, 0, whole.paid, 0)
    assert whole.credits == Balance(restricted=whole.filled)


@given(rows=sells(), limit=st.integers(1, 150), quantity=st.integers(1, 90), programme=terms())
def test_what_is_paid_is_the_share_of_the_covered_lots_up_to_the_ceiling(rows, limit, quantity, programme):
    """Reckon it anew from the fills alone: min(share(gross within cover, rate), S)."""
    limit *= QWEN_TICK
    venue = Venue(acts=(*founding(), DefineProgramme(programme)))
    for row in rows:
        venue.sell("YUN", row.lots, "QWEN", row.price)
    bid = venue.buy("ANN", quantity, "QWEN", limit, last="day", programme="DRAWN")
    ceiling = LIST_PRICE + LIST_PRICE * programme.ceiling // 10_000
    rate = programme.rates[0].rate
    cover = min(quantity, programme.order_lots or quantity, programme.group_lots or quantity)
    full = min(limit, ceiling) * cover * rate // 10_000
    most = min(full, programme.order_cap, programme.group_cap, programme.budget)
    if most == 0:
        assert bid.reason == RejectReason.PROGRAMME_EXHAUSTED
        return
    assert bid.said[0].subsidy == most
    prices = [trade.price for trade in bid.trades for _ in range(trade.quantity)]
    gross = sum(min(price, ceiling) for price in prices[:cover])
    assert sum(trade.subsidy for trade in bid.trades) == min(gross * rate // 10_000, most)
