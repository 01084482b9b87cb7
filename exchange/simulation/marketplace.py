"""The market of a simulated day: who is there, what is listed, which programmes pay, drawn from a seed."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from random import Random
from typing import NamedTuple

from exchange.calendar import Calendar, Call, day_of
from exchange.config import FeedSettings, SessionSettings, Settings, SnapshotSettings, ThrottleSettings
from exchange.instruments import HAO_PER_YUAN, Instrument, Kind
from exchange.protocol.acts import (
    Act,
    Admit,
    DefineProgramme,
    Deposit,
    Enrol,
    Issue,
    ListInstruments,
    RegisterKey,
    SetCalendar,
    SetCapacity,
    SetCollars,
    SetFees,
    SignedAct,
    SizeName,
)
from exchange.registry import Registry
from exchange.testing import local_key
from settlement.terms import VENUE_ZONE, ProgrammeTerms, Rate

OPERATORS = ("OPS-A", "OPS-B", "OPS-C")
"""Three, so that two are left to approve the new key of a third."""

OFFICE = "OFFICE"
AUDITOR = "AUDITOR"
PROVIDERS = ("YUN", "FAR")
FIRMS = ("ANN", "ANN-2", "BEN", "CAT", "DOM", "EVE", "SID")
GROUP = "BROTHERS"
"""ANN, its second account, and BEN: what caps count together."""

METER = "SUM"
"""Under which name usage of the two instruments of one model is recorded."""

CAPACITY_LOTS = 100_000
ISSUED_LOTS = 4_000
"""What each of who may issue an instrument begins with."""

KINDS: tuple[Kind, ...] = ("model", "agent", "compute")
NOT_LARGE: tuple[SizeName, ...] = ("micro", "small", "medium")

OPENS_UNTIL_HOUR = 12
"""A day that begins earlier ends in the afternoon; one that begins later goes through the night."""


class SeatPlan(NamedTuple):
    """Who sits there, how it behaves, and whether its orders go when its line breaks."""

    name: str
    temper: str
    cancel_on_disconnect: bool


class Market(NamedTuple):
    """What a venue is founded with: the acts, what its operator has set, and who trades there."""

    acts: tuple[SignedAct, ...]
    settings: Settings
    seats: tuple[SeatPlan, ...]


def happens(chance: Random, per_cent: int) -> bool:
    """Tell whether something happens that does so in so many of a hundred cases."""
    return chance.randrange(100) < per_cent


def key_of(member: str, nth: int = 0, given_by: str = "") -> str:
    """Return one of the keys that a member may have: its first, or another that somebody gave it."""
    return local_key(member if nth == 0 else f"{member}/{given_by}/{nth}")


def founding(chance: Random, start: int) -> Market:
    """Return a market that begins at `start` (ns since 1970); what differs by seed is drawn from `chance`."""
    listed = instruments(chance, day_of(start))
    calendar = calendar_of(chance, start)
    acts: list[Act] = [] if calendar is None else [SetCalendar(calendar)]
    acts += members(chance)
    acts += [SetFees(kind, chance.choice((0, 2, 8)), chance.choice((3, 5, 20))) for kind in KINDS]
    acts += [
        SetCollars(kind, chance.choice((0, 100, 150)), chance.choice((0, 0, 120)), chance.choice((0, 0, 60)))
        for kind in KINDS
    ]
    acts.append(ListInstruments(listed))
    for one in listed:
        acts.append(SetCapacity(one.symbol, CAPACITY_LOTS))
        acts += [Issue(one.symbol, ISSUED_LOTS, provider) for provider in one.providers]
    years = (day_of(start).year, day_of(start).year + 1)
    for year in years:
        acts += [DefineProgramme(terms) for terms in programmes(chance, year)]
        acts.append(Enrol(f"ROLL-{year}", ("ANN", "BEN", "EVE")))
    acts += [DefineProgramme(old_programme(years[0] - 1))]
    signed = [SignedAct(OPERATORS[0], "founding", act) for act in acts]
    everybody = (*OPERATORS, OFFICE, AUDITOR, *PROVIDERS, *FIRMS)
    signed += [SignedAct(name, "founding", RegisterKey(name, key_of(name))) for name in OPERATORS]
    signed += [
        SignedAct(OPERATORS[0], "founding", RegisterKey(name, key_of(name)))
        for name in everybody
        if name not in OPERATORS
    ]
    return Market(tuple(signed), settings(chance), seats(chance))


def members(chance: Random) -> list[Act]:
    """Return who is admitted, and the money that each begins with."""
    admitted = (
        *(Admit(member=name, role="operator") for name in OPERATORS),
        Admit(member=OFFICE, role="programme_office"),
        Admit(member=AUDITOR, role="auditor"),
        Admit(member="YUN", role="provider", region="HANGZHOU"),
        Admit(member="FAR", role="provider", region="ABROAD"),
        Admit(member="ANN", role="firm", group=GROUP, size="small", region="HANGZHOU"),
        Admit(member="ANN-2", role="firm", owner="ANN"),
        Admit(member="BEN", role="firm", group=GROUP, size="micro", region="NINGBO", districts=("BINJIANG",)),
        Admit(member="CAT", role="firm", size="large", region="BEIJING"),
        Admit(
            member="DOM",
            role="firm",
            size="small",
            region="HANGZHOU",
            domestic_only=True,
            open_orders_max=chance.choice((6, 12)),
        ),
        Admit(member="EVE", role="firm", size="medium", region="HANGZHOU"),
        Admit(
            member="SID",
            role="firm",
            size="micro",
            region="HANGZHOU",
            quantity_max=40,
            notional_max=30_000,
        ),
    )
    deposits = [Deposit(name, chance.choice((20, 200, 200)) * HAO_PER_YUAN) for name in FIRMS]
    return [*admitted, *deposits, *(Deposit(name, 2_000 * HAO_PER_YUAN) for name in PROVIDERS)]


def instruments(chance: Random, today: date) -> tuple[Instrument, ...]:
    """Return what is listed: a model that perishes soon and its twin, a foreign one, an agent, and cards."""
    soon = today + timedelta(days=chance.choice((0, 0, 2)))
    weights = {"weight_input": 1_000, "weight_cached": 250, "weight_output": 4_000}
    model = {"kind": "model", "redeemed_as": METER, "also_provided_by": "FAR CAT", **weights}
    return (
        instrument("SUM-SOON", "YUN", 800, 8, expires=soon, **model),
        instrument("SUM-LATE", "YUN", 1_000, 10, expires=today + timedelta(days=40), **model),
        instrument("GLO", "FAR", 1_200, 10, kind="model", domestic=False, filed=False, **weights),
        instrument("CLERK", "YUN", 900, 9, kind="agent", also_provided_by="CAT"),
        instrument("CARD", "FAR", 600, 5, kind="compute", filed=False),
        instrument("BATCH", "YUN", 500, 5, kind="compute", mode="call", also_provided_by="CAT"),
    )


def instrument(symbol: str, provider: str, list_price: int, tick: int, **more: object) -> Instrument:
    """Return one row of a small catalogue; domestic and filed unless told otherwise. Prices in hao a lot."""
    row: dict[str, object] = {
        "symbol": symbol,
        "name": symbol.lower(),
        "provider": provider,
        "domestic": True,
        "filed": True,
        "region": "HANGZHOU",
        "tier": "standard",
        "list_price": list_price,
        "tick": tick,
        "source": "simulated",
        "source_version": "1",
        "source_date": "2026-01-01",
        **more,
    }
    return Instrument(**row)  # type: ignore[arg-type]


def programmes(chance: Random, year: int) -> tuple[ProgrammeTerms, ...]:
    """Return a programme of every sort, with budgets that run out and caps that are met."""
    everybody = (Rate(rate=2_500, sizes=NOT_LARGE), Rate(rate=1_000))
    return (
        terms("VOUCHER", year, chance.choice((2_000, 60_000)), order_cap=9_000, group_cap=60_000),
        terms(
            "TOKENS",
            year,
            chance.choice((12_000, 100_000)),
            rates=(Rate(rate=10_000, sizes=NOT_LARGE, kinds=("model",)),),
            order_lots=9,
            group_lots=60,
            regions=("HANGZHOU", "BINJIANG"),
        ),
        terms(
            "BACK",
            year,
            chance.choice((8_000, 60_000)),
            rates=everybody,
            order_cap=5_000,
            payout="reimburse",
            unredeemed="paid",
        ),
        terms("POOL", year, 3_000, rates=everybody, payout="reimburse", exhaustion="pro_rata"),
        terms("MERIT", year, 30_000, rates=everybody, payout="award"),
        terms("ROLL", year, 50_000, enrolment="listed", excludes=(f"ONE-{year}",)),
        terms("ONE", year, 50_000, instruments=("SUM-SOON", "CLERK", "CARD")),
    )


def terms(code: str, year: int, budget: int, **more: object) -> ProgrammeTerms:
    """Return terms of one fiscal year; money in hao."""
    row: dict[str, object] = {
        "code": f"{code}-{year}",
        "version": 1,
        "fiscal_year": year,
        "budget": budget,
        "rates": (Rate(rate=3_000, sizes=NOT_LARGE, filed=True), Rate(rate=2_000, sizes=NOT_LARGE)),
        "ceiling": 500,
        "order_cap": 20_000,
        "group_cap": 100_000,
        "valid_from": date(year, 1, 1),
        "valid_through": date(year, 12, 31),
        **more,
    }
    return ProgrammeTerms(**row)  # type: ignore[arg-type]


def old_programme(year: int) -> ProgrammeTerms:
    """Return a programme whose year is over, so that it can be closed."""
    return terms("OLD", year, 10_000, payout="reimburse", exhaustion="pro_rata")


def calendar_of(chance: Random, start: int) -> Calendar | None:
    """Return a calendar whose calls fall into the day that is played, or none: then it never closes."""
    if happens(chance, 30):
        return None
    hour = datetime.fromtimestamp(start // 10**9, VENUE_ZONE).hour
    day, late = (time(9), time(15, 45)), (time(2), time(23))
    opens, closing = day if hour < OPENS_UNTIL_HOUR else late
    noon = time(12, 30) if hour < OPENS_UNTIL_HOUR else time(16, 30)
    return Calendar(
        weekdays=("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
        closes=closing.replace(hour=closing.hour + (closing.minute > 0), minute=(closing.minute + 25) % 60),
        random_end_seconds=chance.choice((0, 30)),
        volatility_seconds=chance.choice((60, 300)),
        calls=(
            call("opening", opens, 20, 10),
            call("noon", noon, 15, None),
            call("closing", closing, 10, 5, fixes=True),
        ),
    )


def call(name: str, opens: time, minutes: int, no_cancel: int | None, *, fixes: bool = False) -> Call:
    """Return a call that ends after so many minutes, and bars cancels after fewer."""
    return Call(
        name=name,
        modes=("continuous", "call"),
        opens=opens,
        ends=opens.replace(minute=opens.minute + minutes - 1, second=59),
        no_cancel=None if no_cancel is None else opens.replace(minute=opens.minute + no_cancel),
        fixes=fixes,
    )


def settings(chance: Random) -> Settings:
    """Return what the venue is set to: allowances that a flood meets, and little kept for who is away."""
    return Settings(
        sessions=SessionSettings(
            per_key=chance.choice((1, 2, 16)),
            heartbeat_seconds=60,
            reconnect_seconds=chance.choice((5, 60)),
            reports_kept=chance.choice((0, 100, 262_144)),
        ),
        throttle=ThrottleSettings(
            orders_per_second=chance.choice((2, 20)),
            orders_burst=chance.choice((30, 60)),
            requests_per_second=chance.choice((2, 10)),
            requests_burst=chance.choice((20, 60)),
        ),
        snapshots=SnapshotSettings(every_commands=chance.choice((50, 150)), keep=chance.choice((1, 3))),
        feed=FeedSettings(messages_kept=chance.choice((16, 16_384))),
    )


def seats(chance: Random) -> tuple[SeatPlan, ...]:
    """Return who sits where: tempers that firms share out among them by chance."""
    tempers = ["taker", "taker", "nervous", "stutterer", "flooder"]
    chance.shuffle(tempers)
    firms = dict(zip(("ANN-2", "DOM", "EVE", "BEN"), tempers, strict=False))
    firms |= {"ANN": "saver", "CAT": "maker", "SID": "silent"}
    if firms["BEN"] == "taker":
        firms["BEN"] = "saver"
    guarded = {name: temper == "silent" or happens(chance, 15) for name, temper in firms.items()}
    return (
        *(SeatPlan(name, "operator", False) for name in OPERATORS),
        SeatPlan(OFFICE, "office", False),
        SeatPlan(AUDITOR, "auditor", False),
        *(SeatPlan(name, "provider", False) for name in PROVIDERS),
        *(SeatPlan(name, firms[name], guarded[name]) for name in FIRMS),
    )


def live_key(registry: Registry, member: str, key: str) -> str:
    """Return a member's own key if it still speaks for it, else its newest, blank if it has none."""
    number = registry.member_numbers[member]
    living = [one for one, holder in registry.keys.items() if holder == number]
    return key if key in living else living[-1] if living else ""
