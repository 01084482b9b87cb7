"""All that can go wrong between a member and the venue, as a tree of exceptions.

    ExchangeError                     code, field, value, remedy
    ├── BadInput (ValueError)         refused here, nothing was sent
    │   └── UnknownName (KeyError)      no such instrument, programme or holding
    ├── ProfileError                  the profile cannot be found, read or believed
    ├── MissingLibrary (ImportError)  a result is wanted in a form whose library is not installed
    ├── OrderRejected                 the venue refused an order or a cancel; nothing was done
    ├── RequestRefused                the venue refused a question, an act or a whole message
    ├── ConnectionLost                no connection to the venue; nothing was done
    │   ├── AccessDenied                the venue does not let this key in
    │   └── SessionEnded                the venue has ended this session, and it is not made anew by itself
    ├── Timeout (TimeoutError)        a question got no answer in time; asking again is harmless
    ├── OutcomeUnknown                sent, but not answered: it may have been done or not
    ├── FillsMissed                   fills were told while nobody listened, and history does not tell them
    ├── UpdatesMissed                 changes of orders were let go before they were read
    ├── TradesMissed                  trades were told while nobody listened, and history does not tell them
    ├── ReaderTooSlow                 market data came faster than the program read it
    └── ProtocolBroken                the venue said what this version cannot read

Each says what to do about it: `remedy` is a sentence for a person, `code` a word for a program.
"""

# An exception's name says what has happened; most of these are no error of anybody's program.

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exchange.client.answers import Order


class ExchangeError(Exception):
    """What every error of the client bears: a code, the field and value at fault, what to do."""

    code = "exchange_error"

    def __init__(
        self,
        problem: str = "",
        *,
        code: str = "",
        field: str = "",
        value: object = "",
        remedy: str = "",
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.code = code or type(self).code
        self.field = field
        self.value = value
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem


class BadInput(ExchangeError, ValueError):
    """What was asked makes no sense as it is written. Nothing was sent."""

    code = "bad_input"


class UnknownName(BadInput, KeyError):
    """No instrument, programme or order of this name is known here. Nothing was sent."""

    code = "unknown_name"


class ProfileError(ExchangeError):
    """A profile cannot be found, read or believed."""

    code = "profile"


class MissingLibrary(ExchangeError, ImportError):
    """A history result is wanted in a form whose library is not installed."""

    code = "missing_library"


class OrderRejected(ExchangeError):
    """The venue refused an order or a cancel, and did nothing of it.

    `code` is the reject reason's name in lower case, `field` and `value` what it speaks of. `order`
    is the order as far as it is known here: for a refused cancel, how the order ended.
    """

    code = "rejected"
    client_id: str = ""
    order: Order | None = None
    known: bool = False
    """Whether the refusal is an old one, told again because the client id was known."""
    retry_after: float = 0.0
    """Of a `throttled` order: the seconds after which there is room for it."""


class RequestRefused(ExchangeError):
    """The venue refused a question, an act or a message as a whole, and did nothing of it."""

    code = "refused"
    retry_after: float = 0.0
    """Of what was `throttled`: the seconds after which there is room for it."""


class ConnectionLost(ExchangeError):
    """There is no connection to the venue, and nothing of this call was done."""

    code = "connection_lost"


class AccessDenied(ConnectionLost):
    """The venue does not let this key in."""

    code = "access_denied"


class SessionEnded(ConnectionLost):
    """The venue has ended this session, for a reason that a new connection would not change.

    `code` says why: `session_replaced`, `not_authenticated` or `wrong_door`. No connection is made by itself.
    """

    code = "session_ended"


class Timeout(ExchangeError, TimeoutError):
    """A question got no answer in time. It changes nothing, so asking again is harmless."""

    code = "timeout"


class OutcomeUnknown(ExchangeError):
    """Something was sent and not answered in time: the venue may have done it or not.

    `client_ids` are the orders in doubt: placing them again under the same ids is always safe.
    `answers` are the outcomes of all orders of the call, None for those in doubt.
    """

    code = "outcome_unknown"
    client_ids: Sequence[str] = ()
    answers: Sequence[Order | OrderRejected | None] = ()


class FillsMissed(ExchangeError):
    """Fills may have been told while this session did not listen, and history could not tell them.

    What is missing has sequences above `after` and up to `through`. The cause is why history could not be
    read.
    """

    code = "fills_missed"
    after: int = 0
    through: int = 0


class UpdatesMissed(ExchangeError):
    """Changes of orders happened before this session, or were let go before they were read.

    They had sequences up to `through`; `ex.orders()` lists the open orders as they are.
    """

    code = "updates_missed"
    through: int = 0


class TradesMissed(ExchangeError):
    """Trades were told while a stream did not hear them, and history could not tell them.

    What is missing has sequences above `after` and up to `through`. The cause is why history could not be
    read. The stream may be read on: it goes on behind what is missing.
    """

    code = "trades_missed"
    after: int = 0
    through: int = 0


class ReaderTooSlow(ExchangeError):
    """Market data came faster than the program read it, and `missed` messages were dropped.

    The stream may be read on: it is whole again with what comes next.
    """

    code = "reader_too_slow"
    missed: int = 0


class ProtocolBroken(ExchangeError):
    """The venue said what this version of the client cannot read."""

    code = "protocol_broken"
