"""The settings of a venue: `venue.toml` in its folder, `BOURSE_…` in the environment, options above both.

    [throttle]
    orders_per_second = 1000          # or BOURSE_THROTTLE_ORDERS_PER_SECOND=1000

What a setting means, and what it may be, is declared once, in `exchange.config`.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from exchange import config
from exchange.config import Settings

FILE_NAME = "venue.toml"
PREFIX = "BOURSE_"
OTHER_VARIABLES = frozenset({"VENUE", "PROFILE", "SEED", "TEST_SCALE", "KERNEL_CACHE"})
"""What else the environment may say, behind the prefix."""

DEFAULT = "default"

PORT_DEFAULT = 7411
PORTS = ("orders", "query", "feed", "refresh", "operators", "metrics")
"""The endpoints that `bourse serve` numbers on from its port, in this order."""

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_EXAMPLES = {config.Endpoint: "tcp://127.0.0.1:7411", config.WebEndpoint: "http://127.0.0.1:7416, or blank"}
_LIKENESS = 0.8
"""How alike a name must be to one that is known, to be told as what was meant."""

Name = tuple[str, str]
"""A setting's section and name."""


class SettingsError(ValueError):
    """A setting that cannot be taken; the message names where it stands, the value, and the remedy."""


class Setting(NamedTuple):
    """One setting: its names, type with bounds, default, and what it means."""

    section: str
    name: str
    type: Any
    default: Any
    meaning: str

    @property
    def key(self) -> str:
        """Its name in full, as in errors: `throttle.orders_burst`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The variable of the environment that sets it."""
        return f"{PREFIX}{self.section}_{self.name}".upper()


class Chosen(NamedTuple):
    """A setting's value, and where it comes from."""

    value: object
    source: str


class Loaded(NamedTuple):
    """A venue's settings, and of each that is not its default where it comes from."""

    settings: Settings
    chosen: dict[Name, Chosen]

    def source(self, setting: Setting) -> str:
        """Return where a setting comes from."""
        found = self.chosen.get((setting.section, setting.name))
        return found.source if found else DEFAULT

    def value(self, setting: Setting) -> object:
        """Return a setting's value."""
        return getattr(getattr(self.settings, setting.section), setting.name)


def _declared() -> Iterator[Setting]:
    """Yield every setting, with the docstring that follows its field."""
    classes = {
        node.name: documented_fields(node)
        for node in ast.parse(inspect.getsource(config)).body
        if isinstance(node, ast.ClassDef)
    }
    for section, kind in get_type_hints(Settings).items():
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            meaning = classes[kind.__name__][field.name]
            yield Setting(section, field.name, hints[field.name], field.default, meaning)


def documented_fields(body: ast.ClassDef) -> dict[str, str]:
    """Return the docstring that follows each field of a class, its lines joined."""
    found = {}
    for statement, following in pairwise(body.body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            found[statement.target.id] = " ".join(str(following.value.value).split())
    return found


SETTINGS: dict[Name, Setting] = {(one.section, one.name): one for one in _declared()}
"""Every setting, in the order of `exchange.config`."""

SECTIONS = tuple(dict.fromkeys(section for section, _ in SETTINGS))


def differing(settings: Settings) -> dict[str, object]:
    """Return the settings whose value is not the default, by their names in full.

    >>> differing(Settings(logs=config.LogSettings(keep=9)))
    {'logs.keep': 9}
    """
    values = ((one, getattr(getattr(settings, one.section), one.name)) for one in SETTINGS.values())
    return {one.key: value for one, value in values if value != one.default}


def bounds(setting: Setting) -> str:
    """Return in words what a setting may be.

    >>> bounds(SETTINGS["snapshots", "keep"]), bounds(SETTINGS["logs", "level"])
    ('a whole number from 1 to 1,000', "'debug', 'info', 'warning' or 'error'")
    """
    if setting.type in _EXAMPLES:
        return f"a text such as {_EXAMPLES[setting.type]}"
    if get_origin(setting.type) is not None and not hasattr(setting.type, "__metadata__"):
        *first, last = map(repr, get_args(setting.type))
        return f"{', '.join(first)} or {last}"
    kind, *limits = get_args(setting.type) or (setting.type,)
    told = _WORDS[kind]
    for limit in limits:
        told += f" from {limit.ge:,}" if limit.ge is not None else ""
        told += f" above {limit.gt:,}" if limit.gt is not None else ""
        told += f" to {limit.le:,}" if limit.le is not None else ""
    return told


# --- reading -------------------------------------------------------------------------------------


def load(
    folder: Path,
    environment: Mapping[str, str] = os.environ,
    options: Mapping[Name, Chosen] | None = None,
    base: Mapping[Name, Chosen] | None = None,
) -> Loaded:
    """Return a venue's settings: defaults, `base`, `venue.toml`, the environment, `options`, the last first.

    `base` is what a command chooses where nobody else does. Raises `SettingsError`.
    """
    chosen = {
        **(base or {}),
        **_from_file(folder / FILE_NAME),
        **_from_environment(environment),
        **(options or {}),
    }
    for name, (value, source) in (options or {}).items():
        _checked(SETTINGS[name], value, source, strict=True)
    sections = {}
    for section, kind in get_type_hints(Settings).items():
        own = {name: one.value for (where, name), one in chosen.items() if where == section}
        sections[section] = kind(**own)
    return Loaded(Settings(**sections), chosen)


def consecutive(host: str, port: int, source: str) -> dict[Name, Chosen]:
    """Return the endpoints that a host and a first port give; port 0: the system chooses them all.

    What is read over plain HTTP stays on this machine, whatever the host.
    """
    ends = {}
    for step, name in enumerate(PORTS):
        at = port + step if port else 0
        end = f"http://127.0.0.1:{at}" if name == "metrics" else f"tcp://{host}:{at}"
        ends["listen", name] = Chosen(end, source)
    return ends


def serving() -> dict[Name, Chosen]:
    """Return what `bourse serve` chooses where nobody else does."""
    return consecutive("127.0.0.1", PORT_DEFAULT, "default of serve")


def served(setting: Setting) -> object:
    """Return what a setting is under `bourse serve` where nobody says anything."""
    chosen = serving().get((setting.section, setting.name))
    return chosen.value if chosen else setting.default


def _from_file(path: Path) -> dict[Name, Chosen]:
    """Return what a file sets."""
    try:
        text = path.read_text("utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); let its owner run this") from error
    except (ValueError, RecursionError) as error:  # TOML and UTF-8: both of them say where
        raise SettingsError(f"{path} is not well written: {error}; mend that line") from error
    found = {}
    for section, table in tables.items():
        if section not in SECTIONS:
            where = f"{path} line {_line(text, section)}"
            raise SettingsError(_unknown(where, f"section [{section}]", section, SECTIONS))
        if not isinstance(table, dict):
            told = (
                f"{path}: {section} = {table!r} is no section; write [{section}], and its settings below it"
            )
            raise SettingsError(told)
        for name, value in table.items():
            where = f"{path} line {_line(text, section, name)}"
            if (section, name) not in SETTINGS:
                known = [other for at, other in SETTINGS if at == section]
                raise SettingsError(_unknown(where, f"setting {section}.{name}", name, known))
            found[section, name] = Chosen(
                _checked(SETTINGS[section, name], value, where, strict=True),
                f"{FILE_NAME} line {_line(text, section, name)}",
            )
    return found


def _line(text: str, section: str, name: str | None = None) -> int:
    """Return the line on which a section or a setting stands, the section's if the setting's is not found."""
    at, begun = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\]]+?)\s*\]", line):
            at = header[1]
            begun = number if at == section else begun
        whole = section if name is None else f"{section}.{name}"
        key = line.split("=")[0].replace(" ", "").strip()
        if (at == "" and key == whole) or (name is not None and at == section and key == name):
            return number
    return begun


