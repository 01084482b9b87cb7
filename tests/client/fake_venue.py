"""A small venue for the client's tests: its rules in memory, and the same behind real sockets."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, NamedTuple

import pyarrow as pa
import zmq
from zmq.utils import z85

from exchange.instruments import Instrument
from exchange.profiles import Endpoints, Profile
from exchange.protocol.acts import Deposit, Redeem, Withdraw
from exchange.protocol.messages import (
    COMMANDS,
    MESSAGE,
    PROTOCOL_VERSION,
    QUERIES,
    REPORTS,
    REQUESTS,
    Account,
    Armed,
    AskAccount,
    AskKeys,
    AskOrders,
    AskProposals,
    AskRedemptions,
    AskStatus,
    Balance,
    CancelAllAfter,
    Decide,
    Decided,
    Farewell,
    Heartbeat,
    Keys,
    ListedInstrument,
    ListedProgramme,
    Logon,
    Logout,
    Obligation,
    OpenRedemption,
    Orders,
    ProgrammeLeft,
    Proposals,
    Redemptions,
    Refused,
    Status,
    Welcome,
    encode,
)
from exchange.protocol.query_messages import Query, QueryResult
from exchange.protocol.records import COMMAND_STRUCT, REPORT_STRUCT, Command, Report
from feeds.messages import read_ask
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    CommandKind,
    EventKind,
    OrderState,
    OrderType,
    Phase,
    RejectReason,
    Side,
    TimeInForce,
)
from settlement.terms import ProgrammeTerms, Rate
from tests.client.fake_feed import FakeFeed

NOW = 1_780_000_000_000_000_000

PROTECTION = 1_000_000
"""The worst price that the venue finds for a buy without one."""


def terms(**changes: Any) -> ProgrammeTerms:
    """Return the terms of the venue's programme: half of what small firms of Hangzhou pay, up to 0.9 yuan."""
    fields: dict[str, Any] = {
        "code": "HZ-VOUCHER-2026",
        "version": 1,
        "fiscal_year": 2026,
        "budget": 10**9,
        "rates": (Rate(rate=5_000, sizes=("small",)),),
        "ceiling": 1_000,
        "order_cap": 9_000,
        "group_cap": 10_000,
        "regions": ("HANGZHOU",),
        "valid_from": date(2026, 1, 1),
        "valid_through": date(2026, 12, 31),
    }
    return ProgrammeTerms(**(fields | changes))


def listing(symbol: str, tick: int = 100) -> Instrument:
    return Instrument(
        symbol=symbol,
        name=symbol.title(),
        kind="model",
        provider="ALIBABA",
        domestic=True,
        filed=True,
        region="HZ",
        tier="frontier",
        list_price=tick * 1000,
        tick=tick,
        source="a test",
        source_version="1",
        source_date="2026-01-01",
    )


class Resting(NamedTuple):
    """One order at the venue."""

    command: Command
    order: int
    filled: int = 0
    gross: int = 0
    paid: int = 0
    state: OrderState = OrderState.OPEN
    taken_off: int = 0
    is_parked: bool = False

    @property
    def total(self) -> int:
        return self.command.quantity - self.taken_off

    @property
    def leaves(self) -> int:
        return self.total - self.filled if self.state is OrderState.OPEN else 0

    @property
    def stop_price(self) -> int:
        return self.command.stop_price if self.is_parked else 0


