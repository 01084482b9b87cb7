"""How the venue is: what it tells its members, and what its supervisor knows of its processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import TYPE_CHECKING, Protocol
from urllib.error import URLError
from urllib.request import urlopen

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from exchange.cli.base import (
    bourse,
    connected,
    grouped,
    print_json,
    print_table,
    venue_folder,
    with_json,
    with_profile,
)
from exchange.client.errors import ConnectionLost

if TYPE_CHECKING:
    from exchange.protocol.messages import Status
    from exchange.server.health import VenueState

READ_SECONDS_MAX = 2.0
"""How long the supervisor may take to answer."""

WATCH_SECONDS = 1.0


class Asked(Protocol):
    """A connection to a venue, as far as this needs one."""

    def status(self) -> Status:
        """Return how the venue is."""


@bourse.command(epilog="Example: bourse status --watch")
@with_profile("sandbox")
@click.option("--watch", is_flag=True, help="Show it anew each second, until Ctrl-C; in a pipe a line each.")
@click.option(
    "--metrics",
    metavar="URL",
    help="Where the venue's supervisor tells of its processes.  [default: as in the folder of BOURSE_VENUE]",
)
@with_json
def status(profile: str, metrics: str | None, *, watch: bool, as_json: bool) -> None:
    """Show how the venue is: sequence, orders, trades, programmes; its processes, where they can be asked."""
    at = metrics or metrics_endpoint()
    with connected(profile) as exchange:
        if watch:
            _watch(exchange, at, as_json=as_json)
            return
        now, state = exchange.status(), read_state(at)
    if as_json:
        print_json(facts_of(now, state))
        return
    _print_venue(now)
    if state is not None:
        print_table(*process_table(state))
        print_table(*pool_table(state))
        click.echo(health_text(state))


def metrics_endpoint() -> str:
    """Return where the supervisor of the venue in the folder listens; blank if nothing says so."""
    try:
        told = json.loads(venue_folder(None).joinpath("venue.json").read_bytes())
    except (OSError, ValueError):
        return ""
    return str(told.get("metrics", ""))


def read_state(endpoint: str) -> VenueState | None:
    """Ask the supervisor how its processes do; None where it cannot be asked."""
    import msgspec

    from exchange.server.health import VenueState

    if not endpoint.startswith(("http://", "https://")):
        return None
    try:
        with urlopen(f"{endpoint.rstrip('/')}/state", timeout=READ_SECONDS_MAX) as answer:  # noqa: S310  checked
            return msgspec.json.decode(answer.read(), type=VenueState)
    except (URLError, OSError, HTTPException, msgspec.MsgspecError):
        return None


def venue_facts(now: Status) -> dict[str, int]:
    """Return what the venue counts."""
    return {
        "sequence": now.sequence,
        "members": now.members,
        "instruments": now.instruments,
        "open_orders": now.open_orders,
        "trades": now.trades,
        "journal_bytes": now.journal_bytes,
        "rules_version": now.rules_version,
    }


def facts_of(now: Status, state: VenueState | None) -> dict[str, object]:
    """Return all that is known, as one object."""
    import msgspec

    programmes = [
        {"programme": one.code, "budget": one.budget, "uncommitted": one.uncommitted,
         "reserved": one.reserved, "paid": one.paid, "vested": one.vested}
        for one in now.programmes
    ]  # fmt: skip
    told: dict[str, object] = {**venue_facts(now), "programmes": programmes}
    if state is not None:
        told["ready"] = state.is_ready
        told["state"] = msgspec.to_builtins(state)
    return told


def _print_venue(now: Status) -> None:
    rows = [(name.replace("_", " "), f"{value:,}") for name, value in venue_facts(now).items()]
    print_table("venue", ("what", "now"), rows)
    print_table(
        "programmes (yuan)",
        ("programme", "budget", "uncommitted", "reserved", "paid", "vested"),
        [
            (one.code, *map(grouped, (one.budget, one.uncommitted, one.reserved, one.paid, one.vested)))
            for one in now.programmes
        ],
    )


Drawn = tuple[str, tuple[str, ...], list[tuple[object, ...]]]
"""A table: title, columns, rows."""


def process_table(state: VenueState) -> Drawn:
    """Return how each process does."""
    from exchange.server.process import FollowerStats

    rows: list[tuple[object, ...]] = []
    for one in (state.supervisor, *state.processes):
        stats = one.stats
        lag = ""
        if isinstance(stats, FollowerStats):
            lag = f"{stats.lag_commands:,} ({stats.lag_seconds:.1f} s)"
        memory, cpu = f"{one.usage.resident_bytes / 2**20:,.0f}", f"{one.usage.cpu_seconds:,.1f}"
        sequence = f"{stats.sequence:,}" if stats is not None else ""
        rows.append((one.role, one.state, one.pid, one.restarts, sequence, lag, memory, cpu))
    columns = ("process", "state", "pid", "restarts", "sequence", "lag", "MiB", "CPU s")
    return "processes", columns, rows


def pool_table(state: VenueState) -> Drawn:
    """Return what of each of the engine's tables is in use."""
    stats = state.sequencer
    pools = stats.pools if stats is not None else {}
    rows: list[tuple[object, ...]] = [
        (name, f"{pool.used:,}", f"{pool.room:,}", f"{100 * pool.used / max(pool.room, 1):.1f} %")
        for name, pool in pools.items()
    ]
    return "capacity (rows)", ("table", "used", "room", "share"), rows


