"""What is said to the venue and awaits an answer: questions, new orders, cancels, reductions, replaces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Generic, TypeVar

from exchange.client.answers import Order, Outcome
from exchange.client.errors import OrderRejected, RequestRefused

AnswerT = TypeVar("AnswerT")
NameT = TypeVar("NameT", bytes, int)


class Said:
    """One frame for the venue. `handed` tells that a socket has taken it: the venue may have it.

    `number` rises from one to the next, so that what is said again is said in its order.
    """

    __slots__ = ("frame", "handed", "number")

    _numbers = count()

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.handed = False
        self.number = next(self._numbers)


class Asked(Said, Generic[AnswerT]):
    """A question, or an act, with its number: `answer` is what came back.

    A question changes nothing and is said again on a new connection. An act is not: then it is
    `lost`, and nobody here can know what became of it.
    """

    __slots__ = ("answer", "changes", "lost", "request")

    def __init__(self, request: int, frame: bytes, *, changes: bool = False) -> None:
        super().__init__(frame)
        self.request = request
        self.changes = changes
        self.answer: AnswerT | RequestRefused | None = None
        self.lost = False

    def is_done(self) -> bool:
        """Tell whether there is nothing more to wait for."""
        return self.answer is not None or self.lost

    def result(self) -> AnswerT:
        """Return the answer that came. Raises `RequestRefused` if it was a refusal."""
        assert self.answer is not None, "a question is read when it is answered"
        if isinstance(self.answer, RequestRefused):
            raise self.answer
        return self.answer


class Commands(Said, Generic[NameT]):
    """New orders, named by client id, or changes, named by order id, that went out as one frame.

    They may be said again on a new connection, but for a `Reduction`: the venue takes none of them twice.
    """

    __slots__ = ("answers", "names", "sent_at")

    def __init__(self, names: Sequence[NameT], frame: bytes, sent_at: int) -> None:
        super().__init__(frame)
        self.names: Sequence[NameT] = names
        self.sent_at = sent_at
        self.answers: dict[NameT, Outcome] = {}

    def is_done(self) -> bool:
        """Tell whether every one of them was answered."""
        return len(self.answers) == len(self.names)


class NewOrders(Commands[bytes]):
    """New orders, by client id."""

    __slots__ = ()


class Cancels(Commands[int]):
    """Cancels, by order id."""

    __slots__ = ()


class Reduction(Commands[int]):
    """Lots to be taken off one order. It is never said twice: taken twice, it would take off double.

    Where the connection breaks after it was handed over it is `lost`, and nobody here can know what
    became of it.
    """

    __slots__ = ("lost",)

    def __init__(self, names: Sequence[int], frame: bytes, sent_at: int) -> None:
        super().__init__(names, frame, sent_at)
        self.lost = False

    def is_done(self) -> bool:
        """Tell whether there is nothing more to wait for."""
        return self.lost or super().is_done()


class Replacement(Commands[int]):
    """A new price and total of one order. Said twice, it comes to the same."""

    __slots__ = ()


class MassCancel(Said):
    """A cancel of all orders of an instrument, of a side, or of all; `answer` is what it cancelled.

    It may be said again on a new connection: there is nothing left then that it could do twice.
    """

    __slots__ = ("answer", "client_id")

    def __init__(self, client_id: bytes, frame: bytes) -> None:
        super().__init__(frame)
        self.client_id = client_id
        self.answer: list[Order] | OrderRejected | None = None

    def is_done(self) -> bool:
        """Tell whether it was answered."""
        return self.answer is not None