class Rules:
    """What the venue does with frames of one member: `take` returns what to answer each session.

    It trades against `liquidity`, lists of [price, lots] that somebody else offers to buyers. A tenth
    of a subsidised trade is paid. Fees are 1 hao a lot.
    """

    def __init__(self) -> None:
        self.symbols = ["QWEN3-MAX", "DEEPSEEK-V3", "AGENT-CUSTOMS"]
        self.sequence = 100
        self.trades = 0
        self.fills: list[tuple[int, int]] = []
        self.executions: list[dict[str, Any]] = []
        self.trades_told: list[dict[str, Any]] = []
        self.bars: list[dict[str, Any]] = []
        self.orders: dict[int, Resting] = {}
        self.ids: dict[bytes, int] = {}
        self.sent_ats: list[int] = []
        self.liquidity: list[list[int]] = []
        self.sessions: list[Any] = []
        self.refuse: RejectReason | None = None
        self.refuse_messages = False
        self.acts: list[str] = []
        self.references: dict[str, tuple[Any, int]] = {}
        self.log: list[tuple[int, bytes]] = []
        self.floor = 0
        self.logons: list[Logon] = []
        self.armed = 0

    # --- frames --------------------------------------------------------------------------------

    def take(self, session: Any, frame: bytes) -> list[tuple[Any, bytes]]:
        """Take one frame of one session; return frames, each with the session that it is for."""
        if session not in self.sessions:
            self.sessions.append(session)
        if self.refuse_messages:
            return [(session, encode(Refused(0, "malformed", "message", "?", "send records")))]
        if frame[:1] == COMMANDS:
            reports: list[Report] = []
            for row in COMMAND_STRUCT.iter_unpack(frame[1:]):
                caused = self.command(Command._make(row))
                reports += [self.told(each) if each.kind == EventKind.REJECTED else each for each in caused]
            body = REPORTS + b"".join(REPORT_STRUCT.pack(*report) for report in reports)
            return [(each, body) for each in self.sessions]
        assert frame[:1] == MESSAGE
        request = REQUESTS.decode(frame[1:])
        answers = [(session, encode(self.reply(request)))]
        if isinstance(request, Logon) and request.since is not None:
            answers += [(session, body) for body in self.missed(request.since)]
        if isinstance(request, Logout):
            self.sessions.remove(session)
        return answers

    def missed(self, since: int) -> list[bytes]:
        """Return the reports above `since` that are kept, as one message if there are any."""
        kept = [packed for sequence, packed in self.log if sequence > max(since, self.floor)]
        return [REPORTS + b"".join(kept)] if kept else []

    def told(self, report: Report) -> Report:
        """Keep a report for who is away."""
        self.log.append((report.sequence, REPORT_STRUCT.pack(*report)))
        return report

    def forget(self) -> None:
        """Keep none of the reports up to now."""
        self.floor = self.sequence

    def heartbeat(self, told: int = 0) -> bytes:
        return encode(Heartbeat(self.sequence, told, NOW))

    def reply(self, request: Any) -> Any:
        """Answer what concerns the session, or what is asked."""
        number = request.request
        match request:
            case Logon(since=since):
                self.logons.append(request)
                return self.welcome(number, since)
            case Logout():
                return Farewell(number, self.sequence)
            case CancelAllAfter(seconds=seconds):
                self.armed = seconds
                return Armed(number, NOW + seconds * 10**9 if seconds else 0)
            case _:
                return self.answer(number, request)

    def answer(self, number: int, request: Any) -> Any:
        match request:
            case AskKeys():
                return Keys(number, self.sequence, ())
            case AskAccount():
                return Account(
                    number,
                    self.sequence,
                    Balance(5_000_000, 70_000, 0),
                    {"QWEN3-MAX": Balance(3, 2, 1, 4)},
                    (ProgrammeLeft("HZ-VOUCHER-2026", 2026, 8_000, None, 900_000, used=2_000),),
                    debt=120,
                    obligations=(Obligation("QWEN3-MAX", 100, 30, 0),),
                )
            case AskRedemptions():
                return Redemptions(
                    number,
                    self.sequence,
                    tuple(
                        OpenRedemption(done, act.member, act.instrument, act.lots, "requested", name, NOW)
                        for name, (act, done) in self.references.items()
                        if isinstance(act, Redeem)
                    ),
                )
            case AskProposals():
                return Proposals(number, self.sequence, ())
            case AskOrders():
                reports = [
                    self.report(
                        EventKind.ACCEPTED,
                        each,
                        fee=each.filled,
                        sequence=each.order,
                        detail=each.stop_price,
                    )
                    for each in self.orders.values()
                    if each.state is OrderState.OPEN
                ]
                return Orders(number, self.sequence, b"".join(REPORT_STRUCT.pack(*each) for each in reports))
            case AskStatus():
                return Status(number, self.sequence, NOW, NOW, 2, 3, 0, self.trades, 0, 1, ())
            case Decide(act=Deposit(amount=amount), why=why):
                if amount <= 0:
                    return Refused(
                        number,
                        "amount_out_of_range",
                        "amount",
                        str(amount),
                        "give an amount above 0",
                    )
                self.sequence += 1
                self.acts.append(why)
                return Decided(number, self.sequence)
            case Decide(act=Redeem() | Withdraw() as act):
                return self.referred(number, act)
        raise AssertionError(request)

    def referred(self, number: int, act: Any) -> Decided | Refused:
        """Take an act once under its reference."""
        self.sequence += 1
        known, sequence = self.references.setdefault(act.reference, (act, self.sequence))
        if known != act:
            return Refused(number, "reference_used", "reference", act.reference, "give another")
        return Decided(number, sequence)

    def welcome(self, number: int, since: int | None = None) -> Welcome:
        return Welcome(
            resumed=self.sequence if since is None else max(since, self.floor),
            heartbeat_ms=1_000,
            request=number,
            version=PROTOCOL_VERSION,
            member="ACME",
            role="firm",
            size="small",
            regions=("HANGZHOU",),
            instruments=tuple(
                ListedInstrument(index, "continuous", listing(symbol), 2, 5)
                for index, symbol in enumerate(self.symbols)
            ),
            programmes=(
                ListedProgramme(0, "HZ-VOUCHER-2026", 2026, 1, 10**9, 10**9, 0, 0, 0, False, terms()),
            ),
            sequence=self.sequence,
            time=NOW,
        )

    # --- commands ------------------------------------------------------------------------------

    def command(self, command: Command) -> list[Report]:
        self.sequence += 1
        if command.kind == CommandKind.CANCEL:
            return [self.cancel(command.order)]
        if command.kind == CommandKind.REDUCE:
            return [self.reduce(command.order, command.quantity)]
        if command.kind == CommandKind.REPLACE:
            return self.replace(command)
        if command.kind == CommandKind.MASS_CANCEL:
            return self.cancel_every(command)
        assert command.kind == CommandKind.NEW
        return self.new(command)

    def cancel(self, order: int) -> Report:
        resting = self.orders.get(order)
        if resting is None or resting.state is not OrderState.OPEN:
            return refusal(self.sequence, RejectReason.UNKNOWN_ORDER, order=order)
        return self.end(order, EventKind.CANCELLED)

    def reduce(self, order: int, lots: int, reason: RejectReason = RejectReason.NONE) -> Report:
        resting = self.orders.get(order)
        if resting is None or lots >= resting.leaves:
            return self.cancel(order)
        resting = resting._replace(taken_off=resting.taken_off + lots)
        self.orders[order] = resting
        return self.report(EventKind.REDUCED, resting, reason=reason)

    def replace(self, command: Command) -> list[Report]:
        """Give an order a new total and price, then let it trade; above a million hao it is refused."""
        resting = self.orders.get(command.order)
        if resting is None or not resting.leaves or command.price > PROTECTION:
            reason = (
                RejectReason.MONEY_NOT_AVAILABLE if resting and resting.leaves else RejectReason.UNKNOWN_ORDER
            )
            return [refusal(self.sequence, reason, order=command.order)]
        if command.quantity <= resting.filled:
            return [self.cancel(command.order)]
        becomes = resting.command._replace(
            price=command.price or resting.command.price,
            quantity=command.quantity,
            stop_price=command.stop_price or resting.command.stop_price,
        )
        self.orders[command.order] = resting = resting._replace(command=becomes, taken_off=0)
        told = self.report(
            EventKind.REPLACED, resting, subsidy=self.reserved(resting), detail=resting.stop_price
        )
        return [told, *(() if resting.is_parked else self.cross(command.order))]

    def trigger(self, order: int) -> Report:
        """Let a parked stop enter the book."""
        self.orders[order] = resting = self.orders[order]._replace(is_parked=False)
        return self.report(EventKind.TRIGGERED, resting)

    def reserved(self, resting: Resting) -> int:
        """Return what the programme keeps for what is open of an order."""
        return resting.command.price * resting.leaves // 10 if resting.command.programme >= 0 else 0

    def cancel_every(self, command: Command) -> list[Report]:
        if command.instrument >= len(self.symbols):
            reason = RejectReason.UNKNOWN_INSTRUMENT
            return [refusal(self.sequence, reason, client_id=command.client_id)]
        ended = [
            self.end(one.order, EventKind.CANCELLED)
            for one in self.orders.values()
            if one.leaves
            and command.instrument in (EVERY, one.command.instrument)
            and command.side in (BOTH_SIDES, one.command.side)
        ]
        done = self.told(
            blank()._replace(
                kind=EventKind.MASS_CANCELLED,
                client_id=command.client_id,
                quantity=len(ended),
                sequence=self.sequence,
            )
        )
        return [*ended, done]

    def end(self, order: int, kind: EventKind) -> Report:
        """End an open order as `kind`: CANCELLED or EXPIRED."""
        resting = self.orders[order]
        leaves, state = resting.leaves, OrderState[kind.name]
        self.orders[order] = resting = resting._replace(state=state)
        return self.report(kind, resting, quantity=leaves)

    def new(self, command: Command) -> list[Report]:
        self.sent_ats.append(command.sent_at)
        if command.client_id in self.ids:
            return [self.known(command)]
        if command.sent_at <= 0:
            return [refusal(self.sequence, RejectReason.TOO_OLD, client_id=command.client_id)]
        if self.refuse is not None:
            self.ids[command.client_id] = -int(self.refuse)
            return [
                refusal(self.sequence, self.refuse, detail=detail_of(self.refuse), **command_fields(command))
            ]
        order = self.sequence
        self.ids[command.client_id] = order
        if not command.price:
            command = command._replace(price=PROTECTION)
        resting = Resting(command, order, is_parked=command.type >= OrderType.STOP)
        self.orders[order] = resting
        reserved = self.reserved(resting)
        reports = [self.report(EventKind.ACCEPTED, resting, subsidy=reserved, detail=resting.stop_price)]
        if resting.is_parked:
            return reports
        reports += self.cross(order)
        ends_at_once = command.time_in_force == TimeInForce.IOC or command.type == OrderType.MARKET
        if ends_at_once and self.orders[order].leaves:
            reports.append(self.end(order, EventKind.CANCELLED))
        return reports

    def cross(self, order: int) -> Iterator[Report]:
        command = self.orders[order].command
        while (
            command.side == Side.BUY
            and self.liquidity
            and self.liquidity[0][0] <= command.price
            and self.orders[order].leaves
        ):
            price, lots = self.liquidity[0]
            quantity = min(lots, self.orders[order].leaves)
            self.liquidity[0][1] -= quantity
            if not self.liquidity[0][1]:
                self.liquidity.pop(0)
            yield self.fill(order, price, quantity)

    def fill(self, order: int, price: int, quantity: int, maker: int = 0) -> Report:
        """Fill some of an open order."""
        resting = self.orders[order]
        paid = price * quantity // 10 if resting.command.programme >= 0 else 0
        filled = resting.filled + quantity
        state = OrderState.FILLED if filled == resting.total else OrderState.OPEN
        resting = resting._replace(
            filled=filled,
            gross=resting.gross + price * quantity,
            paid=resting.paid + paid,
            state=state,
        )
        self.orders[order] = resting
        self.trades += 1
        self.fills.append((self.sequence, self.trades))
        self.executions.append(
            {
                "execution": 2 * self.trades,
                "order": order,
                "client_id": resting.command.client_id.rstrip(b"\0").decode(),
                "instrument": self.symbols[resting.command.instrument],
                "side": "buy",
                "trade": self.trades,
                "price": price,
                "quantity": quantity,
                "subsidy": paid,
                "fee": quantity,
                "maker": bool(maker),
                "sequence": self.sequence,
                "time_us": NOW // 1_000,
            }
        )
        return self.report(
            EventKind.TRADED,
            resting,
            price=price,
            quantity=quantity,
            fee=quantity,
            subsidy=paid,
            trade=self.trades,
            maker=maker,
        )

    def known(self, command: Command) -> Report:
        order = self.ids[command.client_id]
        if order <= 0:
            fields = command_fields(command) | {"kind": EventKind.KNOWN}
            reason = RejectReason(-order)
            return refusal(self.sequence, reason, detail=detail_of(reason), **fields)
        resting = self.orders[order]
        reserved, stop = self.reserved(resting), resting.stop_price
        fees = resting.filled  # a hao a lot
        return self.report(EventKind.KNOWN, resting, fee=fees, subsidy=reserved, detail=stop)

    def report(self, kind: EventKind, resting: Resting, **fields: Any) -> Report:
        command = resting.command
        report = blank()._replace(
            kind=kind,
            side=command.side,
            state=resting.state,
            type=command.type,
            time_in_force=command.time_in_force,
            instrument=command.instrument,
            programme=command.programme,
            sequence=self.sequence,
            time=NOW + self.sequence,
            order=resting.order,
            client_id=command.client_id,
            price=command.price,
            quantity=resting.total,
            leaves=resting.leaves,
            filled=resting.filled,
            gross=resting.gross,
            paid=resting.paid,
        )
        report = report._replace(**fields)
        return report if kind is EventKind.KNOWN or fields.get("sequence") else self.told(report)


