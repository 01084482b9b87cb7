"""A venue as it was after one command: its book, accounts, orders, programmes and members, as plain data.

Money is in hao, prices in hao per lot, quantities in lots, times in ns since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from exchange.client.answers import unknown_name
from exchange.engine import Engine
from exchange.protocol.messages import Account, AskAccount, AskStatus, ListedProgramme, Logon, Status, Welcome
from exchange.server.enquiries import Enquiries
from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.frames import JournalTorn
from exchange.server.memory_journal import MemoryJournal
from exchange.server.replay import beginning
from exchange.server.rerun import run_on
from exchange.server.sequencer import Sequencer
from matching.view import depth_of, orders_of, parked_of, waiting_of
from matching.vocabulary import (
    Phase,
    Side,
)

_SIDES = {"bids": Side.BUY, "asks": Side.SELL}


class NotThere(Exception):
    """What is asked for is not in the journal up to there; the message says what there is."""


class Then:
    """A venue's state after one command; `told` is what is to be told of how it was found."""

    def __init__(self, engine: Engine, told: tuple[str, ...] = ()) -> None:
        self.engine = engine
        self.told = told
        journal = MemoryJournal()
        journal.sequence = engine.sequence
        self._enquiries = Enquiries(Sequencer(engine, journal, lambda: engine.time), engine.time)

    @property
    def stands(self) -> dict[str, int]:
        """Where in the journal this is."""
        return {"sequence": self.engine.sequence, "time": self.engine.time}

    # --- names -------------------------------------------------------------------------------------

    def member(self, code: str) -> int:
        """Return a member's number. Raises `UnknownName`."""
        return _number("member", code, self.engine.registry.member_numbers)

    def instrument(self, symbol: str) -> int:
        """Return an instrument's number. Raises `UnknownName`."""
        return _number("instrument", symbol, self.engine.registry.instrument_numbers)

    def member_code(self, number: int) -> str:
        """Return what a member is called."""
        return self.engine.registry.members[number].member

    # --- what one asks for -------------------------------------------------------------------------

    def welcome(self, member: int) -> Welcome:
        """Return what the venue would tell a member at its logon."""
        return self._enquiries.welcome(member, Logon(0), 0, 0)

    def status(self) -> Status:
        """Return how the venue is."""
        return self._enquiries.status(AskStatus(0))

    def account(self, code: str) -> Account:
        """Return a member's balances and what programmes leave to it. Raises `UnknownName`."""
        return self._enquiries.account(self.member(code), AskAccount(0))

    def summary(self) -> dict[str, Any]:
        """Return the venue at a glance."""
        status = self.status()
        markets = self.engine.core.book.markets[: status.instruments]
        phases = Counter(Phase(int(phase)).name.lower() for phase in markets["phase"])
        return {
            **self.stands,
            "members": status.members,
            "instruments": status.instruments,
            "phases": dict(sorted(phases.items())),
            "open_orders": status.open_orders,
            "trades": status.trades,
            "rules_version": status.rules_version,
            "programmes": [_budget(programme) for programme in status.programmes],
            "state_hash": f"{self.engine.state_hash():016x}",
        }

    def book(self, symbol: str, depth: int, *, with_orders: bool, seen_by: str = "") -> dict[str, Any]:
        """Return one book, at most `depth` levels a side, and its orders in their order if they are wanted.

        Without `seen_by` it is all of it: hidden lots, parked stops, waiting market orders, and whose each
        order is. With it, what the feed shows to that member, and which orders are its own.
        Raises `UnknownName`.
        """
        number = self.instrument(symbol)
        book = self.engine.core.book
        market = book.markets[number]
        viewer = self.member(seen_by) if seen_by else None
        facts: dict[str, Any] = {
            **self.stands,
            "instrument": symbol,
            "seen_by": seen_by or None,
            "phase": Phase(int(market["phase"])).name.lower(),
            "reference": int(market["reference"]),
            "last": int(market["last"]),
        }
        for name, side in _SIDES.items():
            facts[name] = [
                {"price": int(price), "quantity": int(quantity), "orders": int(orders)}
                for price, quantity, orders in depth_of(book, number, side, depth)
            ]
        if with_orders:
            for name, side in _SIDES.items():
                worst = facts[name][-1]["price"] if facts[name] else 0
                rows = orders_of(book, number, side)
                shown = rows["price"] >= worst if side == Side.BUY else rows["price"] <= worst
                facts[f"{name[:-1]}_orders"] = [self._resting(row, viewer) for row in rows[shown]]
        if viewer is None or with_orders:
            for side in _SIDES.values():
                for what, found in (("parked", parked_of), ("waiting", waiting_of)):
                    rows = found(book, number, side)
                    own = rows if viewer is None else rows[rows["member"] == viewer]
                    facts[f"{what}_{'buys' if side == Side.BUY else 'sells'}"] = [
                        self._resting(row, viewer) for row in own
                    ]
        return facts

    def _resting(self, row: np.void, viewer: int | None) -> dict[str, Any]:
        """Return one open order as a viewer may know it; without a viewer, all of it."""
        facts: dict[str, Any] = {"order": int(row["id"]), "price": int(row["price"])}
        if row["stop_price"]:
            facts["stop_price"] = int(row["stop_price"])
        facts["quantity"] = int(row["shown"])
        if viewer is None or int(row["member"]) == viewer:
            facts |= {"leaves": int(row["leaves"]), "member": self.member_code(int(row["member"]))}
        return facts

    def programme(self, code: str) -> dict[str, Any]:
        """Return a programme's budget and terms, and how many orders named it. Raises `UnknownName`."""
        number = _number("programme", code, self.engine.registry.programme_numbers)
        listed = self.status().programmes[number]
        parcels = self.engine.core.ledger.parcels[: int(self.engine.core.ledger.totals[0]["parcels"])]
        own = parcels[parcels["programme"] == number]
        return {
            **self.stands,
            **_budget(listed),
            "orders_subsidised": len(own),
            "orders_open": int((own["is_open"] != 0).sum()),
            "terms": msgspec.to_builtins(listed.terms),
        }

    def member_facts(self, code: str) -> dict[str, Any]:
        """Return what the venue knows of a member. Raises `UnknownName`."""
        number = self.member(code)
        registry = self.engine.registry
        row = self.engine.core.ledger.members[number]
        owner = registry.owners.get(number)
        return {
            **self.stands,
            **msgspec.structs.asdict(registry.members[number]),
            "number": number,
            "group": registry.group_names[row["group"]],
            "owner": "" if owner is None else self.member_code(owner),
            "blocked": bool(row["blocked"]),
            **{name: int(row[name]) for name in _LIMITS},
            "live_keys": sum(holder == number for holder in registry.keys.values()),
            "open_orders": int(row["open_orders"]),
            "turnover": int(row["turnover"]),
            "guarded": number in registry.guards,
        }


