"""A page's examples, run as a reader would run them: from top to bottom, in one go.

A block is run if `<!-- tested -->` stands before it. Python blocks share their names; of a console block each
line that begins with `bourse` is a command. What a `text` block right behind it shows must be what was
printed; `...` stands for anything there. In a command, 20417 stands for what was proposed last.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from exchange.cli import bourse
from exchange.client.errors import ExchangeError
from exchange.server.founding import this_year

ROOT = Path(__file__).resolve().parents[2]
A_PROPOSAL = "20417"

_BLOCK = re.compile(
    r"^<!-- tested(?:: \w+)? -->\n```(python|console)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
_COMMAND = re.compile(r"^(?:\.venv/bin/)?(bourse .+)$", re.MULTILINE)
_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Example(NamedTuple):
    """One block of a page: its language, what it says, what it is shown to print, and its line."""

    language: str
    text: str
    shown: str | None
    line: int


def examples(page: Path) -> list[Example]:
    """Return the blocks of a page that are marked as tested, from top to bottom."""
    text = page.read_text("utf-8").replace("2026", str(this_year()))
    return [
        Example(found[1], found[2], found[3], text[: found.start(2)].count("\n") + 1)
        for found in _BLOCK.finditer(text)
    ]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every command that a page shows, tested or not."""
    for console in _CONSOLE.findall(page.read_text("utf-8")):
        for line in _COMMAND.findall(console):
            yield shlex.split(line, comments=True)[1:]


def run(page: Path) -> int:
    """Run a page's examples, and compare what they print with what is shown; return how many."""
    names: dict[str, object] = {"__name__": page.stem}
    told: list[str] = []
    found = examples(page)
    for example in found:
        where = f"{page.name}:{example.line}"
        if example.language == "python":
            printed = run_python(example.text, names, where)
        else:
            printed = run_console(example.text, told, where)
        if example.shown is not None:
            assert is_as_shown(example.shown, printed), (
                f"{where} printed\n{printed}\nand not\n{example.shown}"
            )
    return len(found)


def run_python(text: str, names: dict[str, object], where: str) -> str:
    """Run Python as a notebook does, where `await` may stand at the top; return what it printed."""
    code = compile(text, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(io.StringIO()) as printed:
        waiting = eval(code, names)  # noqa: S307  our own pages
        if inspect.iscoroutine(waiting):
            asyncio.run(waiting)
    return printed.getvalue()


def run_console(text: str, told: list[str], where: str) -> str:
    """Run each command of a block; return what they printed. `told` holds what was proposed so far."""
    printed = ""
    for line in _COMMAND.findall(text):
        words = [
            told[-1] if word == A_PROPOSAL and told else word for word in shlex.split(line, comments=True)
        ]
        result = CliRunner().invoke(bourse, words[1:], catch_exceptions=True)
        fault = result.exception
        refusal = str(fault) if isinstance(fault, ExchangeError) else repr(fault)
        assert result.exit_code == 0, f"{where}: {line}: {refusal}\n{result.output}"
        told += re.findall(r"bourse approve (\d+)", result.output)
        printed += result.output
    return printed


def is_as_shown(shown: str, printed: str) -> bool:
    """Tell whether text is what a page shows, where `...` stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(shown, printed, flags)
