"""What followers fold when the venue ends: all that was written, and nothing while somebody writes."""

from __future__ import annotations

import pytest

from exchange.server.ending import last_commit
from exchange.server.follower import Commit, Follower
from exchange.server.frames import COMMAND_BYTES
from exchange.server.journal import START, Journal

SEGMENT_BYTES = 4_096


@pytest.fixture
def journal(tmp_path):
    made = Journal.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    yield made
    made.close()


def write(journal, frames):
    for at in range(frames):
        journal.append(at + 1, bytes(COMMAND_BYTES), b"", 1)


def test_of_a_journal_that_nobody_writes_it_is_the_end(journal, tmp_path):
    write(journal, 40)
    journal.close()
    assert last_commit(tmp_path, Follower(tmp_path)) == Commit(40, journal.position)
    assert journal.position.segment > 1


def test_while_somebody_writes_it_is_where_the_follower_stands(journal, tmp_path):
    write(journal, 3)
    assert last_commit(tmp_path, Follower(tmp_path)) == Commit(0, START)


def test_a_torn_frame_is_none(journal, tmp_path):
    write(journal, 3)
    whole = journal.position
    write(journal, 1)
    journal.close()
    path = tmp_path / "000001.journal"
    with path.open("r+b") as file:
        file.seek(journal.position.offset - COMMAND_BYTES // 2)
        file.write(bytes([255]) * 8)
    assert last_commit(tmp_path, Follower(tmp_path)) == Commit(3, whole)


def test_of_an_empty_journal_it_is_the_beginning(journal, tmp_path):
    journal.close()
    assert last_commit(tmp_path, Follower(tmp_path)) == Commit(0, START)
