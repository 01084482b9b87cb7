"""What stands open beside the ledger's rows: redemptions, obligations, debts, references, proposals.

All of it is kept by the registry, by the numbers of members, instruments and programmes.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from exchange.calendar import SECOND_NS
from exchange.protocol.acts import Deposit, Redeem, Transfer, TwoPersonsAct, Withdraw
from settlement.rows import RedemptionState

REFERENCES_PER_MEMBER = 65_536
"""How many references of each member are remembered, the oldest being forgotten first: as many as client
ids, and far more than anybody still sends again."""

REFERENCE_CHARACTERS_MAX = 128
"""Longest reference of a movement, and longest id of a usage record: what models' interfaces give out is
less than half as long."""

_DAY_NS = 86_400 * SECOND_NS

USAGE_NS_MAX = 35 * _DAY_NS
"""How old a usage record may be, in ns, and so how long its id is remembered."""

WINDOW_NS = 7 * _DAY_NS
"""How long, in ns, a firm may dispute an agent's task after it was delivered."""

PROPOSALS_MAX = 1_024
"""Most proposals that stand at a time; then the oldest falls."""

Movement = Deposit | Withdraw | Transfer | Redeem
"""What bears a reference of its member's."""


class Reference(NamedTuple):
    """What a reference has named, and the sequence with which that was answered."""

    act: Movement
    sequence: int


class Redemption(msgspec.Struct):
    """A redemption that is not at its end; its number is the sequence that asked for it.

    `parts` are (parcel, lots) of its restricted lots; the rest was free. Of a delivered task `until` is when
    its window ends, in ns since 1970.
    """

    number: int
    member: int
    instrument: int
    lots: int
    parts: tuple[tuple[int, int], ...]
    reference: str
    time: int
    state: RedemptionState = "requested"
    until: int = 0

    @property
    def restricted(self) -> int:
        """How many of its lots were restricted."""
        return sum(lots for _, lots in self.parts)


class Issued(msgspec.Struct):
    """Lots that a provider still owes, of one issue or of several that followed each other."""

    provider: int
    lots: int


class Obligation(msgspec.Struct):
    """What one provider has issued of an instrument, and what of that was redeemed and has expired."""

    issued: int = 0
    redeemed: int = 0
    expired: int = 0


class Ground(NamedTuple):
    """For what a member gets money from a programme, or owes it some: an order, 0 for none, and terms."""

    member: int
    programme: int
    order: int
    terms_version: int


class Debt(msgspec.Struct):
    """What a member owes to a programme, in hao: a part of what that has paid, and of what has vested."""

    ground: Ground
    paid: int
    vested: int

    @property
    def amount(self) -> int:
        """What is still owed."""
        return self.paid + self.vested


class Proposal(NamedTuple):
    """An act that one operator has proposed."""

    who: str
    why: str
    act: TwoPersonsAct


def is_reference(text: str) -> bool:
    """Tell whether a text may be a reference: some characters of ASCII that can be printed."""
    return 0 < len(text) <= REFERENCE_CHARACTERS_MAX and text.isascii() and text.isprintable()
