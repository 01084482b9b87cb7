"""What every command of `bourse` shares: the group, its options, its exit codes, its ways to print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from exchange.client.errors import ConnectionLost, ExchangeError, OutcomeUnknown
from exchange.client.sync import SyncExchange as Client
from exchange.client.sync import connect_sync
from exchange.profiles import load_profile

EXIT_REFUSED = 3
EXIT_DAMAGED = 4
EXIT_UNREACHABLE = 5

PIPE_COLUMNS = 160
"""How wide tables are printed where there is no terminal to ask."""

EPILOG = """
\b
Exit codes: 0 done; 1 a fault of the program; 2 wrong usage; 3 refused by the venue;
4 a log or a store that does not hold; 5 the venue cannot be reached, or an outcome is unknown.
"""

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
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


def fail(message: str, code: int) -> None:
    """Say what went wrong on standard error, and leave."""
    click.echo(f"bourse: {message}", err=True)
    sys.exit(code)


def with_profile(default: str) -> Callable[[Command], Command]:
    """Add the option that names the profile to connect with."""
    return click.option(
        "--as",
        "profile",
        default=default,
        show_default=True,
        envvar="BOURSE_PROFILE",
        help="Profile to connect with: a name below BOURSE_VENUE/keys, or a file.",
    )


def with_json(command: Command) -> Command:
    """Add the option that asks for one JSON object instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def connected(profile: str) -> Client:
    """Return a client connected with a profile."""
    return connect_sync(load_profile(profile))


def print_json(value: dict[str, object]) -> None:
    """Print one JSON object on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers stand right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    body = [[str(cell) for cell in row] for row in rows]
    for at, column in enumerate(columns):
        is_number = bool(body) and all(_is_number(row[at]) for row in body)
        table.add_column(column, justify="right" if is_number else "left")
    for row in body:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").replace("%", "").isdigit()


def venue_folder(argument: str | None) -> Path:
    """Return the folder of the venue that a command works on."""
    import os

    return Path(argument or os.environ.get("BOURSE_VENUE", "data/venue"))
