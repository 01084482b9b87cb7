"""Execution reports made from a batch's outcome: each member is told of its own orders, in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from exchange.protocol.arrays import REPORT
from exchange.state import Core
from matching.extras import open_lots
from matching.kernel import kernel
from matching.layout import Row, grown
from matching.stops import waits_at
from matching.vocabulary import NO_SLOT, CommandKind, EventKind, OrderState, Phase, RejectReason, Side

_REPORTS_AT_FIRST = 1024


@kernel
def write_reports(events: np.ndarray, effects: np.ndarray, reports: np.ndarray, members: np.ndarray) -> int:
    """Write one report an event of an order, and a second one to the maker of a trade; return how many.

    In an auction both are makers. What concerns a whole market, its phase or indicative price, is told to no
    member.
    """
    count = 0
    for at in range(len(events)):
        event = events[at]
        effect = effects[at]
        if event.kind == EventKind.PHASE_CHANGED or event.kind == EventKind.INDICATIVE:
            continue
        report = reports[count]
        members[count] = effect.member
        begin_report(report, event, effect)
        report.maker = 1 if event.phase == Phase.AUCTION and event.kind == EventKind.TRADED else 0
        report.state = effect.state
        report.type = effect.type
        report.programme = effect.programme
        report.order = event.order
        report.leaves = event.leaves
        report.filled = effect.filled
        report.gross = effect.gross
        report.paid = effect.paid
        report.fee = effect.fee
        for word in range(3):
            report.client_id[word] = effect.client_id[word]
        count += 1
        if event.kind != EventKind.TRADED:
            continue
        report.subsidy = effect.subsidy if event.side == Side.BUY else 0
        report = reports[count]
        members[count] = effect.maker_member
        begin_report(report, event, effect)
        report.maker = 1
        report.side = 1 - event.side
        report.state = effect.maker_state
        report.type = 0
        report.programme = effect.maker_programme
        report.order = event.maker_order
        report.leaves = event.maker_leaves
        report.filled = effect.maker_filled
        report.gross = effect.maker_gross
        report.paid = effect.maker_paid
        report.fee = effect.maker_fee
        report.subsidy = effect.subsidy if event.side == Side.SELL else 0
        for word in range(3):
            report.client_id[word] = effect.maker_client_id[word]
        count += 1
    return count


@kernel
def begin_report(report: Row, event: Row, effect: Row) -> None:
    """Write what both sides of an event are told alike."""
    report.kind = event.kind
    report.side = event.side
    report.reason = event.reason
    report.time_in_force = effect.time_in_force
    report.unused = 0
    report.instrument = event.instrument
    report.sequence = effect.sequence
    report.time = effect.time
    report.price = event.price
    report.quantity = event.quantity
    report.subsidy = effect.subsidy
    report.trade = effect.trade
    report.detail = effect.detail


class Told(NamedTuple):
    """Reports in the order in which they arose (dtype `REPORT`), and beside each whose it is."""

    members: np.ndarray
    reports: np.ndarray

    def by_member(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each member with its reports, in their order."""
        members, reports = self
        if not len(members):
            return
        if (members == members[0]).all():
            yield int(members[0]), reports
            return
        order = np.argsort(members, kind="stable")
        ranked, sorted_reports = members[order], reports[order]
        starts = np.flatnonzero(np.diff(ranked, prepend=-2)).tolist()
        for start, end in pairwise([*starts, len(ranked)]):
            yield int(ranked[start]), sorted_reports[start:end]


class Reporter:
    """Makes reports of outcomes, in memory that is used again: each is read before the next is made."""

    def __init__(self) -> None:
        self._reports = np.zeros(_REPORTS_AT_FIRST, REPORT)
        self._members = np.zeros(_REPORTS_AT_FIRST, np.int32)

    def reports(self, events: np.ndarray, effects: np.ndarray) -> Told:
        """Return what members are told of an outcome: at most two reports an event."""
        self._reports = grown(self._reports, 2 * len(events))
        self._members = grown(self._members, 2 * len(events))
        count = write_reports(events, effects, self._reports, self._members)
        return Told(self._members[:count], self._reports[:count])


def refusals(commands: np.ndarray, faults: np.ndarray, details: np.ndarray) -> np.ndarray:
    """Return REPORT rows that refuse `commands` before they were given a sequence (which stays 0)."""
    reports = np.zeros(len(commands), REPORT)
    for name in ("side", "type", "time_in_force", "instrument", "programme", "client_id"):
        reports[name] = commands[name]
    about_orders = np.isin(commands["kind"], (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE))
    reports["order"] = np.where(about_orders, commands["order"], 0)
    reports["price"] = commands["price"]
    reports["quantity"] = commands["quantity"]
    reports["kind"] = EventKind.REJECTED
    reports["state"] = OrderState.REJECTED
    reports["reason"] = faults
    reports["detail"] = details
    return reports


@kernel
def write_open_orders(core: Core, member: int, reports: np.ndarray) -> int:
    """Write one report of kind ACCEPTED for each open order of a member; return how many."""
    count = 0
    for slot in range(core.book.counts[0].orders_used):
        order = core.book.orders[slot]
        if order.leaves > 0 and order.member == member:
            stake = core.ledger.stakes[slot]
            report = reports[count]
            report.kind = EventKind.ACCEPTED
            report.side = order.side
            report.reason = RejectReason.NONE
            report.type = stake.type
            report.time_in_force = order.time_in_force
            report.instrument = order.instrument
            report.programme = NO_SLOT
            report.sequence = order.id
            report.order = order.id
            report.price = stake.price
            report.quantity = order.quantity
            report.leaves = open_lots(core.book, slot)
            report.filled = stake.filled
            report.gross = stake.maker_gross + stake.taker_gross
            report.fee = stake.fees
            report.detail = waits_at(core.book, slot)
            if stake.parcel != NO_SLOT:
                parcel = core.ledger.parcels[stake.parcel]
                report.programme = parcel.programme
                report.paid = parcel.earned
                report.subsidy = parcel.reserved
            for word in range(3):
                report.client_id[word] = stake.client_id[word]
            count += 1
    return count


def open_orders(core: Core, member: int) -> np.ndarray:
    """Return a member's open orders as REPORT rows, oldest slot first."""
    reports = np.zeros(int(core.ledger.members[member]["open_orders"]), REPORT)
    count = write_open_orders(core, member, reports)
    return reports[:count]
