"""What every act has when it is applied: the state that it may change, and what it brings to the store."""

from __future__ import annotations

import numpy as np

from exchange.fixing import Notes
from exchange.protocol.acts import SignedAct
from exchange.registry import Registry
from exchange.state import Core
from matching.vocabulary import RejectReason
from settlement.rows import (
    BustRow,
    FixingRow,
    Happened,
    InstrumentRow,
    LegRow,
    MemberRow,
    ObligationRow,
    PhaseRow,
    Posting,
    RedemptionRow,
    TermsRow,
)


class ActDecision:
    """One act at its place in the journal: what it may read and change, and what it brings about.

    `value` says what is at fault in an act that is refused, `detail` is the number that its remedy speaks
    of; `answered` is the sequence with which it is answered: its own, but for what was done before and is
    sent again. `cause` is told with the orders that the act cancels.
    """

    def __init__(
        self, core: Core, registry: Registry, notes: Notes, signed: SignedAct, sequence: int, time: int
    ) -> None:
        self.core = core
        self.registry = registry
        self.notes = notes
        self.signed = signed
        self.sequence = sequence
        self.time = time
        self.reason = RejectReason.NONE
        self.value = ""
        self.detail = 0
        self.answered = sequence
        self.cause = RejectReason.NONE
        self.members: list[MemberRow] = []
        self.instruments: list[InstrumentRow] = []
        self.postings: list[Posting] = []
        self.phases: list[PhaseRow] = []
        self.fixings: list[FixingRow] = []
        self.redemptions: list[RedemptionRow] = []
        self.legs: list[LegRow] = []
        self.terms: list[TermsRow] = []
        self.busts: list[BustRow] = []
        self.obligations: list[ObligationRow] = []
        self.forms: list[np.ndarray] = []

    def happened(self) -> Happened:
        """Return what the act brings to the store, beside what comes of its events."""
        return Happened(
            tuple(self.members),
            tuple(self.instruments),
            tuple(self.postings),
            tuple(self.phases),
            tuple(self.fixings),
            tuple(self.redemptions),
            tuple(self.legs),
            tuple(self.terms),
            tuple(self.busts),
            tuple(self.obligations),
        )

    def refuse(self, reason: RejectReason, value: object, detail: int = 0) -> RejectReason:
        """Refuse the act, and say what is at fault, and the number that the remedy speaks of."""
        self.value = str(value)
        self.detail = detail
        return reason

    def finish(self) -> None:
        """Do what waits for the book to have done what the act asks of it."""
