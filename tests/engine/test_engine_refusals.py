"""Stories of refusals and of ids: what is not taken, and changes nothing; what is never taken twice."""

from __future__ import annotations

import pytest

from exchange.protocol.acts import BlockMember, SetPhase
from exchange.protocol.records import Command
from matching.vocabulary import (
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    CommandKind,
    EventKind,
    OrderState,
    RejectReason,
    Side,
)
from tests.engine.market import LOTS_EACH, MONEY_EACH, NOON, Step, Venue, batch_of
from tests.engine.stands import Balance


@pytest.fixture
def venue() -> Venue:
    return Venue()


# --- as it is written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoilt", "reason", "detail"),
    [
        ({"kind": 3}, RejectReason.UNKNOWN_ORDER, 0),
        ({"kind": 255}, RejectReason.UNKNOWN_KIND, 0),
        ({"member": 0}, RejectReason.UNKNOWN_MEMBER, 0),
        ({"member": -1}, RejectReason.UNKNOWN_MEMBER, 0),
        ({"member": 99}, RejectReason.UNKNOWN_MEMBER, 0),
        ({"client_id": b""}, RejectReason.CLIENT_ID_INVALID, 0),
        ({"instructions": 2}, RejectReason.FIELD_NOT_SUPPORTED, 0),
        ({"instructions": 255}, RejectReason.FIELD_NOT_SUPPORTED, 0),
        ({"stop_price": 1}, RejectReason.FIELD_NOT_SUPPORTED, 0),
        ({"trail": 1}, RejectReason.FIELD_NOT_SUPPORTED, 0),
        ({"type": 2, "stop_price": 1_000, "trail": 10}, RejectReason.FIELD_NOT_SUPPORTED, 0),
        ({"type": 2, "stop_price": 0}, RejectReason.STOP_PRICE_INVALID, 0),
        ({"type": 3, "stop_price": 1_005}, RejectReason.STOP_PRICE_INVALID, 0),
        ({"type": 4, "trail": 0}, RejectReason.TRAIL_INVALID, 0),
        ({"type": 1, "price": 0}, RejectReason.NO_PROTECTION_PRICE, 0),
        ({"self_trade": 5}, RejectReason.UNKNOWN_SELF_TRADE, 0),
        ({"display_quantity": -1}, RejectReason.DISPLAY_QUANTITY_INVALID, 1),
        ({"quantity": 5_001, "display_quantity": 5}, RejectReason.DISPLAY_QUANTITY_INVALID, 6),
        ({"minimum_quantity": -1}, RejectReason.MINIMUM_QUANTITY_INVALID, 0),
        ({"minimum_quantity": 2}, RejectReason.MINIMUM_QUANTITY_INVALID, 0),
        ({"time_in_force": 1}, RejectReason.EXPIRY_INVALID, 0),
        ({"time_in_force": 1, "expires_at": NOON}, RejectReason.EXPIRY_INVALID, 0),
        ({"instructions": 1, "minimum_quantity": 1}, RejectReason.INSTRUCTIONS_CONFLICT, 0),
        ({"instructions": 1, "time_in_force": 3}, RejectReason.INSTRUCTIONS_CONFLICT, 0),
        ({"instructions": 1, "time_in_force": 4}, RejectReason.INSTRUCTIONS_CONFLICT, 0),
        ({"instrument": -1}, RejectReason.UNKNOWN_INSTRUMENT, 0),
        ({"instrument": 4}, RejectReason.UNKNOWN_INSTRUMENT, 0),
        ({"side": 2}, RejectReason.UNKNOWN_SIDE, 0),
        *(({"type": number}, RejectReason.UNKNOWN_TYPE, 0) for number in (5, 255)),
        ({"time_in_force": 5}, RejectReason.UNKNOWN_TIME_IN_FORCE, 0),
        ({"price": 0}, RejectReason.PRICE_NOT_POSITIVE, 0),
        ({"price": -(2**63)}, RejectReason.PRICE_NOT_POSITIVE, 0),
        ({"price": PRICE_MAX + 10}, RejectReason.PRICE_TOO_LARGE, PRICE_MAX),
        ({"price": 1_001}, RejectReason.PRICE_OFF_TICK, 10),
        ({"quantity": 0}, RejectReason.QUANTITY_NOT_POSITIVE, 0),
        ({"quantity": -(2**63)}, RejectReason.QUANTITY_NOT_POSITIVE, 0),
        ({"quantity": QUANTITY_MAX + 1}, RejectReason.QUANTITY_TOO_LARGE, QUANTITY_MAX),
        ({"quantity": 2**63 - 1}, RejectReason.QUANTITY_TOO_LARGE, QUANTITY_MAX),
        ({"price": 10**15, "quantity": 2_306}, RejectReason.NOTIONAL_TOO_LARGE, NOTIONAL_MAX // 10**15),
        ({"price": 10**15, "quantity": QUANTITY_MAX}, RejectReason.NOTIONAL_TOO_LARGE, 2_305),
        ({"quantity": 10**9 + 1}, RejectReason.QUANTITY_ABOVE_LIMIT, 10**9),
        ({"price": 10**15, "quantity": 2}, RejectReason.NOTIONAL_ABOVE_LIMIT, 10**14),
        ({"quantity": 996}, RejectReason.MONEY_NOT_AVAILABLE, MONEY_EACH),
        ({"side": 1}, RejectReason.CREDITS_NOT_AVAILABLE, 0),
        ({"member": 1}, RejectReason.ROLE_NOT_PERMITTED, 0),
        ({"member": 2}, RejectReason.ROLE_NOT_PERMITTED, 0),
    ],
)
def test_each_fault_is_told_and_nothing_changes(venue, spoilt, reason, detail):
    before = venue.stand()
    refused = venue.ask(venue.new("ANN", Side.BUY, 1, "QWEN", 1_000)._replace(**spoilt))
    assert refused.kinds == [EventKind.REJECTED]
    assert (refused.reason, refused.detail) == (reason, detail)
    assert refused.said[0].state == OrderState.REJECTED
    assert venue.stand() == before


