"""Damage is found everywhere, and named by sequence and byte; only a torn end is cut."""

from __future__ import annotations

import random
from itertools import islice, permutations, product

import pytest

from exchange.server import frames
from exchange.server.journal import (
    START,
    Journal,
    JournalDamaged,
    JournalTorn,
    Position,
    read_frames,
)
from exchange.simulation.faulty_disk import ModelDisk
from tests.journal.batches import FOLDER, Batch, append, batch_of, batches, read, write

SEGMENT_BYTES = 2_048
LONE = "000001.journal"
TODO = batches([1, 2, 1, 3])
LAST = TODO[-1].last


def begins(todo: list[Batch]) -> list[int]:
    """Return the byte at which each frame begins, in one segment, and where the last ends."""
    at = [START.offset]
    for batch in todo:
        at.append(at[-1] + batch.size)
    return at


def contents(todo: list[Batch], segment_bytes: int = SEGMENT_BYTES) -> dict[str, bytes]:
    disk = ModelDisk()
    write(disk, todo, segment_bytes)
    return disk.content()


SOUND = contents(TODO)
BEGINS = begins(TODO)
END = BEGINS[-1]


def recovered(content: dict[str, bytes], passed: int = 0) -> list[Batch] | None:
    """Return what an opened journal holds, None if it was refused; make sure that it can go on."""
    disk = ModelDisk(content)
    try:
        journal = Journal.open(FOLDER, passed, SEGMENT_BYTES, disk)
    except JournalDamaged:
        assert disk.content() == content, "a refused journal is evidence"
        assert disk.handles == {}
        return None
    found = read(disk)
    more = batches([2, 1], first=journal.sequence + 1)
    for batch in more:
        append(journal, batch)
    journal.close()
    assert read(disk) == found + more
    again = Journal.open(FOLDER, more[-1].last, SEGMENT_BYTES, disk)
    assert (again.frames, again.told) == (len(found) + len(more), "")
    assert all(len(data) == SEGMENT_BYTES for data in disk.content().values())
    return found


def whole_before(byte: int) -> int:
    """Return how many frames end at or before a byte."""
    return sum(end <= byte for end in BEGINS[1:])


# --- a journal cut short -------------------------------------------------------------------------


def test_truncated_at_every_byte_it_keeps_all_whole_frames():
    for length in range(SEGMENT_BYTES + 1):
        assert recovered({LONE: SOUND[LONE][:length]}) == TODO[: whole_before(length)], length


def test_truncated_at_every_byte_it_is_refused_if_a_follower_has_passed_more():
    for length in range(SEGMENT_BYTES + 1):
        whole = TODO[: whole_before(length)]
        passed = whole[-1].last if whole else 0
        content = {LONE: SOUND[LONE][:length]}
        assert recovered(content, passed) == whole
        assert passed == LAST or recovered(content, passed + 1) is None, length


def test_zeroed_from_every_byte_it_keeps_all_whole_frames():
    for length in range(START.offset, END):
        data = SOUND[LONE][:length].ljust(SEGMENT_BYTES, b"\0")
        whole = sum(data[:end] == SOUND[LONE][:end] for end in BEGINS[1:])
        assert recovered({LONE: data}) == TODO[:whole], length


@pytest.mark.parametrize("hole", [(0, 8), (8, 96), (96, 200), (200, 300), (480, 512)])
def test_a_frame_with_a_hole_where_a_sector_was_not_written_is_cut(hole):
    data = bytearray(SOUND[LONE])
    begin, end = (BEGINS[-2] + at for at in hole)
    data[begin:end] = bytes(end - begin)
    assert recovered({LONE: bytes(data)}) == TODO[:-1]


