"""The random tapes' calls and auctions: every rule of them decides something, and not too rarely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from matching import reference_auction
from matching.flow import random_flow
from matching.permissions import CALLS
from matching.reference import Command, Event, Market, Order, ReferenceBook, commands_from
from matching.reference_orders import are_related
from matching.vocabulary import CommandKind, EventKind, OrderType, Phase, RejectReason, SelfTrade

COMMANDS = 20_000
TICKS = (1, 5, 2_500)
MARKETS = [
    Market(1, collar=100, static_collar=300),
    Market(5, reference=500_000, collar=50, dynamic_collar=100),
    Market(2_500),
]
"""With and without a reference, with and without each collar."""


class Watched(ReferenceBook):
    """A reference that counts what it did in auctions, in words."""

    def __init__(self, markets):
        super().__init__(markets)
        self.seen: Counter[str] = Counter()
        self.rounds = 0

    def obey(self, command: Command) -> Iterator[Event]:
        order = self.order_meant(command)
        is_waiting = order is not None and order.is_waiting
        for event in super().obey(command):
            if is_waiting and event.kind in (EventKind.REDUCED, EventKind.REPLACED, EventKind.CANCELLED):
                self.seen[f"waiting {EventKind(event.kind).name.lower()}"] += 1
            yield event
        for market in self.markets:
            self.seen[f"in {Phase(market.phase).name.lower()}"] += 1

    def uncross(self, instrument: int) -> Iterator[Event]:
        self.rounds = 0
        is_bare = not self.books[instrument].bids and not self.books[instrument].asks
        events = list(super().uncross(instrument))
        has_traded = any(event.kind == EventKind.TRADED for event in events)
        if has_traded:
            self.seen["auctions that trade"] += 1
            self.seen[f"auctions of {min(self.rounds, 3)} rounds that trade"] += 1
            self.seen["auctions without a limit order"] += is_bare
        is_stopped = any(event.kind == EventKind.TRIGGERED for event in events)
        self.seen["stops elected without a trade"] += is_stopped and not has_traded
        left = [event for event in events if event.kind == EventKind.CANCELLED and not event.reason]
        self.seen["left waiting"] += len(left)
        yield from events

    def trade_at_one_price(self, instrument: int) -> Iterator[Event]:
        traded = False
        for event in super().trade_at_one_price(instrument):
            traded |= event.kind == EventKind.TRADED
            yield event
        self.rounds += traded

    def keep_apart(self, pair) -> Iterator[Event]:
        mode = SelfTrade(pair.later.self_trade).name.lower()
        self.seen[f"kept apart: {'related' if are_related(pair.buy, pair.sell) else mode}"] += 1
        return super().keep_apart(pair)

    def trade_pair(self, pair, price: int) -> Event:
        for order in (pair.buy, pair.sell):
            self.seen["hidden lots traded"] += not order.is_waiting and pair.lots > order.shown
            self.seen["waiting traded"] += order.is_waiting
            self.seen["triggered traded"] += order.is_waiting and order.type != OrderType.MARKET
        return super().trade_pair(pair, price)

    def show_next_slice(self, iceberg: Order) -> None:
        is_auction = self.markets[iceberg.instrument].phase in (Phase.AUCTION, Phase.CONTINUOUS)
        self.seen["next slice"] += is_auction
        super().show_next_slice(iceberg)


def deciding(seen: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be counted which rule decides each auction price that is found."""
    best_of, price_among = reference_auction.best_of, reference_auction.price_among

    def best(segments):
        left = best_of(segments)
        largest = [one for one in segments if left and one.volume == left[0].volume]
        seen["rule 2: smallest surplus"] += len(left) < len(largest)
        return left

    def price(left, reference, tick):
        first, last = left[0].first, left[-1].last
        found = price_among(left, reference, tick)
        if first == last:
            seen["rule 1: one price"] += 1
        elif all(one.surplus > 0 for one in left):
            seen["rule 3: highest"] += 1
        elif all(one.surplus < 0 for one in left):
            seen["rule 3: lowest"] += 1
        elif not reference:
            seen["rule 4: middle"] += 1
        else:
            seen["rule 4: reference" if first < reference < last else "rule 4: an end"] += 1
        return found

    monkeypatch.setattr(reference_auction, "best_of", best)
    monkeypatch.setattr(reference_auction, "price_among", price)


@pytest.fixture(scope="module")
def told():
    """Return the events of all tapes that `seen` plays, each with its command's kind."""
    return []