def test_the_largest_order_that_one_can_pay_is_taken(venue):
    assert venue.buy("ANN", 995, "QWEN", 1_000).reason == RejectReason.NONE
    assert venue.money("ANN") == Balance(MONEY_EACH - 999_975, held=999_975)


def test_what_is_held_cannot_be_spent_twice(venue):
    venue.buy("ANN", 600, "QWEN", 1_000)
    refused = venue.buy("ANN", 600, "QWEN", 1_000)
    assert (refused.reason, refused.detail) == (RejectReason.MONEY_NOT_AVAILABLE, MONEY_EACH - 603_000)
    venue.sell("YUN", LOTS_EACH, "A910B", 7_000)
    refused = venue.sell("YUN", 1, "A910B", 7_000)
    assert (refused.reason, refused.detail) == (RejectReason.CREDITS_NOT_AVAILABLE, 0)


def test_what_the_engine_refuses_as_written_it_finds_beforehand(venue):
    sound = venue.new("ANN", Side.BUY, 1, "QWEN", 1_000)
    spoilt = [sound._replace(price=1_001), sound, sound._replace(quantity=0), sound._replace(member=0)]
    rows, _ = batch_of(map(Step, spoilt))
    faults, details = venue.engine.faults(rows)
    assert faults.tolist() == [
        RejectReason.PRICE_OFF_TICK,
        RejectReason.NONE,
        RejectReason.QUANTITY_NOT_POSITIVE,
        RejectReason.UNKNOWN_MEMBER,
    ]
    assert details.tolist() == [10, 0, 0, 0]
    venue.ask(sound)
    faults, _ = venue.engine.faults(rows)  # its id is known now, and will be answered
    assert faults.tolist() == [0, 0, 0, RejectReason.UNKNOWN_MEMBER]


