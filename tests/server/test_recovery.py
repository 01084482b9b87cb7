"""A restart is the newest snapshot and the journal's tail: the state of the whole journal, or a refusal."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from exchange.server import reading
from exchange.server.follower import Commit, Follower
from exchange.server.frames import SEGMENT_HEADER_BYTES
from exchange.server.journal import JournalDamaged, JournalFailed, prepare_spare
from exchange.server.replay import ReplayParted, beginning, recover
from exchange.server.retention import let_go
from exchange.server.snapshots import newest, prune, save, sequences, snapshot_name
from exchange.simulation.faulty_disk import Crashed, ModelDisk
from tests.journal.test_faults import survivors
from tests.journal.world import SEGMENT_BYTES, Batch, Written, append, engine_after, state_of, tape, write

FOLDER = Path("venue")
"""Where the model disk has journal and snapshots side by side."""

TAPE = tape(11, 160)


def world(batches: list[Batch], *snapshots_at: int) -> tuple[dict[str, bytes], Written]:
    """Return the files of a journal with snapshots behind some of its frames, and what it came to."""
    disk = ModelDisk()
    written = write(FOLDER, batches, disk)
    for frames in snapshots_at:
        save(FOLDER, engine_after(batches[:frames]), written.marks[frames], disk)
    return disk.content(), written


EARLY, LATE = 3, 6
"""Behind how many frames the snapshots were taken."""

WORLD, TRUTH = world(TAPE, EARLY, LATE)
MARKS, STATES = TRUTH.marks, TRUTH.states
LAST = STATES[-1]
LATEST = snapshot_name(MARKS[LATE].sequence)
EARLIER = snapshot_name(MARKS[EARLY].sequence)
SEGMENTS = sorted(name for name in WORLD if name.endswith(".journal"))
HEAD = SEGMENTS[: MARKS[LATE].position.segment]
"""The segments up to the one in which the latest snapshot's tail begins."""


def without(*names: str) -> dict[str, bytes]:
    return {name: data for name, data in WORLD.items() if name not in names}


def start(content: dict[str, bytes], passed: int = 0):
    """Recover, and close; return state, what was visited, and what was told."""
    disk = ModelDisk(content)
    visited: list[int] = []
    engine, journal, told = recover(
        FOLDER,
        FOLDER,
        passed,
        lambda outcome: visited.append(len(outcome.events)),
        disk,
        SEGMENT_BYTES,
    )
    assert (journal.sequence, journal.time) == (engine.sequence, engine.time)
    journal.close()
    assert disk.handles == {}
    return state_of(engine), len(visited), told


def refused(content: dict[str, bytes], passed: int = 0) -> str:
    disk = ModelDisk(content)
    with pytest.raises((JournalDamaged, ReplayParted)) as told:
        recover(FOLDER, FOLDER, passed, files=disk, segment_bytes=SEGMENT_BYTES)
    assert disk.content() == content, "what is refused is evidence"
    assert disk.handles == {}
    return str(told.value)


def flipped(data: bytes, byte: int) -> bytes:
    return data[:byte] + bytes([data[byte] ^ 0x10]) + data[byte + 1 :]


# --- the newest snapshot and the tail ------------------------------------------------------------


def test_there_are_segments_before_and_behind_the_snapshots():
    assert len(TAPE) > LATE > EARLY > 1
    assert len(SEGMENTS) > len(HEAD) > 1
    assert MARKS[EARLY].position.segment < MARKS[LATE].position.segment


def test_snapshot_and_tail_lead_where_the_whole_journal_leads():
    assert start(without(LATEST, EARLIER)) == (LAST, len(TAPE), "")
    assert start(without(LATEST)) == (LAST, len(TAPE) - EARLY, "")
    assert start(WORLD) == (LAST, len(TAPE) - LATE, "")


@pytest.mark.parametrize("frames", [1, 4, len(TAPE)])
def test_wherever_the_snapshot_was_taken_the_venue_goes_on_alike(frames):
    content, _ = world(TAPE, frames)
    disk = ModelDisk(content)
    engine, journal, told = recover(FOLDER, FOLDER, LAST.sequence, files=disk, segment_bytes=SEGMENT_BYTES)
    assert (state_of(engine), journal.mark, told) == (LAST, MARKS[-1], "")
    assert journal.since == MARKS[frames].sequence
    whole = engine_after(TAPE)
    for batch in tape(99, 40)[1:]:
        one, other = append(journal, engine, batch), whole.apply(*batch)
        assert np.array_equal(one.events, other.events)
    journal.close()
    assert start(disk.content())[0] == state_of(whole) == state_of(engine)


