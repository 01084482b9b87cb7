"""From the engine to the feed: what is told of what it did, and what is told to nobody."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from exchange.config import REFRESHES_AT_ONCE_MAX
from exchange.engine import Engine, Outcome
from exchange.protocol.acts import DefineProgramme, ListInstruments, SetState
from exchange.server.allowance import Allowance
from exchange.server.feeding import Teller, batch_of, fixings_of
from exchange.server.process import Pace
from exchange.server.run_feed import REFRESH_BYTES_AT_ONCE_MAX, answer_some, wait_ms
from feeds.documents import Fixing, budgets_of, definitions_of
from feeds.messages import (
    DEFINITIONS,
    ORDERS_REFRESH,
    Document,
    Heartbeat,
    Message,
    Picture,
    Trades,
    read,
    write_ask,
)
from feeds.records import TradePrint
from matching.vocabulary import EventKind
from settlement.rows import FixingRow
from tests.engine.flow import Flow
from tests.engine.flow_world import IDS_PER_MEMBER
from tests.engine.market import INSTRUMENTS, VOUCHER, Step, Venue, act_step, instrument
from tests.engine.market import batch_of as steps_of
from tests.feeds.reading import Reading, law_broken

BACK = replace(VOUCHER, code="BACK", payout="reimburse")


class FedVenue(Venue):
    """A venue whose every command is told; `prints` and `frames` are what was."""

    def __init__(self) -> None:
        super().__init__()
        assert self.decide(DefineProgramme(BACK)) == 0
        self.frames: list[bytes] = []
        self.engine.record()
        self.teller = Teller(self.engine, run=1)

    def play(self, *steps: Step) -> Outcome:
        outcome = super().play(*steps)
        if hasattr(self, "teller"):
            last = self.engine.sequence
            self.frames += self.teller.told(outcome, last - len(steps) + 1, last, self.time)
        return outcome

    @property
    def prints(self) -> list[TradePrint]:
        told = map(read, self.frames)
        return [one for message in told if isinstance(message, Trades) for one in message.prints]

    def documents(self) -> list[Document]:
        return [message for message in map(read, self.frames) if isinstance(message, Document)]


def test_a_trade_tells_what_a_programme_paid_whoever_took():
    venue = FedVenue()
    venue.sell("YUN", 5, "QWEN", 1_000)
    venue.buy("ANN", 3, "QWEN", 1_050, last="day", programme="VOUCHER")
    venue.buy("BEN", 4, "QWEN", 1_000, last="day", programme="VOUCHER")
    venue.sell("CAT", 1, "QWEN", 1_000)
    venue.sell("YUN", 2, "QWEN", 990)
    rows = [(one.quantity, one.paid, one.taker_side, one.subsidised) for one in venue.prints]
    assert rows == [(3, 900, 0, 1), (2, 600, 0, 1), (2, 600, 1, 1)]
    assert sum(one.paid for one in venue.prints) == venue.budget("VOUCHER").paid


def test_a_programme_that_pays_later_stands_behind_the_buy():
    venue = FedVenue()
    venue.sell("YUN", 5, "QWEN", 1_000)
    venue.buy("ANN", 3, "QWEN", 1_000, last="day", programme="BACK")
    venue.buy("CAT", 2, "QWEN", 1_000)
    assert [(one.quantity, one.paid, one.subsidised) for one in venue.prints] == [(3, 0, 1), (2, 0, 0)]


def test_nothing_tells_who_traded():
    venue = FedVenue()
    venue.sell("YUN", 5, "QWEN", 1_000)
    venue.buy("ANN", 8, "QWEN", 1_050, last="day", programme="VOUCHER")
    answer = venue.teller.answer(write_ask(ORDERS_REFRESH, venue.instrument("QWEN")))
    assert answer is not None
    told = b"".join([*venue.frames, *venue.teller.fast_views(1), *venue.teller.slow_views(1), answer])
    assert not any(name in told for name in (b"id-", b"ANN", b"YUN", b"VOUCHER"))


def test_with_programmes_orders_levels_tops_and_trades_are_the_engines(seed):
    engine, reading, paid, trades = Engine(IDS_PER_MEMBER), Reading(), 0, 0
    engine.record()
    teller = Teller(engine, run=1)
    chance, steps = np.random.default_rng(seed), list(Flow(seed).steps(500))
    while steps:
        lot, steps = steps[: (size := int(chance.integers(1, 25)))], steps[size:]
        first = engine.sequence + 1
        outcome = engine.apply(*steps_of(lot))
        told = list(map(read, teller.told(outcome, first, engine.sequence, engine.time)))
        assert np.array_equal(outcome.effects["sequence"], first + outcome.events["command"])
        market = [message for message in told if not isinstance(message, Document)]
        assert law_broken(reading, market, outcome.events, first, engine.core.book) == ""
        traded = outcome.events["kind"] == EventKind.TRADED
        prints = [one for message in market if isinstance(message, Trades) for one in message.prints]
        assert sorted(one.trade for one in prints) == outcome.effects["trade"][traded].tolist()
        assert sum(one.paid for one in prints) == outcome.effects["subsidy"][traded].sum()
        paid += sum(one.paid for one in prints)
        trades += len(prints)
    assert (paid > 0, trades > 20) == (True, True)
    assert trades == engine.core.ledger.totals[0]["trades"]


def test_the_heartbeat_comes_with_what_programmes_have_left():
    venue = FedVenue()
    venue.sell("YUN", 5, "QWEN", 1_000)
    venue.buy("ANN", 3, "QWEN", 1_000, last="day", programme="VOUCHER")
    heartbeat, document = map(read, venue.teller.each_second(77))
    assert isinstance(heartbeat, Heartbeat)
    assert isinstance(document, Document)
    assert (heartbeat.time, document.time) == (77, 77)
    budget = next(one for one in budgets_of(document) if one.programme == "VOUCHER")
    assert (budget.budget, budget.paid) == (20_000, 900)
    assert budget.uncommitted + budget.reserved + budget.paid + budget.vested == budget.budget


def test_definitions_are_told_to_who_asks_and_when_they_change():
    venue = FedVenue()
    answer = venue.teller.answer(write_ask(DEFINITIONS))
    assert answer is not None
    first = definitions_of(document(read(answer)))
    assert [one.symbol for one in first] == [one.symbol for one in INSTRUMENTS]
    assert (first[0].index, first[0].tick, first[0].list_price, first[0].expires) == (0, 10, 1_000, "")
    venue.sell("YUN", 5, "QWEN", 1_000)
    assert venue.documents() == []
    assert venue.decide(SetState("QWEN", "cancel_only")) == 0
    perishing = replace(instrument("NEW", "agent", "YUN", 5, 1, domestic=True), expires=date(2026, 12, 31))
    assert venue.decide(ListInstruments((perishing,))) == 0
    changed, listed = map(definitions_of, venue.documents())
    assert [(one.symbol, one.state) for one in changed] == [("QWEN", "cancel_only")]
    assert [(one.index, one.symbol, one.expires) for one in listed] == [(4, "NEW", "2026-12-31")]
    assert [message.number for message in venue.documents()] == [2, 3]


def document(message: Message) -> Document:
    assert isinstance(message, Document)
    return message


def test_fixings_name_instrument_day_and_rung():
    row = FixingRow(
        day=date(2026, 11, 22),
        instrument=1,
        sequence=9,
        time=9,
        price=2_490,
        rung="carried",
        stale=False,
        auction_quantity=None,
        trades=None,
        quantity=None,
        outliers=None,
        median=None,
        bid=None,
        ask=None,
        carried_from=None,
    )
    (told,) = fixings_of([row], list(INSTRUMENTS))
    assert told == Fixing(index=1, symbol="GPT", day="2026-11-22", price=2_490, rung="carried")


def test_what_is_no_trade_is_printed_by_nobody():
    engine = Engine()
    engine.record()
    outcome = engine.apply(*steps_of([act_step(DefineProgramme(VOUCHER))]))
    batch = batch_of(outcome, 1, 1, 5)
    assert (batch.first, batch.last, batch.time, len(batch.tape)) == (1, 1, 5, 0)
    assert Teller(engine, run=1).told(outcome, 1, 1, 5) == []


def test_the_process_waits_until_the_first_thing_is_due():
    often, seldom = Pace(0.0625), Pace(5.0)
    assert wait_ms((often, seldom), now=100.0) == 0
    assert (often.is_due(100.0), seldom.is_due(100.0)) == (True, True)
    assert wait_ms((often, seldom), now=100.0) == 63
    assert wait_ms((often, seldom), now=100.03125) == 32
    assert wait_ms((seldom,), now=100.0) == 100  # it looks whether it should end
    assert wait_ms((often, seldom), now=101.0) == 0


def test_a_refresh_after_a_start_amid_trading_has_what_rests():
    venue = FedVenue()
    ask = venue.sell("YUN", 5, "QWEN", 1_000).order
    answer = Teller(venue.engine, run=2).answer(write_ask(ORDERS_REFRESH, venue.instrument("QWEN")))
    assert answer is not None
    picture = read(answer)
    assert isinstance(picture, Picture)
    assert [(one.order, one.price, one.quantity) for one in picture.orders] == [(ask, 1_000, 5)]
    assert (picture.run, picture.number) == (2, 0)


class Frame(NamedTuple):
    bytes: bytes = b""

    def get(self, _: str) -> str:
        return "a key"


class Asking:
    """A ROUTER at which somebody asks without end."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def poll(self, _: int) -> bool:
        return True

    def recv_multipart(self, *, copy: bool) -> list[Frame]:
        assert not copy
        return [Frame(), Frame()]

    def send_multipart(self, parts: list[bytes], _: int) -> None:
        self.sent.append(len(parts[1]))