# --- who asks ----------------------------------------------------------------------------------


def test_a_domestic_mandate_bars_buying_what_is_foreign(venue):
    assert venue.buy("DOM", 1, "GPT", 2_500).reason == RejectReason.DOMESTIC_ONLY
    assert venue.buy("DOM", 1, "H100", 9_000).reason == RejectReason.DOMESTIC_ONLY
    assert venue.buy("DOM", 1, "QWEN", 1_000).reason == RejectReason.NONE
    assert venue.buy("ANN", 1, "GPT", 2_500).reason == RejectReason.NONE


def test_so_many_orders_may_be_open(venue):
    orders = [venue.buy("LIM", 1, "QWEN", 500).order for _ in range(3)]
    refused = venue.buy("LIM", 1, "QWEN", 500)
    assert (refused.reason, refused.detail) == (RejectReason.OPEN_ORDERS_AT_LIMIT, 3)
    venue.cancel("LIM", orders[1])
    assert venue.buy("LIM", 1, "QWEN", 500).reason == RejectReason.NONE
    venue.sell("YUN", 1, "QWEN", 500)  # a fill makes room too
    assert venue.buy("LIM", 1, "QWEN", 500).reason == RejectReason.NONE


def test_an_order_may_be_so_large(venue):
    refused = venue.buy("LIM", 51, "QWEN", 100)
    assert (refused.reason, refused.detail) == (RejectReason.QUANTITY_ABOVE_LIMIT, 50)
    refused = venue.buy("LIM", 21, "QWEN", 1_000)
    assert (refused.reason, refused.detail) == (RejectReason.NOTIONAL_ABOVE_LIMIT, 20_000)
    assert venue.buy("LIM", 50, "QWEN", 400).reason == RejectReason.NONE


def test_so_much_may_be_turned_over_in_a_day(venue):
    for _ in range(2):
        venue.give("LIM", 15, "QWEN", 1_000)
    refused = venue.buy("LIM", 11, "QWEN", 1_000)
    assert (refused.reason, refused.detail) == (RejectReason.TURNOVER_AT_LIMIT, 10_000)
    venue.sell("LIM", 10, "QWEN", 1_000)
    venue.buy("CAT", 10, "QWEN", 1_000)  # what he sells counts too
    assert venue.buy("LIM", 1, "QWEN", 10).reason == RejectReason.TURNOVER_AT_LIMIT
    venue.end_day()
    assert venue.buy("LIM", 11, "QWEN", 1_000).reason == RejectReason.NONE


def test_a_blocked_member_may_cancel_and_nothing_else(venue):
    order = venue.buy("ANN", 1, "QWEN", 1_000).order
    venue.decide(BlockMember("ANN", True))
    assert venue.buy("ANN", 1, "QWEN", 1_000).reason == RejectReason.MEMBER_BLOCKED
    assert venue.cancel("ANN", order).kinds == [EventKind.CANCELLED]
    venue.decide(BlockMember("ANN", False))
    assert venue.buy("ANN", 1, "QWEN", 1_000).reason == RejectReason.NONE


@pytest.mark.parametrize("phase", ["halted", "closed"])
def test_a_market_that_is_not_open_takes_cancels_only(venue, phase):
    order = venue.buy("ANN", 1, "QWEN", 1_000).order
    venue.decide(SetPhase("QWEN", phase))
    assert venue.buy("ANN", 1, "QWEN", 1_000).reason == RejectReason.INSTRUMENT_NOT_OPEN
    assert venue.buy("ANN", 1, "GPT", 2_500).reason == RejectReason.NONE
    assert venue.cancel("ANN", order).kinds == [EventKind.CANCELLED]
    venue.decide(SetPhase("", "continuous"))
    assert venue.buy("ANN", 1, "QWEN", 1_000).reason == RejectReason.NONE


