"""The pages made from the code say what the code says: of phases, errors, messages, cases."""

from __future__ import annotations

import re

from exchange import reference
from exchange.certify.playing import CASES
from exchange.client import errors
from exchange.protocol.messages import PROTOCOL_VERSION
from exchange.reference import errors_page, messages_page, pages, phases_page
from matching.permissions import FOLLOWS, TAKEN
from matching.vocabulary import Phase
from tests.docs.pages import ROOT


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


def test_it_draws_every_error_and_tells_its_code():
    page = errors_page()
    drawn = page.split("```text")[1].split("```")[0]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.ExchangeError):
            assert re.search(rf"\b{name}\b", drawn), name
            assert f"Code `{kind.code}`" in page


def test_it_names_the_version_of_the_protocol():
    assert f"protocol version {PROTOCOL_VERSION}." in messages_page()


def test_each_case_of_certification_rests_on_a_row_of_the_rules_of_sessions():
    rules = ROOT.joinpath("docs", "manual", "sessions.md").read_text("utf-8").splitlines()
    lost = [one.name for one in CASES if not any(line.startswith(one.rule) for line in rules)]
    assert lost == []


def test_every_page_of_the_folder_is_made():
    kept = {page.name for page in ROOT.joinpath("docs", "reference").iterdir()}
    assert kept == set(pages())


def test_a_page_or_a_header_that_is_not_what_the_code_says_is_told(tmp_path, monkeypatch, capsys):
    made = {"feed.md": "a page", "feed.h": "a header"}
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    monkeypatch.setattr(reference, "pages", lambda: made)
    monkeypatch.setattr("sys.argv", ["reference"])
    assert reference.main() == 0
    monkeypatch.setattr("sys.argv", ["reference", "--check"])
    assert reference.main() == 0
    made["feed.h"] = "another header"
    assert reference.main() == 1
    assert capsys.readouterr().out == "docs/reference/feed.h is stale; run `make docs`\n"
