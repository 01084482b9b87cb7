"""A venue's flow as a recording, with what the venue would have answered after each of its batches."""

from __future__ import annotations

from typing import Any, NamedTuple

from feeds.documents import Definition
from feeds.messages import LEVELS_REFRESH, ORDERS_REFRESH
from feeds.recording import Heard
from tests.feeds.flow import Flow, Venue


def definition(index: int, **other: Any) -> Definition:
    """Return the definition of an instrument of which nothing matters but its number."""
    facts: dict[str, Any] = {
        "index": index,
        "symbol": f"I{index}",
        "name": f"Instrument {index}",
        "kind": "model",
        "provider": "ALIBABA",
        "domestic": True,
        "filed": True,
        "region": "HANGZHOU",
        "tier": "frontier",
        "list_price": 60_000,
        "tick": 100,
        "weights": (1000, 100, 4000),
        "milli_pflops": 0,
        "expires": "",
        "state": "listed",
        "mode": "continuous",
    }
    return Definition(**(facts | other))


class Moment(NamedTuple):
    """How many messages have been heard when a venue would answer so, by kind and instrument."""

    heard: int
    answers: dict[tuple[bytes, int], bytes]


class Taped(NamedTuple):
    """A recording in memory, and what the venue would have answered on the way."""

    messages: list[Heard]
    moments: list[Moment]
    venue: Venue


def taped(seed: int, commands: int = 300, venue: Venue | None = None) -> Taped:
    """Record all that a small venue says, beginning with definitions and refreshes."""
    venue, flow = venue or Venue(), Flow(seed)
    publisher = venue.publisher
    messages = [
        Heard(venue.time, one) for one in publisher.define([definition(at) for at in venue.instruments])
    ]
    messages += [Heard(venue.time, one) for one in _answers(venue).values()]
    moments = []
    for batch in flow.batches(commands):
        messages += [Heard(venue.time, one) for one in venue.play(batch).published]
        messages.append(Heard(venue.time, publisher.heartbeat(venue.time)))
        moments.append(Moment(len(messages), _answers(venue)))
    return Taped(messages, moments, venue)


def _answers(venue: Venue) -> dict[tuple[bytes, int], bytes]:
    return {
        (kind, at): venue.publisher.refresh(kind, at, venue.book)
        for at in venue.instruments
        for kind in (LEVELS_REFRESH, ORDERS_REFRESH)
    }