_LIMITS = ("open_orders_max", "quantity_max", "notional_max", "turnover_max")


def _budget(programme: ListedProgramme) -> dict[str, Any]:
    names = ("code", "fiscal_year", "terms_version", "budget", "uncommitted", "reserved", "paid", "vested")
    return {**{name: getattr(programme, name) for name in names}, "is_closed": programme.is_closed}


def _number(field: str, name: str, numbers: Mapping[str, int]) -> int:
    if name not in numbers:
        raise unknown_name(field, name, numbers)
    return numbers[name]


# --- finding a point ---------------------------------------------------------------------------------


def stand_at(place: Folder, sequence: int | None = None) -> Then:
    """Return the venue after the command `sequence`, or at its journal's end.

    Raises `NotThere` if the journal ends before, `JournalDamaged` and `ReplayParted`.
    """
    follower = follower_at(place, sequence)
    told = tuple(filter(None, (follower.told,)))
    try:
        for _ in run_on(follower, sequence):
            pass
    except JournalTorn as torn:
        told = (*told, f"the journal ends in a frame that is not whole yet: {torn}")
    check_reached(follower, sequence)
    return Then(follower.engine, told)


def follower_at(place: Folder, not_after: int | None) -> Follower:
    """Return a replica at the newest snapshot not after a sequence, or at the journal's beginning."""
    return Follower(place.journal, beginning(place.journal, place.snapshots, not_after))


def check_reached(follower: Follower, sequence: int | None) -> None:
    """Raise `NotThere` if a replica has come to its journal's end before a sequence."""
    if sequence is not None and follower.engine.sequence < sequence:
        raise ends_before(follower.engine.sequence, sequence)


def ends_before(last: int, sequence: int) -> NotThere:
    """Return the fault of asking for what is behind a journal's end."""
    return NotThere(f"the journal ends at sequence {last}, before {sequence}; name one up to there")
