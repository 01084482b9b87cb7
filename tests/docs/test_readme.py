"""What the README shows works as written: its Python runs, and its commands exist."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from exchange.cli import bourse
from exchange.config import Endpoints
from exchange.server.folder import Folder
from exchange.server.standard import found_standard
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up

README = Path(__file__).resolve().parents[2] / "README.md"
TEXT = README.read_text("utf-8")
LINKED = set(re.findall(r"\]\(([\w./-]+)\)", TEXT))
EXAMPLES = dict(re.findall(r"<!-- tested: (\w+) -->\n```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """Yield the folder of a running standard venue."""
    warm_up()
    folder = Folder(tmp_path_factory.mktemp("readme") / "venue")
    found_standard(folder)
    supervisor = Supervisor(folder, Endpoints(), print)
    try:
        supervisor.start()
        yield folder.root
    finally:
        supervisor.stop()


@pytest.mark.parametrize("name", ["firm", "analyst"])
def test_an_example_runs_as_written(venue, name, monkeypatch, capsys):
    monkeypatch.setenv("BOURSE_VENUE", str(venue))
    year = time.gmtime(time.time() + 8 * 3600).tm_year
    exec(compile(EXAMPLES[name].replace("2026", str(year)), f"README: {name}", "exec"), {})  # noqa: S102  our own README
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
