"""A log is run again to where one wants it, as fast as one wants it, and stops at the hash one names."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.server.rerun import WAIT_SECONDS_MAX, Pace, Wish, rerun
from exchange.server.snapshots import sequences
from tests.desk.stopped_venue import frames_of, rewritten, stopped_venue
from tests.server.venue import replayed


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    return stopped_venue(tmp_path_factory.mktemp("desk") / "venue")


def run(*words: object):
    return CliRunner().invoke(bourse, [*map(str, words)])


def facts(*words: object) -> dict:
    result = run(*words, "--json")
    return json.loads(result.stdout) | {"exit_code": result.exit_code}


def hash_at(venue, sequence: int) -> str:
    return facts("replay", venue.root, "--to", sequence)["state_hash"]


def test_a_replay_leads_to_the_state_of_the_fold_over_all_frames(venue):
    told = facts("replay", venue.root)
    engine = replayed(venue.journal)
    assert (told["commands"], told["state_hash"]) == (engine.sequence, f"{engine.state_hash():016x}")
    assert told["events"]["traded"] == int(engine.core.ledger.totals[0]["trades"])
    assert told["exit_code"] == 0


def test_it_stops_inside_a_frame_in_the_state_of_a_journal_cut_there(venue, tmp_path):
    frame = next(frame for frame in frames_of(venue.journal) if frame.count > 2)
    inside = frame.first + 1
    journal = rewritten(
        venue.journal,
        tmp_path / "cut" / "journal",
        cut=lambda one: [inside] if one.first == frame.first else [],
    )
    told = facts("replay", venue.root, "--to", inside)
    assert told["commands"] == inside
    assert told["state_hash"] == facts("replay", journal.parent, "--to", inside)["state_hash"]
    assert hash_at(venue, inside) != hash_at(venue, inside + 1)


def test_from_begins_at_the_newest_snapshot_before_and_says_so(venue):
    taken = int(next(venue.snapshots.iterdir()).name.partition(".")[0])
    whole, tail = facts("replay", venue.root), facts("replay", venue.root, "--from", taken + 2)
    assert (whole["since"], tail["since"]) == (0, taken)
    assert f"Begun at the snapshot of sequence {taken}." in tail["told"]
    assert tail["state_hash"] == whole["state_hash"]
    assert facts("replay", venue.root, "--from", taken)["since"] == 0  # it is told, so it is applied
    before = facts("replay", venue.root, "--to", taken + 1)["events"]
    counted = {kind: before.get(kind, 0) + tail["events"].get(kind, 0) for kind in before | tail["events"]}
    assert counted == whole["events"]


def test_until_a_hash_stops_where_the_state_first_has_it(venue):
    ends = [frame.last for frame in frames_of(venue.journal)]
    wanted = hash_at(venue, ends[-5])
    told = facts("replay", venue.root, "--until-hash", wanted)
    assert (told["commands"], told["found"], told["exit_code"]) == (ends[-5], True, 0)
    assert "hashes that the journal carries" in told["told"][-1]


def test_until_a_hash_that_the_state_has_where_the_replay_begins_stops_there(venue):
    (begun,) = sequences(venue.snapshots)
    wanted = hash_at(venue, begun)
    told = facts("replay", venue.root, "--until-hash", wanted, "--from", begun + 1)
    assert (told["commands"], told["found"], told["exit_code"]) == (begun, True, 0)


def test_until_a_hash_inside_a_frame_needs_from(venue):
    frame = next(frame for frame in frames_of(venue.journal) if frame.count > 2)
    wanted = hash_at(venue, frame.first + 1)
    assert facts("replay", venue.root, "--until-hash", wanted)["exit_code"] == 4
    told = facts("replay", venue.root, "--until-hash", wanted, "--from", frame.first)
    assert (told["commands"], told["exit_code"]) == (frame.first + 1, 0)


def test_a_hash_that_the_journal_carries_is_found_without_a_look_at_states(venue, tmp_path):
    journal = tmp_path / "venue" / "journal"
    frames = frames_of(venue.journal)
    carried = int(hash_at(venue, frames[9].last), 16)
    from exchange.server.journal import Journal

    journal.mkdir(parents=True)
    with_hash = Journal.open(journal, rules_version=frames[0].rules_version)
    for frame in frames:
        state_hash = carried if frame.first == frames[9].last + 1 else frame.state_hash
        with_hash.append(frame.time, bytes(frame.commands), frame.acts, frame.count, state_hash)
    with_hash.close()
    told = facts("replay", journal.parent, "--until-hash", f"{carried:016x}")
    assert told["commands"] == frames[9].last
    assert told["told"][-1] == "compared with 2 hashes that the journal carries"


def test_a_hash_that_no_state_has_is_exit_code_4(venue):
    result = run("replay", venue.root, "--until-hash", "1234")
    assert result.exit_code == 4
    assert "no state with that hash up to sequence" in result.stderr


def test_assert_compares_the_last_state(venue):
    right = facts("replay", venue.root)["state_hash"]
    assert run("replay", venue.root, "--assert", right).exit_code == 0
    result = run("replay", venue.root, "--assert", right, "--to", 40)
    assert result.exit_code == 4
    assert f"after sequence 40, not {right}" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--assert", "xyz"], "'xyz' is no state hash"),
        (["--speed", "0"], "0.0 is not in the range"),
        (["--from", "9", "--to", "5"], "--to 5 lies before --from 9"),
        (["--html", "x.html"], "go with --what-if"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(venue, words, told):
    result = run("replay", venue.root, *words)
    assert result.exit_code == 2
    assert told in str(result.exception) + result.output


def test_a_folder_without_a_journal_is_named(tmp_path):
    result = run("replay", tmp_path)
    assert result.exit_code == 2
    assert "no venue's journal lies here" in result.stderr


def test_to_behind_the_end_is_told(venue):
    result = run("replay", venue.root, "--to", 10_000)
    assert result.exit_code == 4
    assert "the journal ends at sequence" in result.stderr


def test_a_torn_end_is_told_and_all_before_it_applied(venue, tmp_path):
    copy = tmp_path / "venue"
    shutil.copytree(venue.root, copy)
    last = frames_of(venue.journal)[-1]
    segment = copy / "journal" / f"{last.end.segment:06d}.journal"
    data = bytearray(segment.read_bytes())
    data[last.end.offset - 40 : last.end.offset] = bytes(40)
    segment.write_bytes(data)
    told = facts("replay", copy)
    assert (told["commands"], told["exit_code"]) == (last.first - 1, 0)
    assert "not whole yet" in told["told"][-1]


def test_a_replay_keeps_the_journals_own_pace(venue):
    waited: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    rerun(venue, Wish(), pace=Pace(2, lambda: False, sleep, lambda: now[0]))
    frames = frames_of(venue.journal)
    assert sum(waited) == pytest.approx((frames[-1].time - frames[0].time) / 1e9 / 2)


def test_a_quiet_night_is_not_sat_through():
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(1, lambda: False, sleep, lambda: now[0])
    for time in (0, 10**9, 3_600 * 10**9, 3_601 * 10**9):
        pace.wait_for(time)
    assert now[0] == pytest.approx(2 + WAIT_SECONDS_MAX)
    assert pace.shortened == 1


def test_ctrl_c_ends_a_replay_between_two_frames(venue):
    seen: list[int] = []
    made = rerun(venue, Wish(), lambda sequence, _: seen.append(sequence), lambda: len(seen) == 1)
    assert made.interrupted
    assert made.commands == seen[0] < frames_of(venue.journal)[-1].last


def test_the_end_says_what_to_do_next(venue):
    result = run("replay", venue.root, "--to", 40)
    assert result.stdout.splitlines()[-1] == f"next: bourse inspect {venue.root} --at 40"
