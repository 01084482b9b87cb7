"""What an operator does: run the venue, show a market on it."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from exchange.calendar import Calendar
from exchange.cli.base import bourse, fail, print_json, venue_folder, with_json
from exchange.cli.phases import CALENDAR_FILE, read_file
from exchange.config import LogLevel
from exchange.settings_file import (
    PORT_DEFAULT,
    PORTS,
    Chosen,
    Name,
    SettingsError,
    consecutive,
    load,
    serving,
    write_template,
)

if TYPE_CHECKING:
    from exchange.server.supervisor import Supervisor

LEVELS = get_args(LogLevel)


@bourse.command(epilog="Example: bourse serve data/venue --port 7411")
@click.argument("folder", required=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65_530),
    help=f"First of {len(PORTS)} ports, for {', '.join(PORTS)}; 0: the system chooses.  "
    f"[default: {PORT_DEFAULT}, unless venue.toml says other]",
)
@click.option("--host", help="Address to listen on; metrics stay on this machine.  [default: 127.0.0.1]")
@click.option("--log-level", type=click.Choice(LEVELS), help="Least that logs tell.  [default: info]")
@click.option(
    "--calendar",
    type=CALENDAR_FILE,
    callback=read_file,
    help="Trading calendar of a new venue, as in exchange/catalogue/calendar.toml; without one it trades "
    "round the clock.",
)
def serve(
    folder: str | None, port: int | None, host: str | None, log_level: str | None, calendar: Calendar | None
) -> None:
    """Run a venue for good; a new folder is founded with the standard catalogue first.

    Options go before BOURSE_... in the environment, and these before venue.toml in the folder;
    `bourse config` shows what holds. SIGTERM or Ctrl-C stops it in good order, a second one at once.
    """
    from exchange.server.folder import Folder, FolderServed
    from exchange.server.standard import found_standard
    from exchange.server.supervisor import Supervisor
    from exchange.terminal import warm_with_progress

    place = Folder(venue_folder(folder))
    if place.exists() and calendar is not None:
        fail(f"--calendar: {place.root} is founded already; let it run, and set it by `bourse calendar`", 2)
    try:
        loaded = load(place.root, options=_options(port, host, log_level), base=serving())
    except SettingsError as error:
        fail(str(error), 2)
    if not place.exists():
        if strangers := place.strangers():
            fail(f"{place.root}: no venue, but {strangers[0]} lies here; name a new folder for one", 2)
        found_standard(place, calendar)
        click.echo(f"founded {place.root}: profiles of its members lie in {place.keys}")
        write_template(place.root)
    try:
        place.unlock(place.lock())  # before anything is compiled for nothing
    except FolderServed as served:
        fail(str(served), 1)
    warm_with_progress()
    run_until_told(Supervisor(place, loaded.settings, told=click.echo))


def _options(port: int | None, host: str | None, log_level: str | None) -> dict[Name, Chosen]:
    """Return the settings that options have given; a host or a port gives all endpoints."""
    given: dict[Name, Chosen] = {}
    if port is not None or host is not None:
        named = " ".join(name for name, value in (("--host", host), ("--port", port)) if value is not None)
        given |= consecutive(host or "127.0.0.1", PORT_DEFAULT if port is None else port, named)
    if log_level is not None:
        given["logs", "level"] = Chosen(log_level, "--log-level")
    return given


def run_until_told(supervisor: Supervisor) -> None:
    """Run a venue until SIGTERM or Ctrl-C, and stop it in good order; a second signal ends it at once."""
    from exchange.server.supervisor import VenueFailed

    ended = threading.Event()
    is_killed = False

    def told_to_end(*_: object) -> None:
        nonlocal is_killed
        if ended.is_set():
            is_killed = True
            supervisor.kill()
        ended.set()
        supervisor.ask_to_stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told_to_end)
    try:
        if supervisor.start() and not ended.is_set():
            listens = supervisor.endpoints
            if listens.metrics:
                click.echo(f"metrics at {listens.metrics}/metrics, readiness at {listens.metrics}/ready")
            click.echo(f"ready: orders at {listens.orders}, folder {supervisor.folder.root}; Ctrl-C stops it")
            while not ended.wait(0.2):
                supervisor.look_after()
    except VenueFailed as failure:
        fail(str(failure), 1)
    finally:
        supervisor.stop()
    if is_killed:
        fail("ended at once; what was answered is on the disk", 1)
    click.echo("stopped; start it again and it goes on where it was")


@bourse.command(epilog="Example: bourse demo --seconds 8 --seed 7 --json")
@click.option("--seconds", default=20, show_default=True, help="How long the market trades.")
@click.option("--seed", default=7, show_default=True, help="Seed of all that firms and providers do.")
@click.option(
    "--orders",
    type=int,
    help="Trade so many orders on a fake clock instead: the flow and "
    "the state hash then depend on the seed alone.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Keep the venue's data folder here; of --orders nobody has a key to it: `replay`, `inspect` and the "
    "like look at it.",
)
@click.option(
    "--venue",
    type=click.Path(exists=True, path_type=Path),
    help="Trade on a venue that runs already, of this folder, instead of a new one.",
)
@with_json
def demo(
    seconds: int, seed: int, orders: int | None, data: Path | None, venue: Path | None, *, as_json: bool
) -> None:
    """Run a market on the real catalogue: firms, providers, a voucher programme; then settle it."""
    from exchange import demo as demonstration
    from exchange.server.supervisor import VenueFailed

    if data is not None and data.exists() and any(data.iterdir()):
        fail(f"--data {data}: the folder is not empty; name a new one", 2)
    if venue is not None:
        demonstration.trade_on(venue, seconds, seed)
        return
    if orders is not None:
        result = demonstration.run_counted(orders, seed, data, quiet=as_json)
    else:
        try:
            result = demonstration.run_timed(seconds, seed, data, quiet=as_json)
        except VenueFailed as failure:
            fail(str(failure), 1)
    if as_json:
        print_json(result.facts())
    else:
        demonstration.print_result(result)
    if not (result.balanced and result.rebuilt_equal):
        sys.exit(1)
