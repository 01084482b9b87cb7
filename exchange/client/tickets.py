"""Orders as a member writes them: checked here, in plain words, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

import msgspec

from exchange.client.answers import Programmes, unknown_name
from exchange.client.errors import BadInput
from exchange.client.money import Amount, hao_of, yuan
from exchange.instruments import Instrument as Listing
from exchange.protocol.messages import ListedInstrument
from exchange.protocol.records import CLIENT_ID_BYTES
from matching.vocabulary import NOTIONAL_MAX, PRICE_MAX, Side, TimeInForce

Lasting: TypeAlias = TimeInForce | str
"""A time in force, or its name: gtc, day, ioc."""

LOTS = {
    "model": "1,000,000 weighted token units",
    "agent": "one accepted task",
    "compute": "one card-hour",
}


class OrderTicket(msgspec.Struct, frozen=True):
    """An order that is not placed yet. `price` is the limit in hao per lot, `quantity` is in lots.

    `Instrument.buy` and `Instrument.sell` write tickets, and check them.
    """

    instrument: str
    side: Side
    quantity: int
    price: int
    programme: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC


class Instrument:
    """What is traded, and the way to write an order for it. `phase` is as of the logon."""

    __slots__ = ("_programmes", "index", "listing", "phase")

    def __init__(self, listed: ListedInstrument, programmes: Programmes) -> None:
        self.index = listed.index
        self.phase = listed.phase
        self.listing: Listing = listed.instrument
        self._programmes = programmes

    def __repr__(self) -> str:
        return f"Instrument({self.symbol!r}, tick={self.tick}, phase={self.phase!r})"

    @property
    def symbol(self) -> str:
        """Its short name."""
        return self.listing.symbol

    @property
    def tick(self) -> int:
        """The least step of its price, in hao."""
        return self.listing.tick

    @property
    def units(self) -> str:
        """What a lot and a price of it are, in words."""
        return f"1 lot = {LOTS[self.listing.kind]}; prices in hao (0.0001 yuan) per lot"

    def buy(
        self,
        quantity: int,
        *,
        limit: Amount,
        programme: str | None = None,
        time_in_force: Lasting | None = None,
    ) -> OrderTicket:
        """Write a buy of `quantity` lots at no more than `limit` per lot.

        `limit` is yuan as text or Decimal, or hao as an int; it is never rounded. A subsidised
        order lasts for the day unless told otherwise, any other until it is cancelled. Raises
        `BadInput` for what the venue could only refuse.
        """
        if programme is not None and programme not in self._programmes:
            raise unknown_name("programme", programme, self._programmes)
        return self._ticket(Side.BUY, quantity, limit, programme, time_in_force)

    def sell(
        self,
        quantity: int,
        *,
        limit: Amount,
        programme: str | None = None,
        time_in_force: Lasting | None = None,
    ) -> OrderTicket:
        """Write a sell of `quantity` lots at no less than `limit` per lot; as `buy`, unsubsidised."""
        if programme is not None:
            raise BadInput(
                f"programme {programme!r} cannot pay for a sell",
                field="programme",
                value=programme,
                remedy="name a programme on a buy only",
            )
        return self._ticket(Side.SELL, quantity, limit, None, time_in_force)

    def _ticket(
        self,
        side: Side,
        quantity: int,
        limit: Amount,
        programme: str | None,
        lasting: Lasting | None,
    ) -> OrderTicket:
        check_quantity(quantity)
        price = hao_of(limit, "limit")
        self._check_price(price, limit)
        if price * quantity > NOTIONAL_MAX:
            raise BadInput(
                f"quantity {quantity} at {yuan(price)} yuan is more than one order may amount to",
                field="quantity",
                value=quantity,
                remedy=f"give at most {NOTIONAL_MAX // price} lots at this price",
            )
        if lasting is None:
            time_in_force = TimeInForce.GTC if programme is None else TimeInForce.DAY
        else:
            time_in_force = time_in_force_of(lasting)
        return OrderTicket(self.symbol, side, quantity, price, programme, time_in_force)

    def _check_price(self, price: int, limit: Amount) -> None:
        """Raise `BadInput` for a price that is out of bounds or off the tick grid."""
        given = f"{limit!r} yuan" if isinstance(limit, str | Decimal) else f"{limit} hao"
        if not 0 < price <= PRICE_MAX:
            raise BadInput(
                f"limit {given} is not between 0 and {yuan(PRICE_MAX)} yuan",
                field="limit",
                value=limit,
                remedy="give a price above 0 and within the venue's bounds",
            )
        above_grid = price % self.tick
        if above_grid:
            below, above = price - above_grid, price - above_grid + self.tick
            nearest = f"{yuan(below)} or {yuan(above)}" if below else yuan(above)
            raise BadInput(
                f"limit {given} is off the tick of {self.symbol}, {yuan(self.tick)} yuan",
                field="limit",
                value=limit,
                remedy=f"give {nearest} yuan, or another multiple of the tick",
            )


class Instruments(Mapping[str, Instrument]):
    """The instruments that the venue lists, by symbol, as of the logon."""

    def __init__(self, listed: tuple[ListedInstrument, ...], programmes: Programmes) -> None:
        self._by_symbol = {row.instrument.symbol: Instrument(row, programmes) for row in listed}

    def __getitem__(self, symbol: str) -> Instrument:
        """Return an instrument. Raises `UnknownName` (a `KeyError`) that suggests what looks alike."""
        found = self._by_symbol.get(symbol)
        if found is None:
            raise unknown_name("instrument", symbol, self._by_symbol)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_symbol)

    def __len__(self) -> int:
        return len(self._by_symbol)

    def __repr__(self) -> str:
        return f"<{len(self)} instruments>"


def check_quantity(quantity: object) -> None:
    """Raise `BadInput` for a quantity that is no whole number of lots above 0."""
    if type(quantity) is int and 0 < quantity < 2**63:
        return
    raise BadInput(
        f"quantity {quantity!r} is no whole number of lots above 0",
        field="quantity",
        value=quantity,
        remedy="give an int, at least 1",
    )


def time_in_force_of(lasting: Lasting) -> TimeInForce:
    """Return a time in force given as itself or by name. Raises `BadInput`."""
    if isinstance(lasting, TimeInForce):
        return lasting
    if str(lasting).upper() in TimeInForce.__members__:
        return TimeInForce[str(lasting).upper()]
    names = ", ".join(name.lower() for name in TimeInForce.__members__)
    raise BadInput(
        f"time_in_force {lasting!r} is unknown",
        field="time_in_force",
        value=lasting,
        remedy=f"use one of {names}",
    )


def client_id_bytes(client_id: object) -> bytes:
    """Return a client order id as records hold it, padded with zeros. Raises `BadInput`."""
    if isinstance(client_id, str) and client_id.isascii() and client_id.isprintable():
        written = client_id.encode("ascii")
        if 0 < len(written) <= CLIENT_ID_BYTES:
            return written.ljust(CLIENT_ID_BYTES, b"\0")
    raise BadInput(
        f"client_id {client_id!r} is no id",
        field="client_id",
        value=client_id,
        remedy=f"give 1 to {CLIENT_ID_BYTES} printable ASCII characters",
    )
