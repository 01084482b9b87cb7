"""Snapshots: whole or not used, never half there whatever fails, and kept as long as they are needed."""

from __future__ import annotations

import random
import struct
from hashlib import sha256
from itertools import islice
from pathlib import Path

import pytest

from exchange import image
from exchange.engine import RULES_VERSION
from exchange.server import snapshots
from exchange.server.frames import Position
from exchange.server.journal import Mark
from exchange.server.snapshots import (
    DIGEST_BYTES,
    HEADER,
    SnapshotDamaged,
    SnapshotUnfit,
    load,
    newest,
    oldest,
    prune,
    save,
    sequences,
    snapshot_name,
)
from exchange.simulation.faulty_disk import Crashed, File, ModelDisk
from tests.journal.test_faults import nothing, survivors
from tests.journal.world import engine_after, state_of, tape

FOLDER = Path("snapshots")
BATCHES = tape(7, 40)
OLDER, NEWER = engine_after(BATCHES[:-1]), engine_after(BATCHES)
TRUTH = {engine.sequence: state_of(engine) for engine in (OLDER, NEWER)}


def mark_of(engine) -> Mark:
    return Mark(engine.sequence, engine.time, Position(3, 4_096), sha256(b"a frame").digest(), 9)


def contents(*engines) -> dict[str, bytes]:
    disk = ModelDisk()
    for engine in engines:
        save(FOLDER, engine, mark_of(engine), disk)
    return disk.content()


BOTH = contents(OLDER, NEWER)
NAME = snapshot_name(NEWER.sequence)
PATH = FOLDER / NAME
WHOLE = BOTH[NAME]


class OneFile(ModelDisk):
    """A disk with one file, whose bytes are not copied for each look."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__()
        self.files = {name: File()}
        self.files[name].seen = data  # type: ignore[assignment]


def refusal(data: bytes, name: str = NAME) -> str:
    """Return why a snapshot of these bytes is not used."""
    with pytest.raises((SnapshotDamaged, SnapshotUnfit)) as told:
        load(FOLDER / name, OneFile(name, data))
    assert name in str(told.value)
    return str(told.value)


# --- whole ---------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(tmp_path):
    path = save(tmp_path / "snapshots", NEWER, mark_of(NEWER))
    assert path.name == f"{NEWER.sequence:015d}.snapshot"
    begun = load(path)
    assert (state_of(begun.engine), begun.mark, begun.told) == (state_of(NEWER), mark_of(NEWER), ())
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o077 == 0, "it holds what members own"


def test_the_bytes_of_the_header_are_where_the_page_says_they_are():
    assert WHOLE[:8] == b"\x8aTBSNP\n\xff"
    assert struct.unpack_from("<IIQqQIIQQ", WHOLE, 8) == (
        1,
        RULES_VERSION,
        NEWER.sequence,
        NEWER.time,
        9,
        3,
        0,
        4_096,
        NEWER.state_hash(),
    )
    form, tables = struct.unpack_from("<QQ", WHOLE, 96)
    assert len(WHOLE) == 128 + form + tables + 32
    assert WHOLE[64:96] == sha256(b"a frame").digest()
    assert WHOLE[-32:] == sha256(WHOLE[:-32]).digest()


def test_the_newest_is_used_and_none_beyond_what_is_asked():
    disk = ModelDisk(BOTH)
    assert newest(FOLDER, files=disk).mark.sequence == NEWER.sequence
    assert newest(FOLDER, NEWER.sequence, disk).mark.sequence == NEWER.sequence
    assert newest(FOLDER, NEWER.sequence - 1, disk).mark.sequence == OLDER.sequence
    assert newest(FOLDER, OLDER.sequence - 1, disk).mark.sequence == 0
    assert oldest(FOLDER, disk).mark.sequence == OLDER.sequence
    assert disk.handles == {}


def test_where_there_is_none_a_replay_begins_at_the_beginning(tmp_path):
    begun = newest(tmp_path / "nowhere")
    assert (begun.mark.sequence, begun.engine.sequence, begun.told) == (0, 0, ())


# --- damaged -------------------------------------------------------------------------------------


def lengths(whole: int) -> list[int]:
    """Return every length within the header and the names, and near the end; of the rest one in 997."""
    form, _ = struct.unpack_from("<QQ", WHOLE, 96)
    return [*range(HEADER.size + form + 4_096), *range(0, whole, 997), *range(whole - 4_096, whole)]


def test_a_snapshot_cut_short_anywhere_is_refused():
    for length in lengths(len(WHOLE)):
        assert "damaged" in refusal(WHOLE[:length]), length
    assert "damaged" in refusal(WHOLE + b"\0")


def check_flips(seed: int, count: int) -> None:
    chance = random.Random(seed)
    data = bytearray(WHOLE)
    for _ in range(count):
        byte = chance.choice((chance.randrange(len(WHOLE)), chance.randrange(HEADER.size)))
        flip = chance.randrange(1, 256)
        data[byte] ^= flip
        refusal(bytes(data))
        data[byte] ^= flip


def test_a_snapshot_with_a_changed_byte_is_refused(seed):
    check_flips(seed, 200)


@pytest.mark.slow
def test_a_snapshot_with_any_changed_byte_is_refused(seed, scale):
    check_flips(seed, 5_000 * scale)


def test_stretches_that_were_not_written_are_seen(seed):
    chance = random.Random(seed)
    for _ in range(50):
        begin = chance.randrange(0, len(WHOLE), 512)
        data = bytearray(WHOLE)
        data[begin : begin + 512] = bytes(len(data[begin : begin + 512]))
        if data != WHOLE:
            refusal(bytes(data))


def resealed(data: bytearray) -> bytes:
    """Return a snapshot whose digest fits whatever was changed in it."""
    return bytes(data[:-DIGEST_BYTES]) + sha256(data[:-DIGEST_BYTES]).digest()


def test_a_state_that_is_not_the_one_named_is_refused_though_its_bytes_are_sound():
    """An open order's lots were changed, and the file sealed again."""
    engine = engine_after(BATCHES)
    engine.core.ledger.accounts[1]["available"] += 1
    disk = ModelDisk()
    save(FOLDER, engine, mark_of(engine), disk)
    data = bytearray(disk.content()[NAME])
    struct.pack_into("<Q", data, 56, NEWER.state_hash())
    assert "leads to another state" in refusal(resealed(data))


