"""Names and numbers: what members, instruments and programmes are called, and whose key is whose.

Kernels know numbers only. The registry is the other half of the engine's state, and like it a fold
over the journal: acts change it, and a collar that begins a call ends the plan that was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

import msgspec

from exchange.calendar import Calendar
from exchange.instruments import Instrument, Kind, Mode
from exchange.protocol.acts import Admit, SetCollars
from settlement.terms import ProgrammeTerms

if TYPE_CHECKING:
    from datetime import date

CALENDAR = "CALENDAR"
"""Who signs the acts of the trading calendar; no member may be called so."""

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

    def group_number(self, group: str) -> int:
        """Return the number of a group, giving it one if it is new."""
        return self.groups.setdefault(group, len(self.groups))

    def region_number(self, region: str) -> int:
        """Return the number of a region, giving it one if it is new."""
        return self.regions.setdefault(region, len(self.regions))

    def add_member(self, member: Admit) -> int:
        """Give a new member its number."""
        self.member_numbers[member.member] = len(self.members)
        self.members.append(member)
        return len(self.members) - 1

    def add_instrument(self, instrument: Instrument) -> int:
        """Give a new instrument its number."""
        self.instrument_numbers[instrument.symbol] = len(self.instruments)
        self.instruments.append(instrument)
        return len(self.instruments) - 1

    def add_programme(self, terms: ProgrammeTerms) -> int:
        """Give a new programme its number."""
        self.programme_numbers[terms.code] = len(self.programmes)
        self.programmes.append(terms)
        return len(self.programmes) - 1

    def fixes(self, call: str) -> bool:
        """Tell whether a call of this name makes the day's fixing."""
        return self.calendar is not None and any(
            one.fixes and one.name == call for one in self.calendar.calls
        )

    def auction_fixes(self, instrument: int) -> bool:
        """Tell whether an instrument's auction makes its fixing: without a calendar every one does."""
        plan = self.plans.get(instrument)
        return self.calendar is None or (plan is not None and self.fixes(plan.call))
