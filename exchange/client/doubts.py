"""What a caller is told where answers are missing: what is known of each command, and what is not."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.client.answers import Outcome
from exchange.client.errors import ConnectionLost, ExchangeError, OutcomeUnknown, RequestRefused
from exchange.client.requests import Cancels, MassCancel, NewOrders, Reduction, Replacement


def doubt_orders(
    parts: Sequence[NewOrders], answers: Sequence[Outcome | None], error: ExchangeError
) -> ExchangeError | None:
    """Return what to raise where a call for orders failed: what is known, and what is not.

    None where `error` itself says all: a single message that the venue refused as a whole.
    """
    if not any(part.handed for part in parts):
        return None if isinstance(error, ConnectionLost) else _unsent(error)
    if isinstance(error, RequestRefused) and len(parts) == 1:
        return None
    ids = [client_id for part in parts for client_id in part.names]
    doubtful = [
        client_id.rstrip(b"\0").decode("ascii")
        for client_id, outcome in zip(ids, answers, strict=True)
        if outcome is None
    ]
    unknown = OutcomeUnknown(
        f"{len(doubtful)} of {len(ids)} orders have no answer ({error.problem})",
        field="client_id",
        value=doubtful[0] if len(doubtful) == 1 else f"{doubtful[0]} and {len(doubtful) - 1} more",
        remedy="place them again under the same client_id: no order is taken twice",
    )
    unknown.client_ids, unknown.answers = doubtful, answers
    return unknown


def doubt_cancels(
    said: Cancels, answers: Sequence[Outcome | None], error: ExchangeError
) -> ExchangeError | None:
    """Return what to raise where a call for cancels failed; None where `error` itself says all."""
    if not said.handed:
        return None if isinstance(error, ConnectionLost) else _unsent(error)
    if isinstance(error, RequestRefused):
        return None
    unknown = OutcomeUnknown(
        f"{answers.count(None)} of {len(answers)} cancels have no answer ({error.problem})",
        field="order",
        value=said.names[answers.index(None)],
        remedy="cancel again, which is harmless, or ask ex.orders() what is still open",
    )
    unknown.answers = answers
    return unknown


def _unsent(error: ExchangeError) -> ConnectionLost:
    return ConnectionLost(f"nothing was sent ({error.problem})", remedy="try again when the venue answers")


def doubt_reduction(said: Reduction, error: ExchangeError) -> ExchangeError | None:
    """Return what to raise where a reduction has no answer; None where `error` itself says all."""
    if not said.handed:
        return None if isinstance(error, ConnectionLost) else _unsent(error)
    if isinstance(error, RequestRefused):
        return None
    return OutcomeUnknown(
        f"it is not known whether the order was reduced ({error.problem})",
        field="order",
        value=said.names[0],
        remedy="see its quantity by ex.orders() before reducing again: it is never said twice by itself",
    )


def doubt_replacement(said: Replacement, error: ExchangeError) -> ExchangeError | None:
    """Return what to raise where a replace has no answer; None where `error` itself says all."""
    if not said.handed:
        return None if isinstance(error, ConnectionLost) else _unsent(error)
    if isinstance(error, RequestRefused):
        return None
    return OutcomeUnknown(
        f"it is not known whether the order was replaced ({error.problem})",
        field="order",
        value=said.names[0],
        remedy="replace it again by the same price and quantity, which comes to the same",
    )


def doubt_mass_cancel(said: MassCancel, error: ExchangeError) -> ExchangeError | None:
    """Return what to raise where a mass cancel has no answer; None where `error` itself says all."""
    if not said.handed:
        return None if isinstance(error, ConnectionLost) else _unsent(error)
    if isinstance(error, RequestRefused):
        return None
    return OutcomeUnknown(
        f"it is not known whether the orders were cancelled ({error.problem})",
        remedy="cancel again, which is harmless, or ask ex.orders() what is still open",
    )
