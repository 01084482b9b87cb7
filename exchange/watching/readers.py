"""What reads the feed for a screen: a profile's sockets, or those of a recording that is played."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import zmq

from exchange.client.errors import BadInput, ConnectionLost, UnknownName
from exchange.profiles import load_profile
from feeds.builder import BookBuilder, Books
from feeds.documents import Definition, definitions_of
from feeds.messages import DEFINITIONS, EVERY_INSTRUMENT, Document, Message
from feeds.subscriber import CurveKeys, Subscriber

POLL_MS = 50
ASK_AGAIN_NS = 1_000_000_000
DEFINED_WITHIN_NS = 5_000_000_000
"""How long to wait for the definitions of what is traded."""


class Reader(Protocol):
    """What a screen needs of a `feeds.subscriber.Subscriber`."""

    @property
    def books(self) -> Books:
        """The books followed."""
        ...

    def follow(self, instrument: int, *, orders: bool = False) -> BookBuilder:
        """Keep the book of one more instrument."""
        ...

    def listen(self, kind: bytes, instrument: int = EVERY_INSTRUMENT) -> None:
        """Take in one more topic; of every instrument for -1."""
        ...

    def ask(self, kind: bytes, instrument: int) -> None:
        """Ask for a refresh."""
        ...

    def poll(self, timeout_ms: int) -> list[Message]:
        """Return what has come."""
        ...

    def close(self) -> None:
        """Close the sockets."""
        ...


Opener = Callable[[], Reader]
"""Makes a reader: a screen takes one of its own, and closes it when it is left."""

Clock = Callable[[], int]
"""Returns ns that never run back."""


class Place(NamedTuple):
    """Where the feed is heard, where refreshes are asked for, and the keys, None where none are needed."""

    published: str
    refreshes: str
    keys: CurveKeys | None


def find_place(profile: str, feed: str | None, refresh: str | None) -> Place:
    """Return where to read: the two endpoints, or, without them, a profile's. Raises `ExchangeError`."""
    if feed and refresh:
        return Place(feed, refresh, None)
    if feed or refresh:
        raise BadInput(
            "--feed and --refresh belong together", field="feed", remedy="give both endpoints, or neither"
        )
    read = load_profile(profile)
    if not (read.endpoints.feed and read.endpoints.refresh):
        raise BadInput(
            f"profile {profile} names no feed",
            field="endpoints.feed",
            remedy="add endpoints.feed and endpoints.refresh, or ask the operator for a new profile",
        )
    keys = CurveKeys(
        read.server_key.encode("ascii"), read.public_key.encode("ascii"), read.secret_key.encode("ascii")
    )
    return Place(read.endpoints.feed, read.endpoints.refresh, keys)


@contextmanager
def opener(place: Place) -> Iterator[Opener]:
    """Yield what makes readers of the feed at a place. Raises `BadInput` for an endpoint that is none."""
    with zmq.Context() as context:

        def opened() -> Subscriber:
            try:
                return Subscriber(context, place.published, place.refreshes, keys=place.keys)
            except zmq.ZMQError as error:
                raise BadInput(
                    f"the feed at {place.published}, {place.refreshes} cannot be read ({error})",
                    field="feed",
                    remedy="write tcp://host:port",
                ) from error

        yield opened


def find_definition(opened: Opener, symbol: str, clock: Clock = time.monotonic_ns) -> Definition:
    """Return what an instrument is, as the feed tells it.

    Raises `UnknownName` that names what is written alike, `ConnectionLost` if nothing is told in time.
    """
    reader = opened()
    try:
        defined = read_definitions(reader, clock)
    finally:
        reader.close()
    named = {definition.symbol: definition for definition in defined}
    if symbol in named:
        return named[symbol]
    alike = difflib.get_close_matches(symbol.upper(), named, 3, cutoff=0.5)
    perhaps = f"perhaps {', '.join(alike)}; " if alike else ""
    raise UnknownName(
        f"the feed knows no instrument {symbol!r}",
        field="instrument",
        value=symbol,
        remedy=f"{perhaps}`bourse watch` lists all",
    )


def read_definitions(reader: Reader, clock: Clock) -> tuple[Definition, ...]:
    """Return the definitions of all instruments. Raises `ConnectionLost` if they are not told in time."""
    end = clock() + DEFINED_WITHIN_NS
    asked_at: int | None = None
    while (now := clock()) < end:
        if asked_at is None or now - asked_at >= ASK_AGAIN_NS:
            reader.ask(DEFINITIONS, EVERY_INSTRUMENT)
            asked_at = now
        for message in reader.poll(POLL_MS):
            if isinstance(message, Document) and message.kind == DEFINITIONS:
                return definitions_of(message)
    raise ConnectionLost(
        "the feed does not tell what is traded",
        remedy="look whether the venue's feed, or the recording, is running, and at the endpoints",
    )
