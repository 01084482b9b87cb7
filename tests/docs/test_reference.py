"""The page of the phases says what the tables of phases say, of the book's and of the venue's."""

from __future__ import annotations

import re

from exchange.reference import phases_page
from matching.permissions import FOLLOWS, TAKEN
from matching.vocabulary import Phase


def rows_under(title: str) -> dict[str, list[str]]:
    """Return the rows of the table in a chapter of the page, by their first cells."""
    chapter = phases_page().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in re.findall(r"^\|.*\|$", chapter, re.MULTILINE)]
    return {first.strip("`"): cells for first, *cells in rows[2:]}


def test_it_tells_of_each_phase_what_it_takes():
    rows = rows_under("What each phase takes")
    assert {Phase[name.upper()]: cells.count("yes") for name, cells in rows.items()} == {
        phase: len(asks) for phase, asks in TAKEN.items()
    }
    assert rows["no_cancel"] == ["yes", *["`not_in_phase`"] * 4]
    assert rows["halted"] == [*["`instrument_not_open`"] * 3, "yes", "yes"]


def test_it_tells_which_phase_may_follow():
    rows = rows_under("Which phase may follow which")
    assert {name: re.findall(r"\w+", cells[0]) for name, cells in rows.items()} == {
        phase.name.lower(): [follower.name.lower() for follower in followers]
        for phase, followers in FOLLOWS.items()
    }


def test_it_tells_the_phases_of_each_mode_and_state():
    assert rows_under("Which phases each mode knows")["listing"] == ["`closed`"]
    assert rows_under("Which phases each state allows")["suspended"] == [
        "`halted`, `closed`",
        "`listed`, `cancel_only`",
    ]
