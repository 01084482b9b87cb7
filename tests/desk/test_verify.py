"""Damage planted in a venue's folder is found and named, each with its sequence, and nothing else is."""

from __future__ import annotations

import json
import random
import re
import shutil
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.engine import Engine
from exchange.protocol.arrays import COMMAND
from exchange.server.audit import verify
from exchange.server.folder import Folder
from exchange.server.frames import Frame
from exchange.server.journal import Journal
from exchange.server.replay import apply_frame
from exchange.server.security import SecurityLog
from matching.vocabulary import CommandKind
from settlement.history import HistoryWriter
from settlement.store import Store
from tests.desk.stopped_venue import frames_of, rewritten, stopped_venue


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return stopped_venue(tmp_path_factory.mktemp("verify") / "venue")


@pytest.fixture
def copy(whole, tmp_path):
    """Return a copy as an auditor has it: without the keys."""
    shutil.copytree(whole.root, tmp_path / "copy", ignore=shutil.ignore_patterns("keys"))
    return Folder(tmp_path / "copy")


def begin_of(frame: Frame) -> int:
    return frame.end.offset - frame.size


def segment(folder: Folder) -> Path:
    (path,) = sorted(folder.journal.glob("*.journal"))[:1]
    return path


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def named(folder: Folder) -> str:
    """Return the one thing that is wrong."""
    verdict = verify(folder)
    assert not verdict.ok
    assert len(verdict.differences) == 1, verdict.differences
    return verdict.differences[0]


def test_a_copy_without_keys_holds(copy):
    verdict = verify(copy)
    assert (verdict.differences, verdict.told) == ([], [])
    assert not copy.keys.exists()


# --- the journal -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_named_with_its_sequence_and_byte(copy, seed):
    chance = random.Random(seed)
    frame = chance.choice(frames_of(copy.journal)[:-1])
    at = begin_of(frame) + chance.randrange(frame.size)
    byte = segment(copy).read_bytes()[at]
    overwrite(segment(copy), at, bytes([byte ^ 1 << chance.randrange(8)]))
    place = f"at sequence {frame.first}, byte {begin_of(frame)} of {segment(copy)}"
    assert place in named(copy)


def test_swapped_frames_are_named(copy):
    frames = frames_of(copy.journal)
    one, other = next((a, b) for a, b in pairwise(frames[5:]) if a.size == b.size)
    data = segment(copy).read_bytes()
    first, second = (data[begin_of(frame) : frame.end.offset] for frame in (one, other))
    overwrite(segment(copy), begin_of(one), second + first)
    assert f"at sequence {one.first}, byte {begin_of(one)} of" in named(copy)


def test_a_deleted_frame_is_named(copy):
    frames = frames_of(copy.journal)
    gone = frames[10]
    data = segment(copy).read_bytes()
    overwrite(segment(copy), begin_of(gone), data[gone.end.offset :] + bytes(gone.size))
    assert f"at sequence {gone.first}, byte {begin_of(gone)} of" in named(copy)


def test_a_cut_end_is_named_by_the_store_that_has_it(copy):
    frames = frames_of(copy.journal)
    overwrite(segment(copy), begin_of(frames[-2]), bytes(frames[-2].size + frames[-1].size))
    assert f"watermark {frames[-1].last} is the end of no frame of the journal" in named(copy)


def test_a_segment_that_is_gone_is_named(copy):
    segment(copy).unlink()
    assert not verify(copy).ok


# --- content that is sealed anew, so that only a replay finds it -------------------------------------


def sealed_anew(whole: Folder, tmp_path: Path, field: str, value: int) -> tuple[Folder, int]:
    """Return a copy without store and snapshot, in which one order was changed and all digests are right."""
    folder = Folder(tmp_path / "forged")
    shutil.copytree(whole.root, folder.root, ignore=shutil.ignore_patterns("journal", "settle*", "snapshots"))
    orders = [
        frame.first + at
        for frame in frames_of(whole.journal)
        for at, row in enumerate(np.frombuffer(frame.commands, COMMAND))
        if row["kind"] == CommandKind.NEW
    ]

    def change(sequence: int, row: np.ndarray) -> None:
        if sequence == orders[4]:
            row[field] = value

    rewritten(whole.journal, folder.journal, change)
    return folder, orders[4]


def test_a_forged_order_is_found_where_the_journal_carries_the_next_state_hash(whole, tmp_path):
    folder, forged = sealed_anew(whole, tmp_path, "quantity", 9)
    states = {}
    engine_frames = frames_of(whole.journal)
    engine = Engine()
    for frame in engine_frames:
        states[frame.first] = engine.state_hash()
        apply_frame(engine, frame)
    check = next(frame for frame in engine_frames if frame.first > forged + 5)
    frames = frames_of(folder.journal)
    shutil.rmtree(folder.journal)
    folder.journal.mkdir()
    journal = Journal.open(folder.journal, rules_version=frames[0].rules_version)
    for frame in frames:
        state_hash = states[frame.first] if frame.first == check.first else frame.state_hash
        journal.append(frame.time, bytes(frame.commands), frame.acts, frame.count, state_hash)
    journal.close()
    told = named(folder)
    assert f"state differs before sequence {check.first}" in told
    assert f"(its frame begins at byte {begin_of(check)} of {segment(folder)})" in told


