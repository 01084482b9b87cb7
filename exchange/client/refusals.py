"""Refusals as the venue words them, turned into exceptions that say what to do."""

from __future__ import annotations

from exchange.client.errors import OrderRejected, RequestRefused, SessionEnded
from exchange.client.money import yuan
from exchange.protocol.messages import Refused
from exchange.protocol.reasons import MEANINGS, Meaning, remedy_of
from exchange.protocol.records import Report
from matching.vocabulary import EventKind, RejectReason, Side, TimeInForce

_WORDS = {int(reason): reason.name.lower() for reason in RejectReason if reason}

_ENDINGS = {
    "session_replaced": "open a new session where this one is still wanted, and close those that are not",
    "not_authenticated": "have the operator register a key, then open a new session with it",
    "wrong_door": "use the endpoint of the profile that came with this key",
}
"""What to do about a session that the venue has ended, as far as the client can tell."""

_NEWER = Meaning("command", "bring this client up to date, to know what it means")


def refusal_of(refused: Refused) -> RequestRefused:
    """Return the exception for a refused question, act or message."""
    what = _asked(refused.field, refused.value)
    error = RequestRefused(
        f"the venue refused {what} ({refused.reason})",
        code=refused.reason,
        field=refused.field,
        value=refused.value,
        remedy=refused.remedy,
    )
    error.retry_after = refused.retry_after_ms / 1_000
    return error


def _asked(field: str, value: str) -> str:
    """Return the words for what was refused of a question: text of several lines as it stands."""
    if field == "rate" or not field:
        return "what was asked"
    if "\n" in value:
        return f"{field}:\n{value}\n"
    return f"{field} {value!r}" if value else field


def ending_of(refused: Refused) -> SessionEnded:
    """Return the exception for a session that the venue has ended."""
    return SessionEnded(
        f"the venue has ended this session ({refused.reason})",
        code=refused.reason,
        field=refused.field,
        value=refused.value,
        remedy=_ENDINGS.get(refused.reason, refused.remedy),
    )


def reason_word(reason: int) -> str:
    """Return a reason in a word: its name in lower case; a newer venue's by its number.

    >>> reason_word(RejectReason.SELF_TRADE), reason_word(RejectReason.NONE), reason_word(250)
    ('self_trade', '', 'reason_250')
    """
    return _WORDS.get(reason) or (f"reason_{reason}" if reason else "")


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
        f"{subject} was refused{_blamed(meaning.field, value)} ({code})",
        code=code,
        field=meaning.field,
        value=value,
        remedy=remedy,
    )
    error.client_id = client_id
    error.known = report.kind == EventKind.KNOWN
    if report.reason == RejectReason.THROTTLED:
        error.retry_after = report.detail / 1_000
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


def _blamed(field: str, value: int | str) -> str:
    """Return the words for what a refusal speaks of: nothing where it has none, or has named it.

    An order without a price was not refused for its price of 0 yuan, but for that it has none.
    """
    if not field or field in ("rate", "session", "order"):
        return ""
    if field == "price" and isinstance(value, int):
        return f" for its price of {yuan(value)} yuan" if value else " for having no price"
    return f" for its {field} {value!r}" if value != "" else f" for its {field}"
