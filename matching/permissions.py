"""Which commands each phase takes, and which phase may follow which: the one table of both.

The kernels, the reference, the venue and the manual read it here. Imports nothing but the vocabulary.
"""

from __future__ import annotations

from enum import IntEnum

from matching.vocabulary import Phase, RejectReason


class Ask(IntEnum):
    """Sorts of commands that a phase may forbid."""

    ORDER = 0
    """A new order that may rest, wait or be parked."""
    AT_ONCE = 1
    """A new limit or market order that must trade at once: IOC (limit orders), FOK, a minimum quantity."""
    REPLACE = 2
    REDUCE = 3
    CANCEL = 4
    """A cancel or a mass cancel."""


TAKEN: dict[Phase, tuple[Ask, ...]] = {
    Phase.CLOSED: (Ask.REDUCE, Ask.CANCEL),
    Phase.PRE_OPEN: (Ask.ORDER, Ask.REPLACE, Ask.REDUCE, Ask.CANCEL),
    Phase.NO_CANCEL: (Ask.ORDER,),
    Phase.AUCTION: (Ask.REDUCE, Ask.CANCEL),
    Phase.CONTINUOUS: (Ask.ORDER, Ask.AT_ONCE, Ask.REPLACE, Ask.REDUCE, Ask.CANCEL),
    Phase.HALTED: (Ask.REDUCE, Ask.CANCEL),
}
"""What each phase takes."""

CALLS = (Phase.PRE_OPEN, Phase.NO_CANCEL)
"""The phases in which orders are collected for an auction."""

FOLLOWS: dict[Phase, tuple[Phase, ...]] = {
    Phase.CLOSED: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.HALTED),
    Phase.PRE_OPEN: (Phase.NO_CANCEL, Phase.AUCTION, Phase.CLOSED, Phase.HALTED),
    Phase.NO_CANCEL: (Phase.PRE_OPEN, Phase.AUCTION, Phase.CLOSED, Phase.HALTED),
    Phase.AUCTION: (Phase.CONTINUOUS, Phase.PRE_OPEN, Phase.CLOSED, Phase.HALTED),
    Phase.CONTINUOUS: (Phase.PRE_OPEN, Phase.CLOSED, Phase.HALTED),
    Phase.HALTED: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.CLOSED),
}
"""Which phase may follow which at the venue. To the book alone any may follow any."""


def is_taken(phase: int, ask: int) -> bool:
    """Tell whether a phase takes a sort of command."""
    return ask in TAKEN[Phase(phase)]


def forbidden(phase: int, ask: int) -> RejectReason:
    """Return why a phase does not take a sort of command: that it takes no orders, or not this."""
    if ask <= Ask.REPLACE and Ask.ORDER not in TAKEN[Phase(phase)]:
        return RejectReason.INSTRUMENT_NOT_OPEN
    return RejectReason.NOT_IN_PHASE
