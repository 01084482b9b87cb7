"""Writes the reference pages of `docs/reference/` from the code: `python -m exchange.reference [--check]`."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable
from enum import IntEnum
from importlib.resources import files
from pathlib import Path
from typing import get_args

import click
import msgspec

from exchange import (
    calendar,
    config,
    fixing,
    market_decisions,
    memory,
    money_decisions,
    settings_file,
    standing,
    usage_decisions,
)
from exchange.certify.playing import CASES
from exchange.cli import bourse
from exchange.client import errors
from exchange.markdown import MADE, coded, constants, documented, table
from exchange.protocol import acts, messages
from exchange.protocol.reasons import MEANINGS
from exchange.protocol.records import COMMAND_FIELDS, REPORT_FIELDS, Field, Instruction, packer
from exchange.reference_feed import feed_header, feed_page
from exchange.server import metrics
from matching import vocabulary
from matching.permissions import FOLLOWS, TAKEN, Ask, forbidden
from matching.vocabulary import Phase
from settlement import layout, terms
from settlement.store import Store, describe

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
STORIES = FOLDER.parents[1] / "tests" / "matching" / "stories"

LIMITED = (
    config,
    vocabulary,
    messages,
    market_decisions,
    money_decisions,
    calendar,
    fixing,
    memory,
    standing,
    usage_decisions,
    layout,
)
"""The modules whose numbers are limits and settings."""

_TYPES = {
    "B": "uint8",
    "H": "uint16",
    "i": "int32",
    "q": "int64",
    "24s": "24 bytes, ASCII, padded with zeros",
}


def pages() -> dict[str, str]:
    """Return every page by its file's name."""
    return {
        "cli.md": cli_page(),
        "messages.md": messages_page(),
        "records.md": records_page(),
        "feed.md": feed_page(),
        "feed.h": feed_header(),
        "reject-reasons.md": reasons_page(),
        "errors.md": errors_page(),
        "certify.md": certify_page(),
        "tables.md": tables_page(),
        "terms.md": terms_page(),
        "limits.md": limits_page(),
        "settings.md": settings_page(),
        "metrics.md": metrics_page(),
        "phases.md": phases_page(),
        "stories.md": stories_page(),
    }


def cli_page() -> str:
    """Return the help of every command."""
    parts = [MADE, "# Commands\n", _help(bourse, "bourse")]
    parts += _command_parts(bourse, "bourse")
    return "\n".join(parts)


def _command_parts(group: click.Group, path: str) -> list[str]:
    parts = []
    for name, command in sorted(group.commands.items()):
        whole = f"{path} {name}"
        parts += [f"## `{whole}`\n", _help(command, whole)]
        if isinstance(command, click.Group):
            parts += _command_parts(command, whole)
    return parts


def _help(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path, terminal_width=100, max_content_width=100)
    return f"```text\n{command.get_help(context)}\n```\n"


def messages_page() -> str:
    """Return every message and act: fields, types, meaning."""
    parts = [
        MADE,
        "# Messages\n",
        inspect.getdoc(messages) or "",
        "",
        f"This is protocol version {messages.PROTOCOL_VERSION}.",
        "[Sessions](../manual/sessions.md) says who says what when.\n",
    ]
    for title, union in (
        ("From a member", messages.Request),
        ("From the venue", messages.Answer),
        ("Query service", messages.QueryRequest | messages.QueryAnswer),
        ("Acts, inside `Decide` and in the journal", acts.Act),
    ):
        parts.append(f"## {title}\n")
        for kind in get_args(union):
            parts += [f"### {kind.__name__}\n", inspect.getdoc(kind) or "", ""]
            parts.append(table(("field", "type", "default"), map(_field_row, msgspec.structs.fields(kind))))
    return "\n".join(parts)


def _field_row(field: msgspec.structs.FieldInfo) -> tuple[str, str, str]:
    kind = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
    default = "required" if field.required else repr(field.default)
    return f"`{field.name}`", f"`{kind.replace('typing.', '')}`", f"`{default}`"


def records_page() -> str:
    """Return the fixed-width records, byte by byte."""
    parts = [
        MADE,
        "# Records\n",
        "Little-endian, packed. A message is `C` and commands, or `R` and reports.\n",
    ]
    for title, fields in (("Command", COMMAND_FIELDS), ("Report", REPORT_FIELDS)):
        parts += [
            f"## {title}, {packer(fields).size} bytes\n",
            table(("byte", "field", "type"), _offsets(fields)),
        ]
    parts.append("## Codes\n")
    for codes in (
        vocabulary.CommandKind,
        vocabulary.EventKind,
        vocabulary.Side,
        vocabulary.OrderType,
        vocabulary.TimeInForce,
        vocabulary.SelfTrade,
        Instruction,
        vocabulary.OrderState,
    ):
        parts += [f"### {codes.__name__}\n", inspect.getdoc(codes) or "", ""]
        members = codes.__members__.items()
        parts.append(table(("code", "name"), ((code.value, name.lower()) for name, code in members)))
    return "\n".join(parts)


