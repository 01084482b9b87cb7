"""Random steps from a seed: all that members and operators do, and every mistake that they can make."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

import msgspec

from exchange.protocol.acts import (
    Act,
    Admit,
    AllowModes,
    BeginFixing,
    BlockMember,
    DefineProgramme,
    Deposit,
    FixPrices,
    Issue,
    ListInstruments,
    SetCapacity,
    SetCollars,
    SetFees,
    SetPhase,
    SetState,
)
from exchange.protocol.records import Command, Instruction
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    CommandKind,
    SelfTrade,
    Side,
    TimeInForce,
)
from settlement.classes import KINDS
from settlement.terms import ProgrammeTerms, Rate
from tests.engine.market import (
    GRANT,
    INSTRUMENTS,
    MEMBERS,
    NOON,
    VOUCHER,
    Step,
    act_step,
    founding,
    instrument,
)

IDS_PER_MEMBER = 40
"""How many ids the engine remembers beside a flow: few, so that some are forgotten."""

DAY_NS = 86_400 * 10**9
SECOND_NS = 10**9

JUMBO = instrument("JUMBO", "agent", "YUN", 10**14, 10**7, domestic=True)
"""A lot for ten billion yuan: amounts here come near to what int64 can hold."""

RICH = ("YUN", "BOB", "CAT", "DAN")
RICH_MONEY = 2**57
RICH_LIMIT = 2**60

JUMBO_GRANT = ProgrammeTerms(
    code="JUMBO-GRANT",
    version=1,
    fiscal_year=2026,
    budget=10**18,
    rates=(Rate(rate=9_999, kinds=("agent",)),),
    ceiling=700,
    order_cap=5 * 10**15,
    group_cap=10**17,
    valid_from=date(2026, 1, 1),
    valid_through=date(2027, 12, 31),
)

EXTRAS = (
    instrument("CALLED", "model", "YUN", 1_000, 10, domestic=True, mode="call"),
    instrument("GOING", "compute", "FAR", 600, 5, domestic=True),
    instrument("LISTING", "agent", "YUN", 500, 5, domestic=True, mode="listing"),
)
"""One that trades in calls only, one that is retired in the end, one that has a price and no market."""

LISTED = (*INSTRUMENTS, JUMBO, *EXTRAS)
WEIGHTS = (6, 4, 4, 2, 1, 1.5, 1, 0.1)
RETIRED_FROM = 3_000
"""One instrument is retired after so many commands."""

NEWCOMERS = 4
"""How many members are admitted while the market trades."""

Mistake = Callable[[random.Random, Command], Command]


class Sent(NamedTuple):
    """An order that was sent, and the sequence that it got."""

    sequence: int
    command: Command


class Flow:
    """An endless market: `steps(n)` begins with the acts that found it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.time = NOON
        self.sequence = 0
        self.sent: deque[Sent] = deque(maxlen=60)
        self.long_ago: list[Sent] = []
        self.traders: list[int] = []
        self.names: list[str] = ["HOUSE"]
        self.programmes: list[ProgrammeTerms] = []
        self.in_call = 0
        self.unlisted = ""
        self.fixing_day = date(2026, 11, 20)
        self.is_fixing = False
        self.blocked = ""
        self.numbered = 0

    def steps(self, count: int) -> Iterator[Step]:
        """Yield the founding acts, then random steps: `count` in all."""
        acts = [*self.founding()]
        for act in acts[:count]:
            yield self.numbered_step(act_step(act, self.time))
        for _ in range(count - len(acts)):
            self.time += self.chance.choice((0, 0, 1, 1_000, SECOND_NS))
            yield self.numbered_step(self.step())

    def founding(self) -> Iterator[Act]:
        wide = {"notional_max": RICH_LIMIT, "turnover_max": RICH_LIMIT}
        members = [msgspec.structs.replace(one, **wide) if one.member in RICH else one for one in MEMBERS]
        for act in founding(members):
            yield act
            self.note(act)
        extra: tuple[Act, ...] = (
            ListInstruments((JUMBO, *EXTRAS)),
            *(SetCapacity(one.symbol, 10**6) for one in (JUMBO, *EXTRAS)),
            *(Issue(one.symbol, 100_000) for one in (JUMBO, *EXTRAS)),
            SetFees("agent", maker=7, taker=3),
            DefineProgramme(JUMBO_GRANT),
            *(Deposit(name, RICH_MONEY) for name in RICH),
        )
        for act in extra:
            yield act
            self.note(act)

    def note(self, act: Act) -> None:
        """Note who and what may be used from now on."""
        if isinstance(act, Admit) and act.member not in self.names:
            if act.role in ("firm", "provider"):
                self.traders.append(len(self.names))
            self.names.append(act.member)
        elif isinstance(act, DefineProgramme):
            self.programmes.append(act.terms)

    def numbered_step(self, step: Step) -> Step:
        self.sequence += 1
        if step.command.kind == CommandKind.NEW:
            self.sent.append(Sent(self.sequence, step.command))
            if self.chance.random() < 0.01:
                self.long_ago.append(self.sent[-1])
        return step

    def step(self) -> Step:
        """Return the next step: mostly an order or a cancel."""
        sort = self.chance.random()
        if sort < 0.70:
            return Step(self.order())
        if sort < 0.84:
            return Step(self.change())
        if sort < 0.90:
            return Step(self.again())
        if sort < 0.955:
            return Step(self.chance.choice(MISTAKES)(self.chance, self.order()))
        if sort < 0.96:
            if self.chance.random() < 0.2:
                self.time += DAY_NS
            return Step(Command(CommandKind.END_DAY, member=self.chance.choice((-1, 0, 3)), time=self.time))
        act = self.act()
        self.note(act)
        return act_step(act, self.time)

    # --- orders --------------------------------------------------------------------------------

    def order(self) -> Command:
        """Return an order that is sound, though perhaps not allowed or not covered."""
        chance = self.chance
        index = chance.choices(range(len(LISTED)), WEIGHTS)[0]
        listed = LISTED[index]
        is_sell = chance.random() < 0.5
        member = chance.choice((*self.traders, self.names.index("LIM")))
        if is_sell and chance.random() < 0.6:
            member = self.names.index(listed.provider)
        elif listed is JUMBO and chance.random() < 0.8:
            member = self.names.index(chance.choice(RICH))
        step = max(listed.list_price // 25 // listed.tick, 1) * listed.tick
        around = listed.list_price // listed.tick * listed.tick + step * chance.randint(-4, 5)
        price = max(around + listed.tick * chance.choice((0, 0, 0, 1, -1)), listed.tick)
        programme = NO_SLOT
        if chance.random() < (0.02 if is_sell else 0.6):
            programme = chance.randrange(max(len(self.programmes) - 6, 0), len(self.programmes))
            if listed is JUMBO:
                programme = self.programmes.index(JUMBO_GRANT)
        usual = TimeInForce.GTC if programme == NO_SLOT else TimeInForce.DAY
        last = chance.choice((usual,) * 6 + tuple(TimeInForce))
        self.numbered += 1
        order = Command(
            kind=CommandKind.NEW,
            side=Side.SELL if is_sell else Side.BUY,
            time_in_force=last,
            instrument=index,
            member=member,
            client_id=b"%d" % self.numbered,
            price=price,
            quantity=chance.choice((1, 2, 3, 5, 8, 13, 21, chance.randint(1, 60))),
            programme=programme,
            sent_at=self.time - chance.choice((0, 0, 0, 1, SECOND_NS, -SECOND_NS, -DAY_NS)),
            time=self.time,
        )
        return self.instructed(order)

    def instructed(self, order: Command) -> Command:
        """Return an order with what only some orders say: when it expires, how it shows, whom it avoids."""
        chance = self.chance
        if order.time_in_force == TimeInForce.GTD:
            order = order._replace(
                expires_at=self.time + chance.choice((1, 1_000, SECOND_NS, 20 * SECOND_NS))
            )
        if chance.random() < 0.4:
            order = order._replace(self_trade=chance.choice((*SelfTrade,)))
        sort = chance.random()
        if sort < 0.1:
            return order._replace(display_quantity=chance.randint(1, order.quantity))
        if sort < 0.2:
            return order._replace(minimum_quantity=chance.randint(1, order.quantity))
        if sort < 0.3 and order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK):
            return order._replace(instructions=Instruction.POST_ONLY)
        return order

    def change(self) -> Command:
        """Return what is asked of orders that may be open; rarely of all of a member's."""
        sort = self.chance.random()
        if sort < 0.03:
            return self.mass_cancel()
        cancel = self.cancel()
        if sort < 0.4:
            lots = self.chance.choice((1, 1, 2, 3, 5, 20, 0, -1))
            return cancel._replace(kind=CommandKind.REDUCE, quantity=lots)
        if sort < 0.45:
            return Command(CommandKind.CLOCK, time=self.time)
        return cancel

    def mass_cancel(self) -> Command:
        """Return a mass cancel of somebody's orders, perhaps of an instrument or a side that is not there."""
        chance = self.chance
        return Command(
            CommandKind.MASS_CANCEL,
            side=chance.choice((0, 1, BOTH_SIDES, BOTH_SIDES, 9)),
            instrument=chance.choice((EVERY, 0, 1, 2, 99)),
            member=chance.choice((*self.traders, 1_000)),
            client_id=chance.choice((b"", b"all of them")),
            time=self.time,
        )

    def cancel(self) -> Command:
        """Return a cancel, mostly of one's own order, mostly one that may still be open."""
        chance = self.chance
        if not self.sent:
            return Command(CommandKind.CANCEL, order=1, member=3, time=self.time)
        sent = chance.choice(self.sent)
        member = sent.command.member if chance.random() < 0.95 else chance.choice((-1, 0, 3, 7, 1_000))
        order = sent.sequence if chance.random() < 0.98 else chance.choice((0, -1, 10**12))
        return Command(
            CommandKind.CANCEL,
            side=chance.choice((0, 1, 9)),
            order=order,
            member=member,
            client_id=b"cancel",
            price=chance.choice((0, 7)),
            time=self.time,
        )

    def again(self) -> Command:
        """Return an order that was sent before: as it was, or changed, or with a new time of sending."""
        chance = self.chance
        if not self.sent:
            return self.order()
        old = self.long_ago if self.long_ago and chance.random() < 0.3 else self.sent
        command = chance.choice(old).command._replace(time=self.time)
        sort = chance.random()
        other = self.order()._replace(member=command.member, client_id=command.client_id)
        if sort < 0.3:
            return other
        if sort < 0.4:
            return command._replace(sent_at=self.time)
        if sort < 0.5:
            return command._replace(member=chance.choice(self.traders))
        if sort < 0.6:
            return chance.choice(MISTAKES)(chance, other)
        return command

    # --- acts ----------------------------------------------------------------------------------

    def act(self) -> Act:
        """Return what an operator decides: mostly what keeps the market going."""
        chance = self.chance
        name = self.names[chance.choice(self.traders)]
        sort = chance.randrange(16)
        if sort < 3:
            return Deposit(name, chance.choice((1, 1_000, 300_000)))
        if sort < 6:
            symbol = chance.choice(INSTRUMENTS).symbol
            return Issue(symbol, chance.choice((10, 100, 1_000, 1_000, 0, 10**12)))
        if sort == 6 or self.blocked:
            return self.block(name)
        if sort in (7, 12) or self.in_call:
            return self.phase()
        if sort > 12:
            return self.rule()
        if sort == 8:
            return self.newcomer()
        if sort == 9:
            kind = chance.choice(KINDS)
            return SetFees(kind, chance.choice((0, 3, 20)), chance.choice((0, 7, 50, 10_001)))  # type: ignore[arg-type]
        return self.programme()

    def block(self, name: str) -> Act:
        """Return that a member is blocked, or that this is over."""
        if self.blocked:
            name, self.blocked = self.blocked, ""
            return BlockMember(name, False)
        self.blocked = name
        return BlockMember(name, True)

    def phase(self) -> Act:
        """Return a step of some markets' day: a call or a halt, what becomes of it, its end for all."""
        chance = self.chance
        if not self.in_call:
            self.in_call = chance.randint(3, 5)
        self.in_call -= 1
        if self.in_call < 2:
            return SetPhase("", "auction" if self.in_call else "continuous")
        until = chance.choice((0, self.time + SECOND_NS))
        if chance.random() < 0.3:
            return SetPhase("", chance.choice(("pre_open", "no_cancel", "auction")), until=until)
        one = chance.choice(LISTED)
        phase = chance.choice(
            ("pre_open", "pre_open", "pre_open", "no_cancel", "auction", "halted", "closed")
        )
        reference = chance.choice((0, 0, one.list_price + 7))
        return SetPhase(one.symbol, phase, reference, until=until)  # type: ignore[arg-type]

    def rule(self) -> Act:
        """Return what an operator decides seldom: collars, modes, states, and the day's fixing."""
        chance = self.chance
        sort = chance.randrange(8)
        if sort < 2:
            market, static, dynamic = (chance.choice((0, 80, 120, 150, 200, 1_001)) for _ in range(3))
            return SetCollars(chance.choice(KINDS), market, static, dynamic)  # type: ignore[arg-type]
        if sort == 2 or self.unlisted:
            return self.state()
        if sort == 3:
            modes = chance.choice((("call", "continuous"), ("call", "continuous", "listing")))
            return AllowModes(modes)  # type: ignore[arg-type]
        if self.is_fixing:
            self.is_fixing = False
            return FixPrices(self.fixing_day)
        self.is_fixing = True
        self.fixing_day = date.fromordinal(self.fixing_day.toordinal() + chance.choice((1, 1, 1, 0)))
        return BeginFixing(self.fixing_day)

    def state(self) -> Act:
        """Return that an instrument is taken out of trading, or that this is over."""
        if self.unlisted:
            symbol, self.unlisted = self.unlisted, ""
            is_over = symbol == "GOING" and self.sequence > RETIRED_FROM
            return SetState(symbol, "retired" if is_over else "listed")
        self.unlisted = self.chance.choice([one.symbol for one in LISTED])
        return SetState(self.unlisted, self.chance.choice(("suspended", "cancel_only", "retired")))

    def newcomer(self) -> Act:
        """Return a new member's admission, or somebody's who is there already."""
        number = len(self.names)
        if number > 13 + NEWCOMERS:
            return Admit(member=self.chance.choice(self.names), role="firm")
        group = self.chance.choice(("", "BROTHERS", "NEW"))
        size = self.chance.choice(("micro", "small"))
        return Admit(member=f"NEW-{number}", role="firm", group=group, size=size, region="HANGZHOU")  # type: ignore[arg-type]

    def programme(self) -> Act:
        """Return a new programme like one of the first, tight in one way or another."""
        chance = self.chance
        terms = chance.choice((VOUCHER, VOUCHER, GRANT))
        return DefineProgramme(
            msgspec.structs.replace(
                terms,
                code=f"{terms.code}-{len(self.programmes)}",
                budget=chance.choice((1, 3_000, 20_000, 500_000)),
                order_cap=chance.choice((700, 5_000, 60_000)),
                group_cap=chance.choice((1_999, 8_000, 200_000)),
                order_lots=chance.choice((0, 0, 4, 17)),
                group_lots=chance.choice((0, 0, 30, 100)),
                ceiling=chance.choice((0, 333, 1_000)),
                valid_through=date(2027, 12, 31),
            )
        )


