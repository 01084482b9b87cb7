"""An auction from the engine to the tables: what it moved is there, and everything balances."""

from __future__ import annotations

from datetime import date

from exchange.engine import Outcome
from exchange.protocol.acts import BeginFixing, FixPrices, SetCollars, SetPhase
from matching.vocabulary import RejectReason
from settlement.reconcile import Reconciler
from settlement.report import settlement_report
from settlement.store import Store, Watermark
from tests.engine.market import Step, Venue
from tests.settlement.tape import rows


class SettledVenue(Venue):
    """A venue of which all that happens is written to a store."""

    def __init__(self) -> None:
        self.store = Store.open()
        super().__init__()

    def play(self, *steps: Step) -> Outcome:
        outcome = super().play(*steps)
        self.store.add(outcome.events, outcome.effects, outcome.happened)
        mark = Watermark(sequence=self.engine.sequence, time=self.engine.time)
        self.store.flush(mark, self.engine.programmes())
        return outcome

    def change_phase(self, phase, reference: int = 0) -> None:
        assert self.decide(SetPhase("QWEN", phase, reference)) == RejectReason.NONE


def balances(venue: SettledVenue) -> bool:
    differences = Reconciler(venue.store).differences(venue.engine.core.ledger, venue.engine.programmes())
    return [*settlement_report(venue.store).differences, *differences] == []


def test_an_auction_is_settled_with_both_fees_and_the_subsidy():
    venue = SettledVenue()
    venue.change_phase("pre_open", reference=1_010)
    venue.sell("YUN", 10, "QWEN", 1_000)
    venue.buy("ANN", 6, "QWEN", 1_050, last="day", programme="VOUCHER")
    assert rows(venue.store, "from trades") == []
    venue.change_phase("auction")
    venue.change_phase("continuous")
    venue.buy("CAT", 1, "QWEN", 1_000)
    assert rows(
        venue.store,
        "select phase, taker_side, price, quantity, buyer, seller, buyer_fee, seller_fee, subsidy"
        " from trades order by trade",
    ) == [
        ("auction", None, 1_000, 6, "ANN", "YUN", 12, 12, 1_800),
        ("continuous", "buy", 1_000, 1, "CAT", "YUN", 5, 2, 0),
    ]
    assert rows(venue.store, "select member, maker from executions order by execution") == [
        ("ANN", True),
        ("YUN", True),
        ("CAT", False),
        ("YUN", True),
    ]
    assert rows(venue.store, "select open, low, volume, trades from bars_1m") == [(1_000, 1_000, 7, 2)]
    assert balances(venue)


def test_every_change_of_phase_is_in_the_tables_with_who_or_what_did_it():
    venue = SettledVenue()
    venue.decide(SetCollars("model", market=100, static=50, dynamic=0))
    venue.sell("YUN", 1, "QWEN", 1_040)
    venue.sell("YUN", 1, "QWEN", 1_060)
    venue.buy("ANN", 2, "QWEN", 1_060)
    venue.change_phase("auction")
    told = "select phase, reference, cause, who from phases where instrument = 'QWEN' order by sequence"
    assert rows(venue.store, told) == [
        ("continuous", 1_000, None, "OPERATOR"),
        ("pre_open", 1_000, "static_collar", None),
        ("auction", 1_000, None, "OPERATOR"),
    ]
    assert rows(venue.store, "select phase, price from trades order by trade") == [
        ("continuous", 1_040),
        ("auction", 1_060),
    ]
    assert balances(venue)


def test_a_fixing_is_in_the_tables_with_what_it_rests_on():
    venue, day = SettledVenue(), date(2026, 11, 21)
    venue.decide(BeginFixing(day))
    venue.change_phase("pre_open")
    venue.sell("YUN", 4, "QWEN", 1_020)
    venue.buy("ANN", 3, "QWEN", 1_020)
    venue.change_phase("auction")
    assert venue.decide(FixPrices(day)) == RejectReason.NONE
    told = (
        "select day, instrument, price, rung, stale, auction_quantity, carried_from from fixings order by all"
    )
    found = rows(venue.store, told)
    assert (day, "QWEN", 1_020, "closing_auction", False, 3, None) in found
    assert (day, "GPT", 2_500, "carried", True, None, None) in found
    assert len(found) == len(venue.engine.registry.instruments)
