"""Campaigns are run, heard and ended as children: what fails or hangs stops no other, and nothing is left."""

from __future__ import annotations

import sys
import textwrap
import time
from collections import Counter

import pytest

from tests.journal.test_faults import NeverSyncs
from tests.matching.test_auction_oracle import reference
from tests.nightly import __main__ as nightly
from tests.nightly import campaign, crash_points, differential, long_tests, simulation
from tests.nightly.__main__ import ALONE, SIDE_BY_SIDE, Night
from tests.nightly.campaign import Tally
from tests.nightly.running import Planned, Running, session_of

FAKES = {
    "sound": "return Tally('sound', seconds, {'things tried': seed, 'things lost': 0})",
    "failing": "return Tally('failing', seconds, {'things tried': 1}, ['one thing is wrong'])",
    "raising": "raise ValueError('nobody expected this')",
    "dying": "print('last words', file=sys.stderr, flush=True); os._exit(7)",
    "hanging": "signal.pause()",
    "stubborn": "signal.signal(signal.SIGTERM, signal.SIG_IGN); [signal.pause() for _ in range(99)]",
    "untidy": "subprocess.Popen(['sleep', '600'], process_group=0); return Tally('untidy', seconds)",
}
"""What `run` does in each fake campaign."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return the name of a package of fake campaigns that this process and its children can import."""
    folder = tmp_path / "fake_campaigns"
    folder.mkdir()
    for name, body in FAKES.items():
        text = f"""
        import os, signal, subprocess, sys
        from tests.nightly import campaign
        from tests.nightly.campaign import Tally

        def run(seconds, seed, progress):
            {body}

        if __name__ == "__main__":
            campaign.main(run)
        """
        folder.joinpath(f"{name}.py").write_text(textwrap.dedent(text), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return "fake_campaigns"


def played(package: str, tmp_path, *lanes: list[str], late_max: float = 60.0) -> dict[str, Tally]:
    """Play lanes of fake campaigns; return the tallies by name."""
    night = Night(5, tmp_path / "logs", late_max, to_end=0.2)
    plan = [[Planned(name, package=package) for name in lane] for lane in lanes]
    began = []
    begun = Running.__init__

    def noted(self, *given):
        begun(self, *given)
        began.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Running, "__init__", noted)
        night.play(plan, time.monotonic() + 0.1)
    assert all(session_of(one.process.pid) == {} for one in began)
    assert night.running == {}
    return {tally.campaign: tally for tally in night.tallies}


def test_what_fails_stops_no_other_and_is_told_with_the_command_that_repeats_it(package, tmp_path):
    told = played(package, tmp_path, ["raising", "failing", "nowhere", "sound"], ["dying", "untidy"])
    assert (told["sound"].counts, told["sound"].failures) == ({"things tried": 5, "things lost": 0}, [])
    assert told["failing"].failures == ["one thing is wrong"]
    assert told["nowhere"].failures == ["there is no module fake_campaigns.nowhere"]
    [raised] = told["raising"].failures
    assert raised.startswith("ValueError: nobody expected this (")
    assert "to repeat it: python -m fake_campaigns.raising --seconds 1 --seed 5" in raised
    [died] = told["dying"].failures
    assert died.startswith("ended with code 7 and told no tally: last words; to repeat it: python -m ")
    [left] = told["untidy"].failures
    assert left.startswith("left processes behind: sleep 600")


def test_what_does_not_stop_is_ended(package, tmp_path):
    told = played(package, tmp_path, ["hanging"], ["stubborn"], late_max=0.3)
    assert "did not stop within 1 s; to repeat it: python -m " in told["hanging"].failures[-1]
    assert "did not stop within 1 s; to repeat it: python -m " in told["stubborn"].failures[-1]


