"""Records and frames flipped, deleted, swapped, doubled, zeroed by the thousand: every one is found."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from exchange.server.frames import (
    COMMAND_BYTES,
    FRAME_HEADER,
    SEGMENT_HEADER_BYTES,
    Position,
)
from exchange.server.journal import Journal, JournalDamaged
from exchange.simulation.faulty_disk import ModelDisk
from tests.journal.batches import FOLDER, batches, read, write

SEGMENT_BYTES = 2_400
TODO = batches([3, 1, 4, 1, 5, 2, 6, 2, 3, 1, 4, 2])
LAST = TODO[-1].last
MUTATIONS = 100_000

Places = list[tuple[str, int, int]]
"""Stretches of the journal: the segment, where they begin, how long they are."""


def written() -> tuple[dict[str, bytes], Places, Places]:
    """Return a journal, where its frames lie, and where its commands do."""
    disk = ModelDisk()
    write(disk, TODO, SEGMENT_BYTES)
    frames, commands = [], []
    end = Position(1, SEGMENT_HEADER_BYTES)
    journal = disk.content()
    for batch in TODO:
        begin = end.offset
        if begin + batch.size > SEGMENT_BYTES:
            end = Position(end.segment + 1, SEGMENT_HEADER_BYTES)
            begin = end.offset
        name = f"{end.segment:06d}.journal"
        frames.append((name, begin, batch.size))
        first = begin + FRAME_HEADER.size
        commands += [(name, first + COMMAND_BYTES * at, COMMAND_BYTES) for at in range(batch.count)]
        end = Position(end.segment, begin + batch.size)
    return journal, frames, commands


SOUND, FRAMES, COMMANDS = written()

Journalled = dict[str, bytearray]
Mutation = Callable[[random.Random, Journalled, Places], None]


def flip(chance: random.Random, journal: Journalled, places: Places) -> None:
    """Change bits of one byte."""
    name, begin, length = chance.choice(places)
    journal[name][begin + chance.randrange(length)] ^= chance.randrange(1, 256)


def zero(chance: random.Random, journal: Journalled, places: Places) -> None:
    name, begin, length = chance.choice(places)
    journal[name][begin : begin + length] = bytes(length)


def delete(chance: random.Random, journal: Journalled, places: Places) -> None:
    """Take one out; what follows moves up."""
    name, begin, length = chance.choice(places)
    del journal[name][begin : begin + length]
    journal[name] += bytes(length)


def double(chance: random.Random, journal: Journalled, places: Places) -> None:
    """Put one in a second time; what follows moves down."""
    name, begin, length = chance.choice(places)
    copy = journal[name][begin : begin + length]
    _, place, _ = chance.choice([one for one in places if one[0] == name])
    journal[name][place:place] = copy
    del journal[name][SEGMENT_BYTES:]


def swap(chance: random.Random, journal: Journalled, places: Places) -> None:
    """Let two change places; where their lengths differ, what is between them moves."""
    one, other = chance.sample(places, 2)
    pieces = [bytes(journal[name][begin : begin + length]) for name, begin, length in (one, other)]
    for (name, begin, length), piece in sorted(
        zip((one, other), reversed(pieces), strict=True), key=lambda pair: pair[0], reverse=True
    ):
        journal[name][begin : begin + length] = piece
        journal[name] = journal[name][:SEGMENT_BYTES].ljust(SEGMENT_BYTES, b"\0")


def overwrite(chance: random.Random, journal: Journalled, places: Places) -> None:
    """Write one over another, as far as it reaches."""
    (name, begin, length), (place, at, room) = chance.sample(places, 2)
    reach = min(length, room)
    journal[place][at : at + reach] = journal[name][begin : begin + reach]


SORTS: tuple[Mutation, ...] = (flip, zero, delete, double, swap, overwrite)


def is_found(content: dict[str, bytes], passed: int) -> bool:
    """Tell whether a journal is refused, or what is behind its end is cut and told.

    What is refused is not touched, and what is not refused has all but at most its last frame.
    """
    disk = ModelDisk(content)
    try:
        journal = Journal.open(FOLDER, passed, SEGMENT_BYTES, disk)
    except JournalDamaged:
        assert disk.content() == content
        assert disk.handles == {}
        return True
    journal.close()
    assert read(disk) in ((TODO,) if passed else (TODO, TODO[:-1]))
    return journal.told != ""


def check(seed: int, count: int) -> None:
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    while done.total() < count:
        sort, places = chance.choice(SORTS), chance.choice((FRAMES, COMMANDS))
        journal = {name: bytearray(data) for name, data in SOUND.items()}
        sort(chance, journal, places)
        content = {name: bytes(data) for name, data in journal.items()}
        if content == SOUND:
            continue
        done[f"{sort.__name__} {'frame' if places is FRAMES else 'command'}"] += 1
        is_found(content, 0)  # without a follower's word nobody knows of a last frame that is gone
        if not is_found(content, LAST):
            pytest.fail(f"{sort.__name__}, number {done.total()}, was not found")
    assert len(done) == 2 * len(SORTS)


def test_a_sound_journal_is_not_refused():
    assert not is_found(SOUND, LAST)
    assert len(SOUND) > 2
    for name, begin, length in COMMANDS:
        assert len(SOUND[name][begin : begin + length]) == COMMAND_BYTES
    assert all(SOUND[name][begin : begin + 8] == b"\x8aTBFRM\n\xff" for name, begin, _ in FRAMES)


def test_ten_thousand_mutations_are_found(seed, scale):
    check(seed, MUTATIONS // 10 * scale)


@pytest.mark.slow
def test_a_hundred_thousand_mutations_are_found(seed, scale):
    check(seed + 1, MUTATIONS * scale)
