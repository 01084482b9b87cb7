"""Random acts of operators about trading: newcomers, phases, states, rules, new programmes."""

from __future__ import annotations

from datetime import date

import msgspec

from exchange.protocol.acts import (
    Act,
    Admit,
    AllowModes,
    BeginFixing,
    BlockMember,
    DefineProgramme,
    FixPrices,
    SetCollars,
    SetFees,
    SetPhase,
    SetState,
)
from settlement.classes import KINDS
from tests.engine.flow_world import LISTED, MORE_MEMBERS, NEWCOMERS, RETIRED_FROM, SECOND_NS, World
from tests.engine.market import GRANT, MEMBERS, VOUCHER

FOUNDERS = 1 + len(MEMBERS) + len(MORE_MEMBERS)
"""How many members there are at first, the house among them."""


class Acts(World):
    """Operators who keep a market going, and sometimes stop it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.in_call = 0
        self.fixing_day = date(2026, 11, 20)
        self.is_fixing = False
        self.blocked = ""

    def act(self) -> Act:
        """Return what an operator decides: mostly what keeps the market going."""
        chance = self.chance
        sort = chance.randrange(11)
        if sort < 1 or self.blocked:
            return self.block(self.trader())
        if sort < 4 or self.in_call:
            return self.phase()
        if sort < 7:
            return self.rule()
        if sort < 8:
            return self.newcomer()
        if sort < 9:
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
        if number > FOUNDERS + NEWCOMERS:
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