def _offsets(fields: tuple[Field, ...]) -> list[tuple[int, str, str]]:
    rows = []
    for at, (name, code) in enumerate(fields):
        rows.append((packer(fields[:at]).size, f"`{name}`", _TYPES[code]))
    return rows


def reasons_page() -> str:
    """Return every reject reason with the field at fault and the remedy."""
    rows = [
        (reason.value, f"`{reason.name.lower()}`", meaning.field, meaning.remedy)
        for reason, meaning in MEANINGS.items()
        if reason
    ]
    return "\n".join([MADE, "# Reject reasons\n", table(("code", "reason", "field", "remedy"), rows)])


def errors_page() -> str:
    """Return the tree of the client's exceptions, and of each its code and what it tells."""
    parts = [
        MADE,
        "# Errors of the client\n",
        "What the Python client raises. [For a firm](../firm.md) says what to do about each;",
        "[reject reasons](reject-reasons.md) are the codes of `OrderRejected` and `RequestRefused`.\n",
        f"```text\n{_tree(errors.__doc__ or '')}\n```\n",
    ]
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.ExchangeError):
            bases = ", ".join(coded(base.__name__) for base in kind.__bases__)
            about = f"Code `{kind.code}`. Under {bases}.\n"
            parts += [f"## `{name}`\n", inspect.getdoc(kind) or "", "", about]
    return "\n".join(parts)


def _tree(docstring: str) -> str:
    """Return the indented part of a module's docstring."""
    drawn = [line.removeprefix("    ") for line in docstring.splitlines() if line.startswith("    ")]
    return "\n".join(drawn)


def certify_page() -> str:
    """Return every case of `bourse certify`, with the rule of sessions that it rests on."""
    head = ("case", "group", "what is required", "the rule begins")
    rows = ((coded(one.name), one.group, one.required, one.rule.strip("| ")) for one in CASES)
    about = "What `bourse certify` plays, by [the rules of sessions](../manual/sessions.md).\n"
    return "\n".join([MADE, "# Cases of certification\n", about, table(head, rows)])


def terms_page() -> str:
    """Return what a programme's terms are, field by field, and a file of them."""
    example = files("exchange.programmes").joinpath("hz-voucher.toml").read_text("utf-8")
    parts = [MADE, "# Terms of a programme\n", "[The rules](../manual/money.md) say what each does.\n"]
    for kind in (terms.ProgrammeTerms, terms.Rate):
        parts += [f"## {kind.__name__}\n", inspect.getdoc(kind) or "", ""]
        parts.append(table(("field", "type", "default"), map(_field_row, msgspec.structs.fields(kind))))
    parts.append(f"## A file\n\n```toml\n{example}```\n")
    return "\n".join(parts)


def tables_page() -> str:
    """Return every table and view that analysts may ask, column by column."""
    store = Store.open(None)
    described = describe(store)
    store.close()
    parts = [MADE, "# Tables of the settlement store\n"]
    for name in dict.fromkeys(row.table for row in described):
        rows = [(f"`{row.column}`", row.type, row.comment) for row in described if row.table == name]
        parts += [f"## `{name}`\n", table(("column", "type", "meaning"), rows)]
    return "\n".join(parts)


def limits_page() -> str:
    """Return every limit and setting with its reason."""
    rows = [
        (f"`{name}`", value, reason)
        for module in LIMITED
        for name, value, reason in constants(module.__file__ or "")
        if isinstance(getattr(module, name), int | float)
    ]
    return "\n".join([MADE, "# Limits and settings\n", table(("name", "value", "why"), rows)])


def settings_page() -> str:
    """Return every setting: what it is called, its default, what it may be, what it means."""
    parts = [
        MADE,
        "# Settings\n",
        "Said in `venue.toml` in the venue's folder, or by a variable of the environment, which goes before",
        "the file; options of `bourse serve` go before both. All are read when the venue starts.",
        "`bourse config` shows what holds, and where it comes from.\n",
    ]
    for section in settings_file.SECTIONS:
        kind = type(getattr(config.Settings(), section))
        rows = [
            (
                coded(one.name),
                coded(settings_file.as_toml(settings_file.served(one))),
                settings_file.bounds(one),
                f"{one.meaning} `{one.variable}`",
            )
            for one in settings_file.SETTINGS.values()
            if one.section == section
        ]
        parts += [f"## `[{section}]`\n", inspect.getdoc(kind) or "", ""]
        parts.append(table(("setting", "default", "may be", "meaning, and variable"), rows))
    return "\n".join(parts)