def _from_environment(environment: Mapping[str, str]) -> dict[Name, Chosen]:
    """Return what variables set; one that is nearly a setting's name, and is none, is an error."""
    by_variable = {one.variable: one for one in SETTINGS.values()}
    begun = tuple(f"{PREFIX}{section}_".upper() for section in SECTIONS)
    found = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable.removeprefix(PREFIX) in OTHER_VARIABLES:
            continue
        setting = by_variable.get(variable)
        if setting is not None:
            value = _checked(setting, text, variable, strict=False)
            found[setting.section, setting.name] = Chosen(value, variable)
        elif variable.startswith(begun) or difflib.get_close_matches(variable, by_variable, cutoff=_LIKENESS):
            raise SettingsError(_unknown("the environment", f"variable {variable}", variable, by_variable))
    return found


def _checked(setting: Setting, value: object, where: str, *, strict: bool) -> object:
    """Return a value as its setting's type; the environment's texts are read as numbers."""
    try:
        return msgspec.convert(value, setting.type, strict=strict)
    except msgspec.ValidationError as error:
        told = f"{where}: {setting.key} = {value!r} cannot be taken; write {bounds(setting)}"
        raise SettingsError(told) from error


def _unknown(where: str, what: str, name: str, known: Iterable[str]) -> str:
    alike = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    remedy = f"did you mean {alike[0]}?" if alike else "`bourse config` lists them all"
    return f"{where}: there is no {what}; {remedy}"


# --- writing -------------------------------------------------------------------------------------


def write_template(folder: Path) -> bool:
    """Write a folder's `venue.toml`, unless it has one; tell whether it was written."""
    try:
        with (folder / FILE_NAME).open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        return False
    return True


def template() -> str:
    """Return a `venue.toml` in which every setting is a comment, with its default and what it means."""
    lines = [
        "# What this venue's operator has chosen; what is not said here is as the comments say.",
        "# `bourse config` shows what holds, and where it comes from. Read at the next start.",
    ]
    kinds = get_type_hints(Settings)
    for section in SECTIONS:
        about = " ".join((inspect.getdoc(kinds[section]) or "").split())
        lines += ["", f"# {about}", f"[{section}]"]
        for setting in SETTINGS.values():
            if setting.section == section:
                lines += ["", *wrapped(setting.meaning), f"# {setting.name} = {as_toml(served(setting))}"]
    return "\n".join(lines) + "\n"


def wrapped(text: str) -> list[str]:
    """Return a text as comments of at most 100 columns."""
    return textwrap.wrap(text, width=100, initial_indent="# ", subsequent_indent="# ")


def as_toml(value: object) -> str:
    """Return a number or a text as TOML has it; a JSON text without control characters is one of TOML."""
    return f"{value:_}" if isinstance(value, int) else json.dumps(value, ensure_ascii=False)
