"""Markdown as the generated pages use it: tables, and what the code says about its own names."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

MADE = "<!-- Made by `make docs` from the code; edit that instead. -->\n"
"""What a generated page begins with."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def coded(word: str) -> str:
    """Return a word as code."""
    return f"`{word}`"


def constants(path: str) -> list[tuple[str, str, str]]:
    """Return the module constants that a docstring follows: name, value as written, docstring."""
    return documented(ast.parse(Path(path).read_text("utf-8")).body)


def documented(body: Sequence[ast.stmt]) -> list[tuple[str, str, str]]:
    """Return the names among some statements that a docstring follows: name, value as written, docstring."""
    found = []
    for statement, following in pairwise(body):
        if (
            isinstance(statement, ast.Assign | ast.AnnAssign)
            and isinstance(target := _target(statement), ast.Name)
            and statement.value is not None
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            found.append((target.id, ast.unparse(statement.value), str(following.value.value)))
    return found


def _target(statement: ast.Assign | ast.AnnAssign) -> ast.expr:
    return statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
