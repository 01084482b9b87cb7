"""A member's view of the public feed: an instrument's book and phase, whole and live."""

from __future__ import annotations

import time
from typing import NamedTuple

import zmq

from exchange.client.errors import ConnectionLost
from exchange.profiles import Profile
from feeds.builder import State
from feeds.messages import IndicativePrice
from feeds.subscriber import CurveKeys, Subscriber
from matching.permissions import CALLS
from matching.vocabulary import Phase

POLL_MS = 50


class Book(NamedTuple):
    """The price levels of one instrument, best first: (price in hao, lots, orders).

    `phase` is what its market is doing, and `reference` its reference price in hao, 0 for none. In a call
    `indicative` is what the auction would find now, and the best bid may lie above the best ask.
    """

    sequence: int
    bids: list[tuple[int, int, int]]
    asks: list[tuple[int, int, int]]
    phase: Phase
    reference: int
    indicative: IndicativePrice | None


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
        while book.state is not State.LIVE or book.status is None:
            if time.monotonic() > deadline:
                endpoint = profile.endpoints.feed
                message = f"feed: no book from {endpoint} in time; is the venue running?"
                raise ConnectionLost(message)
            feed.poll(POLL_MS)
        phase = Phase(book.status.phase)
        return Book(
            book.sequence,
            [(level.price, level.quantity, level.orders) for level in book.bids],
            [(level.price, level.quantity, level.orders) for level in book.asks],
            phase,
            book.status.reference,
            book.indicative if phase in CALLS else None,
        )
