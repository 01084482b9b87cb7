"""Merkle roots and proofs over a journal are those of RFC 6962; neither checker takes a false one."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from datetime import date
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.protocol.acts import BlockMember, SignedAct, encode_acts
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.server import merkle
from exchange.server.journal import Journal, JournalDamaged
from exchange.server.merkle import NotInJournal, Tree, digest_of, faults_of, prove, root_from, roots
from matching.vocabulary import CommandKind
from settlement.terms import midnight_ns

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
CHECKER = Path(__file__).resolve().parents[2] / "docs" / "examples" / "check_proof.py"
WHY = SignedAct("OPERATOR", "runs wild", BlockMember("ANN", blocked=True))


def tree_hash(digests: list[bytes]) -> bytes:
    """The Merkle tree hash, word by word as RFC 6962, section 2.1, has it."""
    if len(digests) == 1:
        return digests[0]
    k = 1
    while k * 2 < len(digests):
        k *= 2
    return sha256(b"\x01" + tree_hash(digests[:k]) + tree_hash(digests[k:])).digest()


def digests(count: int) -> list[bytes]:
    return [digest_of(struct.pack("<q", at)) for at in range(count)]


def batch(count: int, *, with_act: bool = False) -> list[bytes]:
    rows = [Command(CommandKind.NEW, client_id=b"order-1", quantity=at + 1) for at in range(count)]
    if with_act:
        rows[-1] = Command(CommandKind.ACT, act=0)
    return [COMMAND_STRUCT.pack(*row) for row in rows]


def append(journal: Journal, day: date, count: int, acts: tuple[SignedAct, ...] = ()) -> None:
    rows = b"".join(batch(count, with_act=bool(acts)))
    journal.append(midnight_ns(day) + journal.sequence, rows, encode_acts(acts) if acts else b"", count)


@pytest.fixture
def journal(tmp_path):
    """Two days: Monday with 3 + 4 commands, whose last is an act; Tuesday with 5."""
    folder = tmp_path / "venue" / "journal"
    folder.mkdir(parents=True)
    log = Journal.open(folder, segment_bytes=1 << 16)
    append(log, MONDAY, 3)
    append(log, MONDAY, 4, (WHY,))
    append(log, TUESDAY, 5)
    log.close()
    return folder


@pytest.fixture
def proof(journal):
    return prove(journal, 7, [])


# --- the tree ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 40])
def test_root_and_every_path_are_those_of_rfc_6962(count, monkeypatch):
    monkeypatch.setattr(merkle, "BLOCK", 8)
    leaves = digests(count)
    for wanted in range(count):
        tree = Tree(wanted)
        for leaf in leaves:
            tree.add(leaf)
        assert tree.root() == tree_hash(leaves)
        assert root_from(leaves[wanted], wanted, count, tree.path) == tree_hash(leaves)


def test_a_leaf_proves_itself_at_its_own_place_only():
    leaves = digests(11)
    tree = Tree(4)
    tree.add(b"".join(leaves))
    root = tree.root()
    places = [at for at in range(11) if root_from(leaves[4], at, 11, tree.path) == root]
    assert places == [4]
    assert root_from(leaves[5], 4, 11, tree.path) != root
    assert root_from(leaves[4], 4, 11, tree.path[:-1]) is None
    assert root_from(leaves[4], 4, 11, [*tree.path, root]) is None


# --- roots of days -------------------------------------------------------------------------------


def test_each_day_has_its_sequences_its_head_and_the_root_of_its_leaves(journal):
    monday, tuesday = roots(journal, [])
    assert (monday.day, monday.first, monday.last, monday.frames) == (MONDAY, 1, 7, 2)
    assert (tuesday.day, tuesday.first, tuesday.last, tuesday.frames) == (TUESDAY, 8, 12, 1)
    assert (monday.is_final, tuesday.is_final) == (True, False)
    assert roots(journal, [], TUESDAY) == [tuesday]
    frames = list(merkle.frames_there(journal, []))
    assert [monday.head, tuesday.head] == [frames[1].digest.hex(), frames[2].digest.hex()]


def test_a_leaf_is_laid_out_as_the_manual_says(journal):
    monday, _ = roots(journal, [])
    rows = [*batch(3), *batch(4, with_act=True)]
    leaves = []
    for at, row in enumerate(rows):
        time = midnight_ns(MONDAY) + (0 if at < 3 else 3)
        act = msgspec.msgpack.encode(WHY) if at == 6 else b""
        leaves.append(struct.pack("<qq", at + 1, time) + row + act)
    assert monday.root == tree_hash([digest_of(leaf) for leaf in leaves]).hex()


def test_a_changed_byte_of_the_journal_gives_no_root(journal):
    path = journal / "000001.journal"
    data = bytearray(path.read_bytes())
    data[128 + 96 + 10] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="sequence 1"):
        roots(journal, [])


def test_a_frame_that_is_on_its_way_is_told_and_left_out(journal):
    path = journal / "000001.journal"
    data = bytearray(path.read_bytes())
    last = list(merkle.frames_there(journal, []))[-1]
    data[last.end.offset - 40] ^= 1
    path.write_bytes(data)
    told: list[str] = []
    assert [one.day for one in roots(journal, told)] == [MONDAY]
    assert "not whole yet" in told[0]


def test_what_is_not_there_is_named(journal):
    with pytest.raises(NotInJournal, match=r"sequence 13: the journal has 1 to 12"):
        prove(journal, 13, [])
    with pytest.raises(NotInJournal, match="2026-11-25"):
        roots(journal, [], date(2026, 11, 25))


# --- proofs --------------------------------------------------------------------------------------


def test_a_proof_holds_against_its_days_root_and_tells_the_act(journal, proof):
    monday, tuesday = roots(journal, [])
    assert faults_of(proof, monday.root) == []
    assert proof.entry["act"] == msgspec.to_builtins(WHY)
    assert faults_of(proof, tuesday.root) == [
        f"path: it does not lead from the leaf to the root {tuesday.root}"
    ]


def test_every_command_of_both_days_is_proven(journal):
    by_day = {one.day: one.root for one in roots(journal, [])}
    for sequence in range(1, 13):
        one = prove(journal, sequence, [])
        assert faults_of(one, by_day[one.day]) == []


def spoilt(text: str, at: int) -> str:
    digit = "0" if text[at] != "0" else "1"
    return text[:at] + digit + text[at + 1 :]


DAMAGE = {
    "another quantity in the leaf": lambda one: {"leaf": spoilt(one.leaf, 2 * (16 + 48))},
    "another sequence in the leaf": lambda one: {"leaf": spoilt(one.leaf, 1)},
    "another sequence beside it": lambda _: {"sequence": 6},
    "another digest on the path": lambda one: {"path": (spoilt(one.path[0], 5), *one.path[1:])},
    "a digest missing": lambda one: {"path": one.path[:-1]},
    "another place": lambda _: {"index": 5},
    "more leaves": lambda _: {"leaves": 9},
    "another day": lambda _: {"day": TUESDAY},
    "other words": lambda one: {"entry": one.entry | {"quantity": 4_000}},
    "no hexadecimal": lambda _: {"leaf": "xyz"},
    "a short leaf": lambda _: {"leaf": "00"},
    "another format": lambda _: {"format": "2"},
    "another root beside it": lambda _: {"root": "00" * 32},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_proof_does_not_hold(damage, proof):
    assert faults_of(msgspec.structs.replace(proof, **damage(proof)), proof.root) != []


def test_a_leaf_whose_act_cannot_be_read_is_a_fault_and_no_exception(proof):
    leaf = bytes.fromhex(proof.leaf) + b"\xc1"
    root = digest_of(leaf).hex()
    forged = {"leaf": leaf.hex(), "root": root, "path": (), "index": 0, "leaves": 1}
    (fault,) = faults_of(msgspec.structs.replace(proof, **forged), root)
    assert fault.startswith("leaf: its act cannot be read")


# --- the command line, and the second checker ----------------------------------------------------


def run(*words: object):
    return CliRunner().invoke(bourse, [str(word) for word in words])


def test_root_prove_and_check_from_the_command_line(journal, tmp_path):
    venue, out = journal.parent, tmp_path / "proof.json"
    told = json.loads(run("audit", "root", venue, "--json").output)
    root = told["days"][0]["root"]
    assert f"root {root}" in run("audit", "root", venue, "--day", MONDAY).output
    assert "command 6 of 7 of 2026-11-23" in run("audit", "prove", venue, 6, "--out", out).output
    good = run("audit", "check", out, "--root", root)
    assert (good.exit_code, good.output.splitlines()[-1]) == (0, "sequence 6 of 2026-11-23: the proof holds")
    bad = run("audit", "check", out, "--root", told["days"][1]["root"], "--json")
    assert (bad.exit_code, json.loads(bad.output)["ok"]) == (4, False)
    assert "--force" in run("audit", "prove", venue, 5, "--out", out).output
    assert json.loads(out.read_bytes())["sequence"] == 6, "what was there is left"
    assert run("audit", "prove", venue, 99, "--out", out, "--force").exit_code == 2
    out.write_text("{}")
    assert run("audit", "check", out, "--root", root).exit_code == 4


@pytest.mark.parametrize("field", ["", "leaf", "sequence", "index", "path"])
def test_thirty_lines_of_plain_python_agree(field, proof, tmp_path):
    path, written = tmp_path / "proof.json", msgspec.to_builtins(proof)
    spoil = {"leaf": spoilt(proof.leaf, 200), "sequence": 3, "index": 2, "path": proof.path[1:]}
    if field:
        written[field] = spoil[field]
    path.write_bytes(msgspec.json.encode(written))
    words = [sys.executable, "-I", "-S", str(CHECKER), str(path), proof.root]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (4 if field else 0, "")
    assert done.stdout.splitlines()[-1] == ("the proof does NOT hold" if field else "the proof holds")
