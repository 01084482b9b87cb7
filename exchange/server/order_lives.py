"""An order in the journal: its life up to a point, and what its member had before it when it came.

Money is in hao, prices in hao per lot, quantities in lots, times in ns since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from exchange.client.blotter import Blotter
from exchange.client.refusals import reason_word
from exchange.engine import Outcome
from exchange.protocol.acts import decode_acts
from exchange.protocol.arrays import COMMAND
from exchange.protocol.messages import Account
from exchange.protocol.records import REPORT_STRUCT, Report
from exchange.reports import Reporter
from exchange.server.disk import DISK
from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.frames import START, Frame, JournalTorn, Position
from exchange.server.inspecting import NotThere, Then, check_reached, ends_before, follower_at
from exchange.server.reading import read_frames, segment_numbers
from exchange.server.rerun import at, run_on
from matching.vocabulary import (
    NO_SLOT,
    CommandKind,
    EventKind,
    OrderState,
    OrderType,
    Side,
    TimeInForce,
)


class Command(NamedTuple):
    """One command as the journal has it; `row` is of dtype `COMMAND`, `act` the act of an ACT command."""

    row: np.void
    act: Any

    @property
    def kind(self) -> CommandKind:
        """What it asks."""
        return CommandKind(int(self.row["kind"]))


def command_of(frame: Frame, sequence: int) -> Command:
    """Return the command `sequence` out of its frame."""
    row = np.frombuffer(frame.commands, COMMAND)[sequence - frame.first]
    is_act = row["kind"] == CommandKind.ACT
    return Command(row, decode_acts(bytes(frame.acts))[row["act"]] if is_act else None)


def order_at(place: Folder, order: int, sequence: int | None) -> dict[str, Any]:
    """Return an order as it stood after the command `sequence`, and all that it was told until then.

    Raises `NotThere`, `JournalDamaged` and `ReplayParted`.
    """
    follower = follower_at(place, order - 1 if sequence is None else min(order - 1, sequence))
    reporter = Reporter()
    heard: list[Report] = []
    members: list[int] = []
    try:
        for _, outcome in run_on(follower, sequence):
            for member, report in _reports(reporter, outcome, order):
                members.append(member)
                heard.append(report)
    except JournalTorn:
        pass
    check_reached(follower, sequence)
    if not heard:
        raise NotThere(
            f"order {order}: no order of that number has entered up to sequence {follower.engine.sequence}"
        )
    then = Then(follower.engine)
    return {**then.stands, **_order_facts(then, members[0], heard), "events": [*map(report_facts, heard)]}


def _reports(reporter: Reporter, outcome: Outcome, order: int) -> Iterator[tuple[int, Report]]:
    """Yield what an outcome tells of one order, and to whom."""
    events = outcome.events
    concerned = (events["order"] == order) | (events["maker_order"] == order)
    if not concerned.any():
        return
    members, reports = reporter.reports(events[concerned], outcome.effects[concerned])
    for member, row in zip(members.tolist(), REPORT_STRUCT.iter_unpack(reports.tobytes()), strict=True):
        report = Report._make(row)
        if report.order == order:
            yield member, report


def _order_facts(then: Then, member: int, heard: list[Report]) -> dict[str, Any]:
    """Return an order as its member's client would know it from what it was told."""
    blotter = Blotter()
    blotter.learn(then.welcome(member))
    for report in heard:
        blotter.hear(report)
    number = heard[0].order
    if number not in blotter.orders:  # it was refused, and is none
        return {"order": number, "member": then.member_code(member), "state": "rejected"}
    found = blotter.orders[number]
    return {
        "order": found.id,
        "member": then.member_code(member),
        "client_id": found.client_id,
        "instrument": found.instrument,
        "side": found.side.name.lower(),
        "type": found.type.name.lower(),
        "time_in_force": found.time_in_force.name.lower(),
        "state": found.state.name.lower(),
        "price": found.price,
        "quantity": found.quantity,
        "filled": found.filled,
        "leaves": found.leaves,
        "gross": found.gross,
        "fees": found.fees,
        "programme": found.programme,
        "subsidy": found.subsidy,
        "reserved": found.reserved,
        "reason": found.reason,
    }


