"""Money and credits from the engine to the tables: whatever is done, everything balances and agrees."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from exchange.protocol.acts import (
    Act,
    Adjust,
    AdjustmentLine,
    Admit,
    Approve,
    Bust,
    CloseYear,
    DefineProgramme,
    Deliver,
    Deposit,
    ExpireCredits,
    FindIneligible,
    FindRelated,
    Issue,
    ListInstruments,
    Propose,
    Recall,
    RecordUsage,
    Redeem,
    ReviseProgramme,
    SetCapacity,
    SettleDebt,
    TokenUsage,
    TwoPersonsAct,
    UsageRecord,
    Withdraw,
)
from exchange.protocol.records import Command
from matching.vocabulary import CommandKind, EventKind, RejectReason
from settlement.terms import midnight_ns
from tests.engine.market import INSTRUMENTS, VOUCHER, act_step
from tests.settlement.tape import rows
from tests.settlement.test_auctions import SettledVenue, balances


@pytest.fixture
def venue():
    """A venue in which ANN has bought 6 lots of QWEN for 6,000 hao; the voucher has paid 1,800 of these."""
    venue = SettledVenue()
    venue.sell("YUN", 10, "QWEN", 1_000)
    venue.buy("ANN", 6, "QWEN", 1_000, last="day", programme="VOUCHER")
    yield venue
    assert balances(venue)


def do(venue: SettledVenue, act: Act, who: str) -> int:
    """Let somebody decide who may; return the sequence."""
    venue.time += 1
    (result,) = venue.play(act_step(act, venue.time, who)).acts
    assert (result.reason, result.value) == (RejectReason.NONE, "")
    return result.sequence


def approved(venue: SettledVenue, act: TwoPersonsAct) -> None:
    """Let one operator propose and another approve."""
    do(venue, Admit(member="SECOND", role="operator"), "OPERATOR")
    proposal = do(venue, Propose(act), "OPERATOR")
    do(venue, Approve(proposal), "SECOND")


def programme(venue: SettledVenue, code: str = "VOUCHER") -> tuple[object, ...]:
    ((*states,),) = rows(
        venue.store,
        f"select budget, uncommitted, reserved, paid, vested from programmes where programme = '{code}'",  # noqa: S608
    )
    return tuple(states)


def entries(venue: SettledVenue, reason: str) -> list[tuple[object, ...]]:
    """Return the lines of the entries of one reason."""
    return rows(
        venue.store,
        f"select member, account, asset, amount from postings where reason = '{reason}' order by all",  # noqa: S608
    )


def test_what_is_redeemed_is_burned_and_vests(venue):
    number = do(venue, Redeem("ANN", "QWEN", 4, "first"), "ANN")
    assert entries(venue, "redeem") == [("ANN", "redeeming", "QWEN", 4), ("ANN", "restricted", "QWEN", -4)]
    assert balances(venue)
    do(venue, Deliver(number), "YUN")
    assert entries(venue, "burn") == [("ANN", "redeeming", "QWEN", -4), ("house", "outside", "QWEN", 4)]
    assert rows(
        venue.store, "select redemption, lots, restricted, state, reference, vested from redemptions"
    ) == [(number, 4, 4, "confirmed", "first", 1_200)]
    assert rows(venue.store, "from obligations where instrument = 'QWEN'") == [
        ("YUN", "QWEN", 1_000, 4, 0, 996)
    ]
    assert programme(venue) == (20_000, 18_200, 0, 600, 1_200)


def test_what_is_recalled_is_given_back(venue):
    do(venue, Redeem("ANN", "QWEN", 4, "first"), "ANN")
    do(venue, Recall(venue.engine.sequence), "ANN")
    assert entries(venue, "return") == [("ANN", "redeeming", "QWEN", -4), ("ANN", "restricted", "QWEN", 4)]
    assert rows(venue.store, "select state from redemptions") == [("returned",)]


def test_a_busted_trade_is_reversed_and_its_leg_taken_back(venue):
    approved(venue, Bust(1))
    assert rows(venue.store, "select trade, who from busts") == [(1, "OPERATOR, SECOND")]
    assert rows(venue.store, "select busted from trades") == [(True,)]
    assert rows(venue.store, "select trade, amount, reason from subsidy_legs order by amount") == [
        (1, -1_800, "bust"),
        (1, 1_800, "trade"),
    ]
    assert programme(venue) == (20_000, 20_000, 0, 0, 0)
    assert rows(venue.store, "from bars_1m") == []


def test_a_debt_is_told_and_settled(venue):
    do(venue, FindIneligible("ANN", "VOUCHER"), "OPERATOR")
    assert entries(venue, "debt") == [
        ("ANN", "debt", "money", -1_800),
        ("house", "claims:VOUCHER", "money", 1_800),
    ]
    assert balances(venue)
    do(venue, SettleDebt("ANN", "VOUCHER", 1_000), "ANN")
    assert rows(venue.store, "select amount from subsidy_legs where reason = 'settled'") == [(-1_000,)]
    assert rows(
        venue.store, "select account, sum(amount) from postings where account like 'claims%' group by all"
    ) == [("claims:VOUCHER", 800)]


def test_related_members_owe_what_was_paid_for_their_trades(venue):
    do(venue, FindRelated("ANN", "YUN"), "OPERATOR")
    assert entries(venue, "debt")[0] == ("ANN", "debt", "money", -1_800)


def test_a_reimbursing_programme_pays_as_credits_are_redeemed(venue):
    later = msgspec.structs.replace(VOUCHER, code="LATER", payout="reimburse", regions=())
    do(venue, DefineProgramme(later), "OPERATOR")
    venue.buy("BOB", 4, "QWEN", 1_000, last="day", programme="LATER")
    assert rows(venue.store, "select subsidy from trades where buyer = 'BOB'") == [(0,)]
    assert programme(venue, "LATER") == (20_000, 18_800, 1_200, 0, 0)
    assert balances(venue)
    do(venue, Redeem("BOB", "QWEN", 2, "half"), "BOB")
    do(venue, Deliver(venue.engine.sequence), "YUN")
    assert programme(venue, "LATER") == (20_000, 18_800, 600, 0, 600)
    assert rows(
        venue.store,
        "select member, amount, reason, terms_version from subsidy_legs where programme = 'LATER'",
    ) == [("BOB", 600, "reimbursed", 1)]
    assert rows(venue.store, "select vested, reimbursed from redemptions") == [(600, 600)]


def test_usage_is_burned_at_once(venue):
    call = UsageRecord("call-1", "ANN", "QWEN", venue.time // 10**9, TokenUsage(700, 300))
    do(venue, RecordUsage((call,)), "YUN")
    told = rows(venue.store, "select lots, state, reference, units from redemptions")
    assert [row[1:3] for row in told] == [("confirmed", "call-1")]


def test_money_and_credits_move_with_their_reason(venue):
    do(venue, Deposit("ANN", 50, "in"), "OPERATOR")
    do(venue, Withdraw("ANN", 20, "out"), "ANN")
    approved(venue, Adjust((AdjustmentLine("BOB", "", -30), AdjustmentLine("ANN", "", 30))))
    assert entries(venue, "withdrawal") == [("ANN", "free", "money", -20), ("house", "outside", "money", 20)]
    assert entries(venue, "adjustment") == [("ANN", "free", "money", 30), ("BOB", "free", "money", -30)]


def test_new_terms_are_a_version_and_a_change_of_the_fund(venue):
    richer = msgspec.structs.replace(VOUCHER, version=2, budget=30_000)
    approved(venue, ReviseProgramme(richer))
    assert rows(venue.store, "select terms_version from terms where programme = 'VOUCHER' order by 1") == [
        (1,),
        (2,),
    ]
    assert programme(venue)[:2] == (30_000, 28_200)


def test_a_replaced_order_stands_in_the_table_with_its_new_price_and_total(venue):
    bid = venue.buy("ANN", 3, "QWEN", 900).order
    venue.time += 1
    ask = Command(CommandKind.REPLACE, order=bid, member=venue.member("ANN"), price=950, quantity=5)
    answer = venue.ask(ask._replace(client_id=b"again", time=venue.time, sent_at=venue.time))
    assert EventKind.REPLACED in answer.kinds
    assert rows(
        venue.store, "select price, quantity, replaced, state from orders order by sequence desc limit 1"
    ) == [(950, 5, True, "open")]


def test_what_expires_is_burned_and_what_was_paid_for_it_is_owed(venue):
    short = msgspec.structs.replace(
        INSTRUMENTS[0], symbol="QWEN-NOV", expires=date(2026, 11, 21), redeemed_as="QWEN"
    )
    do(venue, ListInstruments((short,)), "OPERATOR")
    do(venue, SetCapacity("QWEN-NOV", 100), "OPERATOR")
    do(venue, Issue("QWEN-NOV", 100), "YUN")
    venue.sell("YUN", 5, "QWEN-NOV", 1_000)
    venue.buy("ANN", 5, "QWEN-NOV", 1_000, last="day", programme="VOUCHER")
    venue.end_day()
    venue.time = midnight_ns(date(2026, 11, 22))
    do(venue, ExpireCredits("QWEN-NOV"), "OPERATOR")
    assert entries(venue, "expire") == [
        ("ANN", "restricted", "QWEN-NOV", -5),
        ("YUN", "free", "QWEN-NOV", -95),
        ("house", "outside", "QWEN-NOV", 5),
        ("house", "outside", "QWEN-NOV", 95),
    ]
    assert entries(venue, "debt")[0] == ("ANN", "debt", "money", -1_500)
    assert rows(venue.store, "from obligations where instrument = 'QWEN-NOV'") == [
        ("YUN", "QWEN-NOV", 100, 0, 100, 0)
    ]
    assert rows(
        venue.store, "select expires, redeemed_as from instruments where instrument = 'QWEN-NOV'"
    ) == [(date(2026, 11, 21), "QWEN")]


def test_claims_share_the_budget_when_the_year_is_closed(venue):
    terms = msgspec.structs.replace(
        VOUCHER, code="SHARED", payout="reimburse", exhaustion="pro_rata", budget=900, regions=()
    )
    do(venue, DefineProgramme(terms), "OPERATOR")
    venue.buy("BOB", 4, "QWEN", 1_000, last="day", programme="SHARED")
    do(venue, Deliver(do(venue, Redeem("BOB", "QWEN", 4, "all"), "BOB")), "YUN")
    assert programme(venue, "SHARED") == (900, 900, 0, 0, 0)
    venue.end_day()
    venue.time = midnight_ns(date(2027, 1, 1))
    do(venue, CloseYear("SHARED"), "OPERATOR")
    assert programme(venue, "SHARED") == (900, 0, 0, 0, 900)
    assert rows(venue.store, "select member, amount from subsidy_legs where reason = 'share'") == [
        ("BOB", 900)
    ]
