"""What the kernels cost on this machine: `bourse bench`, and beside other engines if they are there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from exchange.cli.base import bourse, fail, print_json, print_table, with_json

CHECKOUT = Path(__file__).resolve().parents[2]
"""Where `bench/` stands beside the packages. An installed copy has none."""

WORKLOADS = ("realistic", "hundred", "deep", "sweep")
"""The names of `matching.workloads.WORKLOADS`, which loads the kernels: help must not wait for them."""

Result = dict[str, Any]


@bourse.group(epilog="Example: bourse bench matching --json")
def bench() -> None:
    """Measure what the parts of the exchange cost on this machine."""


@bench.command(epilog="Example: bourse bench matching --workload realistic --commands 200000")
@click.option(
    "--workload", "workloads", multiple=True, type=click.Choice(WORKLOADS), help="Only this one; repeat."
)
@click.option(
    "--commands", default=1_000_000, show_default=True, type=click.IntRange(min=1), help="Commands a tape."
)
@click.option("--peers", is_flag=True, help="Drive other matching engines too; from a checkout only.")
@with_json
def matching(workloads: tuple[str, ...], commands: int, *, peers: bool, as_json: bool) -> None:
    """Measure the matching kernels: CPU time a command, events written, by workload.

    In batches of 4,096, and one command a call. With --peers, other engines play the same tapes, each
    in its own process and its own loop; `make bench-peers` installs them first.
    """
    from exchange import benchmarks

    asked = workloads or WORKLOADS
    if peers:
        _require_peers()
    with _telling() as tell:
        figures = benchmarks.matching(asked, commands, told=tell)
        if peers:
            figures["results"] += _peer_results(asked, commands, tell)
    if as_json:
        print_json(figures)
        return
    _print_results(figures["results"], benchmarks.ENGINE)
    _print_rest(figures)


@bench.command(epilog="Example: bourse bench auction --orders 100000 --json")
@click.option(
    "--orders", default=1_000_000, show_default=True, type=click.IntRange(min=1), help="Orders that uncross."
)
@with_json
def auction(orders: int, *, as_json: bool) -> None:
    """Measure call auctions: CPU time of the kernels, events written.

    First the one command that uncrosses a call of many limit orders, of 10,000 members over 20,000 prices,
    about half of which trade. Then each new order and each cancel in a call of 10,000 orders, with the
    indicative price that follows from it.
    """
    from exchange import benchmarks

    with _telling() as tell:
        figures = benchmarks.auction(orders, told=tell)
    if as_json:
        print_json(figures)
        return
    _print_auction(figures)


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Yield who tells what is measured now: on a terminal in one line that goes, else line by line."""
    console = Console(stderr=True)
    with console.status("", spinner="line") as status:

        def tell(what: str) -> None:
            status.update(what)
            if not console.is_terminal:
                console.print(what, highlight=False)

        yield tell


# --- the peers, which an installed copy does not have ----------------------------------------------


def _require_peers() -> None:
    """End with a word, unless this is a checkout whose peers are installed."""
    if not (CHECKOUT / "bench" / "peers").is_dir():
        fail("--peers runs from a checkout of the source alone: this copy has no bench/", 2)
    if not (CHECKOUT / ".venv-peers").is_dir():
        fail("the peers are not installed: `make bench-peers` does it, in an environment of their own", 2)


def _peer_results(workloads: Sequence[str], commands: int, tell: Callable[[str], None]) -> Iterator[Result]:
    """Run the checkout's peers, and yield their figures as they come."""
    command = [sys.executable, "-m", "bench.peers", "--commands", str(commands)]
    for workload in workloads:
        command += ["--workload", workload]
    tell("the peers")
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603
        for line in running.stdout or ():
            result = json.loads(line)
            tell(f"{result['workload']}: {result['engine']}")
            yield result
    if running.returncode:
        fail(f"the peers ended with code {running.returncode}", 1)


# --- in words ------------------------------------------------------------------------------------


def _print_results(results: Sequence[Result], ours: str) -> None:
    """Print a line for each engine and workload; what is missing is told below, with the notes."""
    our_ns = {one["workload"]: one["cpu_ns_per_command"] for one in results if one["engine"] == ours}
    measured = [one for one in results if "missing" not in one]
    print_table(
        "matching: CPU time of one core, events written",
        ("workload", "engine", "commands", "ns a command", "commands/s", "trades", "lots", "times ours"),
        [_row(one, our_ns[one["workload"]]) for one in measured],
    )
    for one in results:
        if "missing" in one:
            click.echo(f"{one['workload']}: {one['engine']}: not measured: {one['missing']}")
    for engine, note in {one["engine"]: one["note"] for one in measured if "note" in one}.items():
        click.echo(f"{engine}: {note}")
    for one in measured:
        if not one.get("trades_equal", True):
            same = one["ours"]
            click.echo(
                f"{one['workload']}: {one['engine']} made {_count(one['trades'])} trades of "
                f"{_count(one['quantity'])} lots where ours made {same['trades']:,} of {same['quantity']:,}"
            )


def _row(result: Result, our_ns: float) -> tuple[str, ...]:
    """Return a result as a line; a peer is compared with ours over the same commands."""
    times = result.get("times_slower") or result["cpu_ns_per_command"] / our_ns
    return (
        result["workload"],
        result["engine"],
        f"{result['commands']:,}",
        f"{result['cpu_ns_per_command']:,.1f}",
        f"{result['commands_per_second']:,}",
        _count(result["trades"]),
        _count(result["quantity"]),
        f"{times:,.1f}",
    )


def _count(number: int | None) -> str:
    """Return a count, or that the engine does not tell it."""
    return "-" if number is None else f"{number:,}"


def _print_rest(figures: Result) -> None:
    """Print how long a batch takes, and what memory."""
    rows = [
        (one["workload"], size, *(f"{at:,}" for at in found.values()))
        for one in figures["results"]
        for size, found in one.get("batch_ns", {}).items()
    ]
    title = f"ns a batch; the clock's own {figures['clock_ns']} are in them"
    print_table(title, ("workload", "commands", "p50", "p99", "p99.9", "max"), rows)
    memory = figures["memory"]
    if "deep_bytes_per_order" in memory:
        click.echo(f"deep: {memory['deep_bytes_per_order']} bytes a resting order")
    idle = memory["idle"]
    click.echo(
        f"{idle['instruments']:,} instruments listed, mostly idle: {idle['resident_bytes'] / 1e6:.1f} MB "
        f"of memory in use (arrays: {idle['array_bytes'] / 1e6:.1f} MB)"
    )
    click.echo(figures["machine"])


def _print_auction(figures: Result) -> None:
    """Print what an uncrossing costs, and what an update of a call does."""
    uncross, updates = figures["uncross"], figures["updates"]
    singly = updates["one_a_call_us"]
    click.echo(
        f"uncrossing {uncross['orders']:,} orders: {uncross['cpu_ms']:,.1f} ms "
        f"({uncross['cpu_ns_per_order']:,.1f} ns an order), {uncross['trades']:,} trades "
        f"of {uncross['quantity']:,} lots"
    )
    click.echo(
        f"{updates['updates']:,} updates of a call of {updates['resting']:,} orders told "
        f"{updates['indicatives']:,} indicative prices: {updates['batch_us_mean']:,.2f} µs each in one batch"
    )
    click.echo(
        f"one command a call: p50 {singly['p50']:,.2f} µs, p99 {singly['p99']:,.2f} µs, "
        f"max {singly['max']:,.2f} µs; the clock's own {figures['clock_ns']} ns are in them"
    )
    click.echo(figures["machine"])
