"""What a case is played with: who the firm is, whom it meets, and how it is told apart from other cases."""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from exchange.certify.peer import PATIENCE_SECONDS, Peer
from exchange.certify.relay import Relay
from exchange.certify.venue import MAKER, ThrowAwayVenue
from exchange.client.sync import SyncExchange as Client
from exchange.client.sync import connect_sync
from exchange.profiles import Profile
from exchange.protocol.messages import Welcome

LOW_TICKS = 2
"""Orders that are to rest are bought at this many ticks: nobody sells so cheaply."""


class Scene:
    """The stage of one case. `venue` is there only if it is the certifier's own."""

    def __init__(self, name: str, firm: Profile, symbol: str, venue: ThrowAwayVenue | None = None) -> None:
        self.name = name
        self.firm = firm
        self.symbol = symbol
        self.venue = venue
        self._begin = f"{name[:10]}-{secrets.token_hex(4)}"
        self._ids = 0

    def client_id(self) -> str:
        """Return a new client id, which no other play of a case has used: at most 24 characters."""
        self._ids += 1
        return f"{self._begin}-{self._ids}"

    def client(self, timeout: float = PATIENCE_SECONDS) -> Client:
        """Open a session with the client that is certified, within so many seconds."""
        return connect_sync(self.firm, timeout=timeout)

    def client_through(self, relay: Relay) -> Client:
        """Open a session whose line can be cut."""
        return connect_sync(replace(self.firm, endpoints=replace(self.firm.endpoints, orders=relay.endpoint)))

    def maker(self) -> Client:
        """Open a session of the provider that the firm meets. Of one's own venue only."""
        assert self.venue is not None
        return connect_sync(self.venue.profile(MAKER))

    def peer(self) -> Peer:
        """Open a connection of the firm, frame by frame."""
        return Peer(self.firm)

    def low_price(self, client: Client) -> int:
        """Return a price, in hao, at which a buy rests."""
        return client.instruments[self.symbol].tick * LOW_TICKS

    def number_and_price(self, welcome: Welcome) -> tuple[int, int]:
        """Return the instrument's number, and a price, in hao, at which a buy rests."""
        (listed,) = (one for one in welcome.instruments if one.instrument.symbol == self.symbol)
        return listed.index, listed.instrument.tick * LOW_TICKS

    def tidy(self) -> None:
        """Take back what is open, so that the next case finds nothing."""
        with self.client() as client:
            client.cancel_all()
