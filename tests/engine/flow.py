"""Random steps from a seed: all that members and operators do, and every mistake that they can make."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from exchange.instruments import Instrument
from exchange.protocol.records import Command, Instruction
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    CommandKind,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from settlement.reference_programmes import is_in_force
from tests.engine.flow_acts import Acts
from tests.engine.flow_members import MemberActs
from tests.engine.flow_world import (
    CLERK,
    DAY_NS,
    JUMBO,
    JUMBO_GRANT,
    LISTED,
    MONEY_WEIGHTS,
    PERISHING,
    RICH,
    RICH_LIMIT,
    SECOND_NS,
    WEIGHTS,
)
from tests.engine.market import Step, act_step

Mistake = Callable[[random.Random, Command], Command]


class Sent(NamedTuple):
    """An order that was sent, and the sequence that it got."""

    sequence: int
    command: Command


FIRMS = ("ANN", "ANN-2", "BEN", "BOB", "DAN", "DOM", "EVE")
"""Who mostly names a programme."""


class Flow(Acts, MemberActs):
    """An endless market: `steps(n)` begins with the acts that found it."""

    weights: tuple[float, ...] = WEIGHTS

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.sent: deque[Sent] = deque(maxlen=60)
        self.long_ago: list[Sent] = []
        self.numbered = 0

    def steps(self, count: int) -> Iterator[Step]:
        """Yield the founding acts, then random steps: `count` in all."""
        acts = [*self.founding()]
        for act in acts[:count]:
            yield self.numbered_step(act_step(act, self.time))
        for _ in range(count - len(acts)):
            self.time += self.chance.choice((0, 0, 1, 1_000, SECOND_NS))
            yield self.numbered_step(self.step())

    def numbered_step(self, step: Step) -> Step:
        self.sequence += 1
        if step.command.kind == CommandKind.NEW:
            self.sent.append(Sent(self.sequence, step.command))
            if step.command.side == Side.BUY and 0 <= step.command.member < len(self.names):
                buyer = self.names[step.command.member]
                self.buys.append((buyer, step.command.instrument, step.command.programme))
            if self.chance.random() < 0.01:
                self.long_ago.append(self.sent[-1])
        return step

    def step(self) -> Step:
        """Return the next step: mostly an order or a cancel."""
        sort = self.chance.random()
        if sort < 0.58:
            return Step(self.order())
        if sort < 0.76:
            return Step(self.change())
        if sort < 0.81:
            return Step(self.again())
        if sort < 0.855:
            return Step(self.chance.choice(MISTAKES)(self.chance, self.order()))
        if sort < 0.965:
            return self.money_step()
        if sort < 0.97:
            return self.end_of_day()
        if sort < 0.977:
            return self.member_step()
        act = self.act()
        self.note(act)
        return act_step(act, self.time)

    def end_of_day(self) -> Step:
        """Return that the trading day ends; sometimes some days are over."""
        if self.chance.random() < 0.5:
            self.time += DAY_NS * self.chance.choice((1, 1, 1, 8))
        return Step(Command(CommandKind.END_DAY, member=self.chance.choice((-1, 0, 3)), time=self.time))

    # --- orders --------------------------------------------------------------------------------

    def order(self) -> Command:
        """Return an order that is sound, though perhaps not allowed or not covered."""
        chance = self.chance
        index = chance.choices(range(len(LISTED)), self.weights)[0]
        if self.has_perished(index) and chance.random() < 0.9:
            index = chance.choice((0, LISTED.index(PERISHING[0]), LISTED.index(CLERK)))
        listed = LISTED[index]
        is_sell = chance.random() < 0.5
        member = chance.choice((*self.traders, self.names.index("LIM")))
        if is_sell and chance.random() < 0.75:
            member = self.names.index(chance.choice(listed.providers))
        elif listed is JUMBO and chance.random() < 0.8:
            member = self.names.index(chance.choice(RICH))
        step = max(listed.list_price // 25 // listed.tick, 1) * listed.tick
        around = listed.list_price // listed.tick * listed.tick + step * chance.randint(-4, 5)
        price = max(around + listed.tick * chance.choice((0, 0, 0, 1, -1)), listed.tick)
        programme = NO_SLOT
        if chance.random() < (0.02 if is_sell else 0.6):
            programme = self.programme_named(listed)
            if listed is not JUMBO and chance.random() < 0.7:
                member = self.names.index(chance.choice(FIRMS))
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
            sent_at=self.time - chance.choice((0,) * 20 + (1, SECOND_NS, -SECOND_NS, -DAY_NS)),
            time=self.time,
        )
        return self.instructed(self.typed(order, step))

    def has_perished(self, index: int) -> bool:
        """Tell whether an instrument's last day is over."""
        expires = LISTED[index].expires
        return expires is not None and self.is_past(expires)

    def programme_named(self, listed: Instrument) -> int:
        """Return a programme's number: mostly one that is in force, and may pay for the instrument."""
        if listed is JUMBO:
            return [terms.code for terms in self.programmes].index(JUMBO_GRANT.code)
        known = [*range(len(self.programmes))]
        if self.chance.random() < 0.9:
            known = [number for number in known if is_in_force(self.programmes[number], self.time)] or known
        return self.chance.choice(known)

    def typed(self, order: Command, step: int) -> Command:
        """Return an order as one of the types, with the prices that the type reads."""
        chance, sort = self.chance, self.chance.random()
        if sort < 0.7:
            return order
        if sort < 0.8:
            return order._replace(type=OrderType.MARKET, price=chance.choice((0, order.price, order.price)))
        away = step * chance.randint(-2, 3) * (1 if order.side == Side.BUY else -1)
        order = order._replace(stop_price=max(order.price + away, step))
        if sort < 0.87:
            return order._replace(type=OrderType.STOP_LIMIT)
        if sort < 0.94:
            return order._replace(type=OrderType.STOP, price=chance.choice((0, order.price)))
        return order._replace(
            type=OrderType.TRAILING_STOP,
            price=chance.choice((0, 0, order.price)),
            stop_price=chance.choice((0, order.stop_price)),
            trail=step * chance.randint(1, 3),
        )

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
        cancel = self.cancel(likes_subsidised=sort > 0.6)
        if sort < 0.3:
            lots = self.chance.choice((1, 1, 2, 3, 5, 20, 0, -1))
            return cancel._replace(kind=CommandKind.REDUCE, quantity=lots)
        if sort < 0.35:
            return Command(CommandKind.CLOCK, time=self.time)
        return self.replace(cancel) if sort < 0.85 else cancel

    def replace(self, cancel: Command) -> Command:
        """Return a replace: another price, another total, both or none; perhaps another stop price."""
        chance = self.chance
        sent = next((one.command for one in self.sent if one.sequence == cancel.order), None)
        price, quantity, stop_price = (sent.price, sent.quantity, sent.stop_price) if sent else (1_000, 5, 0)
        if not 0 < price < RICH_LIMIT or not 0 < quantity < RICH_LIMIT or not 0 <= stop_price < RICH_LIMIT:
            price, quantity, stop_price = 1_000, 5, 0
        tick = LISTED[sent.instrument].tick if sent and 0 <= sent.instrument < len(LISTED) else 1
        moved = tick * chance.choice((-20, -4, -1, 1, 4, 20))
        return cancel._replace(
            kind=CommandKind.REPLACE,
            price=chance.choice((0, price, price + moved, price + moved, max(price + moved, 1), -1)),
            quantity=chance.choice((quantity, quantity * 2, quantity + 1, max(quantity // 2, 1), 1, 0, -1)),
            stop_price=chance.choice((0, 0, stop_price, stop_price + moved)),
        )

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

    def cancel(self, *, likes_subsidised: bool) -> Command:
        """Return a cancel, mostly of one's own order, mostly one that may still be open."""
        chance = self.chance
        if not self.sent:
            return Command(CommandKind.CANCEL, order=1, member=3, time=self.time)
        resting = [
            one
            for one in self.sent
            if one.command.type != OrderType.MARKET and one.command.time_in_force <= TimeInForce.DAY
        ]
        if likes_subsidised:
            resting = [one for one in resting if one.command.programme != NO_SLOT] or resting
        sent = chance.choice((resting or [*self.sent])[-chance.choice((6, 20, 60)) :])
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


class MoneyFlow(Flow):
    """A market that is always open, for credits that can be redeemed: most of what happens is money."""

    weights = MONEY_WEIGHTS

    def step(self) -> Step:
        """Return the next step: an order, a change, or an act of money."""
        sort = self.chance.random()
        if sort < 0.47:
            return Step(self.order())
        if sort < 0.62:
            return Step(self.change())
        if sort < 0.99:
            return self.money_step()
        if sort < 0.997:
            return self.end_of_day()
        act = self.programme()
        self.note(act)
        return act_step(act, self.time)


# --- mistakes ----------------------------------------------------------------------------------

MISTAKES: tuple[Mistake, ...] = (
    lambda chance, one: one._replace(kind=chance.choice((5, 9, 255))),
    lambda chance, one: one._replace(kind=chance.choice((2, 3, 4)), member=chance.choice((-1, 0, 500))),
    lambda chance, one: one._replace(side=chance.choice((2, 255))),
    lambda chance, one: one._replace(type=chance.choice((5, 255))),
    lambda chance, one: one._replace(time_in_force=chance.choice((5, 255))),
    lambda chance, one: one._replace(price=chance.choice((0, -1, -(2**63)))),
    lambda chance, one: one._replace(price=chance.choice((PRICE_MAX + 1, 2**63 - 1))),
    lambda chance, one: one._replace(price=one.price + 1, instrument=0),
    lambda chance, one: one._replace(quantity=chance.choice((0, -1, -(2**63)))),
    lambda chance, one: one._replace(quantity=chance.choice((QUANTITY_MAX + 1, 2**63 - 1))),
    lambda chance, one: one._replace(instrument=0, price=PRICE_MAX, quantity=NOTIONAL_MAX // PRICE_MAX + 1),
    lambda chance, one: one._replace(quantity=chance.choice((51, 10**6, 10**9 + 1))),
    lambda chance, one: one._replace(quantity=NOTIONAL_MAX // max(one.price, 1)),
    lambda chance, one: one._replace(client_id=b""),
    lambda chance, one: one._replace(**{chance.choice(("stop_price", "trail")): 1}),  # type: ignore[arg-type]
    lambda chance, one: one._replace(type=OrderType.STOP, stop_price=chance.choice((0, -1, 2**62))),
    lambda chance, one: one._replace(type=OrderType.TRAILING_STOP, trail=chance.choice((0, -1, 2**62))),
    lambda chance, one: one._replace(type=OrderType.MARKET, instrument=2, price=0),
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
