"""A member's program without what it does: it waits for answers while its patience lasts, and asks in doubt.

It knows the venue through its session only. What became of what it said it believes, and says so at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from exchange.client.acting import is_done_once
from exchange.client.answers import Fill, Order, Outcome
from exchange.client.errors import OrderRejected, RequestRefused
from exchange.client.requests import Asked, Cancels, MassCancel, NewOrders, Reduction, Replacement
from exchange.client.session import Session
from exchange.client.tickets import OrderTicket, client_id_bytes
from exchange.protocol.acts import Act
from exchange.protocol.messages import Account
from exchange.simulation.plan import SECOND_NS
from exchange.simulation.seats import Seat

PATIENCE_SECONDS = (2, 5, 20, 60)
"""How long a member waits for an answer before it gives up."""

TRIES_MAX = 3
"""How often an act is decided again of which no answer came, where that does it once."""

PLACED_AGAIN_MAX = 16
"""Most orders in doubt that are placed again at a time: a flood would be throttled for ever."""

UNDONE = ("throttled", "busy", "not_logged_on", "venue_stopping")
"""Refusals that tell nothing of an order that may have been taken before."""

SHUT = ("instrument_not_open", "domestic_only")
"""Refusals for which an instrument is left alone for a while."""

Said: TypeAlias = NewOrders | Cancels | Reduction | Replacement | MassCancel | Asked[Any]
Then: TypeAlias = Callable[[Any], None]
"""What is done when the answer to a question, or to an act, has come; it is given the answer."""


class Beliefs(NamedTuple):
    """What a member believes of its own affairs.

    `orders` are the blotter's, by id; `placed` the outcome of each client id, None where none came; `fills`
    what was heard in the session that it has, `acts` each act with its answer, None where none came, and
    `account` what it was told last that it has.
    """

    orders: dict[int, Order]
    placed: dict[bytes, Outcome | None]
    fills: list[Fill]
    acts: list[tuple[Act, object]]
    account: Account | None = None


class Placed(NamedTuple):
    """What was placed under a client id, and when by the seat's clock it was sent first."""

    ticket: OrderTicket
    sent_at: int


class Waiting:
    """Something that was said at `since` (ns since 1970) and awaits its answer for so long."""

    __slots__ = ("act", "patience_ns", "said", "since", "then", "tries")

    def __init__(
        self, said: Said, since: int, patience_ns: int, then: Then | None, act: Act | None, tries: int
    ) -> None:
        self.said = said
        self.since = since
        self.patience_ns = patience_ns
        self.then = then
        self.act = act
        self.tries = tries