def test_what_is_visited_is_what_the_tail_brought_about():
    disk = ModelDisk(WORLD)
    events = []
    recover(FOLDER, FOLDER, 0, lambda outcome: events.append(outcome.events.tobytes()), disk, SEGMENT_BYTES)
    live = engine_after(TAPE[:LATE])
    assert events == [live.apply(*batch).events.tobytes() for batch in TAPE[LATE:]]


def test_a_segment_of_the_tail_is_read_once():
    class Counting(ModelDisk):
        opened: list[str]

        def open(self, path, flags):
            if flags == os.O_RDONLY:
                self.opened.append(path.name)
            return super().open(path, flags)

    disk = Counting(WORLD)
    disk.opened = []
    recover(FOLDER, FOLDER, files=disk, segment_bytes=SEGMENT_BYTES)
    behind = SEGMENTS[len(HEAD) :]
    assert [disk.opened.count(name) for name in behind] == [1] * len(behind)
    assert EARLIER not in disk.opened


# --- snapshots that cannot be used ---------------------------------------------------------------


def test_the_older_snapshot_takes_the_place_of_a_damaged_one_and_it_is_told():
    state, frames, told = start(WORLD | {LATEST: flipped(WORLD[LATEST], 5_000)})
    assert (state, frames) == (LAST, len(TAPE) - EARLY)
    assert f"{LATEST} is damaged" in told
    assert told.endswith(
        f"Replayed from the snapshot of sequence {MARKS[EARLY].sequence}; "
        "what lies before it is no longer here, or was not read."
    )


def test_without_a_good_snapshot_the_journal_is_replayed_from_its_beginning_and_it_is_told():
    state, frames, told = start(WORLD | {LATEST: b"", EARLIER: b"?"})
    assert (state, frames) == (LAST, len(TAPE))
    assert LATEST in told
    assert EARLIER in told
    assert told.endswith("replayed from its beginning.")


def test_without_a_good_snapshot_and_without_the_beginning_it_is_refused_with_a_remedy():
    content = without(SEGMENTS[0]) | {LATEST: b"", EARLIER: b"?"}
    told = refused(content)
    assert "its first segments were let go, and no snapshot can be used" in told
    assert "back from a backup" in told
    assert LATEST in told


def test_a_journal_that_ends_before_any_snapshot_is_refused():
    for damage in ({}, {LATEST: b"damaged, and once whole"}):
        content, _ = world(TAPE[: LATE - 1], EARLY)
        content[LATEST] = WORLD[LATEST]
        told = refused(content | damage)
        assert "damaged" in told or "synced" in told
    assert start(world(TAPE[: LATE - 1], EARLY)[0])[0] == STATES[LATE - 1]


def test_a_journal_that_ends_before_a_follower_is_refused():
    assert f"{LAST.sequence + 1} has been passed" in refused(WORLD, LAST.sequence + 1)
    assert start(WORLD, LAST.sequence)[0] == LAST


def other_tape() -> list[Batch]:
    """Return the same market in which one command was sent a nanosecond later."""
    commands = TAPE[1].commands.copy()
    commands["sent_at"][0] += 1
    return [TAPE[0], Batch(commands, TAPE[1].acts), *TAPE[2:]]


@pytest.mark.parametrize("checked", [reading.CHECKED_AGAIN_BYTES_MAX, 0])
def test_a_snapshot_of_another_journal_is_refused_with_a_remedy(checked, monkeypatch):
    monkeypatch.setattr(reading, "CHECKED_AGAIN_BYTES_MAX", checked)
    content, theirs = world(other_tape())
    assert [mark.position for mark in theirs.marks] == [mark.position for mark in MARKS]
    for frames, name in ((EARLY, EARLIER), (LATE, LATEST)):
        told = refused(content | {name: WORLD[name]})
        assert f"not as the snapshot of sequence {MARKS[frames].sequence} knows it" in told
        assert "take the snapshots away" in told
    ended, _ = world(other_tape()[:LATE])
    assert "knows it" in refused(ended | {LATEST: WORLD[LATEST]}), "also where no frame follows it"


# --- damage before, in and behind ----------------------------------------------------------------