def test_a_snapshot_under_anothers_name_is_refused():
    other = snapshot_name(OLDER.sequence)
    assert f"it is of sequence {NEWER.sequence}, under another's name" in refusal(WHOLE, other)


@pytest.mark.parametrize(
    ("at", "what"), [(8, "its format is 99"), (12, "it is of rules version 99, and this program applies")]
)
def test_a_snapshot_of_another_program_is_not_used_and_not_called_damaged(at, what):
    data = bytearray(WHOLE)
    struct.pack_into("<I", data, at, 99)
    told = refusal(resealed(data))
    assert what in told
    assert "damaged" not in told


def test_a_snapshot_of_a_state_of_another_form_is_not_used(monkeypatch):
    monkeypatch.setattr(image, "types_digest", lambda: "another")
    assert "another form in this program" in refusal(WHOLE)


def test_a_damaged_one_is_told_and_left_and_the_one_before_it_is_used(seed):
    chance = random.Random(seed)
    for data in (b"", WHOLE[:-1], WHOLE[: chance.randrange(len(WHOLE))], b"?" + WHOLE[1:]):
        disk = ModelDisk(BOTH | {NAME: data})
        begun = newest(FOLDER, files=disk)
        assert state_of(begun.engine) == TRUTH[OLDER.sequence]
        assert len(begun.told) == 1
        assert NAME in begun.told[0]
        assert disk.content()[NAME] == data, "it is evidence"


def test_one_that_is_taken_away_meanwhile_is_passed_over():
    class Late(ModelDisk):
        def names(self, path):
            return [*super().names(path), snapshot_name(NEWER.sequence + 1)]

    begun = newest(FOLDER, files=Late(BOTH))
    assert (begun.mark.sequence, begun.told) == (NEWER.sequence, ())


# --- a disk that fails, a machine that dies ------------------------------------------------------


def save_newer(disk: ModelDisk) -> None:
    save(FOLDER, NEWER, mark_of(NEWER), disk)


def calls_of_a_save() -> int:
    disk = ModelDisk()
    save_newer(disk)
    assert disk.calls[-3:] == ["sync", "rename", "sync folder"]
    return len(disk.calls)


CALLS = range(calls_of_a_save())


def check(disk: ModelDisk, call: int) -> None:
    """The older snapshot is used, or the new one is there and right; and the next try succeeds."""
    begun = newest(FOLDER, files=disk)
    assert state_of(begun.engine) == TRUTH[begun.engine.sequence], call
    assert begun.told == (), "what has its name is whole"
    save_newer(disk)
    assert newest(FOLDER, files=disk).mark.sequence == NEWER.sequence
    assert snapshots.UNFINISHED not in disk.files
    assert disk.handles == {}


