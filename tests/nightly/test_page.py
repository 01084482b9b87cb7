"""The page of a night says what was counted, and nothing else; what failed stands at its top."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nightly import page
from tests.nightly.campaign import Tally
from tests.nightly.page import BEGIN, END, Night

SIMULATED = Tally(
    "simulation",
    1200.4,
    {
        "seeds": 1234,
        "commands": 5_678_901,
        "simulated hours": 98.7,
        "faults": 30,
        "shapes covered": 12,
        "fault: a frame | doubled on the wire": 30,
    },
)
KILLED = Tally("kills", 700, {"kills": 12, "stops": 8, "orders answered": 70_000, "orders lost": 0})
FUZZED = Tally(
    "fuzz", 60, {"frames tried: gateway": 1_000_000, "frames tried: feed": 500, "exceptions escaped": 0}
)
NIGHT = Night(
    date="2026-11-22 01:00",
    machine="2 cores of a machine, 8.0 GiB of memory, Linux 6.1, Python 3.11.7",
    commit="0123456789ab",
    command="python -m tests.nightly --minutes 60 --seed 7",
    seed=7,
    seconds=3605.2,
    tallies=[FUZZED, KILLED],
)

GOLDEN = """\
# The last recorded night

Every campaign held; lost: nothing.

| under fire | how many |
| --- | --- |
| processes killed, and survived | 12 |
| processes stopped and continued | 8 |
| orders answered meanwhile | 70,000 |
| frames and inputs tried | 1,000,500 |
| **lost** | **nothing** |

| run | |
| --- | --- |
| begun | 2026-11-22 01:00 UTC |
| machine | 2 cores of a machine, 8.0 GiB of memory, Linux 6.1, Python 3.11.7 |
| commit | 0123456789ab |
| command | `python -m tests.nightly --minutes 60 --seed 7` |
| seed | 7 |
| wall time | 60 min 5 s |

## Real processes killed and stopped

| `kills` | how many |
| --- | --- |
| kills | 12 |
| stops | 8 |
| orders answered | 70,000 |
| orders lost | 0 |
| seconds | 700 |
| failures | 0 |

## Fuzz

| `fuzz` | how many |
| --- | --- |
| frames tried: gateway | 1,000,000 |
| frames tried: feed | 500 |
| exceptions escaped | 0 |
| seconds | 60 |
| failures | 0 |
"""


def night_of(*tallies: Tally) -> Night:
    return NIGHT._replace(tallies=tallies)


def test_a_night_that_held():
    assert page.page_of(NIGHT) == GOLDEN


def test_the_head_of_a_simulation_has_seeds_commands_hours_faults_and_shapes():
    head = page.headline(night_of(SIMULATED))
    assert [line.split(" | ")[1].rstrip(" |") for line in head.splitlines()[2:]] == [
        "1,234",
        "5,678,901",
        "98.7",
        "30",
        "12",
        "**nothing**",
    ]


def test_a_failure_stands_at_the_top_in_capitals_and_nothing_claims_that_nothing_was_lost():
    failed = Tally("kills", 5, {"kills": 1}, ["order 7 | gone; to repeat it: python -m tests.nightly.kills"])
    text = page.page_of(night_of(FUZZED, failed))
    top = text.split("\n\n")[1:3]
    assert top[0] == "**FAILED**: 1 in all."
    assert top[1] == "- kills: order 7 \\| gone; to repeat it: python -m tests.nightly.kills"
    assert "| failures | **FAILED: 1** |" in text
    assert "nothing" not in text
    assert "**FAILED**" in page.readme_of(night_of(failed), "docs/nightly.md")


@pytest.mark.parametrize(
    "what", ["orders lost", "ids doubled", "event mismatches", "exceptions escaped", "answered commands lost"]
)
def test_a_count_that_must_be_nothing_and_is_not_is_a_failure(what):
    night = night_of(Tally("kills", 5, {what: 2}))
    assert page.failures_of(night) == [f"kills: 2 {what}"]
    assert f"| **lost** | **2 ({what})** |" in page.page_of(night)


def test_a_whole_and_its_groups_are_not_added_up():
    fuzzed = Tally("fuzz", 60, {"frames tried": 7, "frames tried: gateway": 4, "frames tried: feed": 3})
    assert "| frames and inputs tried | 7 |" in page.headline(night_of(fuzzed))


def test_what_a_fault_is_called_is_no_loss():
    assert page.failures_of(night_of(SIMULATED)) == []


def test_a_night_without_campaigns_has_failed():
    assert page.failures_of(night_of()) == ["no campaign was run"]


def test_what_was_not_run_is_said():
    text = page.page_of(night_of(FUZZED, Tally("long_tests", 0, skipped="not run: no time was left")))
    assert "Every campaign that was run held; not run: long_tests; lost: nothing." in text
    assert "## Tests marked nightly\n\nNot run: no time was left.\n" in text


def test_hundreds_of_shapes_are_a_paragraph_and_not_rows():
    shapes: dict[str, float] = {
        f"shape: act: {number}": 1_000 + number for number in range(page.ROWS_MAX + 1)
    }
    text = page.section(Tally("simulation", 5, {"seeds": 3, "fault: a cut": 2, **shapes}))
    assert "| fault: a cut | 2 |" in text
    assert "| shape" not in text
    assert "\n\nEach shape, with how often: act: 0 1,000, act: 1 1,001, " in text


def test_page_and_readme_are_written_whole(tmp_path):
    readme, docs = tmp_path / "README.md", tmp_path / "docs"
    docs.mkdir()
    readme.write_text(f"before\n\n{BEGIN}\nan older night\n{END}\n\nafter\n", "utf-8")
    page.record(NIGHT, docs / "nightly.md", readme)
    assert docs.joinpath("nightly.md").read_text("utf-8") == GOLDEN
    text = readme.read_text("utf-8")
    assert text == f"before\n\n{BEGIN}\n{page.readme_of(NIGHT, 'docs/nightly.md')}\n{END}\n\nafter\n"
    assert "in 60 min 5 s; [the whole page](docs/nightly.md)." in text
    assert [path.name for path in tmp_path.rglob("*.part")] == []


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}"])
def test_a_readme_without_its_markers_is_not_written(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="put both where the section belongs"):
        page.record(NIGHT, tmp_path / "nightly.md", readme)
    assert readme.read_text("utf-8") == text
    assert not (tmp_path / "nightly.md").exists()


def test_the_readme_has_its_markers():
    readme = Path(__file__).resolve().parents[2] / "README.md"
    assert page.between_markers(readme.read_text("utf-8"), "")


def test_machine_and_commit_are_told(tmp_path):
    assert " cores of " in page.machine()
    assert " GiB of memory, " in page.machine()
    assert page.commit(tmp_path) == "unknown"
