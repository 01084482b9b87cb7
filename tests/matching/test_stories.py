"""Each rule of the book as a story, on the kernels and on the reference."""

from __future__ import annotations

import pytest

from exchange.reference import STORIES, chapters
from tests.matching.stories import kernels, play, read, reference, story

FILES = sorted(STORIES.glob("*/*.txt"))


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
