"""What the README shows works as written: its Python runs, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exchange.cli import bourse
from exchange.server.founding import this_year

README = Path(__file__).resolve().parents[2] / "README.md"
TEXT = README.read_text("utf-8")
LINKED = set(re.findall(r"\]\(([\w./-]+)\)", TEXT))
EXAMPLES = dict(re.findall(r"<!-- tested: (\w+) -->\n```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.mark.parametrize("name", ["firm", "analyst", "market"])
def test_an_example_runs_as_written(venue, name, monkeypatch, capsys):
    monkeypatch.setenv("BOURSE_VENUE", str(venue))
    exec(compile(EXAMPLES[name].replace("2026", str(this_year())), f"README: {name}", "exec"), {})  # noqa: S102  our own README
    assert capsys.readouterr().out


def test_every_command_shown_exists():
    shown = set(re.findall(r"^(?:\.venv/bin/)?bourse (\w+)", TEXT, re.MULTILINE))
    assert shown
    assert shown <= set(bourse.commands)


def test_every_page_linked_is_there():
    for target in LINKED:
        assert README.parent.joinpath(target).exists(), target


def test_every_page_is_linked():
    pages = README.parent.joinpath("docs").rglob("*.md")
    assert {str(page.relative_to(README.parent)) for page in pages} <= LINKED
