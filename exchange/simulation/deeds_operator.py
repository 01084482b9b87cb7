"""What operators do to markets: phases, halts, states, rules, prices; each halt is ended by a later deed."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from msgspec.structs import replace

from exchange.calendar import day_of
from exchange.protocol.acts import (
    Act,
    AllowModes,
    BeginFixing,
    CloseWindows,
    ExpireCredits,
    FixPrices,
    ListInstruments,
    PhaseName,
    Propose,
    ReviseProgramme,
    Reweight,
    SetCalendar,
    SetCapacity,
    SetCollars,
    SetFees,
    SetPhase,
    SetState,
)
from exchange.protocol.messages import Decided, Status
from exchange.simulation.callers import Caller
from exchange.simulation.deeds_orders import chosen
from exchange.simulation.marketplace import CAPACITY_LOTS, KINDS, calendar_of, happens, instrument
from exchange.simulation.plan import SECOND_NS

LISTED_LATER_MAX = 2
"""How many instruments each operator lists while the market trades."""


def to_undo(member: Caller, *acts: Act) -> None:
    """Remember what ends something; the first of it is done first."""
    undo: list[Act] = member.memory.setdefault("undo", [])
    undo[:0] = acts


def halt(member: Caller, chance: Random) -> str:
    """Halt an instrument, or all, until a later deed."""
    symbol = "" if happens(chance, 10) else chosen(member, chance).symbol
    phase: PhaseName = chance.choice(("halted", "halted", "halted", "closed"))
    to_undo(member, SetPhase(symbol, chance.choice(("continuous", "continuous", "pre_open"))))
    return member.decide(SetPhase(symbol, phase), "a halt")


def hold_call(member: Caller, chance: Random) -> str:
    """Begin a call of an instrument, or of all; what follows is done by the next deeds."""
    symbol = "" if happens(chance, 15) else chance.choice((chosen(member, chance).symbol, "BATCH"))
    rest: tuple[PhaseName, ...] = chance.choice(
        (("auction", "continuous"), ("no_cancel", "auction", "continuous"))
    )
    to_undo(member, *(SetPhase(symbol, phase) for phase in rest))
    reference = chance.choice((0, 0, 1_000))
    until = chance.choice((0, member.seat.clock() + 600 * SECOND_NS))
    return member.decide(SetPhase(symbol, "pre_open", reference, until=until), "a call")


def open_all(member: Caller, chance: Random) -> str:
    """Let everything trade that may."""
    phases: tuple[PhaseName, ...] = ("auction", "continuous")
    return member.decide(SetPhase("", chance.choice(phases)), "let it trade")


def state(member: Caller, chance: Random) -> str:
    """Suspend an instrument, or let it only be cancelled; seldom it ends there."""
    symbol = chosen(member, chance).symbol
    if symbol.startswith("NEW-"):
        to_undo(member, SetState(symbol, "retired"))
        return member.decide(SetState(symbol, "cancel_only"), "it ends")
    to_undo(member, SetState(symbol, "listed"))
    return member.decide(SetState(symbol, chance.choice(("suspended", "cancel_only"))), "a pause")


def collars(member: Caller, chance: Random) -> str:
    """Set how far prices may go."""
    market, static, dynamic = (chance.choice((0, 20, 60, 150)) for _ in range(3))
    return member.decide(SetCollars(chance.choice(KINDS), market, static, dynamic))


def fees(member: Caller, chance: Random) -> str:
    """Set the fees of a kind."""
    return member.decide(SetFees(chance.choice(KINDS), chance.choice((0, 3)), chance.choice((0, 7, 50))))


def modes(member: Caller, chance: Random) -> str:
    """Say which modes the venue may run."""
    return member.decide(
        AllowModes(chance.choice((("continuous", "call"), ("continuous", "call", "listing"))))
    )


def capacity(member: Caller, chance: Random) -> str:
    """Set how much of an instrument may be issued."""
    return member.decide(
        SetCapacity(chosen(member, chance).symbol, CAPACITY_LOTS + chance.choice((0, 1, 10_000)))
    )


def list_one(member: Caller, chance: Random) -> str:
    """List another instrument, and learn of it."""
    number = member.memory.get("listed", 0)
    if number >= LISTED_LATER_MAX:
        return ""
    member.memory["listed"] = number + 1
    symbol = f"NEW-{member.name[-1]}{number}"
    one = instrument(symbol, chance.choice(("YUN", "FAR")), 700, 7, kind="compute", also_provided_by="CAT")

    def go_on(_: Decided) -> None:
        if member.session.ready:
            member.session.log_on()

    return member.decide(ListInstruments((one,)), "a new one", go_on)


def calendar(member: Caller, chance: Random) -> str:
    """Set a calendar, another or the first."""
    now = member.session.heartbeat.time if member.session.heartbeat else member.seat.clock()
    drawn = calendar_of(chance, now)
    return "" if drawn is None else member.decide(SetCalendar(drawn), "a new calendar")


def fixing(member: Caller, chance: Random) -> str:
    """Begin a day's fixing by hand, and find its prices by the next deed."""
    if member.memory.get("fixing"):
        return member.decide(FixPrices(member.memory.pop("fixing")), "by hand")
    day = day_of(member.seat.clock()) + timedelta(days=chance.choice((-1, 0)))
    member.memory["fixing"] = day
    to_undo(member, FixPrices(day))
    return member.decide(BeginFixing(day), "by hand")


def due(member: Caller, chance: Random) -> str:
    """Do by hand what falls due by the clock."""
    if happens(chance, 50):
        return member.decide(CloseWindows(), "by hand")
    return member.decide(ExpireCredits("SUM-SOON"), "by hand")


def reweight(member: Caller, chance: Random) -> str:
    """Suspend a model, and propose new weights for it."""
    symbol = chance.choice(("SUM-SOON", "SUM-LATE", "GLO"))
    act = Reweight(symbol, 1_000, chance.choice((100, 333)), chance.choice((3_000, 4_500)))
    to_undo(member, SetState(symbol, "listed"))
    member.decide(SetState(symbol, "suspended"), "new weights")
    return member.decide(Propose(act), "new weights")


def revise(member: Caller, chance: Random) -> str:
    """Propose new terms of a programme: more or less budget, other caps."""
    own = Random(chance.random())

    def go_on(status: Status) -> None:
        listed = own.choice(status.programmes)
        terms = replace(
            listed.terms,
            version=listed.terms.version + 1,
            budget=max(listed.terms.budget + own.choice((0, 5_000, -1_000)), 1),
            group_cap=own.choice((listed.terms.group_cap, 30_000, 90_000)),
            order_lots=own.choice((listed.terms.order_lots, 5)),
        )
        member.decide(Propose(ReviseProgramme(terms)), "new terms")

    member.ask(member.session.status(), go_on)
    return "propose new terms"
