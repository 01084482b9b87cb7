"""The store of a venue that is stopped: brought to the journal's end, or made anew and compared."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.journal import Frame, JournalTorn
from exchange.server.replay import ReplayParted, beginning
from exchange.server.retention import begins_late
from exchange.server.settler import Settler, open_store, set_aside
from exchange.server.snapshots import Begun
from settlement.compare import differences, summed
from settlement.report import settlement_report
from settlement.store import Store, StoreDamaged

Progress = Callable[[int], None]
"""Told the last sequence of each frame that was folded."""


class Rebuild:
    """Folds a whole journal into a new store, and compares an older one at the older one's watermark.

    With `begun` it folds what lies behind that, into a store that has settled it. `differences` says where
    the stores part, `told` what else is to be said; `check` looks at the new store there, or at the end
    without an older one, and says what is wrong with what else was made of it. Raises `JournalDamaged` if
    the journal's beginning is gone and is needed.
    """

    def __init__(
        self,
        journal: Path,
        store: Store,
        old: Store | None,
        begun: Begun | None = None,
        check: Callable[[Store], list[str]] = lambda _: [],
    ) -> None:
        self.settler = Settler(Follower(journal, begun), store)
        self.differences: list[str] = []
        self.told: list[str] = []
        self._old = old
        self._check = check
        self._is_compared = old is None or old.watermark.sequence == 0
        self._is_checked = False

    def run(self, progress: Progress, heed: Callable[[Frame], object] = lambda _: None) -> None:
        """Fold all of it; `heed` is told each frame, too. The older store is summed up in a thread beside it.

        Raises `JournalDamaged` and `ReplayParted` with what came before them written.
        """
        with ThreadPoolExecutor(1) as pool:
            summing = None if self._old is None else pool.submit(summed, self._old)

            def each(frame: Frame) -> None:
                if self._old is not None and frame.last == self._old.watermark.sequence:
                    assert summing is not None
                    self.settler.flush()
                    self.differences += differences(self._old, self.settler.store, summing.result())
                    self.differences += self._check(self.settler.store)
                    self._is_compared = self._is_checked = True
                heed(frame)
                progress(frame.last)

            try:
                self.settler.settle_all(each)
            except JournalTorn as torn:
                self.told.append(_torn(torn))
            except BaseException:
                if not self._is_compared:
                    self.told.append("the store was not compared: the replay ended before its watermark")
                raise
        if self._old is not None and not self._is_compared:
            mark = self._old.watermark.sequence
            self.differences.append(f"store: its watermark {mark} is the end of no frame of the journal")
        if not self._is_checked:
            self.differences += self._check(self.settler.store)


class Settled(NamedTuple):
    """How a store stands. `differences` from the old store, and, if it was checked, from the ledger."""

    commands: int
    frames: int
    differences: list[str]
    told: list[str]


def settle(folder: Folder, progress: Progress, *, is_anew: bool, is_checked: bool) -> Settled:
    """Bring the store of a stopped venue to its journal's end; `is_anew`: make it anew, and swap it in.

    Raises `StoreInUse` if the venue runs, `JournalDamaged` and `ReplayParted`; the old file then stays.
    """
    made = _anew(folder, progress) if is_anew else _caught_up(folder, progress)
    settler, store = made.settler, made.settler.store
    found = list(made.differences)
    if is_checked:
        found += settlement_report(store).differences
        found += settler.unreconciled()
    mark = store.watermark
    store.close()
    if is_anew:
        _swap(folder.settlement, made)
    folder.write_watermark("settlement", mark.sequence)
    return Settled(mark.sequence, mark.frames, found, made.told)


def _caught_up(folder: Folder, progress: Progress) -> Rebuild:
    """Write to the store that lies there what it does not have yet; one that is damaged begins anew."""
    store, told = open_store(folder.settlement)
    try:
        begun = beginning(folder.journal, folder.snapshots, store.watermark.sequence)
        made = Rebuild(folder.journal, store, None, begun)
        made.run(progress)
    except BaseException:
        store.close()
        raise
    made.told += [*begun.told, *([told] if told else [])]
    return made


def _anew(folder: Folder, progress: Progress) -> Rebuild:
    """Fold the whole journal into a file beside the store that lies there, if one does."""
    if begins_late(folder.journal):
        message = (
            "a store cannot be made anew, for the journal's first segments were let go; "
            "put the store or those segments back from a backup"
        )
        raise ReplayParted(message)
    told = ""
    old: Store | None = None
    if folder.settlement.exists():
        try:
            old = Store.open(folder.settlement, spill=_spill_of(folder.settlement))
        except StoreDamaged as damage:
            told = f"{damage}; set aside as {set_aside(folder.settlement, 'damaged').name}"
    path = _beside(folder.settlement)
    path.unlink(missing_ok=True)  # what a rebuild that was interrupted has left
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    store = Store.open(path, spill=_spill_of(path))
    try:
        made = Rebuild(folder.journal, store, old)
        made.run(progress)
    except BaseException:
        store.close()
        raise
    finally:
        if old is not None:
            old.close()
    made.told += [told] if told else []
    return made


def _swap(path: Path, made: Rebuild) -> None:
    """Put the new store in the old one's place; one that differed is kept, for somebody will ask why."""
    if path.exists() and made.differences:
        aside = set_aside(path, "differed")
        made.told.append(f"the old store differed and is kept as {aside.name}")
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    _beside(path).rename(path)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".anew")


def _spill_of(path: Path) -> Path:
    """Return where DuckDB puts what a comparison has no memory for; it takes the folder away itself."""
    return path.with_name(path.name + ".spill")


def _torn(torn: JournalTorn) -> str:
    return f"the journal ends in a frame that is not whole yet: {torn}"