@pytest.mark.parametrize("member", [-1, 0, 99, 2**31 - 1])
def test_who_is_no_member_cancels_nothing(venue, member):
    order = venue.buy("ANN", 1, "QWEN", 1_000).order
    asked = Command(CommandKind.CANCEL, order=order, member=member, time=venue.time)
    assert venue.ask(asked).reason == RejectReason.UNKNOWN_MEMBER
    assert venue.resting("QWEN") == [("ANN", 1_000, 1)]


# --- client ids --------------------------------------------------------------------------------


def state_of(said):
    return (
        OrderState(said.state),
        said.order,
        said.price,
        said.quantity,
        said.leaves,
        said.filled,
        said.gross,
        said.paid,
    )


def test_an_id_sent_twice_is_one_order_and_its_state_now_is_told(venue):
    asked = venue.new("ANN", Side.BUY, 10, "QWEN", 1_000, last="day", programme="VOUCHER")
    order = venue.ask(asked).order

    def again(**changed) -> tuple:
        before = venue.stand()
        answer = venue.ask(asked._replace(time=venue.time, **changed))
        assert answer.kinds == [EventKind.KNOWN]
        assert answer.reason == RejectReason.NONE
        assert venue.stand() == before
        return state_of(answer.said[0])

    assert again() == (OrderState.OPEN, order, 1_000, 10, 10, 0, 0, 0)
    venue.sell("YUN", 4, "QWEN", 1_000)
    assert again() == (OrderState.OPEN, order, 1_000, 10, 6, 4, 4_000, 1_200)
    # Whatever else the command says: the order that the id named is told.
    assert again(price=7, side=9, quantity=-1) == (OrderState.OPEN, order, 1_000, 10, 6, 4, 4_000, 1_200)
    venue.sell("YUN", 6, "QWEN", 1_000)
    assert again() == (OrderState.FILLED, order, 1_000, 10, 0, 10, 10_000, 3_000)


def test_an_id_of_an_order_that_was_cancelled(venue):
    asked = venue.new("ANN", Side.BUY, 10, "QWEN", 1_000)
    order = venue.ask(asked).order
    venue.sell("YUN", 3, "QWEN", 1_000)
    venue.cancel("ANN", order)
    (known,) = venue.ask(asked).said
    assert state_of(known) == (OrderState.CANCELLED, order, 1_000, 10, 0, 3, 3_000, 0)


def test_an_id_of_an_order_that_expired(venue):
    asked = venue.new("ANN", Side.BUY, 10, "QWEN", 1_000, last="day")
    order = venue.ask(asked).order
    venue.end_day()
    (known,) = venue.ask(asked).said
    assert state_of(known) == (OrderState.EXPIRED, order, 1_000, 10, 0, 0, 0, 0)


def test_an_id_of_an_order_that_was_refused_stays_refused(venue):
    asked = venue.new("ANN", Side.BUY, 2_000, "QWEN", 1_000)
    first = venue.ask(asked)
    known = venue.ask(asked._replace(quantity=1))
    assert known.kinds == [EventKind.KNOWN]
    assert (known.reason, known.detail) == (first.reason, first.detail)
    assert known.reason == RejectReason.MONEY_NOT_AVAILABLE
    assert state_of(known.said[0]) == (OrderState.REJECTED, 0, 1_000, 2_000, 0, 0, 0, 0)


def test_ids_are_each_members_own(venue):
    venue.buy("ANN", 1, "QWEN", 1_000, client_id=b"mine")
    assert venue.buy("BEN", 1, "QWEN", 1_000, client_id=b"mine").kinds == [EventKind.ACCEPTED]
    assert venue.buy("ANN", 2, "QWEN", 1_000, client_id=b"mine").kinds == [EventKind.KNOWN]


