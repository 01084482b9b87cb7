"""Edges of the journal that a mutant of it once crossed unseen."""

from __future__ import annotations

import pytest

from exchange.server import frames
from exchange.server.journal import Journal, JournalDamaged
from exchange.server.reading import Mark, check_before, read_frames
from exchange.simulation.faulty_disk import ModelDisk
from tests.journal.batches import FOLDER, append, batches, read


def test_the_largest_frame_that_there_may_be_is_taken_and_one_byte_more_is_our_bug(monkeypatch):
    (batch,) = batches([3])
    disk = ModelDisk()
    journal = Journal.open(FOLDER, files=disk)
    monkeypatch.setattr(frames, "FRAME_BYTES_MAX", batch.size - 1)
    with pytest.raises(AssertionError):
        append(journal, batch)
    monkeypatch.setattr(frames, "FRAME_BYTES_MAX", batch.size)
    append(journal, batch)
    journal.close()
    assert read(disk) == [batch]


@pytest.fixture
def journal():
    """Return a disk with a journal of three batches, and the mark at its end."""
    disk = ModelDisk()
    written = Journal.open(FOLDER, files=disk)
    for batch in batches([3, 1, 2]):
        append(written, batch)
    written.close()
    frame = list(read_frames(FOLDER, files=disk))[-1]
    return disk, Mark(frame.last, 0, frame.end, frame.digest, 0)


def test_a_mark_of_this_journal_is_believed(journal):
    disk, mark = journal
    last = check_before(FOLDER, mark, disk)
    assert last is not None
    assert (last.last, last.digest) == (mark.sequence, mark.digest)


@pytest.mark.parametrize(
    ("field", "value"),
    [("digest", bytes(32)), ("digest", b"\xff" * 32), ("sequence", 5), ("sequence", 7)],
)
def test_a_mark_of_another_journal_is_told_with_its_segment(journal, field, value):
    disk, mark = journal
    with pytest.raises(JournalDamaged, match=r"000001\.journal.*sequence 6 ends here"):
        check_before(FOLDER, mark._replace(**{field: value}), disk)


def test_who_stands_behind_what_is_synced_reads_nothing(journal):
    disk, mark = journal
    synced = next(read_frames(FOLDER, files=disk)).end
    behind = read_frames(FOLDER, mark.position, synced, mark.digest, mark.sequence, disk)
    assert list(behind) == []