def test_what_was_cut_is_told_with_its_count():
    disk = ModelDisk({LONE: SOUND[LONE][: END - 40].ljust(SEGMENT_BYTES, b"\0")})
    journal = Journal.open(FOLDER, TODO[-2].last, SEGMENT_BYTES, disk)
    assert (journal.sequence, journal.cut) == (4, 3)
    assert journal.told == (
        "Cut 3 commands (sequence 5 to 7) from the end of 000001.journal, torn by a crash."
    )


def test_what_was_cut_is_told_without_its_count_if_that_is_lost():
    data = SOUND[LONE][: BEGINS[-2]] + b"?" + SOUND[LONE][BEGINS[-2] + 1 :]
    journal = Journal.open(FOLDER, 0, SEGMENT_BYTES, ModelDisk({LONE: data}))
    assert (journal.sequence, journal.cut) == (4, 0)
    assert "an unknown number of commands from sequence 5 on" in journal.told


def test_a_file_that_was_too_short_is_told():
    journal = Journal.open(FOLDER, LAST, SEGMENT_BYTES, ModelDisk({LONE: SOUND[LONE][:END]}))
    assert journal.told == "000001.journal was shorter than its 2048 bytes and is filled up again."


def test_what_is_cut_is_zeroed_and_synced_before_anything_is_appended():
    disk = ModelDisk({LONE: SOUND[LONE][: BEGINS[-2]].ljust(SEGMENT_BYTES, b"?")})
    Journal.open(FOLDER, 0, SEGMENT_BYTES, disk)
    file = disk.files[LONE]
    assert file.seen == file.platter == SOUND[LONE][: BEGINS[-2]].ljust(SEGMENT_BYTES, b"\0")
    assert not file.unsynced


def test_a_reader_gets_the_whole_frames_and_is_then_told():
    disk = ModelDisk({LONE: SOUND[LONE][: END - 1]})
    reading = map(batch_of, read_frames(FOLDER, files=disk))
    assert list(islice(reading, len(TODO) - 1)) == TODO[:-1]
    with pytest.raises(JournalTorn, match="cuts it at its next start") as told:
        next(reading)
    assert (told.value.sequence, told.value.byte, told.value.count) == (5, BEGINS[-2], 3)


def test_a_reader_within_what_was_synced_finds_damage_not_a_torn_end():
    disk = ModelDisk({LONE: SOUND[LONE][: END - 1].ljust(SEGMENT_BYTES, b"\0")})
    with pytest.raises(JournalDamaged, match="the venue has synced it") as told:
        list(read_frames(FOLDER, until=Position(1, END), files=disk))
    assert type(told.value) is JournalDamaged


@pytest.mark.parametrize("field", [32, 36])
def test_an_absurd_length_takes_no_memory(field):
    data = bytearray(SOUND[LONE])
    data[BEGINS[-2] + field : BEGINS[-2] + field + 4] = b"\xff" * 4
    disk = ModelDisk({LONE: bytes(data)})
    journal = Journal.open(FOLDER, 0, SEGMENT_BYTES, disk)
    assert (journal.sequence, journal.cut) == (4, 0)
    assert disk.read_most <= SEGMENT_BYTES


# --- bytes that changed --------------------------------------------------------------------------


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_found_or_cut_with_the_last_frame(flip):
    for byte in range(SEGMENT_BYTES):
        data = bytearray(SOUND[LONE])
        data[byte] ^= flip
        found = recovered({LONE: bytes(data)})
        if byte < BEGINS[-2]:
            assert found is None, byte
        elif byte < END:
            assert found in (None, TODO[:-1]), byte
        else:
            assert found == TODO, byte


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_changed_byte_that_a_follower_has_passed_is_refused_and_named(flip):
    for byte in range(END):
        data = bytearray(SOUND[LONE])
        data[byte] ^= flip
        with pytest.raises(JournalDamaged) as told:
            Journal.open(FOLDER, LAST, SEGMENT_BYTES, ModelDisk({LONE: bytes(data)}))
        frame = whole_before(byte)
        place = (TODO[frame].first, BEGINS[frame]) if byte >= START.offset else (1, 0)
        assert (told.value.sequence, told.value.byte) == place, byte
        assert told.value.segment == FOLDER / LONE
        assert all(str(part) in str(told.value) for part in (*place, LONE, told.value.what))
        assert str(told.value).endswith(told.value.remedy)