def test_ids_are_told_apart_to_the_last_letter(venue):
    longest = b"abcdefghijklmnopqrstuvwx"
    for client_id in (longest, longest[:-1], longest[:-1] + b"y", longest[:8], longest[:16]):
        answer = venue.buy("ANN", 1, "QWEN", 10, client_id=client_id)
        assert answer.kinds == [EventKind.ACCEPTED]
        assert answer.said[0].client_id == client_id
    assert venue.buy("ANN", 1, "QWEN", 10, client_id=longest).kinds == [EventKind.KNOWN]


def test_what_was_never_noted_may_be_sent_again(venue):
    asked = venue.new("ANN", Side.BUY, 1, "QWEN", 1_000)
    assert venue.ask(asked._replace(client_id=b"")).reason == RejectReason.CLIENT_ID_INVALID
    assert venue.ask(asked._replace(member=0)).reason == RejectReason.UNKNOWN_MEMBER
    assert venue.ask(asked).kinds == [EventKind.ACCEPTED]


def test_the_oldest_ids_are_forgotten_and_what_was_sent_before_them_is_too_old():
    venue = Venue(ids_per_member=3)
    asked = [venue.new("ANN", Side.BUY, 1, "QWEN", 10 + 10 * nth) for nth in range(5)]
    orders = [venue.ask(one).order for one in asked]
    # Two are forgotten: what was sent up to the second of them is never taken again.
    for one in asked[:2]:
        assert venue.ask(one).reason == RejectReason.TOO_OLD
    fresh = asked[0]._replace(client_id=b"fresh")
    assert venue.ask(fresh._replace(sent_at=asked[1].sent_at)).reason == RejectReason.TOO_OLD
    for one, order in zip(asked[2:], orders[2:], strict=True):
        (known,) = venue.ask(one).said
        assert (known.kind, known.order) == (EventKind.KNOWN, order)
    assert venue.ask(fresh._replace(sent_at=asked[1].sent_at + 1)).kinds == [EventKind.ACCEPTED]
    assert venue.ask(asked[2]).reason == RejectReason.TOO_OLD  # the third made room
    assert venue.buy("BEN", 1, "QWEN", 10, sent_at=NOON - 10**9).kinds == [EventKind.ACCEPTED]


def test_what_was_sent_late_does_not_open_the_door_again():
    """Ids may come out of the order in which they were sent: the latest forgotten one rules."""
    venue = Venue(ids_per_member=1)
    venue.time += 100
    sent = venue.time
    asked = [venue.new("ANN", Side.BUY, 1, "QWEN", 10, sent_at=sent - late) for late in (0, 50, 20)]
    assert venue.ask(asked[0]).kinds == [EventKind.ACCEPTED]
    assert venue.ask(asked[1]).kinds == [EventKind.ACCEPTED]  # the first is forgotten
    assert [venue.ask(one).reason for one in (asked[0], asked[2])] == [RejectReason.TOO_OLD] * 2
    assert venue.buy("ANN", 1, "QWEN", 10).kinds == [EventKind.ACCEPTED]  # the second is forgotten
    assert [venue.ask(one).reason for one in asked] == [RejectReason.TOO_OLD] * 3


def test_an_order_whose_id_is_forgotten_goes_on():
    venue = Venue(ids_per_member=1)
    order = venue.buy("ANN", 5, "QWEN", 1_000).order
    asked = venue.new("ANN", Side.BUY, 1, "QWEN", 10)
    other = venue.ask(asked).order
    venue.sell("YUN", 2, "QWEN", 1_000)
    venue.cancel("ANN", order)
    (known,) = venue.ask(asked).said  # how the first one ended is not written beside the second's id
    assert state_of(known) == (OrderState.OPEN, other, 10, 1, 1, 0, 0, 0)


def test_an_order_that_was_never_sent_can_be_asked_for_without_placing_it(venue):
    asked = venue.new("ANN", Side.BUY, 1, "QWEN", 1_000, sent_at=0)
    assert venue.ask(asked).reason == RejectReason.TOO_OLD
    venue.ask(asked._replace(sent_at=venue.time))
    assert venue.ask(asked).kinds == [EventKind.KNOWN]
