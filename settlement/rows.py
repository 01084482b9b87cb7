"""What acts bring to the store beside trades: members, instruments, programmes, and their postings."""

from __future__ import annotations

import msgspec


class MemberRow(msgspec.Struct, frozen=True):
    """A member as it stands after the command `sequence`."""

    sequence: int
    index: int
    member: str
    group_name: str
    size: str
    region: str
    role: str


class InstrumentRow(msgspec.Struct, frozen=True):
    """An instrument as listed by the command `sequence`. Prices in hao per lot."""

    sequence: int
    index: int
    instrument: str
    name: str
    kind: str
    provider: str
    domestic: bool
    filed: bool
    region: str
    tier: str
    tick: int
    list_price: int
    weight_input: int
    weight_cached: int
    weight_output: int
    milli_pflops: int
    state: str
    source: str
    source_version: str
    source_date: str


class ProgrammeRow(msgspec.Struct, frozen=True):
    """A programme in one fiscal year, and its budget's four states, in hao."""

    index: int
    programme: str
    fiscal_year: int
    terms_version: int
    budget: int
    uncommitted: int
    reserved: int
    paid: int
    vested: int


class Posting(msgspec.Struct, frozen=True):
    """One signed line of an entry. `account` is free, restricted, debt, fees, outside or programme."""

    entry: int
    sequence: int
    time: int
    member: int
    account: str
    asset: int
    amount: int
    reason: str


class Happened(msgspec.Struct, frozen=True):
    """What the acts of one batch bring to the store."""

    members: tuple[MemberRow, ...] = ()
    instruments: tuple[InstrumentRow, ...] = ()
    postings: tuple[Posting, ...] = ()
