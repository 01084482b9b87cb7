"""Commands as frames: what a member asks of its orders, in the records of the protocol."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from exchange.client.answers import Order, unknown_name
from exchange.client.errors import BadInput
from exchange.client.tickets import OrderTicket
from exchange.protocol.messages import COMMANDS
from exchange.protocol.records import COMMAND_STRUCT, Command, Instruction
from matching.vocabulary import NO_SLOT, CommandKind

NEVER_NS = 0
"""A time of sending so old that the venue takes no order of it: it only answers what it knows of its
client id. So an order's state can be asked for without any risk of placing it."""


_NEW = int(CommandKind.NEW)
_POST_ONLY = int(Instruction.POST_ONLY)


def new_orders(
    tickets: Iterable[OrderTicket],
    client_ids: Iterable[bytes],
    sent_ats: Iterable[int],
    instruments: Mapping[str, int],
    programmes: Mapping[str, int],
) -> bytes:
    """Return one frame that places `tickets`, each under its client id and time of sending (ns).

    Raises `UnknownName` for what the venue does not list, `BadInput` for what no record can hold.
    """
    pack = COMMAND_STRUCT.pack
    rows = []
    try:
        for ticket, client_id, sent_at in zip(tickets, client_ids, sent_ats, strict=True):
            instrument = instruments.get(ticket.instrument)
            if instrument is None:
                raise unknown_name("instrument", ticket.instrument, instruments)
            programme = NO_SLOT
            if ticket.programme is not None:
                programme = programmes.get(ticket.programme, NO_SLOT)
                if programme == NO_SLOT:
                    raise unknown_name("programme", ticket.programme, programmes)
            rows.append(
                pack(  # field by field of `Command`: to make one first would double the time
                    _NEW,
                    ticket.side,
                    ticket.type,
                    ticket.time_in_force,
                    _POST_ONLY if ticket.post_only else 0,
                    ticket.self_trade,
                    0,
                    instrument,
                    NO_SLOT,
                    0,
                    client_id,
                    ticket.price,
                    ticket.quantity,
                    ticket.display_quantity,
                    ticket.minimum_quantity,
                    ticket.stop_price,
                    ticket.trail,
                    ticket.expires_at,
                    programme,
                    NO_SLOT,
                    sent_at,
                    0,
                )
            )
    except struct.error as error:
        raise _unwritable(error) from error
    return COMMANDS + b"".join(rows)


def cancels(order_ids: Iterable[int], sent_at: int) -> bytes:
    """Return one frame that cancels orders. Raises `BadInput` for what no record can hold."""
    return _frame(Command(kind=CommandKind.CANCEL, order=order_id, sent_at=sent_at) for order_id in order_ids)


def reduction(order_id: int, quantity: int, sent_at: int) -> bytes:
    """Return one frame that takes lots off an order. Raises `BadInput` for what no record can hold."""
    command = Command(kind=CommandKind.REDUCE, order=order_id, quantity=quantity, sent_at=sent_at)
    return _frame((command,))


def replacement(order_id: int, price: int, quantity: int, stop_price: int, sent_at: int) -> bytes:
    """Return one frame that gives an order a new price, total and stop price; a price of 0 is kept."""
    command = Command(
        kind=CommandKind.REPLACE,
        order=order_id,
        price=price,
        quantity=quantity,
        stop_price=stop_price,
        sent_at=sent_at,
    )
    return _frame((command,))


def mass_cancel(client_id: bytes, instrument: int, side: int, sent_at: int) -> bytes:
    """Return one frame that cancels all orders of an instrument (or `EVERY`), of a side (or `BOTH_SIDES`)."""
    command = Command(
        kind=CommandKind.MASS_CANCEL,
        side=side,
        instrument=instrument,
        client_id=client_id,
        sent_at=sent_at,
    )
    return _frame((command,))


def recall(order: Order, client_id: bytes, instruments: Mapping[str, int]) -> bytes:
    """Return one frame that asks what became of an order, and places none."""
    command = Command(
        kind=CommandKind.NEW,
        side=order.side,
        time_in_force=order.time_in_force,
        instrument=instruments.get(order.instrument, 0),
        client_id=client_id,
        price=order.price,
        quantity=order.quantity,
        sent_at=NEVER_NS,
    )
    return _frame((command,))


def _frame(commands: Iterable[Command]) -> bytes:
    try:
        return COMMANDS + b"".join([COMMAND_STRUCT.pack(*command) for command in commands])
    except struct.error as error:
        raise _unwritable(error) from error


def _unwritable(error: struct.error) -> BadInput:
    return BadInput(
        f"a field is no whole number that fits its record ({error})",
        remedy="write tickets with instrument.buy and instrument.sell, ids as ints",
    )
