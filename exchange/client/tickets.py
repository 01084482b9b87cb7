"""Orders as a member writes them: checked here, in plain words, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import TypeAlias, TypedDict, TypeVar, Unpack

import msgspec

from exchange.client.answers import Programmes, unknown_name
from exchange.client.errors import BadInput
from exchange.client.money import Amount, hao_of, yuan
from exchange.instruments import Instrument as Listing
from exchange.protocol.messages import ListedInstrument
from exchange.protocol.records import CLIENT_ID_BYTES
from matching.vocabulary import NOTIONAL_MAX, PRICE_MAX, SLICES_MAX, OrderType, SelfTrade, Side, TimeInForce

Lasting: TypeAlias = TimeInForce | str
"""A time in force, or its name: gtc, gtd, day, ioc, fok."""

WordT = TypeVar("WordT", bound=IntEnum)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LOTS = {
    "model": "1,000,000 weighted token units",
    "agent": "one accepted task",
    "compute": "one card-hour",
}


LIMITED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
"""The types whose price is a limit; that of the others is the worst price, which may be left to the venue."""


class OrderTicket(msgspec.Struct, frozen=True):
    """An order that is not placed yet. Prices in hao per lot, `quantity` in lots.

    `price` is the limit, or of an order without one the worst price that it may trade at; 0: the venue
    finds one. `Instrument.buy` and `Instrument.sell` write tickets, and check them.
    """

    instrument: str
    side: Side
    quantity: int
    price: int
    programme: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    display_quantity: int = 0
    minimum_quantity: int = 0
    expires_at: int = 0
    self_trade: SelfTrade = SelfTrade.NONE
    type: OrderType = OrderType.LIMIT
    stop_price: int = 0
    trail: int = 0


class Wishes(TypedDict, total=False):
    """What an order may say beyond its quantity and its limit."""

    type: OrderType | str
    """How it finds its price: limit, market, stop, stop_limit, trailing_stop."""
    stop_price: Amount | None
    """At which price a stop begins to trade, or a trailing one to wait; as `limit` is written."""
    trail: Amount | None
    """How far behind the last price a trailing stop follows."""
    time_in_force: Lasting | None
    """How long it may rest. A subsidised order lasts for the day unless told otherwise, one with
    `expires_at` until then, any other until it is cancelled."""
    post_only: bool
    """It never trades at once: refused if it would."""
    display_quantity: int | None
    """Of an iceberg: how many lots it shows at a time when it rests."""
    minimum_quantity: int | None
    """How many lots must trade at once; else it is cancelled."""
    expires_at: datetime | int | None
    """When it expires: a datetime with its zone, or ns since 1970."""
    self_trade: SelfTrade | str
    """What is done where it would meet an order of its own group: none, cancel_taker, cancel_maker,
    cancel_both, decrement."""


class Instrument:
    """What is traded, and the way to write an order for it. Phase and fees are as of the logon.

    `maker_fee` and `taker_fee` are basis points of an order's amount.
    """

    __slots__ = ("_programmes", "index", "listing", "maker_fee", "phase", "taker_fee")

    def __init__(self, listed: ListedInstrument, programmes: Programmes) -> None:
        self.index = listed.index
        self.phase = listed.phase
        self.maker_fee = listed.maker_fee
        self.taker_fee = listed.taker_fee
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
        limit: Amount | None = None,
        programme: str | None = None,
        **wishes: Unpack[Wishes],
    ) -> OrderTicket:
        """Write a buy of `quantity` lots at no more than `limit` per lot.

        `limit` is yuan as text or Decimal, or hao as an int; it is never rounded. An order of a type without
        one may leave it out: then the venue finds the worst price that it may trade at. `Wishes` tells what
        else may be said: type, stop_price, trail, time_in_force, post_only, display_quantity,
        minimum_quantity, expires_at, self_trade. Raises `BadInput` for what the venue could only refuse.
        """
        if programme is not None and programme not in self._programmes:
            raise unknown_name("programme", programme, self._programmes)
        return self._ticket(Side.BUY, quantity, limit, programme, wishes)

    def sell(
        self,
        quantity: int,
        *,
        limit: Amount | None = None,
        programme: str | None = None,
        **wishes: Unpack[Wishes],
    ) -> OrderTicket:
        """Write a sell of `quantity` lots at no less than `limit` per lot; as `buy`, unsubsidised."""
        if programme is not None:
            raise BadInput(
                f"programme {programme!r} cannot pay for a sell",
                field="programme",
                value=programme,
                remedy="name a programme on a buy only",
            )
        return self._ticket(Side.SELL, quantity, limit, None, wishes)

    def price(self, amount: Amount | None, field: str) -> int:
        """Return a price in hao, 0 if there is none. Raises `BadInput` for one that no order could have."""
        if amount is None:
            return 0
        price = hao_of(amount, field)
        self._check_price(price, amount, field)
        return price

    def _ticket(
        self, side: Side, quantity: int, limit: Amount | None, programme: str | None, wishes: Wishes
    ) -> OrderTicket:
        check_quantity(quantity)
        price = self.price(limit, "limit")
        if price * quantity > NOTIONAL_MAX:
            raise BadInput(
                f"quantity {quantity} at {yuan(price)} yuan is more than one order may amount to",
                field="quantity",
                value=quantity,
                remedy=f"give at most {NOTIONAL_MAX // price} lots at this price",
            )
        if unknown := wishes.keys() - Wishes.__annotations__.keys():
            raise TypeError(f"an order says nothing of {', '.join(sorted(unknown))}")
        usual = TimeInForce.GTC if programme is None else TimeInForce.DAY
        ticket = OrderTicket(
            self.symbol,
            side,
            quantity,
            price,
            programme,
            time_in_force_of(wishes, usual),
            wishes.get("post_only", False),
            wishes.get("display_quantity") or 0,
            wishes.get("minimum_quantity") or 0,
            ns_of(wishes.get("expires_at")),
            word_of(SelfTrade, "self_trade", wishes.get("self_trade", SelfTrade.NONE)),
            word_of(OrderType, "type", wishes.get("type", OrderType.LIMIT)),
            self.price(wishes.get("stop_price"), "stop_price"),
            self.price(wishes.get("trail"), "trail"),
        )
        check_type(ticket)
        check_wishes(ticket)
        return ticket

    def _check_price(self, price: int, amount: Amount, field: str) -> None:
        """Raise `BadInput` for a price that is out of bounds or off the tick grid."""
        given = f"{amount!r} yuan" if isinstance(amount, str | Decimal) else f"{amount} hao"
        if not 0 < price <= PRICE_MAX:
            raise BadInput(
                f"{field} {given} is not between 0 and {yuan(PRICE_MAX)} yuan",
                field=field,
                value=amount,
                remedy="give a price above 0 and within the venue's bounds",
            )
        above_grid = price % self.tick
        if above_grid:
            below, above = price - above_grid, price - above_grid + self.tick
            nearest = f"{yuan(below)} or {yuan(above)}" if below else yuan(above)
            raise BadInput(
                f"{field} {given} is off the tick of {self.symbol}, {yuan(self.tick)} yuan",
                field=field,
                value=amount,
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


def check_type(ticket: OrderTicket) -> None:
    """Raise `BadInput` for a ticket that lacks a price of its type, or has one of another type."""
    name = ticket.type.name.lower()
    is_stop = ticket.type in (OrderType.STOP, OrderType.STOP_LIMIT)
    is_trailing = ticket.type is OrderType.TRAILING_STOP
    lacking = ""
    if ticket.type in LIMITED and not ticket.price:
        lacking = "limit"
    elif is_stop and not ticket.stop_price:
        lacking = "stop_price"
    elif is_trailing and not ticket.trail:
        lacking = "trail"
    if lacking:
        raise BadInput(
            f"an order of type {name} needs a {lacking}",
            field=lacking,
            remedy="give it in yuan as text, or another type",
        )
    alien = [
        field
        for field, fits in (("stop_price", is_stop or is_trailing), ("trail", is_trailing))
        if getattr(ticket, field) and not fits
    ]
    if ticket.type not in LIMITED:
        alien += [field for field in ("display_quantity", "post_only") if getattr(ticket, field)]
    if alien:
        raise BadInput(
            f"an order of type {name} has no {alien[0]}",
            field=alien[0],
            value=getattr(ticket, alien[0]),
            remedy="leave it out, or give another type",
        )


def check_wishes(ticket: OrderTicket) -> None:
    """Raise `BadInput` for a ticket that asks for too much, or for two things at once."""
    shown, minimum = ticket.display_quantity, ticket.minimum_quantity
    if type(shown) is not int or shown < 0 or 0 < shown * SLICES_MAX < ticket.quantity:
        raise BadInput(
            f"display_quantity {shown!r} is not between a thousandth of the quantity and all of it",
            field="display_quantity",
            value=shown,
            remedy=f"give at least {-(-ticket.quantity // SLICES_MAX)} lots",
        )
    if type(minimum) is not int or not 0 <= minimum <= ticket.quantity:
        raise BadInput(
            f"minimum_quantity {minimum!r} is not between 0 and the quantity, {ticket.quantity}",
            field="minimum_quantity",
            value=minimum,
            remedy="give an int within it",
        )
    if (ticket.time_in_force is TimeInForce.GTD) != (ticket.expires_at > 0):
        raise BadInput(
            "an order expires at a time of its own if its time in force is gtd, and only then",
            field="expires_at",
            value=ticket.expires_at,
            remedy="give expires_at with gtd or without any time in force",
        )
    ends_at_once = ticket.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    if ticket.post_only and (ends_at_once or minimum):
        raise BadInput(
            "an order cannot be post_only and trade at once",
            field="post_only",
            value=True,
            remedy="leave out post_only, or ioc, fok and minimum_quantity",
        )


def ns_of(time: datetime | int | None) -> int:
    """Return a time in ns since 1970; 0 if there is none. Raises `BadInput`."""
    if time is None:
        return 0
    if isinstance(time, datetime) and time.tzinfo is not None:
        return (time - _EPOCH) // timedelta(microseconds=1) * 1_000
    if type(time) is int and 0 < time < 2**63:
        return time
    raise BadInput(
        f"expires_at {time!r} is no time",
        field="expires_at",
        value=time,
        remedy="give a datetime with its zone, or ns since 1970",
    )


def time_in_force_of(wishes: Wishes, usual: TimeInForce) -> TimeInForce:
    """Return the time in force that was wished for, or what is usual. Raises `BadInput`."""
    lasting = wishes.get("time_in_force")
    if lasting is not None:
        return word_of(TimeInForce, "time_in_force", lasting)
    return usual if wishes.get("expires_at") is None else TimeInForce.GTD


def word_of(kind: type[WordT], field: str, said: WordT | str) -> WordT:
    """Return a word of the vocabulary given as itself or by name. Raises `BadInput`."""
    if isinstance(said, kind):
        return said
    if str(said).upper() in kind.__members__:
        return kind[str(said).upper()]
    names = ", ".join(name.lower() for name in kind.__members__)
    raise BadInput(f"{field} {said!r} is unknown", field=field, value=said, remedy=f"use one of {names}")


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
