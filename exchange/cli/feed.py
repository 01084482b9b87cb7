"""The feed on disk: record it, play it again, tell what is in a recording."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count as counting
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress, TextColumn

from exchange.cli.base import (
    EXIT_DAMAGED,
    EXIT_UNREACHABLE,
    bourse,
    fail,
    print_json,
    print_table,
    with_json,
    with_profile,
)
from exchange.profiles import load_profile

if TYPE_CHECKING:
    import zmq

    from feeds.contents import Contents
    from feeds.recorder import Recorder
    from feeds.recording import Recording, RecordingWriter
    from feeds.subscriber import CurveKeys

POLL_MS = 100
PATIENCE_SECONDS = 5.0
"""How long a recorder waits for the first word of the venue."""

MESSAGES_KEPT = 100_000
"""High-water mark of a player's PUB: a reader further behind loses messages, sees it, and asks again."""

FAREWELL_MS = 1_000
"""How long the last messages may take on their way out."""

SPEED_MIN, SPEED_MAX = 0.001, 1_000_000.0

_PLACE = re.compile(r"tcp://[!-~]+:\d{1,5}", re.ASCII)

KINDS = {
    "O": "orders",
    "D": "levels",
    "Q": "tops",
    "T": "trades",
    "S": "status",
    "I": "indicative",
    "V": "views, fast",
    "W": "views, slow",
    "F": "fixings",
    "N": "definitions",
    "P": "programmes",
    "H": "heartbeats",
    "R": "refreshes, levels",
    "L": "refreshes, orders",
}


@bourse.group(epilog="Example: bourse feed record monday.feed")
def feed() -> None:
    """Record market data, play it again, and tell what a recording holds."""


def _read_place(_context: click.Context, _parameter: click.Parameter, place: str | None) -> str | None:
    """Return where something listens; what is no place is wrong usage."""
    if place is not None and not _PLACE.fullmatch(place):
        message = f"{place!r} is no place to connect to; write tcp://host:port"
        raise click.BadParameter(message)
    return place


@feed.command(epilog="Example: bourse feed record monday.feed --instrument QWEN3-MAX --seconds 600")
@click.argument("file", type=click.Path(path_type=Path))
@with_profile("sandbox")
@click.option(
    "--feed", "published", callback=_read_place, help="Where a feed without keys publishes, tcp://host:port."
)
@click.option("--refresh", callback=_read_place, help="And where it answers.")
@click.option("--instrument", "symbols", multiple=True, help="Record this one alone; may be repeated.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so long.")
@click.option("--no-orders", is_flag=True, help="Leave out orders (L3): price levels, trades and tops alone.")
@with_json
def record(
    file: Path,
    profile: str,
    published: str | None,
    refresh: str | None,
    symbols: tuple[str, ...],
    seconds: float | None,
    *,
    no_orders: bool,
    as_json: bool,
) -> None:
    """Write all that the feed says into FILE, until Ctrl-C.

    It begins with the definitions of all instruments and a refresh of each book. What is lost on the way is
    counted as a gap, and the refresh that heals it is written too.
    """
    import zmq

    from feeds.messages import UnreadableError
    from feeds.recorder import Recorder, UnknownSymbolError
    from feeds.subscriber import Subscriber

    published, refresh, keys = _endpoints(profile, published, refresh)
    began = time.monotonic()
    writer = _writer(file)
    try:
        with (
            writer,
            zmq.Context() as context,
            Subscriber(context, published, refresh, keys=keys) as subscriber,
            _until_told() as is_told,
        ):
            recorder = Recorder(subscriber, writer, symbols=symbols, orders=not no_orders)
            _record(recorder, seconds, is_told)
    except UnknownSymbolError as error:
        file.unlink()
        fail(str(error), 2)
    except UnreadableError as error:
        fail(f"{published}: {error}", 1)
    except OSError as error:
        fail(f"{file}: {error.strerror}; what was written before is there, and can be played", 1)
    if not writer.frames:
        file.unlink()
        fail(f"feed: nothing heard from {published}; is the venue running?", EXIT_UNREACHABLE)
    _tell_recorded(file, recorder, time.monotonic() - began, as_json=as_json)


def _endpoints(profile: str, published: str | None, refresh: str | None) -> tuple[str, str, CurveKeys | None]:
    """Return where to listen and to ask, and with which keys: those of the profile, if none are named."""
    from feeds.subscriber import CurveKeys

    if (published is None) != (refresh is None):
        fail("--feed and --refresh go together: name both, or connect with a profile", 2)
    if published is not None and refresh is not None:
        return published, refresh, None
    known = load_profile(profile)
    if not (known.endpoints.feed and known.endpoints.refresh):
        fail(f"profile {profile} names no feed; ask the operator for one that does", 2)
    keys = CurveKeys(*(key.encode("ascii") for key in (known.server_key, known.public_key, known.secret_key)))
    return known.endpoints.feed, known.endpoints.refresh, keys


