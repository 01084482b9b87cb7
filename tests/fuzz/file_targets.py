"""Files that people write: settings, profiles, terms, calendars, catalogues, tables of commands, usage."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import pyarrow.csv
import pyarrow.parquet

from exchange import settings_file
from exchange.cli import importing, importing_tables, listing, members, phases, programmes
from exchange.cli.provider import read_lines, read_usage
from exchange.client.errors import BadInput, ProfileError
from exchange.generic_map import read_map
from exchange.instruments import read_catalogue
from exchange.matchfile.columns import BadTable
from exchange.matchfile.commands import CommandFile
from exchange.matchfile.run import match_file
from exchange.profiles import Endpoints, Profile, as_toml, load_profile
from exchange.server.founding import voucher
from settlement.terms_file import terms_text
from tests.fuzz.target import Take, Target, outcome_of, put

Read = Callable[[Path], object]


def reader(
    name: str, read: Read, *documented: type[BaseException], mode: int = 0o600
) -> Callable[[Path], Take]:
    """Return what makes a target of a reader of files, with the errors that its docstring names."""

    def make(folder: Path) -> Take:
        path = folder / name

        def take(data: bytes) -> str:
            put(path, data).chmod(mode)
            try:
                read(path)
            except documented as error:
                return outcome_of(error).replace(str(folder), "")
            return "read"

        return take

    return make


def text_reader(read: Callable[[str], object]) -> Read:
    """Return a reader of files that reads their text, or passes over one that is none."""

    def whole(path: Path) -> object:
        return read(path.read_bytes().decode("utf-8", "replace"))

    return whole


def called_back(read: Any) -> Read:
    """Return a reader of files that is the callback of an argument of the command line."""

    def whole(path: Path) -> object:
        return read(None, None, path)

    return whole


# --- TOML ----------------------------------------------------------------------------------------

KEY = "0" * 40
A_PROFILE = as_toml(Profile("ACME", KEY, KEY, KEY, Endpoints("tcp://127.0.0.1:7001"))).encode()

AN_INSTRUMENT = b"""[[instruments]]
symbol = "NEW-1"
name = "A model"
kind = "model"
provider = "ALIBABA"
domestic = true
filed = true
region = "CN"
tier = "flagship"
tick = 100
list_price = 120_000
weight_input = 1000
expires = 2027-12-31
source = "contract"
source_version = "1"
source_date = 2026-11-05
[[instruments]]
symbol = "NEW-2"
"""

A_MAP = b"""delimiter = ","
[columns]
order = "id"
action = "type"
side = "bs"
price = "px"
quantity = "qty"
time = "ts"
[constants]
instrument = "QWEN3-MAX"
[words.action]
new = ["A"]
cancel = ["D"]
execute = ["E"]
[words.side]
buy = ["B"]
sell = ["S"]
[price]
scale = 10_000
[time]
unit = "us"
day = 2026-11-20
zone = "Asia/Shanghai"
"""

A_MEMBER = b"""member = "NEWFIRM"
role = "firm"
size = "small"
regions = ["330100"]
"""

A_CALENDAR = files("exchange.catalogue").joinpath("calendar.toml").read_bytes()


def settings() -> Iterator[bytes]:
    """Yield a folder's settings: the template, the same with every setting said, a few alone."""
    template = settings_file.template()
    yield template.encode()
    yield "\n".join(
        line.removeprefix("# ") if " = " in line else line for line in template.splitlines()
    ).encode()
    yield b"[throttle]\norders_per_second = 1000\n[logs]\nlevel = 'info'\nkeep = 9\n"


def read_settings(path: Path) -> object:
    """Read the settings of a folder whose file is `path`."""
    return settings_file.load(path.parent, {})


# --- tables --------------------------------------------------------------------------------------

COMMANDS = b"""kind,instrument,member,order,side,type,price,quantity,stop_price,phase,time
new,A,ann,1,sell,limit,100,5,,,1
new,A,bob,2,buy,,101,3,,,2
new,B,bob,3,buy,stop,101,3,102,,2
phase,,,,,,,,,pre_open,3
replace,A,ann,1,,,99,4,,,4
reduce,A,ann,1,,,,1,,,5
phase,,,,,,,,,continuous,6
mass_cancel,,bob,,,,,,,,7
"""

FLOW = b"""id,type,bs,px,qty,ts
1,A,B,10.01,5,1000
2,A,S,10.02,6,2000
3,A,S,10.00,2,3000
1,E,,10.01,2,4000
2,D,,,6,5000
"""