def health_text(state: VenueState) -> str:
    """Return in one line whether the venue is ready, and the age of its newest snapshot."""
    ready = "ready" if state.is_ready else f"not ready: {'; '.join(state.faults)}"
    kept = state.snapshot
    snapshot = "none yet" if kept is None else f"at {kept.sequence:,}, {kept.age_seconds:,.0f} s old"
    return f"{ready} · snapshot {snapshot} · disk {state.disk_free_bytes / 2**30:,.1f} GiB free"


# --- watching ------------------------------------------------------------------------------------


class Rates:
    """What has come to pass each second, from two looks at counts."""

    def __init__(self) -> None:
        self._before: tuple[float, int, int] | None = None

    def look(self, seconds: float, sequence: int, trades: int) -> tuple[float, float]:
        """Return commands and trades a second since the last look; zeros at the first."""
        before, self._before = self._before, (seconds, sequence, trades)
        if before is None or seconds <= before[0]:
            return 0.0, 0.0
        passed = seconds - before[0]
        return (sequence - before[1]) / passed, (trades - before[2]) / passed


def line_of(now: Status, state: VenueState | None, rates: tuple[float, float]) -> str:
    """Return how the venue is in one line."""
    from exchange.server.process import FollowerStats

    words = [
        f"sequence {now.sequence}", f"{rates[0]:.0f} commands/s", f"{rates[1]:.0f} trades/s",
        f"{now.open_orders} open",
    ]  # fmt: skip
    if state is not None:
        words += [
            f"{one.role} {one.stats.lag_commands} behind"
            for one in state.processes
            if isinstance(one.stats, FollowerStats)
        ]
        words.append(health_text(state))
    return ", ".join(words)


def _looks(exchange: Asked, at: str) -> Iterator[tuple[Status | None, VenueState | None]]:
    """Yield how the venue is, once a second; None for what does not answer."""
    while True:
        began = time.monotonic()
        try:
            now = exchange.status()
        except ConnectionLost:
            now = None
        yield now, read_state(at)
        time.sleep(max(0.0, WATCH_SECONDS - (time.monotonic() - began)))


def _watch(exchange: Asked, at: str, *, as_json: bool) -> None:
    """Show it anew each second, until Ctrl-C."""
    try:
        if as_json or not sys.stdout.isatty():
            _watch_lines(exchange, at, as_json=as_json)
        else:
            _watch_live(exchange, at)
    except KeyboardInterrupt:
        return


def _watch_lines(exchange: Asked, at: str, *, as_json: bool) -> None:
    rates = Rates()
    for now, state in _looks(exchange, at):
        if now is None:
            click.echo("the venue does not answer", err=True)
        elif as_json:
            print_json(facts_of(now, state))
        else:
            click.echo(line_of(now, state, rates.look(time.monotonic(), now.sequence, now.trades)))
        sys.stdout.flush()


def _watch_live(exchange: Asked, at: str) -> None:
    from rich.live import Live

    rates = Rates()
    with Live(console=Console(), auto_refresh=False, transient=False) as live:
        for now, state in _looks(exchange, at):
            parts: list[Text | Table] = []
            if now is None:
                parts.append(Text("the venue does not answer", style="red"))
            else:
                told = line_of(now, None, rates.look(time.monotonic(), now.sequence, now.trades))
                parts.append(Text(told, style="bold"))
            if state is not None:
                parts += [drawn(process_table(state)), drawn(pool_table(state)), Text(health_text(state))]
            live.update(Group(*parts), refresh=True)


def drawn(told: Drawn) -> Table:
    """Return a table as a terminal shows it."""
    title, columns, rows = told
    table = Table(title=title, title_justify="left", header_style="bold")
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at == 0 else "right")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table
