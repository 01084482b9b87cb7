"""A member's view of the public feed: the book of an instrument, whole and live."""

from __future__ import annotations

import time
from typing import NamedTuple

import zmq

from exchange.client.errors import ConnectionLost
from exchange.profiles import Profile
from feeds.builder import State
from feeds.subscriber import CurveKeys, Subscriber

POLL_MS = 50


class Book(NamedTuple):
    """The price levels of one instrument, best first: (price in hao, lots, orders)."""

    sequence: int
    bids: list[tuple[int, int, int]]
    asks: list[tuple[int, int, int]]


def subscriber(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile, instruments: list[int]
) -> Subscriber:
    """Return a reader of the feed that follows some instruments."""
    keys = CurveKeys(
        profile.server_key.encode("ascii"),
        profile.public_key.encode("ascii"),
        profile.secret_key.encode("ascii"),
    )
    endpoints = profile.endpoints
    return Subscriber(context, endpoints.feed, endpoints.refresh, instruments, keys)


def read_book(profile: Profile, instrument: int, deadline: float) -> Book:
    """Return the book of one instrument as the feed tells it.

    `deadline` is of `time.monotonic`. Raises `ConnectionLost` if no whole book has come by then.
    """
    with zmq.Context() as context, subscriber(context, profile, [instrument]) as feed:
        book = feed.books[instrument]
        while book.state is not State.LIVE:
            if time.monotonic() > deadline:
                endpoint = profile.endpoints.feed
                message = f"feed: no book from {endpoint} in time; is the venue running?"
                raise ConnectionLost(message)
            feed.poll(POLL_MS)
        return Book(
            book.sequence,
            [(level.price, level.quantity, level.orders) for level in book.bids],
            [(level.price, level.quantity, level.orders) for level in book.asks],
        )