MESSAGES = b"""34200.017459617,5,0,1,2238200,-1
34200.18960767,1,11885113,21,2238100,1
34200.18960767,1,3911376,20,2239600,-1
34200.205602389,3,11885113,21,2238100,1
34200.3,4,3911376,5,2239600,-1
34200.4,2,3911376,5,2239600,-1
34200.5,7,0,0,-1,-1
"""

USAGE = b"""{"id": "r-1", "member": "SANDBOX", "model": "QWEN3-MAX", "created": 1767576600,\
 "usage": {"prompt_tokens": 1200, "completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 20}}}
{"id": "r-2", "member": "SANDBOX", "model": "QWEN3-MAX", "created": 1767576601,\
 "usage": {"prompt_tokens": 5, "completion_tokens": 0}}
"""


def as_parquet(table: bytes, **options: Any) -> bytes:
    """Return a CSV as Parquet."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(io.BytesIO(table)), out, **options)
    return out.getvalue()


def parquets(table: bytes) -> Iterator[bytes]:
    """Yield a table as Parquet in several encodings."""
    yield as_parquet(table, compression="none", use_dictionary=False)
    yield as_parquet(table, compression="none")
    yield as_parquet(table, compression="snappy", data_page_version="2.0")
    yield as_parquet(table, compression="zstd", store_schema=False)


def matched(path: Path) -> object:
    """Play a table of commands, and write all that may be written of it."""
    out = path.parent
    return match_file(CommandFile(path), out / "events.parquet", out / "book.csv", None, out / "feed")


def imported(form: str) -> Read:
    """Return a reader of a table of order flow, by a map that fits it."""

    def whole(path: Path) -> object:
        named = path.with_name("map.toml")
        if not named.exists():
            named.write_bytes(A_MAP)
        return importing_tables.written(path, form, named, path.with_name("commands.csv"))

    return whole


def lobster(path: Path) -> object:
    """Read a LOBSTER message file, and write its commands."""
    return importing._import(path, None, path.with_name("commands.csv"), "AMZN", None)


def lobster_book(path: Path) -> object:
    """Read LOBSTER's file of the book beside messages that are right."""
    beside = path.with_name("messages.csv")
    if not beside.exists():
        beside.write_bytes(MESSAGES)
    return importing._import(beside, path, path.with_name("commands.csv"), "AMZN", None)


A_BOOK = b"2239500,100,2231800,100\n" * 7


def of(*seeds: bytes) -> Callable[[], Iterable[bytes]]:
    """Return what gives these seeds."""
    return lambda: seeds


TARGETS = (
    Target("profile", reader("acme.toml", load_profile, ProfileError), of(A_PROFILE)),
    Target(
        "settings",
        reader("venue.toml", read_settings, settings_file.SettingsError),
        settings,
        longest=32_768,
    ),
    Target(
        "terms",
        reader("terms.toml", called_back(programmes.read_file), click.BadParameter),
        of(terms_text(voucher(2026)).encode()),
    ),
    Target(
        "admission",
        reader("m.toml", lambda path: members.admission(path, {}), click.UsageError, SystemExit),
        of(A_MEMBER),
    ),
    Target("calendar", reader("c.toml", called_back(phases.read_file), click.BadParameter), of(A_CALENDAR)),
    Target(
        "instruments",
        reader("i.toml", called_back(listing.read_instruments), click.BadParameter),
        of(AN_INSTRUMENT),
    ),
    Target("map", reader("map.toml", read_map, BadTable), of(A_MAP)),
    Target(
        "catalogue",
        reader("catalogue.csv", text_reader(read_catalogue), ValueError),
        lambda: [files("exchange.catalogue").joinpath("standard.csv").read_bytes()[:6_000]],
    ),
    Target("usage", reader("u.jsonl", lambda path: read_usage(read_lines(path)), BadInput), of(USAGE)),
    Target("match_csv", reader("c.csv", matched, BadTable), of(COMMANDS)),
    Target("match_parquet", reader("c.parquet", matched, BadTable), lambda: parquets(COMMANDS)),
    Target("import_csv", reader("f.csv", imported("csv"), BadTable), of(FLOW)),
    Target("import_parquet", reader("f.parquet", imported("parquet"), BadTable), lambda: parquets(FLOW)),
    Target("lobster", reader("m.csv", lobster, BadTable), of(MESSAGES)),
    Target("lobster_book", reader("b.csv", lobster_book, BadTable), of(A_BOOK)),
)
