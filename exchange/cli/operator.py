"""What an operator does: run the venue, show a market on it, hand out keys."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import click

from exchange.calendar import Calendar
from exchange.cli.base import bourse, connected, fail, print_json, venue_folder, with_json, with_profile
from exchange.cli.phases import CALENDAR_FILE, read_file

PORT_DEFAULT = 7411


@bourse.command(epilog="Example: bourse serve data/venue --port 7411")
@click.argument("folder", required=False)
@click.option(
    "--port",
    default=PORT_DEFAULT,
    show_default=True,
    help="First of four ports, for orders, queries, feed and refreshes; 0: the system chooses.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--calendar",
    type=CALENDAR_FILE,
    callback=read_file,
    help="Trading calendar of a new venue, as in exchange/catalogue/calendar.toml; without one it trades "
    "round the clock.",
)
def serve(folder: str | None, port: int, host: str, calendar: Calendar | None) -> None:
    """Run a venue for good; a new folder is founded with the standard catalogue first."""
    from exchange.config import Endpoints
    from exchange.server.folder import Folder
    from exchange.server.standard import found_standard
    from exchange.server.supervisor import Supervisor, VenueFailed
    from exchange.terminal import warm_with_progress

    place = Folder(venue_folder(folder))
    if place.exists() and calendar is not None:
        fail(f"--calendar: {place.root} is founded already; let it run, and set it by `bourse calendar`", 2)
    if not place.exists():
        found_standard(place, calendar)
        click.echo(f"founded {place.root}: profiles of its members lie in {place.keys}")
    warm_with_progress()
    ends = (f"tcp://{host}:{port + step if port else 0}" for step in range(4))
    orders, query, feed, refresh = ends
    endpoints = Endpoints(orders=orders, query=query, feed=feed, refresh=refresh)
    supervisor = Supervisor(place, endpoints, told=click.echo)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        supervisor.start()
        at = supervisor.endpoints.orders
        click.echo(f"ready: orders at {at}, folder {place.root}; Ctrl-C stops it")
        while not ended.wait(0.2):
            supervisor.look_after()
    except VenueFailed as failure:
        fail(str(failure), 1)
    finally:
        supervisor.stop()
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
@click.option("--data", type=click.Path(path_type=Path), help="Keep the venue's data folder here.")
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

    if data is not None and data.exists() and any(data.iterdir()):
        fail(f"--data {data}: the folder is not empty; name a new one", 2)
    if venue is not None:
        demonstration.trade_on(venue, seconds, seed)
        return
    if orders is not None:
        result = demonstration.run_counted(orders, seed, data, quiet=as_json)
    else:
        result = demonstration.run_timed(seconds, seed, data, quiet=as_json)
    if as_json:
        print_json(result.facts())
    else:
        demonstration.print_result(result)
    if not (result.balanced and result.rebuilt_equal):
        sys.exit(1)


@bourse.group(epilog="Example: bourse key new SANDBOX")
def key() -> None:
    """Hand out, show and revoke members' keys."""


@key.command("new", epilog="Example: bourse key new SANDBOX --as operator")
@click.argument("member")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the profile.")
@with_profile("operator")
def key_new(member: str, out: Path | None, profile: str) -> None:
    """Make a key pair for MEMBER, have the venue register it, and write its profile."""
    import msgspec

    from exchange.profiles import load_profile, write_profile
    from exchange.protocol.acts import RegisterKey
    from exchange.server.folder import new_key_pair

    pair = new_key_pair(member)
    own = load_profile(profile)
    path = out or Path(f"{member.lower()}-{pair.public_key[:6].encode().hex()}.toml")
    if path.exists():
        fail(f"--out {path}: the file exists; name a new one", 2)
    with connected(profile) as exchange:
        sequence = exchange.act(RegisterKey(member, pair.public_key), why="bourse key new")
    write_profile(
        path,
        msgspec.structs.replace(own, member=member, public_key=pair.public_key, secret_key=pair.secret_key),
    )
    click.echo(f"registered under sequence {sequence}; profile {path}")


@key.command("show", epilog="Example: bourse key show --as sandbox")
@with_profile("sandbox")
@with_json
def key_show(profile: str, *, as_json: bool) -> None:
    """Show whose key a profile holds, and where it connects; never the secret."""
    import msgspec

    from exchange.profiles import load_profile

    own = load_profile(profile)
    facts: dict[str, object] = {
        "member": own.member,
        "public_key": own.public_key,
        "server_key": own.server_key,
        "endpoints": msgspec.to_builtins(own.endpoints),
    }
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            click.echo(f"{name:12} {value}")


@key.command("revoke", epilog="Example: bourse key revoke 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID'")
@click.argument("public_key")
@with_profile("operator")
def key_revoke(public_key: str, profile: str) -> None:
    """Let a public key speak for nobody from now on: orders, queries and refreshes are refused at once.

    A feed that is open already goes on until it connects again.
    """
    from exchange.protocol.acts import RevokeKey

    with connected(profile) as exchange:
        sequence = exchange.act(RevokeKey(public_key), why="bourse key revoke")
    click.echo(f"revoked under sequence {sequence}")