def test_an_interrupted_night_leaves_nothing_running(package, tmp_path, monkeypatch):
    night = Night(5, tmp_path / "logs", to_end=0.2)
    begun: list[Running] = []

    def interrupted(number: int) -> None:
        begun.extend(night.running.values())
        raise KeyboardInterrupt

    monkeypatch.setattr(night, "look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        night.play([[Planned("hanging", package=package)]], time.monotonic() + 60)
    assert [one.process.poll() is not None for one in begun] == [True]


def test_the_whole_command_writes_its_page_and_exits_by_the_outcome(package, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nightly, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(nightly, "WARM_UP", "pass")
    for names, code in ((["sound"], 0), (["sound", "failing"], 1)):
        monkeypatch.setattr(nightly, "ALONE", ())
        monkeypatch.setattr(nightly, "SIDE_BY_SIDE", [[Planned(name, package=package)] for name in names])
        assert nightly.main(["--minutes", "0.01", "--seed", "5"]) == code
        told = capsys.readouterr().out
        assert ("**FAILED**: 1 in all." in told) == (code == 1)
        assert ("lost: nothing." in told) == (code == 0)


def test_soak_is_alone_and_every_campaign_is_planned_once_and_there():
    planned = [one for lane in (ALONE, *SIDE_BY_SIDE) for one in lane]
    assert [one.name for one in ALONE] == ["soak", "overload", "crowds"]
    assert sorted(one.name for one in planned) == sorted({one.name for one in planned})
    assert len(SIDE_BY_SIDE) == 2
    [together] = nightly.lanes_for(1)
    assert {*together, *ALONE} == {*planned}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--minutes", "0"], "--minutes is 0: give more than 0"),
        (["--only", "sok"], "--only is 'sok': give one of soak, overload"),
        (["--only", "soak", "--page", "x.md"], "--page is of a whole night"),
    ],
)
def test_wrong_usage_is_told_with_its_remedy(words, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        nightly.main(words)
    assert told in capsys.readouterr().err


# --- the campaigns of this folder ----------------------------------------------------------------


def quiet(line: str) -> None:
    pass


def test_one_round_of_crash_points_holds(seed, monkeypatch):
    monkeypatch.setattr(crash_points, "MUTATIONS_A_ROUND", 200)
    monkeypatch.setattr(crash_points, "CUTS_A_ROUND", 50)
    tally = crash_points.run(0.001, seed, quiet)
    assert tally.failures == []
    assert tally.counts[crash_points.TRIED] == tally.counts[crash_points.FOUND] > 0
    assert min(tally.counts[what] for what in crash_points.COUNTED) > 0
    assert tally.counts[crash_points.LOST] == 0


def test_a_disk_that_never_syncs_is_found_out_and_the_round_can_be_repeated(seed, monkeypatch):
    monkeypatch.setattr(crash_points, "ModelDisk", NeverSyncs)
    tally = crash_points.run(0.001, seed, quiet)
    assert tally.counts[crash_points.LOST] >= 1
    repeats = f"to repeat it: python -m tests.nightly.crash_points --seconds 0.001 --seed {seed}"
    assert tally.failures[0].endswith(repeats)


@pytest.fixture
def few(monkeypatch):
    """Let a round be short, and the book's kernels, compiled for other tests only, be played by nobody."""
    for name in ("BOOK_COMMANDS", "ENGINE_COMMANDS", "CROWDED_COMMANDS", "AUCTIONS_A_ROUND"):
        monkeypatch.setattr(differential, name, 50)
    for name in ("play_seed", "play"):
        monkeypatch.setattr(differential, name, lambda *given, **named: Counter(events=3))
    monkeypatch.setattr(differential, "kernels", reference)


def test_one_round_of_comparisons_is_counted(seed, few):
    tally = differential.run(0.001, seed, quiet)
    assert tally.failures == []
    assert tally.counts == {
        "rounds": 1,
        differential.BOOK: 50 + 10 * 50,
        differential.EVENTS: 3 + 10 * 3,
        differential.AUCTIONS: 50,
        differential.ENGINE: 50,
        differential.MISMATCHES: 0,
    }


def test_a_mismatch_is_counted_and_the_rest_of_the_round_is_still_played(seed, few, monkeypatch):
    monkeypatch.setattr(differential, "expected", lambda case: None)
    tally = differential.run(0.001, seed, quiet)
    assert (tally.counts[differential.MISMATCHES], len(tally.failures)) == (1, 1)
    assert tally.counts[differential.ENGINE] == 50


def test_what_a_simulation_tells_is_its_tally():
    told = b"""{"seeds": 2, "commands": 900, "simulated_hours": 1.25, "seconds": 3.5, "failures": [],
        "missing": [], "faults": {"disk": 3, "a message lost": 4},
        "shapes": {"bust": 1, "auction": 0}, "more": 1}"""
    tally = simulation.tally_of(told, 0, "bourse simulate")
    assert tally.failures == []
    assert (tally.counts["seeds"], tally.counts["faults"], tally.counts["shapes covered"]) == (2, 7, 1)
    assert tally.counts["fault: a message lost"] == 4
    failed = told.replace(
        b'"failures": []', b'"failures": [{"seed": 7, "what": "crossed", "repeat": "again"}]'
    )
    failed = failed.replace(b'"missing": []', b'"missing": ["a bust"]')
    assert simulation.tally_of(failed, 4, "bourse simulate").failures == [
        "seed 7: crossed; to repeat it: again",
        "never seen: a bust; to repeat it: bourse simulate",
    ]
    assert simulation.tally_of(told, 1, "bourse simulate").failures == [
        "ended with code 1; to repeat it: bourse simulate"
    ]
    assert "to repeat it: bourse simulate" in simulation.tally_of(b"", 3, "bourse simulate").failures[0]


def test_seeds_of_rounds_begin_with_the_campaigns_own():
    assert next(campaign.seeds(0.001, 7)) == 7
    assert "--seed 7" in campaign.again("differential", 7)
    assert sys.modules["tests.nightly.campaign"] is campaign


def test_the_longer_tests_are_begun_only_with_time_for_them_and_their_failures_can_be_repeated(seed):
    assert long_tests.run(10, seed, quiet).skipped.startswith(
        "not run: they take minutes, and 10 s were left"
    )
    watcher = long_tests.Watcher(0, 7, quiet)
    orders = set()
    for night in range(20):
        items = [*"abc"]
        long_tests.Watcher(0, night, quiet).pytest_collection_modifyitems(items)
        orders.add("".join(items))
    assert orders == {"abc", "bca", "cab"}
    watcher.collected, watcher.passed, watcher.failed = 5, 2, ["tests/a.py::test_b"]
    tally = watcher.tally(pytest.ExitCode.TESTS_FAILED, 7)
    assert list(tally.counts.values()) == [2, 1, 2]
    assert tally.failures == [
        "tests/a.py::test_b failed; to repeat it: BOURSE_SEED=7 pytest -m nightly 'tests/a.py::test_b'"
    ]
    watcher.failed.clear()
    assert watcher.tally(pytest.ExitCode.INTERRUPTED, 7).failures == []
    assert watcher.tally(pytest.ExitCode.INTERNAL_ERROR, 7).failures != []
