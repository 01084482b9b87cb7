"""Refusals as the venue words them, turned into exceptions that say what to do."""

from __future__ import annotations

from exchange.client.errors import OrderRejected, RequestRefused
from exchange.client.money import yuan
from exchange.protocol.messages import Refused
from exchange.protocol.reasons import MEANINGS, Meaning, remedy_of
from exchange.protocol.records import Report
from matching.vocabulary import EventKind, RejectReason, Side, TimeInForce

_NEWER = Meaning("command", "bring this client up to date, to know what it means")


def refusal_of(refused: Refused) -> RequestRefused:
    """Return the exception for a refused question, act or message."""
    what = f"{refused.field} {refused.value!r}" if refused.field else "what was asked"
    return RequestRefused(
        f"the venue refused {what} ({refused.reason})",
        code=refused.reason,
        field=refused.field,
        value=refused.value,
        remedy=refused.remedy,
    )


def rejection_of(report: Report, client_id: str, names: dict[str, str], what: str = "") -> OrderRejected:
    """Return the exception for a report that refuses an order or a change of one.

    `names` holds the fields whose value the report has as a number only: instrument, programme,
    member. `what` was refused, where the report does not say it.
    """
    try:
        reason = RejectReason(report.reason)
    except ValueError:  # a newer venue's
        code, meaning = f"reason_{report.reason}", _NEWER
        remedy = meaning.remedy
    else:
        code, meaning = reason.name.lower(), MEANINGS[reason]
        remedy = remedy_of(reason, report.detail)
    value = _value(meaning.field, report, {**names, "client_id": client_id})
    cancel = f"the cancel of order {report.order}" if report.order else ""
    subject = what or cancel or f"order {client_id!r}"
    error = OrderRejected(
        f"{subject} was refused for its {meaning.field} {_worded(meaning.field, value)} ({code})",
        code=code,
        field=meaning.field,
        value=value,
        remedy=remedy,
    )
    error.client_id = client_id
    error.known = report.kind == EventKind.KNOWN
    return error


def _value(field: str, report: Report, names: dict[str, str]) -> int | str:
    """Return the value of the field that a refusal speaks of; blank where no report holds it."""
    match field:
        case "price" | "quantity" | "order":
            value: int = getattr(report, field)
            return value
        case "side" | "time_in_force":
            words: tuple[Side | TimeInForce, ...] = (*(Side if field == "side" else TimeInForce),)
            number: int = getattr(report, field)
            return next((word.name.lower() for word in words if word == number), number)
        case _:
            return names.get(field, "")


def _worded(field: str, value: int | str) -> str:
    if field == "price" and isinstance(value, int):
        return f"of {yuan(value)} yuan"
    return repr(value) if value != "" else ""