def test_what_no_sequencer_writes_is_named_and_stops_nothing_else(whole, tmp_path):
    folder, forged = sealed_anew(whole, tmp_path, "kind", CommandKind.ACT)
    told = named(folder)
    assert re.search(r"sequence \d+ cannot be applied", told)
    frame = next(frame for frame in frames_of(folder.journal) if frame.last >= forged)
    assert f"(its frame begins at byte {begin_of(frame)} of" in told


def test_a_forged_order_is_found_by_the_store_and_the_snapshot(whole, copy, tmp_path):
    folder, _ = sealed_anew(whole, tmp_path, "quantity", 9)
    for name in ("settlement.duckdb", "snapshots"):
        source = copy.root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder.root / name)
    verdict = verify(folder)
    assert any(line.startswith("orders:") for line in verdict.differences)
    assert any("it was taken of another journal" in line for line in verdict.differences)


# --- the store ---------------------------------------------------------------------------------------


def tamper(folder: Folder, statement: str) -> None:
    with duckdb.connect(str(folder.settlement)) as connection:
        connection.execute(statement)


def test_a_changed_amount_is_named_with_its_sequence(copy):
    tamper(
        copy,
        "update base.postings set amount = amount + 1 where rowid = (select max(rowid) from base.postings)",
    )
    with duckdb.connect(str(copy.settlement)) as connection:
        ((sequence,),) = connection.execute(
            "select sequence from base.postings order by rowid desc limit 1"
        ).fetchall()
    told = named(copy)
    assert told.startswith("postings: 1 rows only in the first store")
    assert f"sequence {sequence}," in told


def test_a_deleted_trade_is_named_with_its_sequence(copy):
    with duckdb.connect(str(copy.settlement)) as connection:
        ((sequence,),) = connection.execute("select sequence from base.trades where trade = 3").fetchall()
    tamper(copy, "delete from base.trades where trade = 3")
    told = verify(copy).differences
    (line,) = [line for line in told if line.startswith("trades:")]
    assert "1 rows only in the second store, the first with trade 3" in line
    assert f"sequence {sequence}," in line


def test_a_large_view_is_compared_by_pieces_and_names_the_first_row(copy, monkeypatch):
    monkeypatch.setattr("settlement.compare.SIDE_BY_SIDE_ROWS_MAX", 10)
    monkeypatch.setattr("settlement.compare.PIECE_COMMANDS", 20)
    test_a_changed_amount_is_named_with_its_sequence(copy)


# --- snapshots ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_bit_of_a_snapshot_is_named_with_its_sequence(copy, seed):
    (path,) = copy.snapshots.iterdir()
    data = path.read_bytes()
    at = random.Random(seed).randrange(len(data))
    overwrite(path, at, bytes([data[at] ^ 4]))
    told = named(copy)
    assert f"sequence {int(path.name.partition('.')[0])}:" in told
    assert str(path) in told


def test_a_snapshot_that_the_journal_does_not_reach_is_named(copy):
    (path,) = copy.snapshots.iterdir()
    path.rename(path.with_name("000000000099999.snapshot"))
    assert "99999" in named(copy)


# --- history -----------------------------------------------------------------------------------------


def test_a_changed_file_of_history_is_named(copy):
    store = Store.open(copy.settlement)
    HistoryWriter(store, copy.history).run()
    store.close()
    assert verify(copy).ok
    (path,) = copy.history.glob("public/trades/day=*/data.parquet")
    pq.write_table(pq.read_table(path, partitioning=None).slice(1), path)
    told = named(copy)
    assert told.startswith("history: public/trades/day=")


# --- the command -------------------------------------------------------------------------------------


def test_verify_ends_in_one_line_and_exit_code_4(copy):
    right = CliRunner().invoke(bourse, ["verify", str(copy.root)])
    assert (right.exit_code, right.stdout.count("\n")) == (0, 1)
    assert right.stdout.endswith("the log holds\n")
    frame = frames_of(copy.journal)[7]
    overwrite(segment(copy), begin_of(frame) + 100, b"\xff")
    wrong = CliRunner().invoke(bourse, ["verify", str(copy.root), "--json"])
    told = json.loads(wrong.stdout)
    assert (wrong.exit_code, told["ok"]) == (4, False)
    assert f"at sequence {frame.first}," in told["differences"][0]


def test_a_changed_line_of_the_security_log_is_found(copy):
    log = SecurityLog(copy.security, lambda: 1_800_000_000 * 10**9, lambda: (5, 0))
    log.note("venue_started")
    log.note("session_begun", "ANN")
    log.close()
    assert verify(copy).ok
    (path,) = copy.security.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"venue_started", b"venue_stopped"))
    assert "the security log does not hold at line 2" in named(copy)