@pytest.fixture(scope="module")
def seen(seed, told):
    """Return what a few tapes have come to."""
    counts: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as monkeypatch:
        deciding(counts, monkeypatch)
        for number in range(3):
            book = Watched(MARKETS)
            for command in commands_from(random_flow(seed + number, COMMANDS, len(TICKS), TICKS)):
                told += [(command.kind, event) for event in book.apply(command)]
            counts += book.seen
    return counts


def test_most_of_a_tape_is_continuous_trading_and_every_phase_occurs(seen):
    commands = 3 * COMMANDS * len(MARKETS)
    share = {phase: seen[f"in {phase.name.lower()}"] / commands for phase in Phase}
    assert sum(share.values()) == pytest.approx(1)
    assert 0.6 < share[Phase.CONTINUOUS] < 0.9
    assert 0.08 < share[Phase.PRE_OPEN] < 0.3
    assert all(share[phase] > 0.001 for phase in Phase)


def test_auctions_trade_in_one_round_and_in_several(seen):
    assert seen["auctions that trade"] > 100
    assert seen["auctions of 1 rounds that trade"] > 50
    assert seen["auctions of 2 rounds that trade"] > 20
    assert seen["auctions of 3 rounds that trade"] >= 3
    assert seen["auctions without a limit order"] >= 2
    assert seen["stops elected without a trade"] >= 2


def test_every_rule_decides_prices(seen):
    assert seen["rule 1: one price"] > 500
    assert seen["rule 2: smallest surplus"] > 500
    assert seen["rule 3: highest"] > 200
    assert seen["rule 3: lowest"] > 200
    assert seen["rule 4: an end"] > 20
    assert seen["rule 4: reference"] + seen["rule 4: middle"] >= 3


def test_all_that_lines_up_trades(seen):
    assert seen["hidden lots traded"] > 100
    assert seen["next slice"] > 100
    assert seen["waiting traded"] > 200
    assert seen["triggered traded"] > 50
    assert seen["left waiting"] > 100


def test_every_mode_keeps_pairs_apart(seen):
    modes = [mode.name.lower() for mode in SelfTrade if mode != SelfTrade.NONE]
    assert all(seen[f"kept apart: {mode}"] > 20 for mode in [*modes, "related"])


def test_waiting_orders_are_changed(seen):
    assert all(seen[f"waiting {deed}"] > 10 for deed in ("reduced", "replaced", "cancelled"))


def test_each_collar_begins_calls_and_ends_what_cannot_stand_in_them(seen, told):
    del seen
    for collar in (RejectReason.STATIC_COLLAR, RejectReason.DYNAMIC_COLLAR):
        its = [event for _, event in told if event.reason == collar]
        phases = [event.phase for event in its if event.kind == EventKind.PHASE_CHANGED]
        assert set(phases) == {Phase.PRE_OPEN}
        assert 5 < len(phases) < 3 * COMMANDS / 200
        assert any(event.kind == EventKind.CANCELLED for event in its)


def test_indicative_prices_are_told_of_calls_and_taken_back(seen, told):
    del seen
    its = [event for _, event in told if event.kind == EventKind.INDICATIVE]
    assert len(its) > 500
    assert {event.side for event in its if event.leaves > 0} == {0, 1}
    assert {event.price == 0 for event in its} == {True, False}
    assert all((event.price == 0) == (event.quantity == 0) for event in its)


def test_phases_forbid_what_they_do_not_take(seen, told):
    del seen
    refused = {
        (kind, event.phase)
        for kind, event in told
        if event.reason in (RejectReason.NOT_IN_PHASE, RejectReason.INSTRUMENT_NOT_OPEN)
    }
    never_open = (Phase.CLOSED, Phase.AUCTION, Phase.HALTED)
    assert refused == {
        *((CommandKind.NEW, phase) for phase in (*never_open, *CALLS)),
        *((CommandKind.REPLACE, phase) for phase in (*never_open, Phase.NO_CANCEL)),
        *(
            (kind, Phase.NO_CANCEL)
            for kind in (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.MASS_CANCEL)
        ),
    }


def test_references_lie_on_the_grid_and_off_it(seed):
    tape = random_flow(seed, COMMANDS, 1, (5,))
    references = tape["price"][(tape["kind"] == CommandKind.PHASE) & (tape["price"] > 0)]
    assert 0.2 < np.mean(references % 5 == 0) < 0.9
