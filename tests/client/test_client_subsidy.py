"""What a programme would pay, reckoned by the client: by hand, and against the venue's own figures."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.client.answers import Programmes
from exchange.client.errors import BadInput, OrderRejected
from exchange.client.subsidy import Standing, preview
from exchange.client.tickets import Instrument
from exchange.protocol.acts import FindIneligible
from exchange.protocol.messages import ListedInstrument, ListedProgramme, ProgrammeLeft
from exchange.server.founding import sandbox_firms, standard_acts, voucher
from exchange.testing import OPENING, Exchange
from tests.client.fake_venue import NOW, listing, terms

FIRM = Standing("small", ("HAIKOU", "HANGZHOU"))
LIST_PRICE = 100_000


def reckoned(
    quantity=10, limit=1_000, left=None, firm=FIRM, now=NOW, wishes=None, is_closed=False, **changed
):
    """Return the preview of a buy on a list price of 100,000 hao, fees of 2 and 5 basis points."""
    its_terms = terms(**changed)
    listed = ListedProgramme(0, its_terms.code, 2026, 1, 10**9, 10**9, 0, 0, 0, is_closed, its_terms)
    row = ListedInstrument(0, "continuous", listing("QWEN3-MAX"), 2, 5)
    qwen = Instrument(row, Programmes({listed.code: listed}))
    ticket = qwen.buy(quantity, limit=limit, programme=listed.code, **(wishes or {}))
    left = left or ProgrammeLeft(listed.code, 2026, 10_000, None, 10**9)
    return preview(ticket, qwen, listed, left, firm, now)


def test_a_programme_that_deducts_takes_its_share_off_what_is_held():
    told = reckoned()
    assert (told.amount, told.fee, told.programme_pays) == (10_000, 5, 5_000)
    assert (told.you_hold, told.you_pay) == (5_005, 5_005)
    assert (told.rate, told.cover, told.cap_left, told.lots_left, told.barred) == (5_000, 10, 5_000, None, "")


def test_a_programme_that_reimburses_pays_later():
    told = reckoned(payout="reimburse")
    assert (told.you_hold, told.you_pay) == (10_005, 5_005)


def test_pro_rata_promises_nothing_and_needs_no_budget():
    left = ProgrammeLeft("HZ-VOUCHER-2026", 2026, 10_000, None, 0)
    told = reckoned(payout="reimburse", exhaustion="pro_rata", left=left)
    assert (told.programme_pays, told.you_pay, told.uncommitted) == (5_000, 10_005, 0)


def test_it_pays_up_to_the_list_price_and_its_ceiling():
    left = ProgrammeLeft("HZ-VOUCHER-2026", 2026, 10**6, None, 10**9)
    told = reckoned(quantity=1, limit=2 * LIST_PRICE, order_cap=10**6, left=left)
    assert told.programme_pays == 55_000


@pytest.mark.parametrize(
    ("left", "changed", "pays", "cover"),
    [
        ((10_000, None, 10**9), {"order_cap": 4_000}, 4_000, 10),
        ((3_000, None, 10**9), {}, 3_000, 10),
        ((10_000, None, 2_000), {}, 2_000, 10),
        ((10_000, 4, 10**9), {}, 2_000, 4),
        ((10_000, None, 10**9), {"order_lots": 3}, 1_500, 3),
    ],
)
def test_caps_and_budget_leave_less(left, changed, pays, cover):
    cap, lots, uncommitted = left
    told = reckoned(left=ProgrammeLeft("HZ-VOUCHER-2026", 2026, cap, lots, uncommitted), **changed)
    assert (told.full >= told.programme_pays, told.programme_pays, told.cover) == (True, pays, cover)
    assert told.lots_left == (None if lots is None else lots - cover)


@pytest.mark.parametrize(
    ("case", "barred"),
    [
        ({"wishes": {"time_in_force": "gtc"}}, "programme_outlasts_day"),
        ({"payout": "award"}, "programme_closed"),
        ({"is_closed": True}, "programme_closed"),
        ({"now": NOW + 366 * 86_400 * 10**9}, "programme_not_valid_now"),
        ({"firm": Standing("large", ("HANGZHOU",))}, "programme_not_eligible"),
        ({"firm": Standing("small", ("HAIKOU",))}, "programme_not_eligible"),
        ({"instruments": ("DEEPSEEK-V3",)}, "programme_not_eligible"),
        (
            {"left": ProgrammeLeft("HZ-VOUCHER-2026", 2026, 10, None, 10, barred="programme_debt")},
            "programme_debt",
        ),
        ({"left": ProgrammeLeft("HZ-VOUCHER-2026", 2026, 0, None, 10**9)}, "programme_exhausted"),
    ],
)
def test_what_the_venue_would_refuse_is_foreseen(case, barred):
    told = reckoned(**case)
    assert (told.barred, told.programme_pays, told.you_hold) == (barred, 0, 10_005)


def test_an_order_without_a_price_cannot_be_reckoned():
    with pytest.raises(BadInput, match="depends on the one that the venue finds: give the worst price"):
        reckoned(limit=None, wishes={"type": "market"})


def programmes():
    """Return the standard voucher, and one that pays back, and one that shares its budget at the end."""
    deducting = voucher(OPENING.year)
    paying_back = replace(deducting, code="BACK", payout="reimburse", order_lots=70, group_lots=100)
    sharing = replace(deducting, code="SHARE", payout="reimburse", exhaustion="pro_rata", budget=5)
    return [deducting, paying_back, sharing]


@pytest.mark.parametrize("at", range(3))
def test_the_preview_is_what_the_venue_then_does(at):
    """What is reserved and held is what was told before, for every sort of programme."""
    terms = programmes()
    venue = Exchange(standard_acts(sandbox_firms(), [], terms))
    with venue.connect("SANDBOX") as ex:
        instrument, programme = ex.instruments["QWEN3-MAX"], terms[at].code
        for ticks, lots in ((10, 3), (7, 1_000), (13, 50)):
            ticket = instrument.buy(lots, limit=ticks * instrument.tick, programme=programme)
            before, told = ex.account(), ex.preview(ticket)
            order = ex.place(ticket)
            after = ex.account()
            assert order.reserved == told.programme_pays > 0
            assert after.money.held - before.money.held == told.you_hold
            left = after.programmes[at]
            assert (left.cap_left, left.lots_left, left.uncommitted) == (
                told.cap_left,
                told.lots_left,
                told.uncommitted,
            )
            listed = next(one for one in ex.orders() if one.id == order.id)
            assert (listed.programme, listed.reserved, listed.subsidy) == (programme, order.reserved, 0)


@pytest.mark.parametrize("at", range(3))
def test_an_order_tells_what_it_has_earned_and_what_is_kept_for_the_rest(at):
    """Reports keep an order up to date with what the venue's list says, through a fill and a replace."""
    venue = Exchange(standard_acts(sandbox_firms(), [], programmes()))
    programme = programmes()[at].code
    with venue.connect("SANDBOX") as ex, venue.connect("ALIBABA") as provider:
        instrument = ex.instruments["QWEN3-MAX"]
        price = 100 * instrument.tick
        order = ex.place(instrument.buy(10, limit=price, programme=programme))
        provider.place(provider.instruments["QWEN3-MAX"].sell(4, limit=price))
        filled = ex.order(order)
        (listed,) = ex.orders()
        assert (filled.filled, filled.subsidy) == (4, 4 * price * 3 // 10)
        assert (filled.subsidy, filled.reserved) == (listed.subsidy, listed.reserved)
        replaced = ex.replace(order, quantity=20, price=price + instrument.tick)
        (listed,) = ex.orders()
        assert (replaced.subsidy, replaced.reserved) == (listed.subsidy, listed.reserved)
        assert replaced.subsidy + replaced.reserved == (4 * price + 16 * replaced.price) * 3 // 10
        assert ex.cancel(order).reserved == 0
        assert ex.account().programmes[at].used == filled.subsidy


def test_a_firm_that_was_found_ineligible_is_told_so_beforehand():
    venue = Exchange()
    code = f"HZ-VOUCHER-{OPENING.year}"
    operator, firm = venue.connect("OPERATOR"), venue.connect("SANDBOX")
    ticket = firm.instruments["QWEN3-MAX"].buy(10, limit="6.11", programme=code)
    assert firm.preview(ticket).barred == ""
    operator.act(FindIneligible("SANDBOX", code), "its books were not its own")
    assert firm.preview(ticket).barred == "programme_not_eligible"
    with pytest.raises(OrderRejected, match="programme_not_eligible"):
        firm.place(ticket)
