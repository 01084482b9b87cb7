"""Follows one book of the feed with nothing but pyzmq and `struct`: read it, copy it, translate it.

    python plain_reader.py FEED REFRESHES INSTRUMENT [--orders] [--keys PROFILE]

FEED and REFRESHES are a venue's endpoints, as tcp://127.0.0.1:7413 and :7414; INSTRUMENT is the number
that its definition has (topic N). A venue wants keys (CURVE): those of a profile, a file with server_key,
public_key and secret_key. What `bourse feed play` publishes wants none.

It prints a line when the best prices change: TOP, the number of the message, price and lots of the bid, price
and lots of the ask (hao; - where there is none); and a line when it knows less or more: GAP, RESYNC, LIVE,
STALE, with the number that the book is as of. The numbers in brackets are the steps of "Following a book" in
the manual's page on market data. Step 8 is about topics that this reader does not follow.
"""

from __future__ import annotations

import argparse
import struct
import time
import tomllib
from pathlib import Path

import zmq

VERSION = 3
HEADER = struct.Struct("<ciB2xqqqqq")  # kind, instrument, version, run, number, sequence, time, count
ASK = struct.Struct("<ciBcx")  # "A", instrument, version, what is wanted
LEVEL = struct.Struct("<qqiB3x")  # price, quantity, orders, side
ORDER = struct.Struct("<qqqqBB6x")  # order, sequence, price, quantity, side, change
LAST_NUMBER = struct.Struct("<ci3xq")  # kind, instrument, number: one topic in a heartbeat
PICTURE_BYTES = 240  # what a refresh begins with; then come all levels or orders
PLACED = 0
ASK_AGAIN_SECONDS, STALE_SECONDS = 1.0, 3.0
LONG_AGO = float("-inf")


class Levels:
    """The book by levels: of each side (0 bids, 1 asks) price -> lots."""

    topic, refresh, record = b"D", b"R", LEVEL

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def apply(self, price: int, quantity: int, _orders: int, side: int) -> None:
        """Put a level's new total; 0: it is gone, whether or not it was known."""
        self.sides[side][price] = quantity
        if quantity == 0:
            del self.sides[side][price]

    def lots_at(self, side: int, price: int) -> int:
        """Return what stands at a price."""
        return self.sides[side][price]


class Orders:
    """The book by orders: of each side price -> its queue, order -> lots; a dict keeps who came first."""

    topic, refresh, record = b"O", b"L", ORDER

    def __init__(self) -> None:
        self.sides: tuple[dict[int, dict[int, int]], dict[int, dict[int, int]]] = ({}, {})
        self.standing: dict[int, tuple[int, int]] = {}  # order -> side and price

    def apply(self, order: int, _sequence: int, price: int, quantity: int, side: int, change: int) -> None:
        """Put an order last in its queue, or leave it in its place with fewer lots; 0: it leaves."""
        if order in self.standing and (change == PLACED or quantity == 0):
            was_side, was_price = self.standing.pop(order)
            queue = self.sides[was_side][was_price]
            del queue[order]
            if not queue:
                del self.sides[was_side][was_price]
        if quantity:
            self.sides[side].setdefault(price, {})[order] = quantity
            self.standing[order] = side, price

    def lots_at(self, side: int, price: int) -> int:
        """Return what stands at a price."""
        return sum(self.sides[side][price].values())


def top_of(book: Levels | Orders) -> str:
    """Return price and lots of the best bid, and of the best ask."""
    bests = max(book.sides[0], default=None), min(book.sides[1], default=None)
    return " ".join(
        "- -" if best is None else f"{best} {book.lots_at(side, best)}" for side, best in enumerate(bests)
    )


