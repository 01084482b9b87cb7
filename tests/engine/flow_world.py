"""The world of random steps: who is there, what is listed, which programmes pay, and what is drawn from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date

import msgspec

from exchange.instruments import Instrument
from exchange.protocol.acts import (
    Act,
    Admit,
    DefineProgramme,
    Deposit,
    Enrol,
    Issue,
    ListInstruments,
    SetCapacity,
    SetCollars,
    SetFees,
)
from settlement.classes import KINDS
from settlement.terms import ProgrammeTerms, Rate
from tests.engine.market import INSTRUMENTS, MEMBERS, NOON, NOT_LARGE, VOUCHER, founding, instrument

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


def perishing(symbol: str, expires: date | None, weights: tuple[int, int, int]) -> Instrument:
    """Return one of several instruments of one model, by two providers."""
    one = instrument(symbol, "model", "YUN", 800, 8, domestic=True, filed=True)
    fresh, cached, output = weights
    return msgspec.structs.replace(
        one,
        expires=expires,
        redeemed_as="TURBO",
        also_provided_by="FAR",
        weight_input=fresh,
        weight_cached=cached,
        weight_output=output,
    )


PERISHING = (
    perishing("TURBO", None, (1_000, 250, 4_000)),
    perishing("TURBO-NOV", date(2026, 11, 24), (1_000, 100, 3_000)),
    perishing("TURBO-DEC", date(2026, 12, 12), (1_000, 333, 4_000)),
    perishing("TURBO-JAN", date(2027, 1, 15), (1_000, 250, 3_999)),
)
CLERK = instrument("CLERK", "agent", "YUN", 900, 9, domestic=True, filed=True)

LISTED = (*INSTRUMENTS, JUMBO, *EXTRAS, *PERISHING, CLERK)
WEIGHTS = (5, 2, 3, 1, 1, 1.5, 1, 0.1, 3, 2, 2, 2, 4)
MONEY_WEIGHTS = (4, 1, 2, 0, 0.2, 0, 0, 0, 3, 3, 3, 3, 5)
METER = "TURBO"
RETIRED_FROM = 3_000
"""One instrument is retired after so many commands."""

NEWCOMERS = 4
"""How many members are admitted while the market trades."""

MORE_MEMBERS = (
    Admit(member="AIDE", role="operator"),
    Admit(member="ANN-2", role="firm", owner="ANN", size="micro", region="HANGZHOU"),
    Admit(member="EVE", role="firm", size="micro", region="NINGBO", districts=("BINJIANG", "HANGZHOU")),
)
"""A second operator, a second account, and a firm that is at home in two places."""


ENROLLED = ("ANN", "BEN", "DOM", "EVE")
"""Who is enrolled at first where enrolment is needed."""


def year_of(code: str, year: int, **more: object) -> ProgrammeTerms:
    """Return a programme of one fiscal year, like the voucher but for what is named."""
    return msgspec.structs.replace(
        VOUCHER,
        code=f"{code}-{year}",
        fiscal_year=year,
        valid_from=date(year, 1, 1),
        valid_through=date(year, 12, 31),
        **more,
    )


def programmes_of(year: int) -> tuple[ProgrammeTerms, ...]:
    """Return one programme of each sort, in one fiscal year."""
    everybody = (Rate(rate=2_500, sizes=NOT_LARGE), Rate(rate=1_000))
    return (
        year_of("DEDUCT", year, budget=300_000, group_cap=150_000),
        year_of("PERKS", year, budget=200_000, group_cap=90_000, unredeemed="paid", regions=()),
        year_of(
            "TOKENS",
            year,
            budget=10**6,
            rates=(Rate(rate=10_000),),
            order_cap=90_000,
            group_cap=200_000,
            order_lots=9,
            group_lots=300,
            regions=("BINJIANG", "HANGZHOU", "BEIJING"),
        ),
        year_of(
            "BACK", year, budget=400_000, rates=everybody, group_cap=10**5, payout="reimburse", regions=()
        ),
        year_of(
            "POOL",
            year,
            budget=7_000,
            rates=everybody,
            order_cap=4_000,
            group_cap=50_000,
            payout="reimburse",
            exhaustion="pro_rata",
            regions=(),
        ),
        year_of("MERIT", year, budget=60_000, rates=everybody, group_cap=30_000, payout="award", regions=()),
        year_of("ONE", year, budget=90_000, regions=(), excludes=(f"OTHER-{year}",)),
        year_of("OTHER", year, budget=90_000, regions=(), payout="reimburse"),
        year_of("ROLL", year, budget=90_000, regions=(), enrolment="listed"),
        year_of(
            "CHOSEN", year, budget=90_000, regions=(), instruments=("QWEN", "TURBO-NOV", "CLERK", "SOON")
        ),
    )


class World:
    """What a flow knows of the venue that it has made: enough to draw what is mostly sound."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.time = NOON
        self.sequence = 0
        self.traders: list[int] = []
        self.names: list[str] = ["HOUSE"]
        self.programmes: list[ProgrammeTerms] = []
        self.unlisted = ""

    def founding(self) -> Iterator[Act]:
        """Yield the acts that make the venue."""
        wide = {"notional_max": RICH_LIMIT, "turnover_max": RICH_LIMIT}
        members = [msgspec.structs.replace(one, **wide) if one.member in RICH else one for one in MEMBERS]
        others = (JUMBO, *EXTRAS, *PERISHING, CLERK)
        acts: tuple[Act, ...] = (
            *founding(members),
            *MORE_MEMBERS,
            ListInstruments(others),
            *(SetCapacity(one.symbol, 10**6) for one in others),
            *(Issue(one.symbol, 100_000) for one in (JUMBO, *EXTRAS)),
            *(Issue(one.symbol, 400, one.providers[nth % 2]) for nth in range(4) for one in PERISHING),
            Issue(CLERK.symbol, 500),
            SetFees("agent", maker=7, taker=3),
            *(SetCollars(kind, market=100, static=0, dynamic=0) for kind in KINDS),  # type: ignore[arg-type]
            DefineProgramme(JUMBO_GRANT),
            *(DefineProgramme(terms) for year in (2026, 2027) for terms in programmes_of(year)),
            *(Enrol(f"ROLL-{year}", ENROLLED) for year in (2026, 2027)),
            *(Deposit(name, RICH_MONEY) for name in RICH),
            *(Deposit(name, 10**6) for name in ("ANN-2", "EVE")),
        )
        for act in acts:
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

    def trader(self) -> str:
        """Return the name of somebody who may trade."""
        return self.names[self.chance.choice(self.traders)]
