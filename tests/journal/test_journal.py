"""What goes into the journal comes out again, frame by frame, over segments, from any watermark."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.server import frames
from exchange.server.journal import (
    START,
    Files,
    Journal,
    JournalDamaged,
    JournalFailed,
    JournalLocked,
    Position,
    prepare_spare,
    read_frames,
)
from exchange.simulation.faulty_disk import ModelDisk
from tests.journal.batches import FOLDER, append, batch_of, batches, read, write

SEGMENT_BYTES = 2_048


# --- writing and reading -------------------------------------------------------------------------


def test_what_went_in_comes_out(tmp_path):
    todo = batches([1, 3, 2, 1])
    journal = Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES, rules_version=5)
    assert (journal.sequence, journal.position, journal.frames) == (0, START, 0)
    for batch in todo:
        append(journal, batch)
    found = list(read_frames(tmp_path))
    assert [batch_of(frame) for frame in found] == todo
    assert {frame.rules_version for frame in found} == {5}
    assert [frame.previous for frame in found[1:]] == [frame.digest for frame in found[:-1]]
    assert [frame.last for frame in found] == [1, 4, 6, 7]
    assert (journal.sequence, journal.time, journal.frames) == (7, todo[-1].time, 4)
    assert (journal.position, journal.digest) == (found[-1].end, found[-1].digest)
    assert journal.bytes_written == sum(batch.size for batch in todo)
    journal.close()


def test_an_empty_journal_has_no_frames(tmp_path):
    Journal.open(tmp_path / "made" / "anew", segment_bytes=SEGMENT_BYTES).close()
    assert read(folder=tmp_path / "made" / "anew") == []
    assert read(folder=tmp_path) == []


def test_a_journal_opened_again_goes_on(tmp_path):
    todo = batches([1, 3, 2, 1, 4])
    for batch in todo:
        journal = Journal.open(tmp_path, passed=batch.first - 1, segment_bytes=SEGMENT_BYTES)
        assert (journal.sequence, journal.cut, journal.told) == (batch.first - 1, 0, "")
        append(journal, batch)
        journal.close()
    assert read(folder=tmp_path) == todo


def test_segments_are_filled_with_zeros_before_their_first_use(tmp_path):
    journal = Journal.open(tmp_path, segment_bytes=1 << 20)
    for batch in batches([1] * 4):
        append(journal, batch)
    journal.close()
    file = (tmp_path / "000001.journal").stat()
    assert file.st_size == 1 << 20
    assert file.st_blocks * 512 >= 1 << 20, "sparse"


def test_one_append_is_one_write_and_one_sync():
    disk = ModelDisk()
    journal = Journal.open(FOLDER, segment_bytes=SEGMENT_BYTES, files=disk)
    disk.calls.clear()
    for batch in batches([1, 2, 3]):
        append(journal, batch)
    assert disk.calls == ["write", "sync"] * 3


def test_a_frame_that_does_not_fit_opens_the_next_segment():
    todo = batches([3, 3, 3, 3, 3, 3])
    disk = ModelDisk()
    write(disk, todo, SEGMENT_BYTES)
    assert sorted(disk.files) == ["000001.journal", "000002.journal"]
    assert [frame.end.segment for frame in read_frames(FOLDER, files=disk)] == [1, 1, 1, 2, 2, 2]
    assert read(disk) == todo


def test_a_frame_that_just_fits_stays():
    batch = batches([3])[0]
    disk = ModelDisk()
    write(disk, [batch, *batches([3], first=4)], START.offset + batch.size)
    assert [frame.end.segment for frame in read_frames(FOLDER, files=disk)] == [1, 2]
    journal = Journal.open(FOLDER, files=disk)
    assert (journal.sequence, journal.frames) == (6, 2)


def test_a_frame_larger_than_a_segment_gets_one_of_its_own():
    todo = batches([1, 40, 1, 50])
    disk = ModelDisk()
    write(disk, todo, SEGMENT_BYTES)
    sizes = [len(data) for _, data in sorted(disk.content().items())]
    assert sizes == [SEGMENT_BYTES, todo[1].size + 128, SEGMENT_BYTES, todo[3].size + 128]
    assert read(disk) == todo
    assert Journal.open(FOLDER, files=disk).sequence == todo[-1].last


def test_another_segment_size_begins_with_the_next_segment():
    todo = batches([1] * 20)
    disk = ModelDisk()
    write(disk, todo[:2], SEGMENT_BYTES)
    write(disk, todo[2:], 1_024)
    sizes = [len(data) for _, data in sorted(disk.content().items())]
    assert sizes == [SEGMENT_BYTES, *[1_024] * (len(sizes) - 1)]
    assert read(disk) == todo


@given(
    counts=st.lists(st.integers(1, 12), max_size=20),
    segment_bytes=st.integers(129, 6_000),
    chunk_bytes=st.integers(256, 3_000),
    reopen=st.sets(st.integers(0, 19)),
)
def test_any_batches_in_any_segments_read_in_any_chunks(counts, segment_bytes, chunk_bytes, reopen):
    todo = batches(counts)
    disk = ModelDisk()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frames, "CHUNK_BYTES", chunk_bytes)
        journal = Journal.open(FOLDER, segment_bytes=segment_bytes, files=disk)
        for number, batch in enumerate(todo):
            if number in reopen:
                journal.close()
                journal = Journal.open(FOLDER, batch.first - 1, segment_bytes, disk)
            append(journal, batch)
        assert read(disk) == todo
        synced = read_frames(FOLDER, until=journal.position, files=disk)
        assert [batch_of(frame) for frame in synced] == todo


# --- followers -----------------------------------------------------------------------------------


@pytest.fixture
def written() -> ModelDisk:
    disk = ModelDisk()
    write(disk, batches([1, 3, 2, 1, 4, 2, 5, 1, 1]), SEGMENT_BYTES)
    return disk


def test_a_follower_resumes_from_its_watermark_wherever_it_stands(written):
    found = list(read_frames(FOLDER, files=written))
    assert found[-1].end.segment > 1
    for number, frame in enumerate(found):
        rest = read_frames(FOLDER, frame.end, found[-1].end, frame.digest, frame.last, written)
        assert list(rest) == found[number + 1 :]
        assert list(read_frames(FOLDER, frame.end, files=written)) == found[number + 1 :]


def test_nobody_reads_beyond_what_is_synced(written):
    found = list(read_frames(FOLDER, files=written))
    for number, frame in enumerate(found):
        assert list(read_frames(FOLDER, until=frame.end, files=written)) == found[: number + 1]
        assert list(read_frames(FOLDER, frame.end, frame.end, files=written)) == []
        first_of_segment = Position(frame.end.segment, START.offset)
        if number and found[number - 1].end.segment < frame.end.segment:
            read_so_far = list(read_frames(FOLDER, until=first_of_segment, files=written))
            assert read_so_far == found[:number]


def test_a_follower_of_another_journal_is_told(written):
    frame = next(iter(read_frames(FOLDER, files=written)))
    with pytest.raises(JournalDamaged, match="does not follow the one before it"):
        list(read_frames(FOLDER, frame.end, previous=bytes(32), files=written))
    with pytest.raises(JournalDamaged, match="begins at sequence 2"):
        list(read_frames(FOLDER, frame.end, sequence=7, files=written))


def test_a_follower_is_told_if_the_journal_ends_before_it(written):
    last = list(read_frames(FOLDER, files=written))[-1]
    further = last.end._replace(offset=last.end.offset + 256)
    with pytest.raises(JournalDamaged, match=f"byte {last.end.offset}.*has synced up to byte"):
        list(read_frames(FOLDER, until=further, files=written))
    for start in (Position(9, START.offset), Position(9, 500)):
        with pytest.raises(JournalDamaged, match="the segment is missing"):
            list(read_frames(FOLDER, start, files=written))
    with pytest.raises(JournalDamaged, match="the segment is missing"):
        list(read_frames(FOLDER, until=Position(9, 500), files=written))


def test_reading_closes_what_it_opens(written):
    reading = read_frames(FOLDER, files=written)
    next(iter(reading))
    reading.close()  # type: ignore[attr-defined]
    assert list(read_frames(FOLDER, files=written))
    assert written.handles == {}


def test_commands_are_not_copied(tmp_path):
    write(Files(), batches([2, 2]), SEGMENT_BYTES, tmp_path)
    one, other = read_frames(tmp_path)
    assert isinstance(one.commands, memoryview)
    assert isinstance(other.commands, memoryview)
    assert one.commands.obj is other.commands.obj


# --- one writer ----------------------------------------------------------------------------------


def test_a_second_writer_is_refused_until_the_first_has_left(tmp_path):
    first = Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    with pytest.raises(JournalLocked, match=f"{tmp_path}.*Stop that venue first"):
        Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    append(first, batches([1])[0])
    first.close()
    first.close()
    Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES).close()


def test_a_closed_journal_takes_nothing(tmp_path):
    journal = Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    journal.close()
    with pytest.raises(JournalFailed, match="is closed"):
        append(journal, batches([1])[0])


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalFailed, match=r"cannot be opened.*Mend the disk"):
        Journal.open(tmp_path / "file" / "journal")


# --- spares --------------------------------------------------------------------------------------


def test_a_spare_becomes_the_next_segment(tmp_path):
    todo = batches([10, 10, 10])
    journal = Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    append(journal, todo[0])
    assert prepare_spare(tmp_path, SEGMENT_BYTES)
    spare = (tmp_path / "spare").stat().st_ino
    assert not prepare_spare(tmp_path, SEGMENT_BYTES), "one is enough"
    append(journal, todo[1])
    assert (tmp_path / "000002.journal").stat().st_ino == spare
    assert not (tmp_path / "spare").exists()
    append(journal, todo[2])
    journal.close()
    assert read(folder=tmp_path) == todo


def test_a_spare_that_is_taken_while_it_is_looked_at_is_made_again():
    class Taken(ModelDisk):
        def size(self, path):
            self.rename(path, FOLDER / "000002.journal")
            raise FileNotFoundError(path)

    disk = Taken()
    prepare_spare(FOLDER, SEGMENT_BYTES, disk)
    assert prepare_spare(FOLDER, SEGMENT_BYTES, disk)
    assert {"spare", "000002.journal"} <= set(disk.names(FOLDER))


def test_a_spare_spares_the_append_its_zeros():
    disk = ModelDisk()
    todo = batches([10, 10])
    journal = Journal.open(FOLDER, segment_bytes=SEGMENT_BYTES, files=disk)
    append(journal, todo[0])
    prepare_spare(FOLDER, SEGMENT_BYTES, disk)
    disk.calls.clear()
    append(journal, todo[1])
    assert disk.calls == ["write", "sync", "rename", "sync folder", "write", "sync"]


def test_a_spare_of_another_size_is_left_alone_and_then_replaced():
    disk = ModelDisk()
    todo = batches([10, 10, 20])
    prepare_spare(FOLDER, 777, disk)
    write(disk, todo, SEGMENT_BYTES)
    assert len(disk.content()["spare"]) == 777
    assert prepare_spare(FOLDER, SEGMENT_BYTES, disk)
    assert disk.content()["spare"] == bytes(SEGMENT_BYTES)
    assert read(disk) == todo


def test_a_spare_is_made_by_one_at_a_time():
    disk = ModelDisk()
    handle = disk.open(FOLDER / "spare.lock", 0o100)
    assert disk.lock(handle)
    assert not prepare_spare(FOLDER, SEGMENT_BYTES, disk)
    disk.close(handle)
    assert prepare_spare(FOLDER, SEGMENT_BYTES, disk)


def test_leftovers_are_taken_away_unless_they_are_being_made():
    disk = ModelDisk({"spare.part": b"half", "segment.part": b"half", "notes.txt": b"not ours"})
    maker = disk.open(FOLDER / "spare.lock", 0o100)
    assert disk.lock(maker)
    Journal.open(FOLDER, segment_bytes=SEGMENT_BYTES, files=disk).close()
    names = {"000001.journal", "notes.txt", "spare.lock"}
    assert set(disk.files) == names | {"spare.part"}
    disk.close(maker)
    Journal.open(FOLDER, segment_bytes=SEGMENT_BYTES, files=disk).close()
    assert set(disk.files) == names
    assert disk.handles == {}


def test_a_batch_that_is_not_what_it_says_is_our_bug():
    disk = ModelDisk()
    journal = Journal.open(Path(FOLDER), segment_bytes=SEGMENT_BYTES, files=disk)
    with pytest.raises(AssertionError):
        journal.append(0, bytes(128), b"", 2)
    with pytest.raises(AssertionError):
        journal.append(0, b"", b"an act alone", 0)
    append(journal, batches([1])[0])
    assert journal.sequence == 1
