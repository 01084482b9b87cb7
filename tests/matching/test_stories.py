"""Each rule of the market as a story, on the kernels and on the reference."""

from __future__ import annotations

import pytest

from tests.matching.stories import FOLDER, kernels, play, read, reference, story

STORIES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("engine", [kernels, reference])
@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path, engine):
    asked, told = read(path)
    assert play(asked, engine) == story(told)


def test_each_story_says_first_what_it_shows():
    assert [path.stem for path in STORIES if not path.read_text("utf-8").startswith("# ")] == []


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


def test_a_story_that_cannot_be_read_says_which_line():
    with pytest.raises(ValueError, match="bye 3 @ 101 ann"):
        play("bye 3 @ 101 ann", kernels)
