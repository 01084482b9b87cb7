"""Two logs are laid side by side: the first command in which they part is found, and nothing else."""

from __future__ import annotations

import json
import random

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.protocol.acts import decode_acts, encode_acts
from exchange.server.journal import Journal
from exchange.server.parting import part
from matching.vocabulary import CommandKind
from tests.desk.stopped_venue import frames_of, rewritten, stopped_venue


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    return stopped_venue(tmp_path_factory.mktemp("diff") / "venue", snapshot=False, store=False)


def run(*words: object):
    return CliRunner().invoke(bourse, ["diff", *map(str, words)])


def everywhere(frame):
    return range(frame.first, frame.last)


def test_a_log_equals_itself_however_it_is_cut(venue, tmp_path):
    other = rewritten(venue.journal, tmp_path / "other", cut=everywhere)
    assert len(frames_of(other)) > len(frames_of(venue.journal))
    found = part(venue.root, other)
    assert found.is_equal
    assert found.states[0] == found.states[1] is not None
    result = run(venue.root, other)
    assert result.exit_code == 0
    assert "equal up to sequence" in result.stdout


@pytest.mark.parametrize("seed", range(4))
def test_the_first_changed_field_is_named_wherever_it_is(venue, tmp_path, seed):
    chance = random.Random(seed)
    orders = [
        frame.first + at
        for frame in frames_of(venue.journal)
        for at, row in enumerate(np.frombuffer(frame.commands, "u1").reshape(-1, 128))
        if row[0] == CommandKind.NEW
    ]
    aimed, later = sorted(chance.sample(orders, 2))
    field = chance.choice(["price", "quantity", "member", "sent_at", "side"])

    def change(sequence: int, row: np.ndarray) -> None:
        if sequence in (aimed, later):
            row[field] ^= 1

    other = rewritten(venue.journal, tmp_path / "other", change, everywhere if seed % 2 else None)
    found = part(venue.root, other)
    assert found.sequence == aimed
    assert [difference.field for difference in found.differences] == [field]
    assert run(venue.root, other).exit_code == 4


def test_an_act_that_differs_is_told_as_data(venue, tmp_path):
    frames = frames_of(venue.journal)
    target = tmp_path / "other"
    target.mkdir()
    journal = Journal.open(target, rules_version=frames[0].rules_version)
    for frame in frames:
        acts = frame.acts
        if frame is frames[0]:
            signed = list(decode_acts(bytes(acts)))
            signed[2] = msgspec.structs.replace(signed[2], why="another reason")
            acts = encode_acts(tuple(signed))
        journal.append(frame.time, bytes(frame.commands), acts, frame.count, frame.state_hash)
    journal.close()
    result = run(venue.root, target, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["sequence"]) == (4, 3)
    (difference,) = told["differences"]
    assert difference["field"] == "act"
    assert difference["b"]["why"] == "another reason"


def test_a_beginning_of_the_other_is_told(venue, tmp_path):
    frames = frames_of(venue.journal)
    target = tmp_path / "other"
    target.mkdir()
    journal = Journal.open(target, rules_version=frames[0].rules_version)
    for frame in frames[:-2]:
        journal.append(frame.time, bytes(frame.commands), frame.acts, frame.count, frame.state_hash)
    journal.close()
    for pair in ((venue.root, target), (target, venue.root)):
        found = part(*pair)
        assert found.sequence == frames[-2].first
        assert f"{target} is a beginning of the other: it ends at sequence {frames[-3].last}" in found.what
        assert "the other has 2 more" in found.what
    assert run(venue.root, target).exit_code == 4


def test_state_hashes_that_the_journals_carry_are_compared(venue, tmp_path):
    frames = frames_of(venue.journal)
    target = tmp_path / "other"
    target.mkdir()
    journal = Journal.open(target, rules_version=frames[0].rules_version)
    for frame in frames:
        state_hash = frame.state_hash ^ 1 if frame.state_hash else 0
        journal.append(frame.time, bytes(frame.commands), frame.acts, frame.count, state_hash)
    journal.close()
    found = part(venue.root, target)
    assert found.differences[0].field == "state_hash"


def test_other_rules_are_a_difference(venue, tmp_path):
    frames = frames_of(venue.journal)
    target = tmp_path / "other"
    target.mkdir()
    journal = Journal.open(target, rules_version=frames[0].rules_version + 1)
    for frame in frames:
        journal.append(frame.time, bytes(frame.commands), frame.acts, frame.count, frame.state_hash)
    journal.close()
    found = part(venue.root, target)
    assert (found.sequence, found.differences[0].field) == (1, "rules_version")


def test_a_folder_without_a_journal_is_wrong_usage(venue, tmp_path):
    result = run(venue.root, tmp_path)
    assert result.exit_code == 2
    assert "no journal lies here" in result.stderr