class Reader:
    """The steps: messages go in, and the book is whole or known not to be."""

    def __init__(self, instrument: int, kind: type[Levels] | type[Orders]) -> None:
        self.instrument, self.kind = instrument, kind
        self.state = "WAITING"  # then LIVE, GAP or STALE
        self.asked = LONG_AGO
        self.heard = time.monotonic()
        self.shown = ""
        self.begin(run=None)

    def begin(self, run: int | None) -> None:
        """[7] Forget everything."""
        self.run = run
        self.book: Levels | Orders | None = None
        self.number = 0  # of the last message applied
        self.highest = 0  # of the last message there is, as far as is known
        self.kept: dict[int, bytes] = {}  # what came and is not applied yet, by number

    def take(self, message: bytes) -> None:
        """Take one message, published or asked for."""
        kind, _, version, run, number, _, _, count = HEADER.unpack_from(message)
        if version != VERSION:
            raise SystemExit(f"version {version} of the feed; this reader knows {VERSION}")
        self.heard = time.monotonic()
        if kind == self.kind.refresh:
            self.take_refresh(message, run, number)
            return
        if run != self.run:  # [7] the publisher has started anew
            if self.run is not None:
                self.say("GAP")
                self.asked = LONG_AGO
            self.begin(run)
        if kind == b"H":  # [6] a heartbeat names the last number of each topic
            rows = message[HEADER.size : HEADER.size + count * LAST_NUMBER.size]
            for topic, instrument, last in LAST_NUMBER.iter_unpack(rows):
                if (topic, instrument) == (self.kind.topic, self.instrument):
                    self.highest = max(self.highest, last)
        elif number > self.number:  # [5] any other has been seen
            self.highest = max(self.highest, number)
            self.kept[number] = message  # [1]
        self.go_on()

    def take_refresh(self, message: bytes, run: int, number: int) -> None:
        """Take a refresh as the book, if what was kept follows on it."""
        if self.run not in (None, run) or (self.book is not None and number <= self.number):
            return  # an answer that came too late: of a run before, or of a book that has gone on since
        later = {
            at: kept for at, kept in self.kept.items() if at > number
        }  # [3] up to N it is in the refresh
        if later and min(later) != number + 1:
            self.asked = LONG_AGO  # [3] something between is missing: ask again
            return
        self.run, self.number, self.kept = run, number, later
        self.highest = max(self.highest, number)
        self.asked = LONG_AGO
        self.book = self.kind()  # [4]
        self.apply(message[PICTURE_BYTES:])
        print("RESYNC", self.number, flush=True)
        self.go_on()

    def go_on(self) -> None:
        """Apply what follows on the book, number after number, and see whether that is all there is."""
        if self.book is None:
            return
        while message := self.kept.pop(self.number + 1, None):  # [4]
            self.apply(message[HEADER.size :])
            self.number += 1
        if self.number < self.highest:  # [6] a gap: the book is as of the last number applied
            self.say("GAP")
            return
        self.say("LIVE")
        if (top := top_of(self.book)) != self.shown:
            self.shown = top
            print("TOP", self.number, top, flush=True)

    def apply(self, rows: bytes) -> None:
        """Apply the records of one message."""
        assert self.book is not None
        for row in self.kind.record.iter_unpack(rows):
            self.book.apply(*row)

    def wants_refresh(self) -> bool:
        """[2] [6] Tell whether to ask now: the book is not whole, and no answer is awaited any more."""
        is_whole = self.book is not None and self.state != "GAP"
        return not is_whole and time.monotonic() > self.asked + ASK_AGAIN_SECONDS

    def look_at_the_clock(self) -> None:
        """[9] Silence: the book may be right, nobody knows."""
        if self.state == "LIVE" and time.monotonic() > self.heard + STALE_SECONDS:
            self.say("STALE")

    def say(self, state: str) -> None:
        """Print the state when it changes."""
        if state != self.state:
            self.state = state
            print(state, self.number, flush=True)


def follow(feed: zmq.Socket[bytes], refreshes: zmq.Socket[bytes], reader: Reader) -> None:
    """Read both sockets until Ctrl-C."""
    for kind, instrument in ((reader.kind.topic, reader.instrument), (b"H", -1)):
        feed.subscribe(struct.pack("<ci", kind, instrument))  # [1]
    poller = zmq.Poller()
    poller.register(feed, zmq.POLLIN)
    poller.register(refreshes, zmq.POLLIN)
    while True:
        if reader.wants_refresh() and refreshes.poll(0, zmq.POLLOUT):  # [2]
            refreshes.send(ASK.pack(b"A", reader.instrument, VERSION, reader.kind.refresh))
            reader.asked = time.monotonic()
        for socket, _ in poller.poll(100):
            reader.take(socket.recv())
        reader.look_at_the_clock()


def main() -> None:
    """Read the command line, connect, follow."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS
    )
    words.add_argument("feed")
    words.add_argument("refreshes")
    words.add_argument("instrument", type=int)
    words.add_argument("--orders", action="store_true", help="by orders (L3), not by levels (L2)")
    words.add_argument("--keys", type=Path, metavar="PROFILE", help="40 characters each, in TOML")
    said = words.parse_args()
    keys = tomllib.loads(said.keys.read_text("utf-8")) if said.keys else {}
    context = zmq.Context()
    feed, refreshes = context.socket(zmq.SUB), context.socket(zmq.DEALER)
    feed.rcvhwm = 100_000  # messages that may wait here; what comes then is dropped, and seen as a gap
    refreshes.immediate = True  # nothing is asked of a venue that is not there
    for socket, endpoint in ((feed, said.feed), (refreshes, said.refreshes)):
        if keys:
            socket.curve_serverkey = keys["server_key"].encode("ascii")
            socket.curve_publickey = keys["public_key"].encode("ascii")
            socket.curve_secretkey = keys["secret_key"].encode("ascii")
        socket.connect(endpoint)
    try:
        follow(feed, refreshes, Reader(said.instrument, Orders if said.orders else Levels))
    except KeyboardInterrupt:
        context.destroy(linger=0)


if __name__ == "__main__":
    main()
