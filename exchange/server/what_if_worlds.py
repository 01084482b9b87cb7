"""What if a programme had had other terms: the journal's orders once more, beside what they led to.

Two engines take the same commands at the same sequences and times. One is history's, and its state is checked
against the journal; in the other the programmes that are named have other terms from their beginning on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine, Outcome
from exchange.protocol.acts import DefineProgramme, SignedAct, decode_acts
from exchange.protocol.arrays import COMMAND
from exchange.server.folder import Folder
from exchange.server.follower import joined, together
from exchange.server.journal import Frame, JournalTorn, Position, read_frames
from exchange.server.replay import check_frame, earliest
from exchange.server.snapshots import Begun
from exchange.server.what_if_acts import OtherActs, TermsUnfit
from exchange.server.what_if_figures import WorldSums, paired
from exchange.server.what_if_report import Trades, WhatIf
from exchange.server.what_if_tally import NOTHING, Piece, Tally
from feeds.bars import MINUTE_NS
from matching.vocabulary import CommandKind, RejectReason
from settlement.terms import ProgrammeTerms

SPANS = (
    ("second", 10**9, 3 * 60),
    ("minute", MINUTE_NS, 3 * 60),
    ("hour", 60 * MINUTE_NS, 3 * 24),
    ("day", 24 * 60 * MINUTE_NS, 10**6),
)
"""What a curve is drawn by: the first of these of which the journal has no more than so many."""

_ACT = int(CommandKind.ACT)

Progress = Callable[[int, int], object]
"""Told the sequence that was reached, and the last one of the journal."""


class Survey(NamedTuple):
    """What a journal holds, seen before it is played: where it ends, which programmes it defines."""

    last: int
    end: Position
    begins: int
    ends: int
    programmes: dict[str, ProgrammeTerms]
    told: tuple[str, ...]

    @property
    def span(self) -> tuple[str, int]:
        """By what curves are drawn: its name, and its length in ns."""
        for name, span_ns, count in SPANS:
            if self.ends - self.begins < count * span_ns:
                return name, span_ns
        return SPANS[-1][:2]


def what_if(folder: Folder, terms: Sequence[ProgrammeTerms], progress: Progress = lambda *_: None) -> WhatIf:
    """Play a venue's journal under history's terms and under others, and return how they differ.

    Each of `terms` takes the place of the terms with which the journal defines the programme of that code;
    its version is the one defined, and later revisions are left out. The venue may run meanwhile: what it
    had journalled at the beginning is played.

    Raises `TermsUnfit` if the terms name no programme of the journal or the venue would not take them, and
    `JournalDamaged` and `ReplayParted` as every replay does.
    """
    begun = earliest(folder.journal, folder.snapshots)
    survey = survey_of(folder, begun)
    check_terms(terms, survey.programmes, begun)
    worlds = Worlds(begun.engine, earliest(folder.journal, folder.snapshots).engine, terms, survey.span[1])
    mark = begun.mark
    frames = read_frames(folder.journal, mark.position, survey.end, mark.digest, mark.sequence)
    for _, of_span in groupby(frames, lambda frame: frame.time // survey.span[1]):
        for lot in together(of_span):
            worlds.play(joined(lot))
            progress(worlds.history.sequence, survey.last)
    return worlds.report(survey, mark.sequence)


def survey_of(folder: Folder, begun: Begun) -> Survey:
    """Look through what is left of a journal. Raises `JournalDamaged`; `TermsUnfit` if nothing is there."""
    mark = begun.mark
    told = list(begun.told)
    last, end, begins, ends = mark.sequence, mark.position, 0, mark.time
    programmes: dict[str, ProgrammeTerms] = {}
    try:
        for frame in read_frames(folder.journal, mark.position, None, mark.digest, mark.sequence):
            last, end, ends = frame.last, frame.end, frame.time
            begins = begins or frame.time
            for signed in decode_acts(bytes(frame.acts)):
                if isinstance(signed.act, DefineProgramme):
                    programmes.setdefault(signed.act.terms.code, signed.act.terms)
    except JournalTorn as torn:
        told.append(f"the journal ends in a frame that is not whole yet: {torn}")
    if not begins:
        message = f"{folder.journal}: there is nothing to play; name the folder of a venue that has traded"
        raise TermsUnfit(message)
    return Survey(last, end, begins, ends, programmes, tuple(told))


def check_terms(terms: Sequence[ProgrammeTerms], defined: dict[str, ProgrammeTerms], begun: Begun) -> None:
    """Raise `TermsUnfit` if terms are not sound, or not of programmes that the journal defines, each once."""
    there = ", ".join(sorted(defined)) or "none"
    since = (
        f" behind sequence {begun.mark.sequence}, where what is left begins" if begun.mark.sequence else ""
    )
    seen: set[str] = set()
    for one in terms:
        if one.fault():
            raise TermsUnfit(f"{one.code}: {one.fault()}")
        if one.code not in defined:
            raise TermsUnfit(
                f"code: {one.code}; the journal defines no such programme{since}, name one of: {there}"
            )
        if one.code in seen:
            raise TermsUnfit(f"code: {one.code}; it is given twice, give one file a programme")
        year = defined[one.code].fiscal_year
        if one.fiscal_year != year:
            raise TermsUnfit(
                f"fiscal_year: {one.fiscal_year}; {one.code} is of {year} in the journal, give that"
            )
        seen.add(one.code)


class Worlds:
    """Two engines that take the same commands, and what is counted of both."""

    def __init__(self, history: Engine, other: Engine, terms: Sequence[ProgrammeTerms], span_ns: int) -> None:
        self.history, self.other = history, other
        self._tallies = Tally(), Tally()
        self._replaced = {one.code: one for one in terms}
        self._acts = OtherActs(self._replaced)
        self._span_ns = span_ns
        self._in_both = self._altered = 0
        self._trades = [0, 0]
        self._orders_alone = [0, 0]
        self._others_alone = [0, 0]
        self._trades_before = self._number_of_trades(history)

    @staticmethod
    def _number_of_trades(engine: Engine) -> int:
        return int(engine.core.ledger.totals[0]["trades"])

    # --- playing -------------------------------------------------------------------------------

    def play(self, frame: Frame) -> None:
        """Play a frame in both worlds. Raises `ReplayParted` and `TermsUnfit`."""
        check_frame(self.history, frame)
        commands = np.frombuffer(frame.commands, COMMAND)
        acts = decode_acts(bytes(frame.acts))
        for start, stop in self._pieces(commands):
            piece = commands[start:stop]
            if piece["kind"][0] == _ACT:
                self._play_act(piece, acts)
            else:
                self._note(piece, self.history.apply(piece), piece, self.other.apply(piece))

    def _pieces(self, commands: np.ndarray) -> Iterator[tuple[int, int]]:
        """Cut a batch so that each act stands alone, and each command where a budget may come to its end.

        How commands are cut changes no event; this way it is known under which of them a budget was empty.
        """
        acts = np.flatnonzero(commands["kind"] == _ACT).tolist()
        start = 0
        for row in [*acts, len(commands)]:
            if row > start:
                yield from self._run_of_orders(commands, start, row)
            if row < len(commands):
                yield row, row + 1
            start = row + 1

    def _run_of_orders(self, commands: np.ndarray, start: int, stop: int) -> Iterable[tuple[int, int]]:
        run = commands[start:stop]
        engines = zip((self.history, self.other), self._tallies, strict=True)
        if any(tally.may_empty(engine, run) for engine, tally in engines):
            return ((row, row + 1) for row in range(start, stop))
        return ((start, stop),)

    def _play_act(self, piece: np.ndarray, acts: tuple[SignedAct, ...]) -> None:
        signed = acts[piece[0]["act"]]
        sequence = self.history.sequence + 1
        outcome = self.history.apply(piece, acts)
        reason = outcome.acts[0].reason
        act = self._acts.other(signed, sequence, reason)
        instead = piece.copy()
        instead["act"] = 0
        if act is None:
            instead["kind"] = CommandKind.CLOCK
            others = self.other.apply(instead)
        else:
            others = self.other.apply(instead, (act,))
        result = others.acts[0] if others.acts else None
        self._acts.compare(signed, sequence, reason, None if result is None else result.reason)
        self._note(piece, outcome, instead, others)
        self._check_names(signed, sequence, RejectReason.NONE if result is None else result.reason)

    def _check_names(self, signed: SignedAct, sequence: int, reason: RejectReason) -> None:
        """Raise `TermsUnfit` if both worlds no longer number members, instruments and programmes alike."""
        one, two = self.history.registry, self.other.registry
        for name in ("members", "instruments", "programmes"):
            if len(getattr(one, name)) != len(getattr(two, name)):
                act = type(signed.act).__name__
                told = reason.name.lower() if reason != RejectReason.NONE else "taken, and refused as it was"
                message = (
                    f"terms: under them the venue answers {act} at sequence {sequence} otherwise ({told}), "
                    f"and {name} get other numbers than orders name; give a smaller budget, or fewer regions"
                )
                raise TermsUnfit(message)

    # --- comparing -----------------------------------------------------------------------------

    def _note(self, commands: np.ndarray, history: Outcome, others: np.ndarray, other: Outcome) -> None:
        one = self._tallies[0].note(self.history, commands, history, self._span_ns)
        two = self._tallies[1].note(self.other, others, other, self._span_ns)
        if one is NOTHING and two is NOTHING:
            return
        self._note_trades(one, two)
        for alone, left, right in (
            (self._orders_alone, one.orders, two.orders),
            (self._others_alone, one.others, two.others),
        ):
            if not np.array_equal(left, right):
                alone[0] += len(np.setdiff1d(left, right))
                alone[1] += len(np.setdiff1d(right, left))

    def _note_trades(self, one: Piece, two: Piece) -> None:
        left, right = _same_rows(one.trades, two.trades)
        self._in_both += len(left)
        self._altered += int((one.worth[left] != two.worth[right]).any(axis=1).sum())
        self._trades[0] += len(one.trades)
        self._trades[1] += len(two.trades)
        is_same = len(left) == len(one.trades) == len(two.trades)
        before, self._trades_before = self._trades_before, self._number_of_trades(self.history)
        self._acts.note_trades(before, one.numbers[left], two.numbers[right], is_same=is_same)

    # --- the report ----------------------------------------------------------------------------

    def report(self, survey: Survey, since: int) -> WhatIf:
        """Return how both worlds differ, now that all was played."""
        history, other = self.history, self.other
        hashes = history.state_hash(), other.state_hash()
        sums = tuple(
            WorldSums(engine, tally) for engine, tally in zip((history, other), self._tallies, strict=True)
        )
        span, span_ns = survey.span
        counts = self._trades
        lots = [tally.lots.total() for tally in self._tallies]
        amounts = [tally.amounts.total() for tally in self._tallies]
        return WhatIf(
            identity=hashes[0] == hashes[1],
            since=since,
            commands=history.sequence - since,
            begins=survey.begins,
            ends=survey.ends,
            span=span,
            history_state=f"{hashes[0]:016x}",
            other_state=f"{hashes[1]:016x}",
            **paired(sums[0], sums[1], frozenset(self._replaced), span_ns)._asdict(),
            trades=Trades(
                in_both=self._in_both,
                altered=self._altered,
                only_history=counts[0] - self._in_both,
                only_other=counts[1] - self._in_both,
                history_lots=lots[0],
                other_lots=lots[1],
                history_amount=amounts[0],
                other_amount=amounts[1],
            ),
            orders=sums[0].orders_beside(sums[1], self._orders_alone, self._others_alone),
            lost_acts=self._acts.lost(),
            gained_acts=self._acts.gained(),
            revisions_left_out=tuple(self._acts.revisions_left_out),
            history_calls_by_collar=sums[0].calls_by_collar,
            other_calls_by_collar=sums[1].calls_by_collar,
            told=survey.told,
        )


def _same_rows(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of rows that stand in both arrays; in neither does any stand twice."""
    if np.array_equal(one, two):
        every = np.arange(len(one))
        return every, every
    fields = [("", np.int64)] * one.shape[1]
    left, right = (np.ascontiguousarray(rows).view(fields).ravel() for rows in (one, two))
    _, at_left, at_right = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    return at_left, at_right