# --- mistakes ----------------------------------------------------------------------------------

FIELDS = ("stop_price", "trail")

MISTAKES: tuple[Mistake, ...] = (
    lambda chance, one: one._replace(kind=chance.choice((3, 5, 9, 255))),
    lambda chance, one: one._replace(kind=chance.choice((2, 3, 4)), member=chance.choice((-1, 0, 500))),
    lambda chance, one: one._replace(side=chance.choice((2, 255))),
    lambda chance, one: one._replace(type=chance.choice((1, 255))),
    lambda chance, one: one._replace(time_in_force=chance.choice((5, 255))),
    lambda chance, one: one._replace(price=chance.choice((0, -1, -(2**63)))),
    lambda chance, one: one._replace(price=chance.choice((PRICE_MAX + 1, 2**63 - 1))),
    lambda chance, one: one._replace(price=one.price + 1, instrument=0),
    lambda chance, one: one._replace(quantity=chance.choice((0, -1, -(2**63)))),
    lambda chance, one: one._replace(quantity=chance.choice((QUANTITY_MAX + 1, 2**63 - 1))),
    lambda chance, one: one._replace(instrument=0, price=PRICE_MAX, quantity=NOTIONAL_MAX // PRICE_MAX + 1),
    lambda chance, one: one._replace(quantity=chance.choice((51, 10**6, 10**9 + 1))),
    lambda chance, one: one._replace(quantity=NOTIONAL_MAX // one.price),
    lambda chance, one: one._replace(client_id=b""),
    lambda chance, one: one._replace(**{chance.choice(FIELDS): 1}),  # type: ignore[arg-type]
    lambda chance, one: one._replace(instructions=chance.choice((2, 3, 255))),
    lambda chance, one: one._replace(self_trade=chance.choice((5, 255))),
    lambda chance, one: one._replace(
        display_quantity=chance.choice((-1, 1)), quantity=1_001, time_in_force=TimeInForce.DAY
    ),
    lambda chance, one: one._replace(minimum_quantity=chance.choice((-1, one.quantity + 1, 2**63 - 1))),
    lambda chance, one: one._replace(
        time_in_force=TimeInForce.GTD, expires_at=chance.choice((0, -1, one.time, one.time - 1))
    ),
    lambda chance, one: one._replace(
        instructions=Instruction.POST_ONLY,
        minimum_quantity=1,
        time_in_force=chance.choice((TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)),
    ),
    lambda chance, one: one._replace(instrument=chance.choice((-1, len(LISTED), 2**31 - 1))),
    lambda chance, one: one._replace(member=chance.choice((-1, 0, 1_000, 2**31 - 1))),
    lambda chance, one: one._replace(member=chance.choice((1, 2))),
    lambda chance, one: one._replace(programme=chance.choice((-2, 9_999)), side=Side.BUY),
    lambda chance, one: one._replace(programme=2, time_in_force=TimeInForce.DAY, side=Side.BUY),
    lambda chance, one: one._replace(sent_at=chance.choice((0, -1, 1, -(2**63)))),
)
"""Each spoils a sound order in one way."""
