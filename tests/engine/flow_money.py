"""Random acts of money: what moves, what is redeemed, what is put right; mostly sound, sometimes not."""

from __future__ import annotations

from collections import deque
from datetime import date, timedelta

import msgspec

from exchange.protocol.acts import (
    Accept,
    Act,
    Adjust,
    AdjustmentLine,
    Approve,
    Bust,
    CloseWindows,
    CloseYear,
    Deliver,
    Deposit,
    Dispute,
    Enrol,
    ExpireCredits,
    FindIneligible,
    FindRelated,
    GrantAward,
    Issue,
    PromptDetails,
    Propose,
    Recall,
    RecordUsage,
    Redeem,
    Resolve,
    ReviseProgramme,
    Reweight,
    SettleDebt,
    TokenUsage,
    Transfer,
    TwoPersonsAct,
    UsageRecord,
    Withdraw,
)
from exchange.registry import CALENDAR
from settlement.terms import ProgrammeTerms, midnight_ns
from tests.engine.flow_world import LISTED, METER, PERISHING, SECOND_NS, World
from tests.engine.market import INSTRUMENTS, Step, act_step

OPERATOR = "OPERATOR"
AIDE = "AIDE"

REDEEMED = ("CLERK", "CLERK", "TURBO", "TURBO-NOV", "TURBO-DEC", "TURBO-JAN", "QWEN", "GPT", "A910B")


