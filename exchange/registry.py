"""Names and numbers: what members, instruments and programmes are called, and whose key is whose.

Kernels know numbers only. The registry is the other half of the engine's state, and like it a fold
over the journal: only acts change it.
"""

from __future__ import annotations

import msgspec

from exchange.instruments import Instrument
from exchange.protocol.acts import Admit
from settlement.terms import ProgrammeTerms

REGIONS_MAX = 63
"""A programme names its regions in one word of 64 bits, whose sign stays free."""


class Registry(msgspec.Struct):
    """Every name in the order of its number, and the way back from name to number."""

    members: list[Admit] = msgspec.field(default_factory=list)
    instruments: list[Instrument] = msgspec.field(default_factory=list)
    programmes: list[ProgrammeTerms] = msgspec.field(default_factory=list)
    groups: dict[str, int] = msgspec.field(default_factory=dict)
    regions: dict[str, int] = msgspec.field(default_factory=dict)
    keys: dict[str, int] = msgspec.field(default_factory=dict)
    member_numbers: dict[str, int] = msgspec.field(default_factory=dict)
    instrument_numbers: dict[str, int] = msgspec.field(default_factory=dict)
    programme_numbers: dict[str, int] = msgspec.field(default_factory=dict)

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
