"""What every command of `bourse` shares: the group, its options, its exit codes, its ways to print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence, Sized
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exchange.client.errors import ConnectionLost, ExchangeError, OutcomeUnknown
from exchange.client.money import yuan
from exchange.client.sync import SyncExchange as Client
from exchange.client.sync import connect_sync
from exchange.profiles import load_profile
from exchange.protocol.acts import Act

EXIT_REFUSED = 3
EXIT_DAMAGED = 4
EXIT_UNREACHABLE = 5

PIPE_COLUMNS = 160
"""How wide tables are printed where there is no terminal to ask."""

_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?( %)?", re.ASCII)

EPILOG = """
\b
Exit codes: 0 done; 1 a fault of the program; 2 wrong usage; 3 refused by the venue;
4 a log or a store that does not hold; 5 the venue cannot be reached, or an outcome is unknown.
"""

SECTIONS = {
    "Run a venue": "serve demo status config snapshot settle",
    "Prove and measure": "verify audit explain replay inspect diff certify simulate bench match import",
    "Orders": "instruments subsidy place replace reduce cancel orders fills",
    "A member's money and credits": (
        "account transfer withdraw redeem redemptions recall accept dispute settle-debt"
    ),
    "A provider's": "issue usage deliver",
    "Look and ask": "watch book trades bars quotes index events sql export report feed",
    "Operators, the market": "list suspend retire reweight halt resume phase state collars calendar",
    "Operators, members and money": (
        "admit members limits key deposit block unblock kill related fund programme enrol ineligible "
        "expire resolve"
    ),
    "Operators, what takes two": "proposals approve bust adjust",
}
"""Under which heading `bourse --help` lists each command, in the order in which one needs them."""

Command = TypeVar("Command", bound=Callable[..., Any])


class _Sections(click.Group):
    """A group whose help lists its commands under headings."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        room = formatter.width - 6 - max(map(len, self.commands))
        for heading, names in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(room)) for name in names.split()]
                )


@click.group(cls=_Sections, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tokenbourse", prog_name="bourse")
def bourse() -> None:
    """Tokenbourse: an exchange for AI-model token credits."""


def main() -> None:
    """Run `bourse`, and turn what goes wrong into one clear line and a fixed exit code."""
    try:
        bourse(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ConnectionLost, OutcomeUnknown) as error:
        fail(str(error), EXIT_UNREACHABLE)
    except ExchangeError as error:
        fail(str(error), EXIT_REFUSED)
    except BrokenPipeError:
        sys.stderr.close()


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong on standard error, and leave."""
    click.echo(f"bourse: {message}", err=True)
    sys.exit(code)


def with_profile(default: str | None = None) -> Callable[[Command], Command]:
    """Add the option that names the profile to connect with; without a default it must be named."""
    return click.option(
        "--as",
        "profile",
        default=default,
        required=default is None,
        show_default=True,
        envvar="BOURSE_PROFILE",
        help="Profile to connect with: a name below BOURSE_VENUE/keys, or a file.",
    )


def with_json(command: Command) -> Command:
    """Add the option that asks for one JSON object instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def read_why(_context: click.Context, _parameter: click.Parameter, why: str) -> str:
    """Return the reason; a blank one is none."""
    if not why.strip():
        raise click.BadParameter("it is blank; say why, for the journal to keep")
    return why


with_why = click.option(
    "--why", required=True, callback=read_why, help="The reason, for the journal to keep."
)


def why_else(default: str) -> Callable[[Command], Command]:
    """Add the option for a reason, where the command says enough without one."""
    return click.option(
        "--why", default=default, show_default=True, callback=read_why, help="The reason, for the journal."
    )


with_dry_run = click.option(
    "--dry-run", "dry_run", is_flag=True, help="Tell what it would bring about, and do nothing."
)


def connected(profile: str) -> Client:
    """Return a client connected with a profile."""
    return connect_sync(load_profile(profile))


def print_json(value: dict[str, object]) -> None:
    """Print one JSON object on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_done(told: str, sequence: int, *, as_json: bool, **facts: object) -> None:
    """Print that an act was done: in words, or its sequence and more facts of it as one JSON object."""
    if as_json:
        print_json({"sequence": sequence, **facts})
    else:
        click.echo(f"{told} under sequence {sequence}")


ActsOf = Callable[[Client], Act | Sequence[Act]]
"""What makes acts with a session at hand: names are looked up in what the venue lists."""


def do_act(
    profile: str,
    act: Act | Sequence[Act] | ActsOf,
    why: str,
    told: str,
    *,
    dry_run: bool,
    as_json: bool,
    **facts: object,
) -> None:
    """Have an act, or several in their order, done, and print that; or tell what they would bring about.

    `act` may be a function of the session. Several are told by the sequence of the last one. A dry run ends
    the program with `EXIT_REFUSED` where the venue would refuse one of them.
    """
    from exchange.cli.consequences import tell_rehearsal

    with connected(profile) as exchange:
        made = act(exchange) if callable(act) else act
        acts = tuple(made) if isinstance(made, Sequence) else (made,)
        if dry_run:
            tell_rehearsal(exchange.rehearse(acts, why), as_json=as_json)
            return
        done = [exchange.decide(one, why) for one in acts]
    if len(done) > 1:
        facts["sequences"] = [one.sequence for one in done]
    cancelled = sum(one.orders_cancelled for one in done)
    if cancelled:
        facts["orders_cancelled"] = cancelled
        told += f", {count(range(cancelled), 'open order')} cancelled,"
    print_done(told, done[-1].sequence, as_json=as_json, **facts)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table below its title; numbers stand right, and what members wrote is printed as it is."""
    table = Table(header_style="bold")
    body = [[str(cell) for cell in row] for row in rows]
    for at, column in enumerate(columns):
        cells = list(filter(None, (row[at] for row in body)))
        is_number = bool(cells) and all(map(_NUMBER.fullmatch, cells))
        table.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
    for row in body:
        table.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    console.print(Text(title, style="italic"), soft_wrap=True)
    console.print(table)


def count(things: Sized, name: str) -> str:
    """Return how many things there are, in words.

    >>> count([7], "live key"), count((), "fill")
    ('1 live key', '0 fills')
    """
    return f"{len(things)} {name}" + ("" if len(things) == 1 else "s")


def grouped(hao: int) -> str:
    """Return an amount of hao as yuan, its digits in groups of three.

    >>> grouped(25_000_000_001), grouped(-12_345_000)
    ('2,500,000.0001', '-1,234.50')
    """
    whole, point, decimals = yuan(hao).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{decimals}"


def read_reference(_context: click.Context, _parameter: click.Parameter, reference: str) -> str:
    """Return a member's own reference; one that the venue could not keep is wrong usage."""
    if not (reference.strip() and reference.isascii() and reference.isprintable()):
        message = f"{reference!r}: give some ASCII characters, as you name it in your own books"
        raise click.BadParameter(message)
    return reference


def with_reference(what: str) -> Callable[[Command], Command]:
    """Add the option for a member's own reference of a movement."""
    return click.option(
        "--reference", required=True, callback=read_reference, help=f"Your own; sent twice, it is one {what}."
    )


def venue_folder(argument: str | None) -> Path:
    """Return the folder of the venue that a command works on."""
    import os

    return Path(argument or os.environ.get("BOURSE_VENUE", "data/venue"))