def _writer(file: Path) -> RecordingWriter:
    """Open a file that is not there yet: a recording took its time, and no other brings it back."""
    from feeds.recording import RecordingWriter

    try:
        return RecordingWriter(file.open("xb"))
    except FileExistsError:
        fail(f"{file}: is there already; name another file, or remove it first", 2)
    except OSError as error:
        fail(f"{file}: cannot be written ({error.strerror}); name another place", 2)


def _record(recorder: Recorder, seconds: float | None, is_told: Callable[[], bool]) -> None:
    """Record until told to stop, or the time is up, or nothing comes at first; show how far it is."""
    began = time.monotonic()
    console = Console(stderr=True)
    columns = TextColumn("recording: {task.description}; Ctrl-C ends it")
    with Progress(columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("nothing heard yet")
        while not is_told():
            recorder.poll(POLL_MS)
            spent = time.monotonic() - began
            writer = recorder.writer
            if (seconds is not None and spent >= seconds) or (not writer.frames and spent > PATIENCE_SECONDS):
                return
            progress.update(task, description=_recorded_text(recorder))


def _recorded_text(recorder: Recorder) -> str:
    writer = recorder.writer
    return f"{writer.frames:,} messages, {writer.bytes:,} bytes, {recorder.gaps} gaps"


def _tell_recorded(file: Path, recorder: Recorder, spent: float, *, as_json: bool) -> None:
    facts: dict[str, object] = {
        "file": str(file),
        "messages": recorder.writer.frames,
        "bytes": recorder.writer.bytes,
        "seconds": round(spent, 3),
        "gaps": recorder.gaps,
        "trade_messages_missed": recorder.trades_missed,
        "whole": recorder.is_whole,
        "messages_by_kind": dict(recorder.kinds),
    }
    if as_json:
        print_json(facts)
        return
    click.echo(f"{file}: {_recorded_text(recorder)}")
    if recorder.trades_missed:
        click.echo(
            f"{recorder.trades_missed} messages of trades were missed; history has them: bourse trades"
        )
    if not recorder.is_whole:
        click.echo("not every book is whole at the end of it")


def _read_speed(_context: click.Context, _parameter: click.Parameter, speed: float) -> float:
    """Return how many times as fast; beyond these bounds the waits are no numbers of ns any more."""
    if speed and not SPEED_MIN <= speed <= SPEED_MAX:
        message = f"{speed:g}: write 0, for without waiting, or {SPEED_MIN:g} to {SPEED_MAX:g}"
        raise click.BadParameter(message)
    return speed


@feed.command(epilog="Example: bourse feed play monday.feed --speed 10 --wait")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--speed",
    type=float,
    callback=_read_speed,
    default=1.0,
    show_default=True,
    help="So many times as fast as it was; 0: without waiting.",
)
@click.option("--port", type=click.IntRange(0, 65534), default=0, help="Publish here, and answer one above.")
@click.option("--loop", is_flag=True, help="Begin again at the end, as another run, until Ctrl-C.")
@click.option("--wait", is_flag=True, help="Begin when the first reader has subscribed.")
@with_json
def play(file: Path, speed: float, port: int, *, loop: bool, wait: bool, as_json: bool) -> None:
    """Publish a recording again on this machine, without keys, and answer refreshes as of the moment played.

    Readers take where it listens as --feed and --refresh: `bourse book --watch`, `bourse feed record`.
    With --json the first line tells the endpoints, and the last one what was played.
    """
    import zmq

    from feeds.player import Player, serve, wait_for_reader

    recording = _opened(file)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    published, refreshes = _bound(context, zmq.XPUB, port), _bound(context, zmq.ROUTER, port and port + 1)
    places: dict[str, object] = {
        "feed": published.getsockopt_string(zmq.LAST_ENDPOINT),
        "refresh": refreshes.getsockopt_string(zmq.LAST_ENDPOINT),
    }
    if as_json:
        print_json(places)
    else:
        click.echo("playing {file}: --feed {feed} --refresh {refresh}".format(file=file, **places))
    messages = passes = 0
    with _damage_told(), _until_told() as is_told:
        try:
            if wait:
                wait_for_reader(published, is_told)
            for added in counting() if loop else (0,):
                player = Player(recording, published.send, speed, added)
                serve(player, published, refreshes, is_over=is_told)
                messages, passes = messages + player.published, passes + 1
                if is_told() or not player.published:
                    break
        finally:
            context.destroy(linger=FAREWELL_MS)
    if as_json:
        print_json({"messages": messages, "passes": passes, "torn_bytes": recording.torn})
    else:
        click.echo(f"{messages:,} messages published")
        _tell_torn(recording)


