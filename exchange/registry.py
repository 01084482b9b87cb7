"""Names and numbers: what members, instruments and programmes are called, and whose key is whose.

Kernels know numbers only. The registry is the other half of the engine's state, and like it a fold
over the journal: acts change it, and a collar that begins a call ends the plan that was.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple, get_args

import msgspec

from exchange.calendar import Calendar
from exchange.instruments import Instrument, Kind, Mode
from exchange.protocol.acts import Admit, Guard, SetCollars
from exchange.standing import Debt, Issued, Obligation, Proposal, Redemption, Reference
from matching.layout import NEVER
from settlement.terms import ProgrammeTerms, end_ns

CALENDAR = "CALENDAR"
"""Who signs the acts of the trading calendar; no member may be called so."""

SESSIONS = "SESSIONS"
"""Who signs what the gateway does for members that fell silent; no member may be called so."""

KEYS_PER_MEMBER = 2
"""Most live keys of a member: the one in use, and the one that takes its place."""

REGIONS_MAX = 63
"""A programme names its regions in one word of 64 bits, whose sign stays free."""


class Plan(NamedTuple):
    """How an instrument's call goes on: which call it is, until when (ns), and whether it was extended.

    The plan stands until the instrument enters the next call, closes, or is set by somebody else: so it
    tells of an instrument in `auction`, too, which call it came from.
    """

    call: str
    until: int
    extended: bool


class Registry(msgspec.Struct):
    """Every name in the order of its number, and the way back from name to number.

    Beside the names, what acts say of trading: `plans` and `overridden` by the number of the instrument,
    `overridden` being those whose phase an operator set last, not the calendar and not a collar; and
    whether nothing was done yet by the calendar that is set. `fixing_day`
    is the day whose fixing is begun and not found yet, `fixed_day` the last one that was found.

    Of money and credits, by numbers: `owners` of second accounts; `meters`, the instruments that usage under
    a name is redeemed with, earliest expiry first; `references` of each member; `redemptions` that are open,
    and the lots of each parcel that they have set `aside`; `begun`, what is left of each member's begun lots,
    in thousandths of a unit, by meter; `usage_ids`, (provider, id), by the day of the record; `issues` of an
    instrument that are still owed, in their order, and its `obligations` by provider; `debts` of each member
    as they arose; `awards` of a programme to each member; the members `enrolled` in it; `proposals` by
    sequence; and which instruments' credits have `expired`. Of members: `guards`, by number, of those whose
    orders go when they fall silent; `two_persons` tells that two operators have had keys, and that from then
    on one alone makes no third.
    """

    members: list[Admit] = msgspec.field(default_factory=list)
    instruments: list[Instrument] = msgspec.field(default_factory=list)
    programmes: list[ProgrammeTerms] = msgspec.field(default_factory=list)
    groups: dict[str, int] = msgspec.field(default_factory=dict)
    regions: dict[str, int] = msgspec.field(default_factory=dict)
    keys: dict[str, int] = msgspec.field(default_factory=dict)
    member_numbers: dict[str, int] = msgspec.field(default_factory=dict)
    instrument_numbers: dict[str, int] = msgspec.field(default_factory=dict)
    programme_numbers: dict[str, int] = msgspec.field(default_factory=dict)
    modes: frozenset[Mode] = frozenset(get_args(Mode))
    collars: dict[Kind, SetCollars] = msgspec.field(default_factory=dict)
    calendar: Calendar | None = None
    is_calendar_new: bool = False
    plans: dict[int, Plan] = msgspec.field(default_factory=dict)
    overridden: set[int] = msgspec.field(default_factory=set)
    fixing_day: date | None = None
    fixed_day: date | None = None
    operators: int = 0
    group_names: list[str] = msgspec.field(default_factory=list)
    owners: dict[int, int] = msgspec.field(default_factory=dict)
    meters: dict[str, list[int]] = msgspec.field(default_factory=dict)
    references: dict[int, dict[str, Reference]] = msgspec.field(default_factory=dict)
    redemptions: dict[int, Redemption] = msgspec.field(default_factory=dict)
    aside: dict[int, int] = msgspec.field(default_factory=dict)
    begun: dict[int, dict[str, int]] = msgspec.field(default_factory=dict)
    usage_ids: dict[int, set[tuple[int, str]]] = msgspec.field(default_factory=dict)
    issues: dict[int, list[Issued]] = msgspec.field(default_factory=dict)
    obligations: dict[int, dict[int, Obligation]] = msgspec.field(default_factory=dict)
    debts: dict[int, list[Debt]] = msgspec.field(default_factory=dict)
    guards: dict[int, Guard] = msgspec.field(default_factory=dict)
    two_persons: bool = False
    awards: dict[int, dict[int, int]] = msgspec.field(default_factory=dict)
    enrolled: dict[int, set[int]] = msgspec.field(default_factory=dict)
    proposals: dict[int, Proposal] = msgspec.field(default_factory=dict)
    expired: set[int] = msgspec.field(default_factory=set)

    def group_number(self, group: str) -> int:
        """Return the number of a group, giving it one if it is new."""
        if group not in self.groups:
            self.groups[group] = len(self.group_names)
            self.group_names.append(group)
        return self.groups[group]

    def merge_groups(self, kept: int, gone: int) -> None:
        """Let every name of one group mean another from now on."""
        for name, number in self.groups.items():
            if number == gone:
                self.groups[name] = kept

    def region_number(self, region: str) -> int:
        """Return the number of a region, giving it one if it is new."""
        return self.regions.setdefault(region, len(self.regions))

    def regions_mask(self, regions: Iterable[str]) -> int:
        """Return regions as one word, a bit each, giving new ones their numbers."""
        mask = 0
        for region in regions:
            mask |= 1 << self.region_number(region)
        return mask

    def add_member(self, member: Admit) -> int:
        """Give a new member its number."""
        self.member_numbers[member.member] = len(self.members)
        self.members.append(member)
        self.operators += member.role == "operator" and len(self.members) > 1  # the first is the house
        return len(self.members) - 1

    def add_instrument(self, instrument: Instrument) -> int:
        """Give a new instrument its number."""
        self.instrument_numbers[instrument.symbol] = len(self.instruments)
        self.instruments.append(instrument)
        self.meters.setdefault(instrument.meter, []).append(len(self.instruments) - 1)
        self.meters[instrument.meter].sort(key=self.perishes_at)
        return len(self.instruments) - 1

    def add_programme(self, terms: ProgrammeTerms) -> int:
        """Give a new programme its number."""
        self.programme_numbers[terms.code] = len(self.programmes)
        self.programmes.append(terms)
        return len(self.programmes) - 1

    def viewer(self, member: int) -> str | None:
        """Return as whom a member asks of history: itself, or None for who sees everybody's rows."""
        one = self.members[member]
        return None if one.role in ("operator", "auditor") else one.member

    def owner_of(self, member: int) -> int:
        """Return whose account a member is: its owner's, or its own."""
        return self.owners.get(member, member)

    def perishes_at(self, instrument: int) -> int:
        """Return when an instrument's last day is over, in ns since 1970; far ahead if it has none."""
        expires = self.instruments[instrument].expires
        return NEVER if expires is None else end_ns(expires)

    def fixes(self, call: str) -> bool:
        """Tell whether a call of this name makes the day's fixing."""
        return self.calendar is not None and any(
            one.fixes and one.name == call for one in self.calendar.calls
        )

    def auction_fixes(self, instrument: int) -> bool:
        """Tell whether an instrument's auction makes its fixing: without a calendar every one does."""
        plan = self.plans.get(instrument)
        return self.calendar is None or (plan is not None and self.fixes(plan.call))