def test_every_changed_byte_of_an_earlier_segment_is_refused():
    content = contents(batches([3, 3, 3, 3, 3]), 1_200)
    names = sorted(content)
    assert len(names) == 3
    for name in names[:-1]:
        for byte in range(1_200):
            data = bytearray(content[name])
            data[byte] ^= 0x10
            disk = ModelDisk(content | {name: bytes(data)})
            with pytest.raises(JournalDamaged) as told:
                Journal.open(FOLDER, 0, 1_200, disk)
            assert told.value.segment == FOLDER / name


# --- frames taken out, put in, moved -------------------------------------------------------------

EQUAL = [batch._replace(acts=b"", state_hash=0) for batch in batches([2] * 6)]
PIECES = contents(EQUAL, 4_096)[LONE]
SIZE = EQUAL[0].size
FRAMES = [PIECES[START.offset + SIZE * n :][:SIZE] for n in range(len(EQUAL))]


def rejoined(pieces: list[bytes]) -> dict[str, bytes]:
    return {LONE: (PIECES[: START.offset] + b"".join(pieces)).ljust(4_096, b"\0")}


def refused(content: dict[str, bytes], passed: int = 0) -> JournalDamaged | None:
    disk = ModelDisk(content)
    try:
        Journal.open(FOLDER, passed, 4_096, disk)
    except JournalDamaged as told:
        return told
    return None


def test_deleted_frames_are_found():
    for number in range(len(FRAMES) - 1):
        told = refused(rejoined(FRAMES[:number] + FRAMES[number + 1 :]))
        assert told is not None
        assert told.sequence == EQUAL[number].first
    assert refused(rejoined(FRAMES[:-1])) is None, "no chain knows its end"
    assert refused(rejoined(FRAMES[:-1]), EQUAL[-1].last) is not None


def test_swapped_frames_are_found():
    for order in permutations(range(4)):
        if order != (0, 1, 2, 3):
            assert refused(rejoined([FRAMES[number] for number in order])) is not None, order


def test_doubled_frames_are_found():
    for number, place in product(range(len(FRAMES)), range(len(FRAMES) + 1)):
        inserted = [*FRAMES[:place], FRAMES[number], *FRAMES[place:]]
        assert refused(rejoined(inserted)) is not None, (number, place)
        if place < len(FRAMES) and place != number:
            copied = [*FRAMES[:place], FRAMES[number], *FRAMES[place + 1 :]]
            assert refused(rejoined(copied)) is not None, (number, place)


def test_zeroed_frames_are_found():
    for number in range(len(FRAMES)):
        content = rejoined([*FRAMES[:number], bytes(SIZE), *FRAMES[number + 1 :]])
        assert (refused(content) is None) == (number == len(FRAMES) - 1)
        assert refused(content, EQUAL[-1].last) is not None


def test_frames_of_another_journal_are_found():
    other = [batch._replace(time=batch.time + 1) for batch in EQUAL]
    theirs = contents(other, 4_096)[LONE]
    for number in range(1, len(FRAMES)):
        begin = START.offset + SIZE * number
        whole_tail = {LONE: PIECES[:begin] + theirs[begin:]}
        told = refused(whole_tail)
        assert told is not None
        assert (told.sequence, told.byte) == (EQUAL[number].first, begin)
        assert "does not follow" in told.what


def test_a_whole_frame_behind_damage_is_found_wherever_the_chunks_part(monkeypatch):
    damaged = {LONE: PIECES.replace(FRAMES[0][:8], b"no magic", 1)}
    for chunk_bytes in range(256, 400):
        monkeypatch.setattr(frames, "CHUNK_BYTES", chunk_bytes)
        told = refused(damaged)
        assert told is not None, chunk_bytes
        assert f"a whole frame stands at byte {START.offset + SIZE}" in told.what


