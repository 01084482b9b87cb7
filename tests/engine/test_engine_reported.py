"""Mistakes that were once made: each test says what is right, and holds it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.money_decisions import MONEY_MAX
from exchange.protocol.acts import Admit, DefineProgramme, Deposit
from exchange.protocol.records import Command
from matching.vocabulary import CommandKind, RejectReason, Side, TimeInForce
from settlement.terms import AMOUNT_MAX
from tests.engine.market import MEMBERS, VOUCHER, Step, Venue, batch_of, founding


@pytest.fixture
def venue() -> Venue:
    return Venue()


def test_a_region_named_twice_is_still_that_region(venue):
    """A sum of bits carried into the next region's bit: the wrong firms were eligible."""
    twice = replace(VOUCHER, code="TWICE", regions=("HANGZHOU", "HANGZHOU"))
    assert venue.decide(DefineProgramme(twice)) == RejectReason.NONE
    there = venue.buy("ANN", 1, "QWEN", 1_000, last="day", programme="TWICE")
    elsewhere = venue.buy("DAN", 1, "QWEN", 1_000, last="day", programme="TWICE")
    assert (there.reason, elsewhere.reason) == (RejectReason.NONE, RejectReason.PROGRAMME_NOT_ELIGIBLE)


def test_the_last_region_named_twice_stops_nobody(venue):
    """It carried out of int64: the engine raised in the middle of an act that was in the journal."""
    count = len(venue.engine.registry.regions)
    for number in range(count, 63):
        venue.decide(Admit(member=f"M-{number}", role="firm", region=f"R-{number}"))
    twice = replace(VOUCHER, code="TWICE", regions=("R-62", "R-62"))
    assert venue.decide(DefineProgramme(twice)) == RejectReason.NONE


def test_an_order_from_a_clock_that_runs_ahead_is_not_taken_twice():
    """Its id was noted with the venue's time, but compared with its own when it came again."""
    venue = Venue(ids_per_member=2)
    asked = venue.new("ANN", Side.BUY, 1, "QWEN", 1_000, sent_at=venue.time + 10**9)
    venue.ask(asked)
    for _ in range(2):
        venue.buy("ANN", 1, "QWEN", 10)
    venue.ask(asked._replace(time=venue.time))
    assert [price for _, price, _ in venue.resting("QWEN")].count(1_000) <= 1


def test_deposits_never_sum_to_more_than_int64_holds():
    """The limit looked at what is available only: who had it held by an order could pay in again."""
    rich = Admit(
        member="RICH", role="firm", quantity_max=AMOUNT_MAX, notional_max=AMOUNT_MAX, turnover_max=AMOUNT_MAX
    )
    venue = Venue(acts=founding((*MEMBERS, rich)))
    for _ in range(20):
        venue.decide(Deposit("RICH", 2**59))
        venue.buy("RICH", 2**59 * 99 // 100 // 10**9, "A910B", 10**9)
    assert sum(venue.money("RICH")) <= MONEY_MAX


def test_a_known_id_is_answered_with_its_orders_programme_and_time_in_force(venue):
    """Price, quantity and side were the order's; these two were what the second sending said."""
    asked = venue.new("ANN", Side.BUY, 1, "QWEN", 1_000, last="day", programme="VOUCHER")
    venue.ask(asked)
    (known,) = venue.ask(asked._replace(programme=-1, time_in_force=TimeInForce.GTC)).said
    assert known.programme == venue.programme("VOUCHER")
    assert known.time_in_force == TimeInForce.DAY


@pytest.mark.parametrize("client_id", [b"\xff", b"caf\xc3\xa9", b"a\0b"])
@pytest.mark.parametrize("kind", [CommandKind.NEW, CommandKind.CANCEL])
def test_an_id_that_is_not_ascii_is_refused_before_it_is_journalled(venue, kind, client_id):
    """The store cannot take it as text: it stopped there, at every start anew."""
    asked = Command(kind, member=venue.member("ANN"), client_id=client_id, price=10, quantity=1, instrument=0)
    faults, _ = venue.engine.faults(batch_of([Step(asked)])[0])
    assert faults[0] != RejectReason.NONE
