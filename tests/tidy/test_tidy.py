"""The style as a test: what a reader of any file may count on, and a canary for each check."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("exchange", "feeds", "matching", "settlement")

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 70
WHOLE_NUMBERS = re.compile(
    r"matching/.*|settlement/(balances|layout|parcels|postings|programmes|redeeming|reversing)\.py"
)
"""Where money, prices and quantities are reckoned: no float, and so no `/`."""
RECKON_NOTHING = {
    "matching/kernel.py",
    "matching/flow.py",
    "matching/flow_columns.py",
    "matching/flow_phases.py",
    "matching/workloads.py",
}
"""One compiles kernels, and its `/` joins folders; the others roll dice, and a chance is a fraction."""
WORDS_BANNED = {"px": "price", "qty": "quantity", "tif": "time_in_force", "uid": "member"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|tmp|work)/")


class Source(NamedTuple):
    """A file of the project: where it stands below the root, and what it says."""

    path: str
    text: str

    @property
    def is_code(self) -> bool:
        """Tell whether it is Python of one of the four packages."""
        return self.path.endswith(".py") and self.path.split("/")[0] in PACKAGES

    def nodes(self) -> Iterator[ast.AST]:
        """Walk over all of its syntax."""
        return ast.walk(ast.parse(self.text))


def sources() -> list[Source]:
    """Return the four packages' code, and what people read beside it."""
    code = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    prose = (path for pattern in ("*.md", "docs/**/*.md", "Makefile") for path in ROOT.glob(pattern))
    return [Source(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in (*code, *prose)]


# --- the checks: sources in, complaints out ----------------------------------------------------

Check = Callable[[Source], list[str]]


def too_long(source: Source) -> list[str]:
    """A file is told in one sitting."""
    lines = source.text.count("\n")
    return [f"{lines} lines"] if source.is_code and lines > FILE_LINES_MAX else []


def too_tall(source: Source) -> list[str]:
    """A function is seen on one screen."""
    return [
        f"{node.lineno} {node.name}"
        for node in code_of(source)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LINES_MAX
    ]


def unannounced(source: Source) -> list[str]:
    """A file opens with what it is for."""
    announced = not source.is_code or ast.get_docstring(ast.parse(source.text))
    return [] if announced else ["1 no docstring"]


def fractional(source: Source) -> list[str]:
    """Money, prices and quantities are integers."""
    if source.path in RECKON_NOTHING or not WHOLE_NUMBERS.fullmatch(source.path):
        return []
    return [
        f"{node.lineno} {ast.unparse(node)}"
        for node in code_of(source)
        if isinstance(node, ast.expr) and is_fractional(node)
    ]


def is_fractional(node: ast.expr) -> bool:
    """Tell whether an expression names, writes or makes a float."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, float)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.startswith("float")
        case ast.BinOp(op=ast.Div()):
            return True
        case _:
            return False


def misnamed(source: Source) -> list[str]:
    """One meaning has one word, in whole letters."""
    return [
        f"{line} {name}: say {WORDS_BANNED[word]}"
        for node in code_of(source)
        for line, name in names_given(node)
        for word in name.lower().split("_")
        if word in WORDS_BANNED
    ]


def names_given(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the names that a node gives to something, and their line."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield node.lineno, name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield node.lineno, name
        case ast.arg(arg=name):
            yield node.lineno, name


def homebound(source: Source) -> list[str]:
    """What is written holds on every machine."""
    return [
        f"{number} {line.strip()}"
        for number, line in enumerate(source.text.splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]


def code_of(source: Source) -> Iterator[ast.AST]:
    """Walk over a source's syntax, if it is code."""
    return source.nodes() if source.is_code else iter(())


def twins(files: list[Source]) -> list[str]:
    """Within a package, a file's name says which file is meant."""
    named = Counter(
        (source.path.split("/")[0], source.path.rsplit("/", 1)[-1])
        for source in files
        if source.is_code and not source.path.endswith("__.py")
    )
    return [f"{package}: {count} files {name}" for (package, name), count in named.items() if count > 1]


# --- the project -------------------------------------------------------------------------------


CHECKS: tuple[Check, ...] = (too_long, too_tall, unannounced, fractional, misnamed, homebound)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_project_is_tidy(check):
    assert [f"{source.path}:{told}" for source in sources() for told in check(source)] == []


def test_no_file_is_named_twice():
    assert twins(sources()) == []


# --- the canaries ------------------------------------------------------------------------------

PLANTED = [
    (too_long, "feeds/long.py", "# on and on\n" * (FILE_LINES_MAX + 1)),
    (too_tall, "feeds/tall.py", "def tall():\n" + "    step()\n" * FUNCTION_LINES_MAX),
    (unannounced, "feeds/silent.py", "import zmq\n"),
    (fractional, "matching/fee.py", "FEE = 0.1\n"),
    (fractional, "matching/fee.py", "def fee(amount: float): ...\n"),
    (fractional, "settlement/balances.py", "amount = np.float64(amount)\n"),
    (fractional, "settlement/programmes.py", "rate = paid / gross\n"),
    (misnamed, "exchange/cli.py", "best_px = 1\n"),
    (misnamed, "exchange/cli.py", "def place(qty): ...\n"),
    (misnamed, "exchange/cli.py", "self.tif = 1\n"),
    (misnamed, "exchange/cli.py", "class UID: ...\n"),
    (homebound, "README.md", "Then open " + "/".join(("", "tmp", "venue")) + ".\n"),
]


@pytest.mark.parametrize(("check", "path", "text"), PLANTED)
def test_each_check_can_fail(check, path, text):
    assert len(check(Source(path, text))) == 1


def test_each_check_has_a_canary():
    assert {check for check, _, _ in PLANTED} == set(CHECKS)


def test_a_second_file_of_a_name_is_found_within_a_package():
    one, two = Source("exchange/client/orders.py", ""), Source("exchange/server/orders.py", "")
    elsewhere = Source("feeds/orders.py", "")
    assert twins([one, elsewhere]) == []
    assert twins([one, two, elsewhere]) == ["exchange: 2 files orders.py"]