def blank() -> Report:
    return Report(*(b"" if name == "client_id" else 0 for name in Report._fields))  # type: ignore[arg-type]


def command_fields(command: Command) -> dict[str, Any]:
    """Return what a refusal repeats of a command."""
    names = ("side", "instrument", "programme", "client_id", "price", "quantity", "time_in_force")
    return {name: getattr(command, name) for name in names}


def detail_of(reason: RejectReason) -> int:
    """Return the number that a refusal speaks of: the phase that forbids the command, or any amount."""
    is_for_phase = reason in (RejectReason.INSTRUMENT_NOT_OPEN, RejectReason.NOT_IN_PHASE)
    return Phase.HALTED if is_for_phase else 100


def refusal(sequence: int, reason: RejectReason, **fields: Any) -> Report:
    fields.setdefault("client_id", bytes(24))
    return blank()._replace(
        **{"kind": EventKind.REJECTED, "state": OrderState.REJECTED, **fields},
        reason=reason,
        sequence=sequence,
    )


# --- behind sockets ----------------------------------------------------------------------------

PATIENCE_MS = 10_000
TRY_MS = 2
TRIES_MAX = PATIENCE_MS // TRY_MS


class FakeVenue:
    """The rules behind a CURVE ROUTER on loopback, in a thread of their own, with a query service.

    Everything that touches the rules or the sockets is done on that thread: see `do`.
    """

    def __init__(self) -> None:
        self.rules = Rules()
        self.server_key, self._server_secret = zmq.curve_keypair()
        self.known_key, self._known_secret = zmq.curve_keypair()
        self.drop_answers = 0
        self.drop_messages = 0
        self.queries: list[tuple[str, tuple[Any, ...]]] = []
        self.lag = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._work: queue.Queue[Callable[[], object]] = queue.Queue()
        self._wake = self._context.socket(zmq.PAIR)
        self._wake.bind("inproc://wake")
        self._told = self._context.socket(zmq.PAIR)
        self._told.connect("inproc://wake")
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self._members = self._bound("tcp://127.0.0.1:*")
        self._analysts = self._bound("tcp://127.0.0.1:*")
        self._public = self._bound("tcp://127.0.0.1:*", zmq.XPUB)
        self._refreshes = self._bound("tcp://127.0.0.1:*")
        self._feed_at = self._public.getsockopt_string(zmq.LAST_ENDPOINT)
        self._refreshes_at = self._refreshes.getsockopt_string(zmq.LAST_ENDPOINT)
        self.feed = FakeFeed()
        self.subscribed: set[bytes] = set()
        self._subscription = threading.Condition()
        self.endpoint = self._members.getsockopt_string(zmq.LAST_ENDPOINT)
        self._queries_at = self._analysts.getsockopt_string(zmq.LAST_ENDPOINT)
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, name="fake venue", daemon=True)
        self._thread.start()

    def _bound(self, endpoint: str, kind: int = zmq.ROUTER) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._server_secret)
        for _ in range(TRIES_MAX):
            try:
                socket.bind(endpoint)
            except zmq.ZMQError:  # libzmq closes the socket before this one in its own time
                self._told.poll(TRY_MS)
            else:
                return socket
        raise AssertionError(f"{endpoint} does not become free")

    def profile(self, **changes: Any) -> Profile:
        fields: dict[str, Any] = {
            "member": "ACME",
            "public_key": self.known_key.decode(),
            "secret_key": self._known_secret.decode(),
            "server_key": self.server_key.decode(),
            "endpoints": Endpoints(self.endpoint, self._queries_at, self._feed_at, self._refreshes_at),
        }
        return Profile(**(fields | changes))

    def do(self, deed: Callable[[], object]) -> None:
        """Have something done on the venue's thread, and wait until it was."""
        done = threading.Event()
        self._work.put(deed)
        self._work.put(done.set)
        self._told.send(b"")
        assert done.wait(PATIENCE_MS / 1000), "the fake venue hangs"

    def tell(self, make: Callable[[], Report]) -> None:
        """Send a report that nobody asked for to every session."""
        self.do(lambda: self._send_all(REPORTS + REPORT_STRUCT.pack(*make())))

    def _send_all(self, body: bytes) -> None:
        for session in self.rules.sessions:
            self._members.send_multipart([session, body])

    def publish(self, *messages: bytes) -> None:
        """Have the feed say something to all who have subscribed."""
        self.do(lambda: [self._public.send(message) for message in messages])

    def until_subscribed(self, topic: bytes) -> None:
        """Return when somebody listens to a topic of the feed."""
        with self._subscription:
            heard = self._subscription.wait_for(lambda: topic in self.subscribed, PATIENCE_MS / 1000)
        assert heard, f"nobody listens to {topic!r}"

    def until_unsubscribed(self, topic: bytes) -> None:
        """Return when nobody listens to a topic of the feed any more."""
        with self._subscription:
            gone = self._subscription.wait_for(lambda: topic not in self.subscribed, PATIENCE_MS / 1000)
        assert gone, f"somebody still listens to {topic!r}"

    def restart_feed(self) -> None:
        """Drop the connection of everybody who listens, and take them again."""
        self.do(lambda: self._public.close(linger=0))
        self.subscribed.clear()
        self.do(self._open_feed_again)

    def _open_feed_again(self) -> None:
        self._public = self._bound(self._feed_at, zmq.XPUB)

    def shut(self) -> None:
        """Drop every connection, and take no more."""
        self.do(lambda: self._members.close(linger=0))

    def reopen(self) -> None:
        """Take connections again, at the same address; the old sessions are gone."""
        self.do(self._open_again)

    def _open_again(self) -> None:
        self.rules.sessions.clear()
        self._members = self._bound(self.endpoint)

    def restart(self) -> None:
        """Drop every connection."""
        self.shut()
        self.reopen()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Keep the venue from doing anything meanwhile."""
        begun, released = threading.Event(), threading.Event()
        self._work.put(begun.set)
        self._work.put(lambda: released.wait(PATIENCE_MS / 1000))
        self._told.send(b"")
        assert begun.wait(PATIENCE_MS / 1000), "the fake venue hangs"
        try:
            yield
        finally:
            released.set()

    def close(self) -> None:
        self.do(lambda: setattr(self, "_is_open", False))
        self._thread.join()
        sockets = (self._members, self._analysts, self._public, self._refreshes)
        for socket in (self._wake, self._told, self._zap, *sockets):
            socket.close(linger=0)
        self._context.term()

    def _serve(self) -> None:
        while self._is_open:
            poller = zmq.Poller()
            sockets = (
                self._wake,
                self._zap,
                self._members,
                self._analysts,
                self._public,
                self._refreshes,
            )
            for socket in sockets:
                if not socket.closed:
                    poller.register(socket, zmq.POLLIN)
            ready = dict(poller.poll(PATIENCE_MS))
            if self._zap in ready:
                self._admit()
            if self._members in ready:
                self._hear()
            if self._analysts in ready:
                self._look_up()
            if self._public in ready:
                self._note_subscription()
            if self._refreshes in ready:
                self._refresh()
            if self._wake in ready:
                self._wake.recv()
                while not self._work.empty():
                    self._work.get()()

    def _admit(self) -> None:
        """Answer one handshake by ZAP (ZeroMQ RFC 27)."""
        version, request, _, _, _, _, key = self._zap.recv_multipart()
        is_known = z85.encode(key) == self.known_key
        status = (b"200", b"OK") if is_known else (b"400", b"no such key")
        self._zap.send_multipart([version, request, *status, b"ACME", b""])

    def _hear(self) -> None:
        session, frame = self._members.recv_multipart()
        if self.drop_messages and frame[:1] == COMMANDS:
            self.drop_messages -= 1
            return
        answers = self.rules.take(session, frame)
        if self.drop_answers and frame[:1] == COMMANDS:
            self.drop_answers -= 1
            return
        for each, body in answers:
            self._members.send_multipart([each, body])

    def _note_subscription(self) -> None:
        """Note who begins to listen, or ends."""
        told = self._public.recv()
        with self._subscription:
            (self.subscribed.add if told[0] else self.subscribed.discard)(told[1:])
            self._subscription.notify_all()

    def _refresh(self) -> None:
        session, request = self._refreshes.recv_multipart()
        self._refreshes.send_multipart([session, self.feed.picture(*read_ask(request))])

    def _look_up(self) -> None:
        session, frame = self._analysts.recv_multipart()
        query = QUERIES.decode(frame[1:])
        if not isinstance(query, Query):
            return  # what was given up is taken back
        parameters = query.parameters
        assert isinstance(parameters, tuple), "the client itself binds by place"
        self.queries.append((query.sql, parameters))
        if "drop" in query.sql:
            refused = Refused(query.request, "query_refused", "sql", "drop", "write a select")
            self._analysts.send_multipart([session, encode(refused)])
            return
        table = pa.table({"instrument": ["QWEN3-MAX", "QWEN3-MAX"], "close": [123_500, 123_600]})
        if "from trades" in query.sql and "epoch_us" in query.sql:
            last, after, through, from_us, limit = (int(str(each)) for each in parameters[1:])
            rows = [
                row
                for row in self.rules.trades_told
                if row["trade"] > last and after < row["sequence"] <= through and row["time_us"] >= from_us
            ]
            table = pa.Table.from_pylist(rows[:limit])
        elif "from postings" in query.sql:
            table = table.slice(0, 0)
        elif "from bars_1m" in query.sql and "epoch_us" in query.sql:
            table = pa.Table.from_pylist(
                [row for row in self.rules.bars if row["start_us"] < int(str(parameters[2]))]
            )
        elif "epoch_us" in query.sql:
            since, through, after, limit = (int(str(each)) for each in parameters[1:])
            rows = [
                row
                for row in self.rules.executions
                if since <= row["sequence"] <= through and row["execution"] > after
            ]
            table = pa.Table.from_pylist(rows[:limit])
        behind = self.lag > 0
        self.lag -= behind
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        sequence = self.rules.sequence - behind
        result = QueryResult(query.request, sequence, len(table), 0.001, sink.getvalue())
        self._analysts.send_multipart([session, encode(result)])


@contextmanager
def fake_venue() -> Iterator[FakeVenue]:
    venue = FakeVenue()
    try:
        yield venue
    finally:
        venue.close()