def report_facts(report: Report) -> dict[str, Any]:
    """Return one report as plain data."""
    return {
        "sequence": report.sequence,
        "time": report.time,
        "kind": EventKind(report.kind).name.lower(),
        "order": report.order,
        "price": report.price,
        "quantity": report.quantity,
        "leaves": report.leaves,
        "filled": report.filled,
        "fee": report.fee,
        "subsidy": report.subsidy,
        "trade": report.trade,
        "state": OrderState(report.state).name.lower(),
        "reason": reason_word(report.reason),
    }


def last_order(place: Folder, sequence: int | None) -> int:
    """Return the number of the newest order up to a sequence, or of all. Raises `NotThere` without one."""
    numbers = segment_numbers(DISK, place.journal)
    found = 0
    try:
        for frame in read_frames(place.journal, Position(numbers[0], START.offset) if numbers else START):
            if sequence is not None and frame.first > sequence:
                break
            kinds = np.frombuffer(frame.commands, COMMAND)["kind"]
            new = frame.first + np.flatnonzero(kinds == CommandKind.NEW)
            new = new if sequence is None else new[new <= sequence]
            found = int(new[-1]) if len(new) else found
    except JournalTorn:
        pass
    if not found:
        raise NotThere("no order has come up to there")
    return found


class Before(NamedTuple):
    """What a firm had before it when its order came, just before that; and in `events` what it then did.

    `others` counts the events that the command brought to other members.
    """

    member: str
    order: dict[str, Any]
    book: dict[str, Any]
    account: Account
    events: list[dict[str, Any]]
    others: int


def before(place: Folder, order: int, depth: int) -> Before:
    """Return what a member could see just before one of its orders, and what that did.

    Raises `NotThere` if it is no order, `JournalDamaged` and `ReplayParted`.
    """
    follower = follower_at(place, order - 1)
    command = _command_at(follower, order)
    if command.kind is not CommandKind.NEW:
        kind = command.kind.name.lower()
        raise NotThere(f"order {order}: the command of that sequence is of kind {kind}, not a new order")
    pieces = run_on(follower, order, at(order - 1))
    while follower.engine.sequence < order - 1:
        next(pieces)
    then = Then(follower.engine)
    number = int(command.row["member"])
    member = then.member_code(number)
    registry = follower.engine.registry
    symbol = registry.instruments[command.row["instrument"]].symbol
    book = then.book(symbol, depth, with_orders=True, seen_by=member)
    account = then.account(member)
    _, outcome = next(pieces)
    told = Reporter().reports(outcome.events, outcome.effects)
    rows = map(Report._make, REPORT_STRUCT.iter_unpack(told.reports.tobytes()))
    reports = list(zip(told.members.tolist(), rows, strict=True))
    own = [report_facts(report) for whose, report in reports if whose == number]
    asked = _asked(command.row, symbol, [terms.code for terms in registry.programmes])
    return Before(member, {"order": order, **asked}, book, account, own, len(reports) - len(own))


def _command_at(follower: Follower, sequence: int) -> Command:
    """Return a command that is to come, out of the journal. Raises `NotThere` if the journal ends before."""
    last = follower.engine.sequence
    try:
        for frame in follower.ahead():
            last = frame.last
            if frame.last >= sequence:
                return command_of(frame, sequence)
    except JournalTorn:
        pass
    raise ends_before(last, sequence)


_AMOUNTS = (
    "price",
    "quantity",
    "display_quantity",
    "minimum_quantity",
    "stop_price",
    "trail",
    "expires_at",
)


def client_id_of(row: np.void) -> str:
    """Return the client id of a command (dtype `COMMAND`) as text; any bytes may stand there."""
    words = np.ascontiguousarray(row["client_id"])
    return words.tobytes().rstrip(b"\0").decode("ascii", "backslashreplace")


def _asked(row: np.void, symbol: str, codes: list[str]) -> dict[str, Any]:
    """Return a new order as its member wrote it; `sent_at` is by the member's clock, `time` the venue's."""
    programme = int(row["programme"])
    return {
        "client_id": client_id_of(row),
        "instrument": symbol,
        "side": Side(int(row["side"])).name.lower(),
        "type": OrderType(int(row["type"])).name.lower(),
        "time_in_force": TimeInForce(int(row["time_in_force"])).name.lower(),
        **{name: int(row[name]) for name in _AMOUNTS if row[name]},
        "programme": codes[programme] if programme != NO_SLOT else None,
        "sent_at": int(row["sent_at"]),
        "time": int(row["time"]),
    }