def test_a_torn_end_is_cut_and_told():
    name = SEGMENTS[-1]
    end = MARKS[-1].position.offset
    state, _, told = start(WORLD | {name: WORLD[name][: end - 1].ljust(SEGMENT_BYTES, b"\0")})
    assert state == STATES[-2]
    assert told.startswith("Cut 20 commands")
    assert "ends at sequence" in refused(WORLD | {name: WORLD[name][: end - 1]}, LAST.sequence)


def check_truncated(step: int) -> None:
    """Cut the journal at bytes of its tail: what is recovered is the state behind the last whole frame."""
    for number, name in enumerate(SEGMENTS, start=1):
        if number < MARKS[LATE].position.segment:
            continue
        fewer = {other: data for other, data in WORLD.items() if other not in SEGMENTS[number - 1 :]}
        ends = {mark.position.offset for mark in MARKS if mark.position.segment == number}
        edges = {end + near for end in ends for near in (-1, 0, 1)} | {0, 1, SEGMENT_HEADER_BYTES}
        for length in sorted(edges | {*range(0, SEGMENT_BYTES, step)}):
            content = fewer | {name: WORLD[name][:length]}
            whole = [mark for mark in MARKS if mark.position <= (number, length)]
            if whole[-1].sequence < MARKS[LATE].sequence:
                refused(content)
            else:
                assert start(content)[0] == STATES[len(whole) - 1], (name, length)


def test_cut_anywhere_in_its_tail_the_state_is_right_or_it_is_refused():
    check_truncated(2_003)


@pytest.mark.slow
def test_cut_at_a_thousand_bytes_of_its_tail_the_state_is_right_or_it_is_refused():
    check_truncated(29)


@pytest.mark.nightly
def test_cut_at_every_byte_of_its_tail_the_state_is_right_or_it_is_refused():
    check_truncated(1)


def test_damage_before_the_snapshot_is_found_too():
    for name in HEAD:
        end = MARKS[LATE].position.offset if name == HEAD[-1] else SEGMENT_HEADER_BYTES + 1_000
        for byte in (0, 40, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 500, end - 1):
            assert "damaged" in refused(WORLD | {name: flipped(WORLD[name], byte)}), (name, byte)


def test_of_a_long_journal_headers_and_the_segment_of_the_snapshot_are_checked(monkeypatch):
    monkeypatch.setattr(reading, "CHECKED_AGAIN_BYTES_MAX", SEGMENT_BYTES)
    assert start(WORLD)[:2] == (LAST, len(TAPE) - LATE)
    for name in HEAD:
        assert "header does not match" in refused(WORLD | {name: flipped(WORLD[name], 40)})
    for name in HEAD[1:]:
        assert "the segment is missing" in refused(without(name))
        assert "another's name" in refused(WORLD | {name: WORLD[SEGMENTS[0]]})
    last = MARKS[LATE].position.offset - 1
    assert "damaged" in refused(WORLD | {HEAD[-1]: flipped(WORLD[HEAD[-1]], last)})
    unseen = WORLD | {HEAD[0]: flipped(WORLD[HEAD[0]], SEGMENT_HEADER_BYTES + 500)}
    assert start(unseen)[0] == LAST, "a start has no time for it; the proof of the whole journal has"


def test_damage_behind_the_snapshot_is_found():
    for name in SEGMENTS[len(HEAD) - 1 : -1]:
        begin = MARKS[LATE].position.offset if name == HEAD[-1] else SEGMENT_HEADER_BYTES
        end = max(mark.position.offset for mark in MARKS if f"{mark.position.segment:06d}.journal" == name)
        for byte in range(begin, end, 499):
            assert "damaged" in refused(WORLD | {name: flipped(WORLD[name], byte)}), (name, byte)


@pytest.mark.parametrize("name", HEAD)
def test_a_journal_whose_first_segments_were_let_go_is_recovered_from_its_snapshot(name):
    gone = HEAD[: HEAD.index(name)]
    assert start(without(*gone))[:2] == (LAST, len(TAPE) - LATE)
    assert start(without(*HEAD[:-1], EARLIER))[0] == LAST


def test_a_gap_among_the_segments_before_the_snapshot_is_found():
    assert len(HEAD) > 2
    assert "the segment is missing" in refused(without(HEAD[1]))


# --- followers -----------------------------------------------------------------------------------


