"""The fold over the journal: one frame after another through an engine, checked as it goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from exchange.engine import RULES_VERSION, Engine, Outcome
from exchange.protocol.acts import decode_acts
from exchange.protocol.arrays import COMMAND
from exchange.server.disk import DISK, Files
from exchange.server.frames import JournalDamaged
from exchange.server.journal import SEGMENT_BYTES, Frame, Journal, read_frames
from exchange.server.reading import BEGINNING, segment_name
from exchange.server.retention import begins_late
from exchange.server.snapshots import Begun, newest, oldest, sequences
from matching.vocabulary import EventKind
from settlement.layout import client_ids

_GONE = "Put snapshots or the journal's first segments back from a backup."


class ReplayParted(Exception):
    """A replica is not in the state in which the journal says that it should be."""


def check_frame(engine: Engine, frame: Frame) -> None:
    """Check that a frame is the next one of a replica. Raises `ReplayParted` if it is not the sequencer's."""
    if frame.first != engine.sequence + 1:
        message = f"journal goes on at sequence {frame.first}, the replica stands at {engine.sequence}"
        raise ReplayParted(message)
    if frame.rules_version != RULES_VERSION:
        message = (
            f"sequence {frame.first} was written under rules version {frame.rules_version}, "
            f"this program applies {RULES_VERSION}; replay it with the version that wrote it"
        )
        raise ReplayParted(message)
    if frame.state_hash and frame.state_hash != engine.state_hash():
        message = (
            f"state differs before sequence {frame.first}: the journal says "
            f"{frame.state_hash:016x}, the replica has {engine.state_hash():016x}"
        )
        raise ReplayParted(message)


def apply_frame(engine: Engine, frame: Frame) -> Outcome:
    """Apply one frame to a replica. Raises `ReplayParted` if its state is not the sequencer's."""
    check_frame(engine, frame)
    commands = np.frombuffer(frame.commands, COMMAND)
    return engine.apply(commands, decode_acts(bytes(frame.acts)))


def recover(
    folder: Path,
    snapshots: Path | None = None,
    passed: int = 0,
    visit: Callable[[Outcome], object] = lambda _: None,
    files: Files = DISK,
    segment_bytes: int = SEGMENT_BYTES,
) -> tuple[Engine, Journal, str]:
    """Open the journal for writing and bring an engine to its end: the newest good snapshot, then the tail.

    Each frame behind the snapshot is read once, and what it brought about is handed to `visit`, valid until
    the next. `passed` is the highest sequence that any follower has seen: a journal that ends before it, or
    before any snapshot, is refused. Returns also what is to be told, empty if nothing is.

    Raises `JournalDamaged` and what else `Journal.open` does, and `ReplayParted`.
    """
    begun = beginning(folder, snapshots, files=files)
    if snapshots is not None:
        passed = max(passed, *sequences(snapshots, files), 0)
    engine = begun.engine
    journal = Journal.open(
        folder,
        passed,
        segment_bytes,
        files,
        RULES_VERSION,
        begun.mark,
        lambda frame: visit(apply_frame(engine, frame)),
    )
    told = begun.told
    if told:
        told += (replayed_from(begun),)
    return engine, journal, " ".join((*told, journal.told)).strip()


def beginning(
    folder: Path, snapshots: Path | None, not_after: int | None = None, files: Files = DISK
) -> Begun:
    """Return where a replay begins: at the newest snapshot, not after a sequence if one is given.

    Without one that can be used it is the journal's beginning. Raises `JournalDamaged` if that is gone.
    """
    begun = Begun(Engine(), BEGINNING) if snapshots is None else newest(snapshots, not_after, files)
    _check_is_here(folder, begun, not_after, files)
    return begun


def earliest(folder: Path, snapshots: Path) -> Begun:
    """Return where a replay of all that is left begins: the journal's beginning, or the oldest snapshot.

    The latter is told. Raises `JournalDamaged` if there is neither.
    """
    if not begins_late(folder):
        return Begun(Engine(), BEGINNING)
    begun = oldest(snapshots)
    _check_is_here(folder, begun, None, DISK)
    return begun._replace(told=(*begun.told, replayed_from(begun)))


def replayed_from(begun: Begun) -> str:
    """Return in words where a replay began that should have begun earlier."""
    if begun.mark == BEGINNING:
        return "The journal was replayed from its beginning."
    return (
        f"Replayed from the snapshot of sequence {begun.mark.sequence}; "
        "what lies before it is no longer here, or was not read."
    )


def _check_is_here(folder: Path, begun: Begun, not_after: int | None, files: Files) -> None:
    """Raise `JournalDamaged` if the replay should begin at segments that are gone."""
    if begun.mark != BEGINNING or not begins_late(folder, files):
        return
    which = "no snapshot" if not_after is None else f"no snapshot up to sequence {not_after}"
    what = f"its first segments were let go, and {which} can be used"
    raise JournalDamaged(1, folder / segment_name(1), 0, " ".join((*begun.told, what)), _GONE)


def entered_orders(folder: Path, begun: Begun | None = None) -> dict[int, str]:
    """Return the client id of every order that has entered by the journal, by its number, from `begun` on."""
    begun = begun or Begun(Engine(), BEGINNING)
    mark = begun.mark
    entered: dict[int, str] = {}
    for frame in read_frames(folder, mark.position, None, mark.digest, mark.sequence):
        outcome = apply_frame(begun.engine, frame)
        accepted = outcome.events["kind"] == EventKind.ACCEPTED
        ids = client_ids(outcome.effects["client_id"][accepted])
        orders = outcome.events["order"][accepted].tolist()
        entered.update(zip(orders, (text.decode("ascii") for text in ids.tolist()), strict=True))
    return entered