class MoneyActs(World):
    """Members who move and redeem, providers who deliver, operators who put right."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.asked: deque[tuple[int, str, str]] = deque(maxlen=12)
        self.disputed: deque[int] = deque(maxlen=5)
        self.proposed: deque[tuple[int, str]] = deque(maxlen=5)
        self.references: deque[Deposit | Withdraw | Transfer] = deque(maxlen=10)
        self.buys: deque[tuple[str, int, int]] = deque(maxlen=40)
        self.found: deque[tuple[str, str]] = deque(maxlen=6)
        self.usages: deque[UsageRecord] = deque(maxlen=20)
        self.numbered_acts = 0

    def money_step(self) -> Step:
        """Return an act of money, and who decides it: mostly who may."""
        act, who = self.money_act()
        if self.chance.random() < 0.04:
            who = self.chance.choice((*self.names, CALENDAR, "NOBODY"))
        sequence = self.sequence + 1
        if isinstance(act, Redeem):
            self.asked.append((sequence, act.member, act.instrument))
        elif isinstance(act, Dispute):
            self.disputed.append(act.redemption)
        elif isinstance(act, Propose):
            self.proposed.append((sequence, who))
        elif isinstance(act, (Deposit, Withdraw, Transfer)):
            self.references.append(act)
        return act_step(act, self.time, who)

    def money_act(self) -> tuple[Act, str]:
        """Return an act of money, and who may decide it."""
        sort = self.chance.random()
        if sort < 0.10:
            return self.settled_debt(), OPERATOR
        if sort < 0.24:
            return self.movement()
        if sort < 0.40:
            return self.asked_for()
        if sort < 0.60:
            return self.next_of_redemption()
        if sort < 0.72:
            return self.usage()
        if sort < 0.78:
            return self.due()
        if sort < 0.79:
            return self.enrolment(), self.chance.choice((OPERATOR, "OFFICE"))
        if sort < 0.995:
            return self.two_persons()
        return self.found_out(), OPERATOR

    # --- movements -----------------------------------------------------------------------------

    def movement(self) -> tuple[Act, str]:
        """Return what comes in, goes out, or moves."""
        chance = self.chance
        name, sort = self.trader(), chance.randrange(10)
        if sort == 0 and self.references:
            act = chance.choice(self.references)
            return chance.choice((act, msgspec.structs.replace(act, amount=act.amount + 1))), OPERATOR
        if sort < 3:
            amount = chance.choice((1, 1_000, 300_000, 300_000, 0))
            return Deposit(name, amount, chance.choice(("", self.reference()))), OPERATOR
        if sort < 6:
            one = chance.choice((*INSTRUMENTS, *PERISHING, LISTED[-1]))
            lots = chance.choice((10, 100, 1_000, 1_000, 0, 10**12))
            provider = chance.choice(("", *one.providers, one.provider, "ANN"))
            return Issue(one.symbol, lots, provider), one.provider
        if sort < 7:
            return Withdraw(name, chance.choice((1, 500, 200_000, 10**9, 0)), self.reference()), name
        if sort < 8:
            source, target = chance.choice((("ANN", "ANN-2"), ("ANN-2", "ANN"), (name, self.trader())))
            symbol = chance.choice(("", "", "QWEN", "TURBO", "CLERK", "NOTHING"))
            amount = chance.choice((1, 2, 20, 5_000, 10**8, 0))
            return Transfer(source, target, symbol, amount, self.reference()), "ANN"
        name = chance.choice((name, "ANN", "ANN-2"))
        return Transfer(name, self.trader(), "", 1, self.reference()), name

    def settled_debt(self) -> SettleDebt:
        """Return that a debt is paid, or part of it: of somebody who may have one."""
        chance = self.chance
        known = range(len(self.programmes))
        used = [(name, self.programmes[number].code) for name, _, number in self.buys if number in known]
        member, code = chance.choice((*self.found, *self.found, *used, (self.trader(), "DEDUCT-2026")))
        return SettleDebt(member, code, 2 ** chance.randrange(13))

    def reference(self) -> str:
        """Return a new reference; sometimes one that may be known."""
        self.numbered_acts += 1
        return f"r-{self.chance.choice((self.numbered_acts,) * 9 + (self.numbered_acts // 2,))}"

    # --- redemption ----------------------------------------------------------------------------

    def asked_for(self) -> tuple[Act, str]:
        """Return what a firm asks for."""
        chance = self.chance
        name, symbol = self.buyer()
        lots = chance.choice((1, 1, 1, 2, 2, 3, 5, 10, 40, 0))
        return Redeem(name, symbol, lots, self.reference()), name

    def buyer(self) -> tuple[str, str]:
        """Return somebody who may have bought credits, and of what."""
        chance = self.chance
        bought = [(name, LISTED[index].symbol) for name, index, _ in self.buys if 0 <= index < len(LISTED)]
        bought = [one for one in bought if one[1] in REDEEMED]
        if bought and chance.random() < 0.9:
            return chance.choice(bought)
        return self.trader(), chance.choice(REDEEMED)

    def next_of_redemption(self) -> tuple[Act, str]:
        """Return the next step of a redemption that may be open."""
        chance = self.chance
        if not self.asked or chance.random() < 0.1:
            return CloseWindows(), CALENDAR
        if self.disputed and chance.random() < 0.2:
            return Resolve(self.disputed.pop(), chance.random() < 0.5), OPERATOR
        number, member, symbol = self.asked[-chance.randint(1, min(len(self.asked), chance.choice((3, 12))))]
        provider = next(one.provider for one in LISTED if one.symbol == symbol)
        if symbol == "CLERK":
            acts: tuple[tuple[Act, str], ...] = (
                (Deliver(number), provider),
                (Deliver(number), provider),
                (Accept(number), member),
                (Dispute(number), member),
                (Resolve(number, chance.random() < 0.5), OPERATOR),
                (Recall(number), member),
            )
            return chance.choice(acts)
        return chance.choice(((Deliver(number), provider), (Recall(number), member)))

    def usage(self) -> tuple[Act, str]:
        """Return records of usage: new ones, some known, some spoilt."""
        return RecordUsage(tuple(self.record() for _ in range(self.chance.choice((1, 1, 2, 4))))), "YUN"

    def record(self) -> UsageRecord:
        """Return one record of usage; sometimes one that was sent before."""
        chance = self.chance
        if self.usages and chance.random() < 0.15:
            return chance.choice(self.usages)
        self.numbered_acts += 1
        prompt = chance.choice((0, 3, 999_999, 400_000, 1_000_000, 3_000_000))
        cached = chance.choice((0, 0, prompt // 3, prompt))
        ago = chance.choice((0, 0, 1, 3_600, 86_400)) * SECOND_NS
        record = UsageRecord(
            f"u-{self.numbered_acts}",
            self.user(),
            METER,
            (self.time - ago) // SECOND_NS,
            TokenUsage(prompt, chance.choice((0, 7, 100_000, 600_000)), PromptDetails(cached)),
        )
        if chance.random() < 0.04:
            record = self.spoilt(record)
        self.usages.append(record)
        return record

    def user(self) -> str:
        """Return somebody who may have bought what usage is redeemed with."""
        perishing = range(len(LISTED) - 1 - len(PERISHING), len(LISTED) - 1)
        bought = [name for name, index, _ in self.buys if index in perishing]
        return self.chance.choice(bought or [self.trader()])

    def spoilt(self, record: UsageRecord) -> UsageRecord:
        """Return a record that is refused."""
        replace, created = msgspec.structs.replace, record.created
        return self.chance.choice(
            (
                replace(record, created=created - 36 * 86_400),
                replace(record, created=created + 1_000),
                replace(record, usage=TokenUsage(-1, 0)),
                replace(record, usage=TokenUsage(5, 0, PromptDetails(6))),
                replace(record, usage=TokenUsage(5, -1)),
                replace(record, member="NOBODY"),
                replace(record, model="NO-METER"),
            )
        )

    def due(self) -> tuple[Act, str]:
        """Return what a calendar does: windows that are over, credits that perish, years that close."""
        chance = self.chance
        sort = chance.random()
        if sort < 0.2:
            return CloseWindows(), CALENDAR
        if sort < 0.7:
            over = [one.symbol for one in PERISHING if one.expires and self.is_past(one.expires)]
            early = chance.choice(PERISHING).symbol
            return ExpireCredits(chance.choice((*over, *over, early))), CALENDAR
        over = [one.code for one in self.programmes if self.is_past(one.valid_through)]
        return CloseYear(chance.choice((*over, *over, chance.choice(self.programmes).code))), OPERATOR

    def is_past(self, day: date) -> bool:
        """Tell whether a day is over."""
        return self.time >= midnight_ns(day + timedelta(days=1))

    def enrolment(self) -> Enrol:
        """Return that some are enrolled in a programme, or no more; sometimes nobody, or in any programme."""
        chance = self.chance
        listed = [one.code for one in self.programmes if one.enrolment == "listed"]
        code = chance.choice((*listed, *listed, *listed, chance.choice(self.programmes).code, "NOTHING"))
        firms = ("ANN", "BEN", "DOM", "EVE", "ANN-2", self.trader(), self.trader(), "NOBODY")
        return Enrol(code, tuple(chance.sample(firms, chance.choice((0, 1, 1, 2, 3)))), chance.random() < 0.6)

    # --- two persons ---------------------------------------------------------------------------

    def two_persons(self) -> tuple[Act, str]:
        """Return a proposal, or that it is approved; sometimes what needs two, decided by one."""
        chance = self.chance
        if self.proposed and chance.random() < 0.5:
            number, who = self.proposed.pop()
            other = OPERATOR if who == AIDE else AIDE
            is_approved = chance.random() < 0.95
            return Approve(chance.choice((number,) * 9 + (number + 1,)), is_approved), other
        act = self.proposal()
        who = chance.choice((OPERATOR, AIDE))
        return (act if chance.random() < 0.03 else Propose(act)), who

    def proposal(self) -> TwoPersonsAct:
        """Return what needs two operators."""
        chance = self.chance
        sort = chance.random()
        if sort < 0.04 or (self.unlisted and sort < 0.4):
            symbol = self.unlisted or chance.choice(("TURBO-DEC", "CLERK", "NOTHING"))
            return Reweight(symbol, 1_000, chance.choice((0, 100, 333, -1)), chance.choice((3_000, 4_500)))
        if sort < 0.55:
            latest = max(self.sequence // 14, 1)
            return Bust(chance.choice((chance.randint(1, latest), chance.randint(latest, 2 * latest))))
        if sort < 0.7:
            return self.adjustment()
        if sort < 0.85:
            awards = [one.code for one in self.programmes if one.payout == "award"]
            name, _ = self.buyer()
            return GrantAward(chance.choice(awards), name, chance.choice((1, 50, 300, 4_000, 10**9)))
        return ReviseProgramme(self.revised())

    def adjustment(self) -> Adjust:
        """Return lines that mostly sum to zero."""
        chance = self.chance
        symbol, amount = chance.choice(("", "", "QWEN", "CLERK")), chance.choice((1, 3, 500, 10**7))
        lines = [
            AdjustmentLine(self.trader(), symbol, -amount),
            AdjustmentLine(self.trader(), symbol, amount),
        ]
        if chance.random() < 0.1:
            lines.append(AdjustmentLine(self.trader(), symbol, 1))
        return Adjust(tuple(lines))

    def revised(self) -> ProgrammeTerms:
        """Return the next version of a programme's terms; seldom of another version."""
        chance = self.chance
        number = chance.randrange(len(self.programmes))
        old = self.programmes[number]
        version = old.version + chance.choice((1,) * 9 + (0, 2))
        terms = msgspec.structs.replace(
            old,
            version=version,
            budget=max(old.budget + chance.choice((0, 5_000, -1_000, -(10**6))), 1),
            order_cap=chance.choice((old.order_cap, 700, 6_000)),
            group_cap=chance.choice((old.group_cap, 9_000, 150_000)),
            order_lots=chance.choice((old.order_lots, 0, 5)),
            ceiling=chance.choice((old.ceiling, 500)),
        )
        if version == old.version + 1 and chance.random() < 0.5:
            self.programmes[number] = terms
        return terms

    def found_out(self) -> Act:
        """Return what is found out later: of firms that did trade."""
        chance = self.chance
        programmes = [one.code for one in self.programmes if one.code != "JUMBO-GRANT"]
        if chance.random() < 0.93:
            known = range(len(self.programmes))
            paid = [(name, self.programmes[number].code) for name, _, number in self.buys if number in known]
            self.found.append(chance.choice(paid or [(self.trader(), chance.choice(programmes))]))
            return FindIneligible(*self.found[-1])
        firms = ("ANN", "BEN", "CAT", "DAN", "EVE", "DOM", "LIM")
        return FindRelated(chance.choice(firms), chance.choice(firms))