def on_disk(tmp_path: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ("not_after", "frames"),
    [(None, LATE), (10**9, LATE), (MARKS[LATE].sequence - 1, EARLY), (MARKS[EARLY].sequence - 1, 0), (0, 0)],
)
def test_a_follower_begins_at_the_newest_snapshot_that_it_may_use(tmp_path, not_after, frames):
    folder = on_disk(tmp_path, WORLD)
    follower = Follower(folder, beginning(folder, folder, not_after))
    assert (follower.snapshot, follower.mark, follower.told) == (MARKS[frames].sequence, MARKS[frames], "")
    commit = Commit(LAST.sequence, MARKS[-1].position)
    assert len([*follower.advance(commit)]) == len(TAPE) - frames
    assert (state_of(follower.engine), follower.mark) == (LAST, MARKS[-1])


def test_a_follower_of_another_journal_is_told(tmp_path):
    theirs, _ = world(other_tape())
    folder = on_disk(tmp_path, theirs | {LATEST: WORLD[LATEST]})
    follower = Follower(folder, beginning(folder, folder))
    with pytest.raises(JournalDamaged, match="does not follow the one before it"):
        [*follower.advance(Commit(LAST.sequence, MARKS[-1].position))]


def test_a_follower_with_nothing_to_begin_at_is_told(tmp_path):
    folder = on_disk(tmp_path, without(SEGMENTS[0]))
    with pytest.raises(JournalDamaged, match=r"no snapshot up to sequence 9 can be used.*from a backup"):
        beginning(folder, folder, 9)
    with pytest.raises(JournalDamaged, match="first segments were let go"):
        Follower(folder)


# --- a whole life on a disk that fails -----------------------------------------------------------

LIFE = tape(3, 32, per_frame=8)


class Life:
    """Recovers, appends what is not journalled yet, rotates, takes a snapshot on the way and tidies up."""

    def __init__(self) -> None:
        self.answered = 0

    def run(self, disk: ModelDisk) -> None:
        engine, journal, _ = recover(FOLDER, FOLDER, self.answered, files=disk, segment_bytes=SEGMENT_BYTES)
        self.answered = max(self.answered, engine.sequence)
        try:
            for number, batch in enumerate(LIFE):
                if LIFE_TRUTH.marks[number].sequence < engine.sequence:
                    continue
                append(journal, engine, batch)
                self.answered = engine.sequence
                if number in {0, 2}:
                    prepare_spare(FOLDER, SEGMENT_BYTES, disk)
                if number in {1, 3}:
                    save(FOLDER, engine, journal.mark, disk)
                    kept = prune(FOLDER, 1, engine.sequence, disk)
                    assert kept.oldest is not None
                    let_go(FOLDER, kept.oldest, engine.sequence, 1, disk)
        finally:
            journal.close()


LIFE_TRUTH = world(LIFE)[1]


def calls_of_a_life() -> int:
    disk = ModelDisk()
    Life().run(disk)
    assert {"write", "sync", "rename", "sync folder", "unlink"} == set(disk.calls)
    assert sequences(FOLDER, disk) == [LIFE_TRUTH.marks[4].sequence]
    assert "000001.journal" not in disk.files
    return len(disk.calls)


def check_life(disk: ModelDisk, life: Life) -> None:
    """What was answered is there, at most one frame more, in the right state; and the life goes on."""
    engine, journal, _ = recover(FOLDER, FOLDER, life.answered, files=disk, segment_bytes=SEGMENT_BYTES)
    journal.close()
    assert state_of(engine) == LIFE_TRUTH.at(engine.sequence)
    assert newest(FOLDER, files=disk).told == ()
    life.run(disk)
    engine, journal, _ = recover(FOLDER, FOLDER, life.answered, files=disk, segment_bytes=SEGMENT_BYTES)
    journal.close()
    assert state_of(engine) == LIFE_TRUTH.states[-1]


def check_lives(every: int, seed: int) -> None:
    calls = calls_of_a_life()
    for call in range(seed % every, calls, every):
        disk, life = ModelDisk(), Life()
        disk.fail_at, disk.half = call, bool(call % 2)
        with pytest.raises((JournalFailed, OSError)):
            life.run(disk)
        check_life(disk, life)
        survives = [*survivors(seed + call)][call % 6]
        disk, life = ModelDisk(), Life()
        disk.crash_at = call
        with suppress(Crashed):
            life.run(disk)
        check_life(disk.after_crash(call % 3 == 0, survives), life)


def test_whichever_call_fails_the_venue_recovers_in_the_right_state(seed):
    check_lives(25, seed)


@pytest.mark.slow
def test_whichever_call_of_all_fails_the_venue_recovers_in_the_right_state(seed):
    check_lives(1, seed)