def _bound(context: zmq.Context[zmq.Socket[bytes]], kind: int, port: int) -> zmq.Socket[bytes]:
    """Return a socket at a port of this machine; 0 is one that is free."""
    import zmq

    from feeds.messages import MESSAGE_BYTES_MAX

    socket = context.socket(kind)
    socket.setsockopt(zmq.SNDHWM, MESSAGES_KEPT)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    try:
        socket.bind(f"tcp://127.0.0.1:{port or '*'}")
    except zmq.ZMQError as error:
        context.destroy(linger=0)
        fail(f"port {port}: {error}; name another with --port, or none", 1)
    return socket


@feed.command(epilog="Example: bourse feed info monday.feed")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_json
def info(file: Path, *, as_json: bool) -> None:
    """Tell what a recording holds: its span, messages by kind, instruments, and what is missing."""
    from feeds.contents import Contents

    recording = _opened(file)
    contents = Contents()
    with _damage_told():
        for heard, message in recording:
            contents.take(heard, message)
    if as_json:
        print_json(_facts_of(contents, recording))
    else:
        _print_contents(contents, recording)


def _facts_of(contents: Contents, recording: Recording) -> dict[str, object]:
    return {
        "began": contents.began,
        "ended": contents.ended,
        "seconds": (contents.ended - contents.began) / 1e9,
        "bytes": os.path.getsize(recording.path),
        "runs": contents.runs,
        "messages": sum(contents.messages.values()),
        "messages_by_kind": dict(contents.messages),
        "missing_by_kind": contents.missing(),
        "torn_bytes": recording.torn,
        "instruments": [
            {
                "index": index,
                "symbol": _symbol(contents, index),
                "messages": n,
                "trades": contents.trades[index],
            }
            for index, n in sorted((+contents.by_instrument).items())
        ],
    }


def _symbol(contents: Contents, index: int) -> str | None:
    definition = contents.definitions.get(index)
    return definition.symbol if definition else None


def _print_contents(contents: Contents, recording: Recording) -> None:
    began, ended = (datetime.fromtimestamp(at / 1e9, UTC) for at in (contents.began, contents.ended))
    total, span = sum(contents.messages.values()), (contents.ended - contents.began) / 1e9
    click.echo(
        f"{recording.path}: {total:,} messages in {span:,.1f} s, "
        f"{began:%Y-%m-%d %H:%M:%S} to {ended:%Y-%m-%d %H:%M:%S} UTC"
        + (f", {contents.runs} runs of the publisher" if contents.runs > 1 else "")
    )
    missing = contents.missing()
    rows = [
        (kind, name, f"{contents.messages[kind]:,}", missing.get(kind, 0)) for kind, name in KINDS.items()
    ]
    print_table("messages", ("kind", "what", "messages", "missing"), [row for row in rows if row[2] != "0"])
    facts = _facts_of(contents, recording)["instruments"]
    assert isinstance(facts, list)
    print_table(
        "instruments",
        ("number", "instrument", "messages", "trades"),
        [(one["index"], one["symbol"] or "", f"{one['messages']:,}", f"{one['trades']:,}") for one in facts],
    )
    _tell_torn(recording)


def _opened(file: Path) -> Recording:
    from feeds.recording import Recording, RecordingError

    try:
        return Recording(file)
    except RecordingError as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{file}: cannot be read ({error.strerror}); let its owner run this", 2)


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn damage that is met on the way into one line and its exit code."""
    from feeds.messages import UnreadableError
    from feeds.recording import RecordingError

    try:
        yield
    except (RecordingError, UnreadableError) as error:
        fail(str(error), EXIT_DAMAGED)


def _tell_torn(recording: Recording) -> None:
    if recording.torn:
        click.echo(f"the last {recording.torn:,} bytes are no whole message, and were left out", err=True)


@contextmanager
def _until_told() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether Ctrl-C or a request to end has come: what is open is then closed in order."""
    told: list[int] = []
    before = {
        sort: signal.signal(sort, lambda sort, _: told.append(sort))
        for sort in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(told)
    finally:
        for sort, handler in before.items():
            signal.signal(sort, handler)
