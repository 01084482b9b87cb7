"""What both clients have in common: who one is, what is listed, and how a flow becomes a call.

Each call is written once, as a flow; `synchronous` and `asynchronous` make a method of it, with the same
name, arguments and promises.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from exchange.client.answers import Order, Programmes
from exchange.client.calls import id_of
from exchange.client.desk import Desk
from exchange.client.errors import ProfileError
from exchange.client.feed_wire import FeedLine
from exchange.client.flows import QueryLine
from exchange.client.marketreaders import Reader
from exchange.client.queries import QuerySession
from exchange.client.session import Session
from exchange.client.tickets import Instruments
from exchange.client.wire import Conversation, Options
from exchange.profiles import Profile, load_profile
from exchange.protocol.messages import Heartbeat

HISTORY_BYTES_MAX = 2**30
"""The longest result of a query: it is taken whole, in memory."""

CallT = TypeVar("CallT", bound=Callable[..., Any])


class Faced:
    """What a client knows without asking; it is as fresh as what was heard last."""

    _desk: Desk

    @property
    def member(self) -> str:
        """Who one is to the venue."""
        return self._desk.session.blotter.member

    @property
    def role(self) -> str:
        """What one is to the venue: firm, provider, programme_office, operator, auditor."""
        return self._desk.session.role

    @property
    def sequence(self) -> int:
        """The sequence of the journal up to which all was heard that concerns one."""
        return self._desk.session.sequence

    @property
    def instruments(self) -> Instruments:
        """What the venue lists, by symbol, as of the logon or the last `refresh`."""
        return self._desk.session.instruments

    @property
    def programmes(self) -> Programmes:
        """The programmes, by code, with their budgets as of the logon or the last `refresh`."""
        return self._desk.session.programmes

    @property
    def is_connected(self) -> bool:
        """Whether the venue has welcomed this session on a connection that still stands."""
        self._look()
        return self._desk.session.ready

    @property
    def latest_heartbeat(self) -> Heartbeat | None:
        """The last word of the venue on how far its journal has come, and when: it says one each second."""
        self._look()
        return self._desk.session.heartbeat

    def order(self, order: Order | int) -> Order:
        """Return what was heard last of an order, without asking the venue.

        Raises `BadInput` for an order that this session was never told of, or long ago.
        """
        self._look()
        return self._desk.session.blotter.order(id_of(order))

    def _look(self) -> None:
        """Take in what has come by now."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.member} at {self._desk.line.endpoint}>"


def as_method(flow: Callable[..., Any], call: CallT) -> CallT:
    """Let a method bear the name, the arguments and the promises of the flow that it runs."""
    call.__name__ = flow.__name__
    call.__qualname__ = flow.__qualname__
    call.__doc__ = flow.__doc__
    call.__module__ = flow.__module__
    call.__wrapped__ = flow  # type: ignore[attr-defined]  # where inspect.signature looks
    return call


def desk_of(
    profile: str | os.PathLike[str] | Profile,
    options: Options | None,
    linked: Callable[[str, Profile, Options, Conversation], QueryLine],
    fed: Callable[[Profile, Reader], FeedLine],
    *,
    cancel_on_disconnect: bool,
) -> Desk:
    """Return the desk of a new client of the venue that a profile names. Raises `ProfileError`."""
    chosen = profile if isinstance(profile, Profile) else load_profile(profile)
    if fault := chosen.fault():
        raise ProfileError(f"the profile's {fault}")
    set_to = options or Options()

    def open_history(conversation: QuerySession) -> QueryLine:
        endpoint = chosen.endpoints.query
        if not endpoint:
            raise ProfileError(
                "the profile names no query service",
                field="endpoints.query",
                remedy="write the venue's query endpoint into it",
            )
        return linked(endpoint, chosen, set_to._replace(message_bytes_max=HISTORY_BYTES_MAX), conversation)

    session = Session(cancel_on_disconnect=cancel_on_disconnect)
    line = linked(chosen.endpoints.orders, chosen, set_to, session)
    return Desk(session, line, open_history, lambda reader: fed(chosen, reader))
