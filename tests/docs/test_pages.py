"""The guides and the manual do as they say: their examples run as written, and their commands exist."""

from __future__ import annotations

import re

import click
import pytest

from exchange.cli import bourse
from tests.docs.pages import ROOT, commands, examples, is_as_shown, run

PAGES = [*sorted(ROOT.joinpath("docs").glob("*.md")), *sorted(ROOT.joinpath("docs", "manual").glob("*.md"))]
GUIDES = [page for page in PAGES if examples(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_example_of_a_guide_runs_as_written(page, beside_a_venue):
    assert run(page) > 0


def test_each_of_the_three_guides_has_examples():
    assert {"firm", "operator", "analyst"} <= {page.stem for page in GUIDES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_shown_exists_with_its_options(page):
    for words in commands(page):
        parse(words)


def test_every_file_that_the_threat_model_names_is_there():
    text = ROOT.joinpath("docs", "manual", "threat-model.md").read_text("utf-8")
    named = re.findall(r"`([\w/-]+\.(?:py|sql))`", text)
    assert named
    homes = [ROOT, ROOT / "exchange", ROOT / "settlement" / "sql"]
    assert [name for name in named if not any(home.joinpath(name).exists() for home in homes)] == []


def parse(words: list[str]) -> None:
    """Read a command line as `bourse` would, and do nothing. Raises `click.UsageError`."""
    command: click.Command = bourse
    context = click.Context(bourse, info_name="bourse")
    while isinstance(command, click.Group) and words:
        if words[0] not in command.commands:
            raise click.UsageError(f"there is no command {words[0]!r} in `{context.command_path}`")
        command = command.commands[words[0]]
        context = click.Context(command, parent=context, info_name=words[0])
        words = words[1:]
    command.make_parser(context).parse_args(list(words))


def test_a_command_that_is_not_there_is_found():
    with pytest.raises(click.UsageError, match="no command 'plaice'"):
        parse(["plaice", "buy"])
    with pytest.raises(click.UsageError, match="--limt"):
        parse(["trades", "QWEN3-MAX", "--limt", "3"])


def test_an_example_that_prints_something_else_is_found():
    assert is_as_shown("order ... is open\n", "order 17 is open\n")
    assert not is_as_shown("order ... is open\n", "order 17 is gone\n")


def test_an_example_that_fails_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- tested -->\n```python\nprint(1)\n```\n\n```text\n2\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:3 printed\n1"):
        run(page)
