"""Both ends of a feed, each a process of its own: one that publishes at a rate, one with many readers.

`publish` is the venue's publisher and sockets over a tape that was matched before; `read_all` follows it with
any number of subscriptions, checks every number, and builds one of the books.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
import zmq

from exchange.config import Settings
from exchange.server.sockets import bind, guarded
from feeds.messages import HEARTBEAT, ORDERS, Heartbeat, read, topic
from feeds.publisher import Batch, Publisher
from feeds.records import HEADER
from feeds.subscriber import CurveKeys, Subscriber
from matching.batch import match, match_on_tape
from matching.layout import empty_book
from matching.vocabulary import EventKind
from matching.workloads import realistic

HEARTBEAT_SECONDS = 1.0
SLOW_KEEPS = 100
"""Messages that a slow reader's socket holds; it reads none of them."""


class Load(NamedTuple):
    """What is published: so many order updates a second for so many seconds, in batches of `commands`.

    `kept` is how many messages the publisher keeps for a reader that does not read.
    """

    updates_per_second: int
    seconds: int
    commands: int = 100
    kept: int = Settings().feed.messages_kept


class Published(NamedTuple):
    """What was published, and how far behind its pace the publisher fell at worst."""

    updates: int
    messages: int
    late_ms: float


def batches_of(load: Load):
    """Yield the batches of a realistic tape, from a book of 3,000 orders on, and the book as it then is."""
    workload = realistic(load.updates_per_second * load.seconds)
    book, _ = match(empty_book(1), workload.warm_up)
    sequence, trades = len(workload.warm_up), 0
    for start in range(0, len(workload.measured), load.commands):
        commands = workload.measured[start : start + load.commands]
        book, events, tape = match_on_tape(book, commands)
        traded = events["kind"] == EventKind.TRADED
        numbers = trades + np.cumsum(traded)
        trades = int(numbers[-1]) if len(numbers) else trades
        nothing = np.zeros(len(events), np.int64)
        yield (
            book,
            Batch(
                events,
                tape,
                sequence + 1,
                sequence + len(commands),
                0,
                numbers,
                nothing,
                nothing.astype(np.uint8),
            ),
        )
        sequence += len(commands)


def publish(line: Connection, secret: bytes, load: Load) -> None:
    """Bind, tell where, wait for the word, publish at the load's pace; tell what was published."""
    with zmq.Context() as context:
        public, refresh = guarded(context, zmq.PUB, secret), guarded(context, zmq.ROUTER, secret)
        public.setsockopt(zmq.SNDHWM, load.kept)
        line.send((bind(public, "tcp://127.0.0.1:0"), bind(refresh, "tcp://127.0.0.1:0")))
        made = batches_of(load)
        book, first = next(made)
        publisher = Publisher(run=1, sequence=0, time=0, book=empty_book(1))
        publisher.outgoing(first, book)
        while not line.poll(0.05):
            _answer(refresh, publisher, book)
            public.send(publisher.heartbeat(time.time_ns()))
        line.recv()
        began, updates, messages, late, beat = time.perf_counter(), 0, 0, 0.0, 0.0
        for book, batch in made:
            while (ahead := updates / load.updates_per_second - (time.perf_counter() - began)) > 0:
                _answer(refresh, publisher, book)
                time.sleep(min(ahead, 0.001))
            late = max(late, -ahead)
            for message in publisher.outgoing(batch._replace(time=time.time_ns()), book):
                public.send(message)
                messages += 1
            updates += len(batch.tape)
            if time.perf_counter() - began > beat:
                beat += HEARTBEAT_SECONDS
                public.send(publisher.heartbeat(time.time_ns()))
            if updates >= load.updates_per_second * load.seconds:
                break
        line.send(Published(updates, messages, round(late * 1e3, 1)))
        while not line.poll(0.05):
            _answer(refresh, publisher, book)
            public.send(publisher.heartbeat(time.time_ns()))
        context.destroy(linger=0)


def _answer(refresh, publisher, book):
    while refresh.poll(0):
        who, request = refresh.recv_multipart()
        answer = publisher.answer(request, book)
        if answer is not None:
            refresh.send_multipart((who, answer))


class Heard(NamedTuple):
    """What the readers of one process heard: `lost` by all of them, `slept_through` by the others.

    Waits are counted from the frame's time on.
    """

    readers: int
    messages: int
    lost: int
    slept_through: int
    state: str
    losses: int
    wait_ms: dict[str, float]


class Reader:
    """A subscription that checks that no number is left out, and builds nothing."""

    def __init__(self, context, endpoint: str, keys: CurveKeys, kept: int = 100_000) -> None:
        self.socket = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, kept)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
        self.socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        self.socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        for wanted in (topic(HEARTBEAT), topic(ORDERS, 0)):
            self.socket.subscribe(wanted)
        self.socket.connect(endpoint)
        self.number = self.told = self.messages = self.lost = 0
        self.waits: list[int] = []

    def hear(self) -> None:
        """Take in all that has come."""
        while True:
            try:
                frame = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            kind, _, _, _, number, _, sent, _ = HEADER.unpack_from(frame)
            if kind == HEARTBEAT:
                message = read(frame)
                assert isinstance(message, Heartbeat)
                self.told = message.numbers.get((ORDERS, 0), 0)
                self.number = self.number or self.told
                continue
            self.waits.append(time.time_ns() - sent)
            self.lost += number - self.number - 1
            self.number = number
            self.messages += 1


def read_all(line: Connection, at: tuple[str, str], keys: CurveKeys, readers: int, slow: int) -> None:
    """Connect all readers, the first of which builds the book; say so; read until told to end, and tell."""
    with zmq.Context() as context:
        sleepers = [Reader(context, at[0], keys, SLOW_KEEPS) for _ in range(slow)]
        counting = [Reader(context, at[0], keys) for _ in range(readers - 1)]
        poller = zmq.Poller()
        with Subscriber(context, *at, instruments=[0], keys=keys, orders=True) as feed:
            for socket in (*feed.sockets, *(reader.socket for reader in counting)):
                poller.register(socket, zmq.POLLIN)
            while feed.books[0].number < 1 or not all(reader.told for reader in counting):
                poller.poll(50)
                feed.poll(0)
                for reader in counting:
                    reader.hear()
            line.send("ready")
            taken = 0
            while not line.poll(0) or any(reader.number < reader.told for reader in counting):
                poller.poll(50)
                taken += len(feed.poll(0))
                for reader in counting:
                    reader.hear()
            for reader in sleepers:
                while reader.told < feed.books[0].number:
                    reader.socket.poll(100)
                    reader.hear()
            waits = np.array([wait for reader in counting for wait in reader.waits])
            book = feed.books[0]
            line.send(
                Heard(
                    readers,
                    taken + sum(reader.messages for reader in counting),
                    sum(reader.lost for reader in counting),
                    sum(reader.told - reader.messages for reader in sleepers),
                    book.state.value,
                    book.losses,
                    {str(q): round(float(np.quantile(waits, q)) / 1e6, 2) for q in (0.5, 0.99)}
                    if len(waits)
                    else {},
                )
            )
        for reader in (*counting, *sleepers):
            reader.socket.close()