class Answering(NamedTuple):
    size: int

    def answer(self, _: bytes) -> bytes:
        return bytes(self.size)


def test_who_asks_for_large_books_holds_up_nobody_for_long() -> None:
    for size, times in ((100, REFRESHES_AT_ONCE_MAX), (REFRESH_BYTES_AT_ONCE_MAX // 2, 2), (10**7, 1)):
        asking = Asking()
        assert answered({"a key"}, Answering(size), asking) == times
        assert asking.sent == [size] * times
    assert answered(set(), Answering(1), Asking()) == 0


def test_a_key_is_given_so_many_bytes_of_books_a_second() -> None:
    allowance, asking = Allowance(per_second=1_000, burst=2_500), Asking()
    for now, times in ((0.0, 3), (0.4, 0), (0.6, 1), (9.0, 3)):
        del asking.sent[:]
        assert answered({"a key"}, Answering(1_000), asking, allowance, now) == times
    assert answered({"a key"}, Answering(1_000), asking, allowance, 9.0) == 0
    assert allowance.has_left("another key", 9.0)


def answered(
    keys: set[str],
    teller: Answering,
    asking: Asking,
    allowance: Allowance | None = None,
    now: float = 0.0,
) -> int:
    allowance = allowance or Allowance(per_second=1, burst=10**9)
    return answer_some(keys, teller, asking, allowance, now)  # type: ignore[arg-type]