def test_a_reader_that_knows_only_a_position_finds_a_frame_from_elsewhere():
    disk = ModelDisk(rejoined([FRAMES[0], FRAMES[2], *FRAMES[2:]]))
    position = Position(1, START.offset + SIZE)
    with pytest.raises(JournalDamaged, match=f"written for byte {position.offset + SIZE}"):
        list(read_frames(FOLDER, position, files=disk))


class GrowingDisk(ModelDisk):
    """A disk that a venue writes on: each read sees `step` bytes more than the one before."""

    def __init__(self, begin: int, step: int) -> None:
        super().__init__({LONE: PIECES})
        self.seen, self.step = begin, step

    def read(self, handle: int, count: int, offset: int) -> bytes:
        data = super().read(handle, count, offset)
        shown = data[: max(0, self.seen - offset)]
        self.seen += self.step
        return shown + bytes(len(data) - len(shown))


def test_what_a_running_venue_writes_meanwhile_is_no_damage():
    whole = list(read_frames(FOLDER, files=ModelDisk({LONE: PIECES})))
    for begin, step in product(range(START.offset, START.offset + 3 * SIZE, 13), (SIZE, SIZE // 3, 5 * SIZE)):
        found: list[frames.Frame] = []
        try:
            found.extend(read_frames(FOLDER, files=GrowingDisk(begin, step)))
        except JournalTorn:
            continue
        assert found == whole[: len(found)], (begin, step)


def test_a_torn_frame_with_more_behind_it_was_answered():
    """Neither of the last two frames is whole, but the second was begun: the first was synced."""
    data = bytearray(PIECES)
    for number in (-1, -2):
        data[START.offset + SIZE * (len(FRAMES) + number) + 200] ^= 1
    told = refused({LONE: bytes(data)})
    assert told is not None
    assert "more was written behind it" in told.what


# --- segments taken out, put in, moved -----------------------------------------------------------

SEGMENTED = batches([3, 3, 3, 3, 3, 3, 3])
SEGMENTS = contents(SEGMENTED, 1_200)
NAMES = sorted(SEGMENTS)
SYNCED = SEGMENTED[-1].last


def told_of(content: dict[str, bytes], passed: int = 0) -> str:
    told = refused(content, passed)
    return told.what if told else ""


def without(name: str) -> dict[str, bytes]:
    return {other: data for other, data in SEGMENTS.items() if other != name}


def test_there_are_segments_to_lose():
    assert [f"00000{number}.journal" for number in (1, 2, 3, 4)] == NAMES
    assert told_of(SEGMENTS, SYNCED) == ""


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_missing_segment_is_found(name):
    told = refused(without(name))
    assert told is not None
    assert told.segment == FOLDER / name
    assert told.what == "the segment is missing"


def test_a_missing_last_segment_is_found_if_a_follower_has_passed_it():
    assert told_of(without(NAMES[-1])) == ""
    assert told_of(without(NAMES[-1]), SYNCED) == "it ends at sequence 18, and 21 has been passed"
    assert told_of({}, SYNCED) == "it ends at sequence 0, and 21 has been passed"


@pytest.mark.parametrize("pair", list(permutations(NAMES, 2)))
def test_a_segment_in_anothers_place_is_found(pair):
    one, other = pair
    assert "under another's name" in told_of(SEGMENTS | {one: SEGMENTS[other]})
    swapped = SEGMENTS | {one: SEGMENTS[other], other: SEGMENTS[one]}
    assert "under another's name" in told_of(swapped)
    assert "under another's name" in told_of(SEGMENTS | {"000005.journal": SEGMENTS[one]})


@pytest.mark.parametrize("name", NAMES)
def test_a_zeroed_segment_is_found(name):
    assert "header does not match" in told_of(SEGMENTS | {name: bytes(1_200)})


@pytest.mark.parametrize("name", NAMES[:-1])
def test_an_emptied_segment_is_found(name):
    assert "a later segment was written" in told_of(SEGMENTS | {name: b""})


@pytest.mark.parametrize("length", [0, 1, 127])
def test_a_last_segment_that_never_began_is_taken_away(length):
    begun = SEGMENTS | {"000005.journal": SEGMENTS[NAMES[0]][:length]}
    disk = ModelDisk(begun)
    journal = Journal.open(FOLDER, SYNCED, 1_200, disk)
    assert sorted(disk.files) == NAMES
    assert "from the end of 000005.journal" in journal.told
    append(journal, batches([3, 3, 3], first=SYNCED + 1)[0])
    assert Journal.open(FOLDER, SYNCED + 3, 1_200, ModelDisk(disk.content())).sequence == SYNCED + 3


def test_a_segment_of_another_journal_is_found():
    theirs = contents([batch._replace(time=1) for batch in SEGMENTED], 1_200)
    fewer = contents(batches([3, 2, 3, 3, 3, 3, 3]), 1_200)
    for name in NAMES[1:]:
        assert "does not follow" in told_of(SEGMENTS | {name: theirs[name]})
        assert "carries on after sequence" in told_of(SEGMENTS | {name: fewer[name]})


def test_a_reader_that_knows_only_a_position_believes_the_segments_header():
    theirs = contents([batch._replace(time=1) for batch in SEGMENTED], 1_200)
    mixed = SEGMENTS[NAMES[1]][: START.offset] + theirs[NAMES[1]][START.offset :]
    disk = ModelDisk(SEGMENTS | {NAMES[1]: mixed})
    with pytest.raises(JournalDamaged, match="does not follow the one before it"):
        list(read_frames(FOLDER, Position(2, START.offset), files=disk))


def test_a_shorter_earlier_segment_is_no_harm_if_it_lost_only_zeros():
    name = NAMES[0]
    reading = read_frames(FOLDER, files=ModelDisk(SEGMENTS))
    end = max(frame.end.offset for frame in reading if frame.end.segment == 1)
    assert told_of(SEGMENTS | {name: SEGMENTS[name][:end]}, SYNCED) == ""
    assert "longer than what is there" in told_of(SEGMENTS | {name: SEGMENTS[name][: end - 1]})


def test_a_format_of_the_future_is_told(monkeypatch):
    monkeypatch.setattr(frames, "FORMAT", 2)
    future = contents(TODO)
    monkeypatch.undo()
    told = refused(future)
    assert told is not None
    assert told.what == "its format is 2, and this program reads 1"
    assert told.remedy == "Use the program that wrote it."


# --- chance --------------------------------------------------------------------------------------


def test_random_damage_never_lets_a_passed_command_go(seed, scale):
    """Flipped bits, zeroed, copied and swapped stretches: refused, or every command still there."""
    chance = random.Random(seed)
    for _ in range(2_000 * scale):
        content = {name: bytearray(data) for name, data in SEGMENTS.items()}
        for _ in range(chance.randint(1, 3)):
            name, other = chance.choice(NAMES), chance.choice(NAMES)
            length = chance.choice([1, 8, 128, 400])
            at, source = (chance.randrange(1_200 - length) for _ in range(2))
            match chance.randrange(4):
                case 0:
                    content[name][at] ^= 1 << chance.randrange(8)
                case 1:
                    content[name][at : at + length] = bytes(length)
                case 2:
                    content[name][at : at + length] = content[other][source : source + length]
                case 3:
                    content[name], content[other] = content[other], content[name]
        damaged = {name: bytes(data) for name, data in content.items()}
        disk = ModelDisk(damaged)
        try:
            Journal.open(FOLDER, SYNCED, 1_200, disk)
        except JournalDamaged:
            assert damaged != SEGMENTS
        else:
            assert read(disk) == SEGMENTED
