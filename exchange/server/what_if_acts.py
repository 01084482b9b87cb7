"""Acts of a journal in another world: other terms put in place, and trades called by their other numbers.

Orders, redemptions and proposals are numbered by the command that made them, and so keep their numbers.
Trades are counted, and so do not: a bust follows its trade, the same two orders at the same command.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np

from exchange.protocol.acts import Act, Approve, Bust, DefineProgramme, Propose, ReviseProgramme, SignedAct
from exchange.server.what_if_report import ActsApart
from matching.vocabulary import RejectReason
from settlement.layout import RECENT_TRADES
from settlement.terms import ProgrammeTerms

NO_SUCH_TRADE = "its trade did not come about"


class TermsUnfit(Exception):
    """The other terms cannot be put in the place of the journal's; the message says why, and what to do."""


class OtherActs:
    """What the acts of the journal are in the other world, and which of them only one world has taken."""

    def __init__(self, terms: Mapping[str, ProgrammeTerms]) -> None:
        self.revisions_left_out: list[tuple[str, int]] = []
        self._terms = terms
        self._trades: dict[int, int] = {}
        self._have_parted = False
        self._proposed: dict[int, Act] = {}
        self._busts: dict[int, int] = {}
        self._left_out: set[int] = set()
        self._lost: Counter[tuple[str, str]] = Counter()
        self._gained: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[bool, str, str], int] = {}

    # --- trades --------------------------------------------------------------------------------

    def note_trades(self, before: int, history: np.ndarray, other: np.ndarray, *, is_same: bool) -> None:
        """Note which numbers the same trades have in both worlds.

        `before` is how many trades history had before these, and `is_same` tells that no others have come
        about: as long as that is so each has its own number. What is too old to be busted is forgotten.
        """
        if not self._have_parted and is_same:
            return
        if not self._have_parted:
            self._have_parted = True
            first = max(1, before - RECENT_TRADES + 1)
            self._trades = {number: number for number in range(first, before + 1)}
        self._trades.update(zip(history.tolist(), other.tolist(), strict=True))
        if len(self._trades) > 4 * RECENT_TRADES:
            oldest = max(self._trades) - RECENT_TRADES
            self._trades = {one: two for one, two in self._trades.items() if one > oldest}

    def number_of(self, trade: int) -> int | None:
        """Return what the other world calls a trade of history, None if it did not come about there."""
        return self._trades.get(trade) if self._have_parted else trade

    # --- acts ----------------------------------------------------------------------------------

    def other(self, signed: SignedAct, sequence: int, reason: RejectReason) -> SignedAct | None:
        """Return what an act is in the other world, None if it is left out there.

        `reason` is why history has refused it, or NONE: what it refused is not put in other terms.
        """
        act = signed.act
        match act:
            case DefineProgramme() if reason == RejectReason.NONE and act.terms.code in self._terms:
                terms = msgspec.structs.replace(self._terms[act.terms.code], version=act.terms.version)
                return msgspec.structs.replace(signed, act=DefineProgramme(terms))
            case Propose():
                return self._proposal(signed, act, sequence)
            case Approve():
                return self._approval(signed, act, reason)
            case _:
                return signed

    def _proposal(self, signed: SignedAct, propose: Propose, sequence: int) -> SignedAct | None:
        act = propose.act
        self._proposed[sequence] = act
        if isinstance(act, ReviseProgramme) and act.terms.code in self._terms:
            self._left_out.add(sequence)
            return None
        if not isinstance(act, Bust):
            return signed
        number = self.number_of(act.trade)
        if number is None:
            self._left_out.add(sequence)
            return None
        self._busts[sequence] = number
        return signed if number == act.trade else msgspec.structs.replace(signed, act=Propose(Bust(number)))

    def _approval(self, signed: SignedAct, approve: Approve, reason: RejectReason) -> SignedAct | None:
        """Return an approval; None of what was left out, or was proposed before its trade came about."""
        act = self._proposed.get(approve.proposal)
        if isinstance(act, Bust) and self.number_of(act.trade) != self._busts.get(approve.proposal):
            self._left_out.add(approve.proposal)
        if approve.proposal not in self._left_out:
            return signed
        is_done = reason == RejectReason.NONE and approve.is_approved
        if is_done and isinstance(act, ReviseProgramme):
            self.revisions_left_out.append((act.terms.code, act.terms.version))
        return None

    # --- what only one world has taken ---------------------------------------------------------

    def compare(
        self, signed: SignedAct, sequence: int, history: RejectReason, other: RejectReason | None
    ) -> None:
        """Count an act that only one world has taken; `other` is None if it was left out there."""
        name = self._name_of(signed.act)
        done = RejectReason.NONE
        if other is None:
            is_told = isinstance(signed.act, Approve) and signed.act.is_approved and name == "Bust"
            if is_told and history == done:
                self._count(self._lost, name, NO_SUCH_TRADE, sequence)
        elif history == done and other != done:
            self._count(self._lost, name, other.name.lower(), sequence)
        elif history != done and other == done:
            self._count(self._gained, name, history.name.lower(), sequence)

    def _name_of(self, act: Act) -> str:
        """Return the sort of an act; of an approval, what it approves."""
        if isinstance(act, Approve):
            return type(self._proposed.get(act.proposal, act)).__name__
        return type(act).__name__

    def _count(self, counter: Counter[tuple[str, str]], name: str, why: str, sequence: int) -> None:
        counter[name, why] += 1
        self._first.setdefault((counter is self._lost, name, why), sequence)

    def lost(self) -> tuple[ActsApart, ...]:
        """Return what was done in history and not in the other world."""
        return self._apart(self._lost)

    def gained(self) -> tuple[ActsApart, ...]:
        """Return what was refused in history and done in the other world."""
        return self._apart(self._gained)

    def _apart(self, counter: Counter[tuple[str, str]]) -> tuple[ActsApart, ...]:
        is_lost = counter is self._lost
        return tuple(
            ActsApart(name, why, count, self._first[is_lost, name, why])
            for (name, why), count in sorted(counter.items())
        )