@pytest.mark.parametrize("half", [False, True])
def test_whichever_call_fails_no_snapshot_is_half_there(half):
    older = contents(OLDER)
    for call in CALLS:
        disk = ModelDisk(older)
        disk.fail_at, disk.half = call, half
        with pytest.raises(OSError, match="was told to fail"):
            save_newer(disk)
        assert disk.handles == {}
        check(disk, call)


def test_dying_before_any_call_leaves_no_snapshot_half_there(seed):
    older = contents(OLDER)
    for call in CALLS:
        for number, survives in enumerate(islice(survivors(seed), 0, None, 2)):
            disk = ModelDisk(older)
            disk.crash_at = call
            with pytest.raises(Crashed):
                save_newer(disk)
            check(disk.after_crash(names_too=bool(number % 2), survives=survives), call)


def test_a_snapshot_that_is_told_saved_outlives_the_machine():
    disk = ModelDisk()
    save_newer(disk)
    after = disk.after_crash(names_too=False, survives=nothing)
    assert state_of(newest(FOLDER, files=after).engine) == TRUTH[NEWER.sequence]


def test_these_tests_would_notice_a_sync_left_out():
    class NeverSyncs(ModelDisk):
        def sync(self, handle):
            self.turn("sync")

    disk = NeverSyncs(contents(OLDER))
    save_newer(disk)
    after = disk.after_crash(names_too=True, survives=nothing)
    assert newest(FOLDER, files=after).told != ()


# --- keeping -------------------------------------------------------------------------------------


def many(count: int) -> tuple[ModelDisk, list[int]]:
    """Return a disk with so many snapshots, and their sequences."""
    engines = [engine_after(BATCHES[:1])]
    for step in range(count - 1):
        engine = engine_after(BATCHES[:1])
        for at in range(step + 1):
            engine.apply(BATCHES[1].commands[at : at + 1], BATCHES[1].acts)
        engines.append(engine)
    disk = ModelDisk(contents(*engines))
    return disk, sequences(FOLDER, disk)


@pytest.fixture(scope="module")
def five() -> tuple[dict[str, bytes], list[int]]:
    disk, all_of = many(5)
    return disk.content(), all_of


def oldest_of(kept: snapshots.Kept) -> int:
    assert kept.oldest is not None
    return kept.oldest.sequence


def left(content, keep: int, passed_by_all: int) -> tuple[list[int], snapshots.Kept]:
    disk = ModelDisk(content)
    kept = prune(FOLDER, keep, passed_by_all, disk)
    assert disk.handles == {}
    return sequences(FOLDER, disk), kept


def test_the_newest_are_kept(five):
    content, all_of = five
    for keep in range(1, 6):
        there, kept = left(content, keep, all_of[-1])
        assert there == all_of[-keep:]
        assert (oldest_of(kept), kept.taken_away, kept.told) == (all_of[-keep], 5 - keep, ())
    assert left(content, 9, all_of[-1])[0] == all_of
    assert left(content, 0, all_of[-1])[0] == all_of[-1:], "never none"


def test_the_newest_that_every_follower_has_passed_is_kept_however_old(five):
    content, all_of = five
    assert left(content, 2, all_of[1])[0] == [all_of[1], *all_of[-2:]]
    assert left(content, 2, all_of[1] + 10**6)[0] == all_of[-2:]
    assert left(content, 1, all_of[0])[0] == [all_of[0], all_of[-1]]
    there, kept = left(content, 2, 0)
    assert (there, oldest_of(kept)) == (all_of[-2:], all_of[-2]), "nobody could begin there anyhow"


def test_a_damaged_one_is_not_counted_not_taken_away_and_told(five):
    content, all_of = five
    damaged = snapshot_name(all_of[3])
    there, kept = left(content | {damaged: content[damaged][:-1]}, 2, all_of[-1])
    assert there == [all_of[2], all_of[3], all_of[4]]
    assert oldest_of(kept) == all_of[2]
    assert [damaged in line for line in kept.told] == [True]


def test_what_another_program_made_goes_when_there_are_others(five, monkeypatch):
    content, all_of = five
    data = bytearray(content[snapshot_name(all_of[3])])
    struct.pack_into("<I", data, 12, RULES_VERSION - 1)
    there, kept = left(content | {snapshot_name(all_of[3]): resealed(data)}, 2, all_of[-1])
    assert (there, kept.told) == ([all_of[2], all_of[4]], ())
    monkeypatch.setattr(image, "types_digest", lambda: "another")
    there, kept = left(content, 2, all_of[-1])
    assert (there, kept.oldest) == (all_of, None)
    assert len(kept.told) == 5