def metrics_page() -> str:
    """Return every metric that a venue's supervisor serves."""
    rows = (
        (f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in metrics.METRICS
    )
    about = inspect.getdoc(metrics) or ""
    return "\n".join([MADE, "# Metrics\n", about, "", table(("metric", "kind", "labels", "meaning"), rows)])


def phases_page() -> str:
    """Return what each phase takes and which may follow it, and the phases of each mode and state."""
    parts = [
        MADE,
        "# Phases\n",
        "[Phases, calls and auctions](../manual/auctions.md) tells what each phase is, and",
        "[the trading day](../manual/trading-day.md) who changes it, and what modes and states are.\n",
        "## What each phase takes\n",
        "Or, where it does not, the reason of the refusal.\n",
        table(("phase", *map(_words, Ask)), ((coded(_word(phase)), *_takings(phase)) for phase in Phase)),
        *_ask_meanings(),
        "\n## Which phase may follow which\n",
        "At the venue, whoever asks for it. To the order book alone, any may follow any.\n",
        table(
            ("phase", "may be followed by"),
            ((coded(_word(phase)), _phases(FOLLOWS[phase])) for phase in Phase),
        ),
        "## Which phases each mode knows\n",
        table(
            ("mode", "phases"),
            ((coded(mode), _phases(known)) for mode, known in market_decisions.PHASES_OF_MODE.items()),
        ),
        "## Which phases each state allows\n",
        table(
            ("state", "phases", "may become"),
            (
                (
                    coded(state),
                    _phases(allowed),
                    ", ".join(map(coded, market_decisions.STATES_AFTER[state])),
                )
                for state, allowed in market_decisions.PHASES_OF_STATE.items()
            ),
        ),
    ]
    return "\n".join(parts)


def _word(code: IntEnum) -> str:
    return code.name.lower()


def _words(code: IntEnum) -> str:
    return _word(code).replace("_", " ")


def _takings(phase: Phase) -> list[str]:
    """Return of each sort of command that a phase takes it, or why it does not."""
    return ["yes" if ask in TAKEN[phase] else coded(_word(forbidden(phase, ask))) for ask in Ask]


def _phases(phases: Iterable[Phase]) -> str:
    return ", ".join(coded(_word(phase)) for phase in phases)


def _ask_meanings() -> list[str]:
    """Return a line for each sort of command whose name does not say all."""
    defined = ast.parse(inspect.getsource(Ask)).body[0]
    assert isinstance(defined, ast.ClassDef)
    return [f"- *{_words(Ask[name])}*: {meaning}" for name, _, meaning in documented(defined.body)]


def stories_page() -> str:
    """Return every story of the book's rules, chapter by chapter, and before them how a story is read."""
    about = ast.get_docstring(ast.parse(STORIES.with_suffix(".py").read_text("utf-8"))) or ""
    _, language = about.split("\n\n", maxsplit=1)
    parts = [
        MADE,
        "# Stories of the book\n",
        "The [rules of the book](../manual/order-book.md), each in a trader's words. The tests play these",
        "very stories, on the kernels and on the reference in plain Python.\n",
        language,
        "",
    ]
    for title, paths in chapters(STORIES).items():
        parts += [f"## {title}\n", *map(story_shown, paths)]
    return "\n".join(parts)


def story_shown(path: Path) -> str:
    """Return a story's sentence, and below it what is asked and what is told."""
    sentence, story = path.read_text("utf-8").split("\n\n", maxsplit=1)
    words = sentence.removeprefix("# ").replace("\n# ", "\n")
    return f"{words}\n\n```text\n{story}```\n"


def chapters(folder: Path) -> dict[str, list[Path]]:
    """Return each chapter's stories, as `contents.txt` tells them: a title, then a file's name a line."""
    found: dict[str, list[Path]] = {}
    title = ""
    for line in folder.joinpath("contents.txt").read_text("utf-8").splitlines():
        if line.startswith(" "):
            chapter = title.lower().replace(" ", "_").replace("-", "_")
            found[title].append(folder / chapter / f"{line.strip()}.txt")
        elif line and not line.startswith("#"):
            title = line
            found[title] = []
    return found


def main() -> int:
    """Write the pages, or with `--check` say which are stale."""
    made = pages()
    if "--check" not in sys.argv[1:]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            FOLDER.joinpath(name).write_text(text, "utf-8")
        return 0
    stale = [
        name
        for name, text in made.items()
        if not FOLDER.joinpath(name).exists() or FOLDER.joinpath(name).read_text("utf-8") != text
    ]
    for name in stale:
        print(f"docs/reference/{name} is stale; run `make docs`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
