"""`bourse explain`: why a trade has its price, quantity, fees and subsidy; what befell an order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from exchange.cli.base import (
    EXIT_DAMAGED,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    Command,
    bourse,
    connected,
    fail,
    print_json,
    with_json,
    with_profile,
)
from exchange.client.sync import SyncExchange as Client

SETTLED_SECONDS_MAX = 5.0
"""How long to wait for the store to come to where the venue stands."""

SETTLED_WAIT_SECONDS = 0.05

Rates = Callable[[str], dict[str, int]]
"""Returns the fees of an instrument in force now, in basis points, by role; empty where nobody tells."""


def with_place(command: Command) -> Command:
    """Add the options that say where to ask: a running venue, or the folder of a stopped one."""
    folder = click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="A stopped venue's folder, or a copy of one; instead of --as.",
    )
    return with_profile("auditor")(folder(with_json(command)))


@bourse.group(epilog="Example: bourse explain trade 17")
def explain() -> None:
    """Tell why a trade or an order came out as it did, each number reckoned anew."""


@explain.command("trade", epilog="Example: bourse explain trade 17 --as sandbox")
@click.argument("number", type=click.IntRange(1))
@with_place
def explain_trade(number: int, folder: Path | None, profile: str, *, as_json: bool) -> None:
    """Tell why a trade has its price, quantity, fees and subsidy, and what was posted.

    A firm is told its own side. Exit code 4 if a number does not agree with what is stored.
    """
    from exchange.explaining import reckoning
    from exchange.explaining.rows import Missing, trade_rows
    from exchange.explaining.telling import trade_words

    with _asking(profile, folder) as (ask, rates):
        try:
            rows = trade_rows(ask, number)
        except Missing as missing:
            fail(str(missing), EXIT_REFUSED)
        told = reckoning.explain_trade(rows, rates(rows.trade["instrument"]))
    _print(told, told.differences, trade_words(told), as_json=as_json)


@explain.command("order", epilog="Example: bourse explain order 20417 --as sandbox")
@click.argument("number", type=click.IntRange(1))
@with_place
def explain_order(number: int, folder: Path | None, profile: str, *, as_json: bool) -> None:
    """Tell the life of an order by sequence: entry, holds, fills, subsidy, its end, and what was refused.

    NUMBER may be the sequence of a command that was refused. A firm is told of its own orders. Exit code 4 if
    a number does not agree with what is stored.
    """
    from exchange.explaining import reckoning
    from exchange.explaining.rows import order_rows, refusal_rows
    from exchange.explaining.telling import order_words, refusal_words

    with _asking(profile, folder) as (ask, rates):
        rows = order_rows(ask, number)
        refusals = refusal_rows(ask, number, None if rows is None else rows.order)
        known = {} if rows is None else rates(rows.order["instrument"])
    if rows is None:
        if not refusals:
            fail(f"order {number}: you see none of that number, and no refusal under it", EXIT_REFUSED)
        if as_json:
            print_json({"order": None, "refusals": refusals})
        else:
            click.echo(f"Sequence {number} was refused; no order came of it.")
            for row in refusals:
                click.echo(refusal_words(row))
        return
    told = reckoning.explain_order(rows, refusals, known)
    _print(told, told.differences, order_words(told), as_json=as_json)


def _print(told: msgspec.Struct, differences: list[str], words: Iterator[str], *, as_json: bool) -> None:
    """Print an explanation, and leave with 4 if it does not agree with itself."""
    if as_json:
        print_json({"ok": not differences, **msgspec.to_builtins(told), "differences": differences})
    else:
        for line in words:
            click.echo(line)
    if differences:
        fail(f"{len(differences)} numbers do NOT agree with what is stored", EXIT_DAMAGED)


@contextmanager
def _asking(profile: str, folder: Path | None) -> Iterator[tuple[Any, Rates]]:
    """Yield what answers SQL, and what knows the fees in force."""
    if folder is not None:
        with _offline(folder) as ask:
            yield ask, lambda _: {}
        return
    with connected(profile) as exchange:
        _await_settlement(exchange)

        def ask_venue(sql: str, parameters: Sequence[int | str]) -> list[dict[str, Any]]:
            return exchange.history.sql(sql, parameters).rows()

        def rates(symbol: str) -> dict[str, int]:
            instrument = exchange.instruments[symbol]
            return {"maker": instrument.maker_fee, "taker": instrument.taker_fee}

        yield ask_venue, rates


def _await_settlement(exchange: Client) -> None:
    """Wait until the store has come to where the venue stands now: it follows within a moment."""
    through, until = exchange.status().sequence, time.monotonic() + SETTLED_SECONDS_MAX
    while (stands := exchange.history.sql("select 1").sequence) < through:
        if time.monotonic() >= until:
            click.echo(f"the store stands at sequence {stands}, the venue at {through}", err=True)
            return
        time.sleep(SETTLED_WAIT_SECONDS)


@contextmanager
def _offline(folder: Path) -> Iterator[Any]:
    """Yield what answers SQL from the store of a folder, which is opened to be read alone."""
    import duckdb

    from exchange.server.folder import Folder

    path = Folder(folder).settlement
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        told = str(error).splitlines()[0]
        fail(f"--folder {path}: {told}; stop the venue, copy its folder, or use --as", EXIT_UNREACHABLE)

    def ask(sql: str, parameters: Sequence[int | str]) -> list[dict[str, Any]]:
        result = connection.execute(sql, list(parameters))
        names = [name for name, *_ in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    try:
        yield ask
    finally:
        connection.close()
