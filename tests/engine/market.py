"""A small venue for the engine's tests: who is there, what is listed, who pays; and words to trade with.

    venue = Venue()
    ask = venue.sell("YUN", 5, "QWEN", 1_000)
    bid = venue.buy("ANN", 3, "QWEN", 1_050, last="day", programme="VOUCHER")
    assert bid.trades[0].price == 1_000

Money is in hao, and small, so that a reader can reckon every number by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec
import numpy as np

from exchange.engine import Engine, Outcome
from exchange.instruments import Instrument
from exchange.memory import IDS_PER_MEMBER
from exchange.protocol.acts import (
    Act,
    Admit,
    DefineProgramme,
    Deposit,
    Issue,
    ListInstruments,
    SetCapacity,
    SetFees,
    SetPhase,
    SignedAct,
    SizeName,
)
from exchange.protocol.arrays import COMMAND
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.registry import CALENDAR
from exchange.server.audit import laws_broken
from matching.layout import EVENT
from matching.view import orders_of
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NO_SLOT,
    CommandKind,
    EventKind,
    RejectReason,
    Side,
    TimeInForce,
)
from settlement.layout import client_ids
from settlement.terms import ProgrammeTerms, Rate, midnight_ns
from tests.engine.stands import (
    Balance,
    Budget,
    Stand,
    Used,
    balances_of,
    budgets_of,
    stand_of,
    usages_of,
)

NOON = midnight_ns(date(2026, 11, 21)) + 12 * 3600 * 10**9
"""When the tests begin: noon at the venue."""


class Step(NamedTuple):
    """One command, and the act that it stands for, if any, with who decided it."""

    command: Command
    act: Act | None = None
    who: str = "OPERATOR"


def act_step(act: Act, time: int = NOON, who: str = "OPERATOR") -> Step:
    return Step(Command(kind=CommandKind.ACT, time=time), act, who)


def batch_of(steps: Iterable[Step]) -> tuple[np.ndarray, tuple[SignedAct, ...]]:
    """Return steps as the engine takes them: rows, and the acts that travel beside."""
    packed, acts = bytearray(), list[SignedAct]()
    for command, act, who in steps:
        row = command
        if act is not None:
            row = command._replace(act=len(acts))
            acts.append(SignedAct(who, "a test", act))
        packed += COMMAND_STRUCT.pack(*row)
    return np.frombuffer(packed, COMMAND), tuple(acts)


# --- what is there -----------------------------------------------------------------------------


def instrument(
    symbol: str,
    kind: Any,
    provider: str,
    list_price: int,
    tick: int,
    *,
    domestic: bool,
    filed: bool = False,
    mode: Any = "continuous",
) -> Instrument:
    return Instrument(
        symbol=symbol,
        name=symbol,
        kind=kind,
        provider=provider,
        domestic=domestic,
        filed=filed,
        region="",
        tier="standard",
        list_price=list_price,
        tick=tick,
        mode=mode,
        source="a test",
        source_version="1",
        source_date="2026-11-21",
    )


INSTRUMENTS = (
    instrument("QWEN", "model", "YUN", 1_000, 10, domestic=True, filed=True),
    instrument("GPT", "model", "FAR", 2_500, 1, domestic=False),
    instrument("A910B", "compute", "YUN", 7_000, 500, domestic=True),
    instrument("H100", "compute", "FAR", 9_000, 3, domestic=False),
)

NEW_YEAR = date(2026, 1, 1)
YEARS_END = date(2026, 12, 31)
NOT_LARGE: tuple[SizeName, ...] = ("micro", "small", "medium")

VOUCHER = ProgrammeTerms(
    code="VOUCHER",
    version=1,
    fiscal_year=2026,
    budget=20_000,
    rates=(
        Rate(rate=3_000, sizes=NOT_LARGE, kinds=("compute",), domestic=True),
        Rate(rate=3_000, sizes=NOT_LARGE, filed=True),
        Rate(rate=2_000, sizes=NOT_LARGE),
    ),
    ceiling=1_000,
    order_cap=5_000,
    group_cap=8_000,
    regions=("HANGZHOU",),
    valid_from=NEW_YEAR,
    valid_through=YEARS_END,
)
"""30 % of what is domestic or filed, 20 % otherwise; nothing above list price + 10 %."""

GRANT = ProgrammeTerms(
    code="GRANT",
    version=1,
    fiscal_year=2026,
    budget=100_000,
    rates=(Rate(rate=10_000, sizes=("micro", "small"), kinds=("model",)),),
    ceiling=0,
    order_cap=90_000,
    group_cap=90_000,
    order_lots=10,
    group_lots=25,
    valid_from=NEW_YEAR,
    valid_through=YEARS_END,
)
"""A token grant: all of the price, up to the list price, of 10 lots an order and 25 a group."""

LAST_YEAR = msgspec.structs.replace(
    VOUCHER, code="LAST-YEAR", valid_from=date(2025, 1, 1), valid_through=date(2025, 12, 31)
)

MEMBERS = (
    Admit(member="OPERATOR", role="operator"),
    Admit(member="OFFICE", role="programme_office"),
    Admit(member="YUN", role="provider", region="BEIJING"),
    Admit(member="FAR", role="provider", region="ABROAD"),
    Admit(member="ANN", role="firm", size="micro", region="HANGZHOU"),
    Admit(member="BEN", role="firm", size="small", region="HANGZHOU", group="BROTHERS"),
    Admit(member="BOB", role="firm", size="medium", region="HANGZHOU", group="BROTHERS"),
    Admit(member="CAT", role="firm", size="large", region="HANGZHOU"),
    Admit(member="DAN", role="firm", size="small", region="NINGBO"),
    Admit(member="SUB", role="firm", size="small", region="HANGZHOU", group="YUN"),
    Admit(member="DOM", role="firm", size="small", region="HANGZHOU", domestic_only=True),
    Admit(
        member="LIM",
        role="firm",
        size="small",
        region="HANGZHOU",
        open_orders_max=3,
        quantity_max=50,
        notional_max=20_000,
        turnover_max=40_000,
    ),
)

TRADERS = tuple(member.member for member in MEMBERS if member.role in ("firm", "provider"))
MONEY_EACH = 1_000_000
LOTS_EACH = 1_000


def founding(members: Sequence[Admit] = MEMBERS) -> tuple[Act, ...]:
    """Return the acts that make the venue: every trader has money, every provider has credits."""
    return (
        *members,
        ListInstruments(INSTRUMENTS),
        SetFees("model", maker=20, taker=50),
        SetFees("compute", maker=0, taker=30),
        DefineProgramme(VOUCHER),
        DefineProgramme(GRANT),
        DefineProgramme(LAST_YEAR),
        *(Deposit(name, MONEY_EACH) for name in TRADERS),
        *(SetCapacity(one.symbol, 10**9) for one in INSTRUMENTS),
        *(Issue(one.symbol, LOTS_EACH) for one in INSTRUMENTS),
    )


# --- what is said ------------------------------------------------------------------------------


class Said(NamedTuple):
    """An event and its effect as one row, in plain Python."""

    kind: int
    side: int
    reason: int
    order: int
    maker_order: int
    price: int
    quantity: int
    leaves: int
    maker_leaves: int
    was_price: int
    phase: int
    instrument: int
    sequence: int
    time: int
    entry: int
    trade: int
    filled: int
    gross: int
    paid: int
    fee: int
    maker_filled: int
    maker_gross: int
    maker_paid: int
    maker_fee: int
    subsidy: int
    detail: int
    client_id: bytes
    maker_client_id: bytes
    member: int
    maker_member: int
    programme: int
    maker_programme: int
    type: int
    time_in_force: int
    state: int
    maker_state: int
    terms_version: int

    def __str__(self) -> str:
        told = {name: value for name, value in self._asdict().items() if value not in (0, -1, b"")}
        told["kind"] = EventKind(self.kind).name
        if self.reason:
            told["reason"] = RejectReason(self.reason).name
        return ", ".join(f"{name} {value}" for name, value in told.items())


def rows_of(events: np.ndarray, effects: np.ndarray) -> list[Said]:
    """Return events and their effects as rows, but for the slots, which are no rule."""
    columns = []
    for name in Said._fields:
        if name in {"client_id", "maker_client_id"}:
            columns.append(client_ids(effects[name]).tolist())
        else:
            columns.append((events if name in (EVENT.names or ()) else effects)[name].tolist())
    return [Said(*row) for row in zip(*columns, strict=True)]


class Answer(NamedTuple):
    """All that was said of one command."""

    said: list[Said]

    @property
    def order(self) -> int:
        """The id of the order that entered."""
        assert self.said[0].kind == EventKind.ACCEPTED, str(self.said[0])
        return self.said[0].order

    @property
    def reason(self) -> RejectReason:
        """Why it was refused, or NONE."""
        return RejectReason(self.said[0].reason)

    @property
    def detail(self) -> int:
        return self.said[0].detail

    @property
    def kinds(self) -> list[EventKind]:
        return [EventKind(one.kind) for one in self.said]

    @property
    def trades(self) -> list[Said]:
        return [one for one in self.said if one.kind == EventKind.TRADED]


# --- the venue ---------------------------------------------------------------------------------


class Venue:
    """An engine, with names for its numbers; its laws are checked after each command."""

    def __init__(self, ids_per_member: int = IDS_PER_MEMBER, acts: Iterable[Act] = founding()) -> None:
        self.engine = Engine(ids_per_member)
        self.time = NOON
        results = self.play(*map(act_step, acts)).acts
        assert {result.reason for result in results} <= {RejectReason.NONE}

    # --- asking ---

    def play(self, *steps: Step) -> Outcome:
        outcome = self.engine.apply(*batch_of(steps))
        assert laws_broken(self.engine) == []
        return outcome

    def decide(self, act: Act) -> RejectReason:
        """Let an operator decide; return why it is refused, or NONE."""
        self.time += 1
        return self.play(act_step(act, self.time)).acts[0].reason

    def ask(self, command: Command) -> Answer:
        """Send one command as it is, at its time."""
        outcome = self.play(Step(command))
        return Answer(rows_of(outcome.events, outcome.effects))

    def new(self, member: str, side: Side, quantity: int, symbol: str, price: int, **more: Any) -> Command:
        """Write a new order. `more`: last (gtc, day, ioc), programme, and any field of a command."""
        self.time += 1
        last, programme = more.pop("last", "gtc"), more.pop("programme", None)
        command = Command(
            kind=CommandKind.NEW,
            side=side,
            time_in_force=TimeInForce[last.upper()],
            instrument=self.instrument(symbol),
            member=self.member(member),
            client_id=b"id-%d" % self.time,
            price=price,
            quantity=quantity,
            programme=NO_SLOT if programme is None else self.programme(programme),
            sent_at=self.time,
            time=self.time,
        )
        return command._replace(**more)

    def buy(self, member: str, quantity: int, symbol: str, price: int, **more: Any) -> Answer:
        return self.ask(self.new(member, Side.BUY, quantity, symbol, price, **more))

    def sell(self, member: str, quantity: int, symbol: str, price: int, **more: Any) -> Answer:
        return self.ask(self.new(member, Side.SELL, quantity, symbol, price, **more))

    def give(self, member: str, quantity: int, symbol: str, price: int) -> None:
        """Let a member buy credits from their provider, so that it has some to sell."""
        provider = self.engine.registry.instruments[self.instrument(symbol)].provider
        self.sell(provider, quantity, symbol, price)
        assert self.buy(member, quantity, symbol, price, last="ioc").trades

    def cancel(self, member: str, order: int) -> Answer:
        self.time += 1
        command = Command(CommandKind.CANCEL, order=order, member=self.member(member), time=self.time)
        return self.ask(command)

    def reduce(self, member: str, order: int, quantity: int) -> Answer:
        self.time += 1
        return self.ask(
            Command(
                CommandKind.REDUCE,
                order=order,
                member=self.member(member),
                quantity=quantity,
                time=self.time,
            )
        )

    def cancel_all(self, member: str, symbol: str = "", side: int = BOTH_SIDES) -> Answer:
        self.time += 1
        return self.ask(
            Command(
                CommandKind.MASS_CANCEL,
                side=side,
                instrument=self.instrument(symbol) if symbol else EVERY,
                member=self.member(member),
                client_id=b"all",
                time=self.time,
            )
        )

    def pass_time(self, nanoseconds: int) -> Answer:
        """Let time pass, and the clock be told."""
        self.time += nanoseconds
        return self.ask(Command(CommandKind.CLOCK, time=self.time))

    def set_phase(self, symbol: str, phase: Any, **more: Any) -> Answer:
        """Let the calendar set a phase; a blank symbol means all that may take it."""
        return self.sign(SetPhase(symbol, phase, **more), CALENDAR)

    def sign(self, act: Act, who: str) -> Answer:
        """Let somebody decide, who may."""
        self.time += 1
        rows, _ = batch_of([act_step(act, self.time)])
        outcome = self.engine.apply(rows, (SignedAct(who, "a test", act),))
        assert laws_broken(self.engine) == []
        assert outcome.acts[0].reason == RejectReason.NONE
        return Answer(rows_of(outcome.events, outcome.effects))

    def end_day(self) -> Answer:
        self.time += 1
        return self.ask(Command(CommandKind.END_DAY, time=self.time))

    # --- names and numbers ---

    def member(self, name: str) -> int:
        return self.engine.registry.member_numbers[name]

    def instrument(self, symbol: str) -> int:
        return self.engine.registry.instrument_numbers[symbol]

    def programme(self, code: str) -> int:
        return self.engine.registry.programme_numbers[code]

    # --- looking ---

    def money(self, member: str) -> Balance:
        return balances_of(self.engine).get((self.member(member), 0), Balance())

    def credits(self, member: str, symbol: str) -> Balance:
        key = (self.member(member), self.instrument(symbol) + 1)
        return balances_of(self.engine).get(key, Balance())

    def budget(self, code: str) -> Budget:
        return budgets_of(self.engine)[self.programme(code)]

    def used(self, code: str, group: str) -> Used:
        key = (self.programme(code), self.engine.registry.groups[group])
        return usages_of(self.engine).get(key, Used())

    def resting(self, symbol: str) -> list[tuple[str, int, int]]:
        """Return (member, price, lots) of what rests: the buys, then the sells, best first."""
        names = [member.member for member in self.engine.registry.members]
        return [
            (names[row["member"]], int(row["price"]), int(row["leaves"]))
            for side in Side
            for row in orders_of(self.engine.core.book, self.instrument(symbol), side)
        ]

    def stand(self) -> Stand:
        """Return how everything stands but the memory: equal where nothing has changed."""
        return stand_of(self.engine)
