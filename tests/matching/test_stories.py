"""Each rule of the book as a story, on the kernels and on the reference."""

from __future__ import annotations

import pytest

from exchange.reference import STORIES, chapters
from matching.vocabulary import ROUNDS_MAX, EventKind
from tests.matching.stories import kernels, play, read, reference, story

FILES = sorted(STORIES.glob("*/*.txt"))

CALL = """
    book GLM pre_open reference 100

    sell 2 @ 101 ann
    buy  1 @ 101 bob
    sell 1 @ 101 cat ioc
    phase GLM auction
"""
"""A short call, of which each kind of event tells something."""


@pytest.mark.parametrize("engine", [kernels, reference])
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_story(path, engine):
    asked, told = read(path)
    assert play(asked, engine) == story(told)


def test_each_story_says_first_what_it_shows():
    assert [path for path in FILES if not path.read_text("utf-8").startswith("# ")] == []


def test_each_story_is_shown_once_in_a_chapter():
    assert sorted(path for paths in chapters(STORIES).values() for path in paths) == FILES


def test_a_story_that_no_chapter_shows_is_found(tmp_path):
    tmp_path.joinpath("contents.txt").write_text("# The chapters.\n\nLimit orders\n    shown\n", "utf-8")
    assert chapters(tmp_path) == {"Limit orders": [tmp_path / "limit_orders" / "shown.txt"]}


@pytest.mark.parametrize("engine", [kernels, reference])
@pytest.mark.parametrize(
    "told",
    [
        "ann x bob 1 @ 101",
        "ann x bob 2 @ 101\n--\nnothing rests",
        "ann x bob 1 @ 102\n--\nnothing rests",
        "bob x ann 1 @ 101\n--\nnothing rests",
        "ann x bob 1 @ 101\n--\nsell 101 ann:1",
    ],
)
def test_a_story_can_fail(told, engine):
    asked = "sell 1 @ 101 ann\nbuy 1 @ 102 bob"
    assert play(asked, engine) == story("ann x bob 1 @ 101\n--\nnothing rests")
    assert play(asked, engine) != story(told)


@pytest.mark.parametrize("engine", [kernels, reference])
@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("GLM indicative 1 @ 101, 1 more to sell", "GLM indicative 1 @ 101, 1 more to buy"),
        ("cat refused while pre open: not in phase", "cat refused while no cancel: not in phase"),
        ("auction: ann sells bob 1 @ 101", "auction: bob sells ann 1 @ 101"),
        ("auction: ann sells bob 1 @ 101", "ann x bob 1 @ 101"),
    ],
)
def test_a_story_of_a_call_can_fail(line, wrong, engine):
    told = play(CALL, engine)
    assert line in told.splitlines()
    assert wrong not in told.splitlines()


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (EventKind.PHASE_CHANGED, "price"),
        (EventKind.PHASE_CHANGED, "quantity"),
        (EventKind.INDICATIVE, "order"),
        (EventKind.INDICATIVE, "phase"),
        (EventKind.TRADED, "phase"),
        (EventKind.TRADED, "side"),
        (EventKind.TRADED, "leaves"),
        (EventKind.TRADED, "maker_leaves"),
        (EventKind.ACCEPTED, "phase"),
        (EventKind.REJECTED, "leaves"),
    ],
)
def test_what_a_line_leaves_out_is_checked(kind, field):
    def lying(markets, commands):
        events, resting = reference(markets, commands)
        told = [
            event._replace(**{field: getattr(event, field) + 1}) if event.kind == kind else event
            for event in events
        ]
        assert told != events
        return told, resting

    play(CALL, reference)
    with pytest.raises(AssertionError):
        play(CALL, lying)


@pytest.mark.parametrize("engine", [kernels, reference])
def test_a_group_that_is_met_too_often_loses_its_orders(engine):
    """Each round of the auction meets one more of her buys; the last ones are not worth a search each."""
    orders = [f"buy 1 @ 110 ann-{number} self-trade cancel-taker" for number in range(2, ROUNDS_MAX + 5)]
    asked = ["book GLM pre_open", "sell 1 @ 100 ann", *orders]
    asked += ["buy 1 @ 109 bob", "sell 1 @ 105 cat", "phase GLM auction"]
    cancelled = [f"ann-{number} cancelled 1: self trade" for number in range(2, ROUNDS_MAX + 5)]
    told = play("\n".join(asked), engine).splitlines()
    assert told[told.index("GLM auction") + 1 :] == [
        *cancelled,
        "ann cancelled 1: self trade",
        "auction: cat sells bob 1 @ 107",
        "--",
        "nothing rests",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "bye 3 @ 101 ann",
        "buy 3 @ 101 ann bob",
        "buy 3 @ 101 ann until noon",
        "buy 3 @ 101 ann self-trade never",
        "buy 3 @",
        "cancel ann for its friend",
        "phase GLM open",
    ],
)
def test_a_story_that_cannot_be_read_says_which_line(line):
    with pytest.raises(ValueError, match=f"how to read: {line}"):
        play(line, reference)
