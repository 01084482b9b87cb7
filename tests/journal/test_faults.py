"""A disk that fails, or a machine that dies, at any call: what was answered is still there."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress

import pytest

from exchange.server.journal import Files, Journal, JournalFailed, prepare_spare
from exchange.simulation.faulty_disk import Crashed, ModelDisk, Survives
from tests.journal.batches import FOLDER, Batch, append, batches, read

SEGMENT_BYTES = 2_048
TODO = batches([1, 2, 4, 1, 3, 2, 18, 1, 5, 2, 6, 1])
SPARES_BEFORE = {2, 3, 9}
"""Numbers of the batches before which a spare is made, at the first rotation and a later one."""


class Venue:
    """Opens the journal, appends what is not in it yet, and remembers what it has answered."""

    def __init__(self, todo: Sequence[Batch] = TODO, spares_before: Set[int] = SPARES_BEFORE) -> None:
        self.answered = 0
        self.todo = todo
        self.spares_before = spares_before

    def run(self, disk: ModelDisk) -> None:
        journal = Journal.open(FOLDER, self.answered, SEGMENT_BYTES, disk)
        self.answered = max(self.answered, journal.sequence)
        try:
            for number, batch in enumerate(self.todo):
                if batch.first <= journal.sequence:
                    continue
                if number in self.spares_before:
                    prepare_spare(FOLDER, SEGMENT_BYTES, disk)
                append(journal, batch)
                self.answered = batch.last
        finally:
            journal.close()


def calls_in_all() -> int:
    disk = ModelDisk()
    Venue().run(disk)
    assert {"write", "sync", "rename", "sync folder"} == set(disk.calls)
    return len(disk.calls)


CALLS = range(calls_in_all())


def check(disk: ModelDisk, venue: Venue) -> None:
    """All that was answered is there, at most one batch more, and the venue goes on to the end."""
    answered = [batch for batch in venue.todo if batch.last <= venue.answered]
    journal = Journal.open(FOLDER, venue.answered, SEGMENT_BYTES, disk)
    journal.close()
    found = read(disk)
    assert found in (answered, venue.todo[: len(answered) + 1])
    venue.run(disk)
    assert read(disk) == venue.todo


# --- a disk that fails ---------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_any_failing_call_stops_the_journal_and_loses_nothing(half):
    for call in CALLS:
        disk, venue = ModelDisk(), Venue()
        disk.fail_at, disk.half = call, half
        with pytest.raises((JournalFailed, OSError)):
            venue.run(disk)
        check(disk, venue)


def test_after_any_failing_call_of_an_append_no_append_is_taken():
    for call in CALLS:
        disk = ModelDisk()
        journal = Journal.open(FOLDER, 0, SEGMENT_BYTES, disk)
        disk.fail_at = len(disk.calls) + call
        done = 0
        with suppress(JournalFailed):
            for batch in TODO:
                append(journal, batch)
                done = batch.last
        before = list(disk.calls)
        if done == TODO[-1].last:
            return
        for _ in range(2):
            with pytest.raises(JournalFailed, match=f"failed after sequence {done}.*was told to"):
                append(journal, batches([1], first=done + 1)[0])
        assert disk.calls == before, "a failed journal touches nothing"
        assert journal.sequence == done
        journal.close()
        assert disk.handles == {}
    pytest.fail("the failing call must at last come after the end")


@pytest.mark.parametrize("batches_more", [0, 1])
def test_a_failed_sync_is_not_trusted_by_the_next_start(batches_more):
    """What it left is in the page cache, and counts as written. It must be written to be true."""
    for call in CALLS:
        disk, venue = ModelDisk(), Venue()
        disk.fail_at = call
        with pytest.raises((JournalFailed, OSError)):
            venue.run(disk)
        journal = Journal.open(FOLDER, venue.answered, SEGMENT_BYTES, disk)
        following = [batch for batch in TODO if batch.first > journal.sequence]
        for batch in following[:batches_more]:
            append(journal, batch)
        venue.answered = journal.sequence
        check(disk.after_crash(names_too=False, survives=nothing), venue)


def test_an_append_that_was_interrupted_is_not_followed_by_another():
    class Interrupting(ModelDisk):
        def sync(self, handle):
            if "interrupt" in self.calls:
                raise KeyboardInterrupt
            super().sync(handle)

    disk = Interrupting()
    journal = Journal.open(FOLDER, 0, SEGMENT_BYTES, disk)
    disk.calls.append("interrupt")
    with pytest.raises(KeyboardInterrupt):
        append(journal, TODO[0])
    with pytest.raises(JournalFailed, match="interrupted"):
        append(journal, TODO[0])


def test_a_real_disk_that_writes_less_than_it_was_told_has_failed(tmp_path, monkeypatch):
    journal = Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    append(journal, TODO[0])
    whole = os.pwrite
    monkeypatch.setattr("os.pwrite", lambda handle, data, at: whole(handle, data[:99], at))
    with pytest.raises(JournalFailed, match="only 99 of"):
        append(journal, TODO[1])
    monkeypatch.undo()
    journal.close()
    journal = Journal.open(tmp_path, TODO[0].last, SEGMENT_BYTES)
    assert (journal.sequence, journal.cut) == (TODO[0].last, TODO[1].count)
    append(journal, TODO[1])
    journal.close()
    assert read(folder=tmp_path) == TODO[:2]


# --- a machine that dies -------------------------------------------------------------------------


def nothing(sector: int) -> bool:
    return False


def survivors(seed: int) -> Iterator[Survives]:
    """What of the unsynced sectors a crash may leave: none, all, every other, some."""
    chance = random.Random(seed)
    yield nothing
    yield lambda sector: True
    yield lambda sector: sector % 2 == 0
    yield lambda sector: sector % 2 == 1
    for _ in range(2):
        yield lambda sector: chance.random() < 0.5


def crashed(venue: Venue, disk: ModelDisk, call: int) -> bool:
    disk.crash_at = call
    try:
        venue.run(disk)
    except Crashed:
        return True
    return False


def test_dying_before_any_call_loses_no_answered_command(seed):
    for call in CALLS:
        for names_too in (False, True):
            for survives in survivors(seed):
                disk, venue = ModelDisk(), Venue()
                assert crashed(venue, disk, call)
                check(disk.after_crash(names_too, survives), venue)


def test_dying_again_at_any_call_of_the_recovery_loses_nothing(seed):
    for call in CALLS:
        for number, survives in enumerate(survivors(seed)):
            for recovery_call in range(100):
                disk, venue = ModelDisk(), Venue()
                crashed(venue, disk, call)
                disk = disk.after_crash(number % 2 == 0, survives)
                disk.crash_at = recovery_call
                try:
                    Journal.open(FOLDER, venue.answered, SEGMENT_BYTES, disk)
                except Crashed:
                    check(disk.after_crash(number % 2 == 1, survives), venue)
                else:
                    break


def test_dying_while_a_spare_is_made_leaves_a_whole_one_or_none(seed):
    made = ModelDisk()
    prepare_spare(FOLDER, SEGMENT_BYTES, made)
    for call in range(len(made.calls)):
        for names_too in (False, True):
            for survives in survivors(seed):
                disk = ModelDisk()
                disk.crash_at = call
                with pytest.raises(Crashed):
                    prepare_spare(FOLDER, SEGMENT_BYTES, disk)
                after = disk.after_crash(names_too, survives)
                assert after.content().get("spare", bytes(SEGMENT_BYTES)) == bytes(SEGMENT_BYTES)
                check(after, Venue())
                assert "spare.part" not in after.files


# --- the canaries: a journal that is careless about one thing is caught --------------------------


class NeverSyncs(ModelDisk):
    """A disk whose syncs do nothing."""

    def sync(self, handle: int) -> None:
        self.turn("sync")


class NeverSyncsNames(ModelDisk):
    """A disk that forgets names."""

    def sync_all(self, handle: int) -> None:
        if self.handles[handle] is None:
            self.turn("sync folder")
        else:
            super().sync_all(handle)


@pytest.mark.parametrize("careless", [NeverSyncs, NeverSyncsNames])
def test_these_tests_would_notice_a_sync_left_out(careless):
    def loses_an_answer() -> bool:
        for call in CALLS:
            disk, venue = careless(), Venue()
            crashed(venue, disk, call)
            try:
                check(disk.after_crash(names_too=False, survives=nothing), venue)
            except Exception:  # whatever it says, it has noticed
                return True
        return False

    assert loses_an_answer()


def test_the_model_disk_can_do_all_that_the_real_one_can():
    own = {name for name in vars(Files) if not name.startswith("_")}
    assert own <= set(vars(ModelDisk))


def test_the_story_has_rotations_spares_and_a_frame_larger_than_a_segment():
    disk = ModelDisk()
    Venue().run(disk)
    assert len(disk.files) >= 6
    assert disk.calls.count("rename") > len(disk.files), "one for each segment, one for each spare"
    assert max(batch.size for batch in TODO) > SEGMENT_BYTES