class Caller:
    """One seat's program, but for what it does: `look` takes answers, `settle` learns what is in doubt."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.name = seat.name
        self.heard: Counter[str] = Counter()
        """How often each refusal was heard, by its reason."""
        self.shut: dict[str, int] = {}
        """When orders for each instrument were last refused whatever they said, ns since 1970."""
        self.tickets: dict[bytes, Placed] = {}
        self.memory: dict[str, Any] = {}
        """What deeds remember from one to the next: what is to be undone, what was told of an account."""
        self.patience_ns = PATIENCE_SECONDS[-1] * SECOND_NS
        self.numbered = 0
        self._session = seat.session
        self._waiting: list[Waiting] = []
        self._doubts: dict[bytes, int] = {}
        """Client ids whose outcome is not known, and when they are to be placed again."""
        self._placed: dict[bytes, Outcome | None] = {}
        self._acts: list[tuple[Act, object]] = []
        self._now = 0
        self._is_settling = False
        self._is_settled = False

    @property
    def session(self) -> Session:
        """The session that the seat has now."""
        return self.seat.session

    # --- what the world asks for ---------------------------------------------------------------

    def look(self, now: int) -> None:
        """Take the answers that have come, give up what took too long, place again what is in doubt."""
        if now < self._now:
            self._turn_back(now)
        self._now = now
        if self.session is not self._session:
            self._begin_anew()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if one.said.is_done():
                    self._take(one)
                elif now >= one.since + one.patience_ns:
                    self.session.drop(one.said)
                    self._take(one)
                else:
                    self._waiting.append(one)
        if self._doubts and self.session.logons:
            self._place_doubts()

    def open_requests(self, now: int) -> int:
        """Return how much still waits for an answer, or is in doubt, or is to be settled."""
        self.look(now)
        return len(self._waiting) + len(self._doubts) + (self._is_settling and not self._is_settled)

    def settle(self, now: int) -> None:
        """Learn what is in doubt; when nothing is, ask once for open orders and for balances."""
        self._is_settling = True
        self.patience_ns = PATIENCE_SECONDS[-1] * SECOND_NS
        self.look(now)
        if not (self._is_settled or self._waiting or self._doubts or not self.session.logons):
            self.ask(self.session.open_orders(), self._settle_account)

    def _settle_account(self, _orders: object) -> None:
        self.ask(self.session.account(), self._end_settling)

    def _end_settling(self, account: object) -> None:
        self.memory["account"] = account
        self._is_settled = True

    def beliefs(self) -> Beliefs:
        """Return what this member believes by now."""
        blotter = self.session.blotter
        placed = {
            client_id: blotter.latest(outcome) if isinstance(outcome, Order) else outcome
            for client_id, outcome in self._placed.items()
        }
        fills = [entry for entry in blotter.fills.entries if isinstance(entry, Fill)]
        account = self.memory.get("account")
        told = account if isinstance(account, Account) else None
        return Beliefs(dict(blotter.orders), placed, fills, [*self._acts], told)

    # --- what deeds use ------------------------------------------------------------------------

    def begin_deed(self, patience_ns: int) -> None:
        """Begin something new: from now on answers are waited for so long."""
        self._is_settled = self._is_settling = False
        self.patience_ns = patience_ns

    def new_id(self) -> bytes:
        """Return a client id that this member has not used."""
        self.numbered += 1
        return client_id_bytes(f"{self.name}-{self.numbered}")

    def new_reference(self) -> str:
        """Return a reference that this member has not used."""
        self.numbered += 1
        return f"{self.name}/{self.numbered}"

    def place(self, *tickets: OrderTicket, ahead_ns: int = 0) -> None:
        """Place orders, all in one message, each under an id of its own; `ahead_ns`: by a clock so wrong."""
        client_ids = [self.new_id() for _ in tickets]
        sent_at = self.seat.clock() + ahead_ns
        for nth, (client_id, ticket) in enumerate(zip(client_ids, tickets, strict=True)):
            self.tickets[client_id] = Placed(ticket, sent_at + nth)
            self._placed[client_id] = None
        self._say_orders(tickets, client_ids, sent_at)

    def place_again(self, client_id: bytes, ticket: OrderTicket, sent_at: int) -> bool:
        """Place something under an id that was used; return whether the id does not await an answer."""
        if self.is_awaited(client_id):
            return False
        self._say_orders((ticket,), (client_id,), sent_at)
        return True

    def is_awaited(self, client_id: bytes) -> bool:
        """Tell whether an order of this id awaits its answer, or is in doubt."""
        return client_id in self._doubts or any(
            isinstance(one.said, NewOrders) and client_id in one.said.names for one in self._waiting
        )

    def is_changing(self, order_id: int) -> bool:
        """Tell whether a change of this order awaits its answer."""
        return any(
            isinstance(one.said, Cancels | Reduction | Replacement) and order_id in one.said.names
            for one in self._waiting
        )

    def _say_orders(self, tickets: Sequence[OrderTicket], client_ids: Sequence[bytes], sent_at: int) -> None:
        said = self.session.write_orders(tickets, client_ids, sent_at)
        self.session.place(said)
        self.wait(said)

    def wait(self, said: Said) -> None:
        """Wait for the answer to something that was said."""
        self._wait(said)

    def ask(self, asked: Asked[Any], then: Then | None = None) -> None:
        """Wait for the answer to a question, and do something with it; a refusal is noted only."""
        self._wait(asked, then)

    def decide(self, act: Act, why: str = "simulated", then: Then | None = None) -> str:
        """Have an act sequenced; return the shape's name."""
        self._decide(act, why, then, 1)
        return f"act {type(act).__name__}"

    def _decide(self, act: Act, why: str, then: Then | None, tries: int) -> None:
        self._wait(self.session.decide(act, why), then, act, tries)

    def _wait(self, said: Said, then: Then | None = None, act: Act | None = None, tries: int = 0) -> None:
        self._waiting.append(Waiting(said, self._now, self.patience_ns, then, act, tries))

    # --- answers -------------------------------------------------------------------------------

    def _take(self, one: Waiting) -> None:
        """Note what became of something: that it was answered, or that nobody knows."""
        match one.said:
            case NewOrders():
                for client_id, outcome in zip(one.said.names, self.session.outcomes(one.said), strict=True):
                    self._note_order(client_id, outcome)
            case Cancels() | Reduction() | Replacement():
                for outcome in self.session.outcomes(one.said):
                    self._note_refusal(outcome)
            case MassCancel():
                self._note_refusal(one.said.answer)
            case Asked():
                self._take_answer(one, one.said.answer)

    def _take_answer(self, one: Waiting, answer: object) -> None:
        self._note_refusal(answer)
        if one.act is not None:
            if answer is None and is_done_once(one.act) and one.tries < TRIES_MAX:
                self._decide(one.act, "again", one.then, one.tries + 1)
                return
            self._acts.append((one.act, answer))
        if one.then is not None and answer is not None and not isinstance(answer, RequestRefused):
            one.then(answer)

    def _note_order(self, client_id: bytes, outcome: Outcome | None) -> None:
        """Note what became of an order; where that tells nothing, it is placed again later."""
        self._note_refusal(outcome)
        is_order = isinstance(self._placed.get(client_id), Order)
        if outcome is None or (isinstance(outcome, OrderRejected) and outcome.code in UNDONE):
            if not is_order:
                wait_seconds = 0.0 if outcome is None else outcome.retry_after
                self._doubts[client_id] = self._now + int((1 + wait_seconds) * SECOND_NS)
            return
        self._doubts.pop(client_id, None)
        if not is_order:
            self._placed[client_id] = outcome

    def _note_refusal(self, outcome: object) -> None:
        if isinstance(outcome, OrderRejected | RequestRefused):
            self.heard[outcome.code] += 1
            if outcome.code in SHUT:
                self.shut[str(outcome.value)] = self._now

    def _place_doubts(self) -> None:
        """Place again, under the same ids and as first sent, orders of which no answer came: always safe."""
        due = [client_id for client_id, at in self._doubts.items() if at <= self._now]
        for client_id in due[:PLACED_AGAIN_MAX]:
            del self._doubts[client_id]
            placed = self.tickets[client_id]
            self._say_orders((placed.ticket,), (client_id,), placed.sent_at)

    def _turn_back(self, now: int) -> None:
        """Go by a clock that was put back: nothing has waited longer than from now on."""
        for one in self._waiting:
            one.since = min(one.since, now)
        for client_id in self._doubts:
            self._doubts[client_id] = min(self._doubts[client_id], now)

    def _begin_anew(self) -> None:
        """Go on with another session: what awaits an answer in the last one is in doubt."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if isinstance(one.said, NewOrders):
                for client_id in one.said.names:
                    self._note_order(client_id, one.said.answers.get(client_id))
            elif one.act is not None:
                self._acts.append((one.act, one.said.answer if isinstance(one.said, Asked) else None))
        self._session = self.session
