"""What operators decide about members: money, keys, blocks, limits; and what takes two of them."""

from __future__ import annotations

from datetime import date
from random import Random

from msgspec.structs import replace

from exchange.calendar import day_of
from exchange.protocol.acts import (
    Act,
    Adjust,
    AdjustmentLine,
    Admit,
    Approve,
    BlockMember,
    Bust,
    CancelOrders,
    CloseYear,
    DefineProgramme,
    Deposit,
    Enrol,
    FindIneligible,
    FindRelated,
    FixPrices,
    GrantAward,
    KeepIds,
    Propose,
    Recall,
    RegisterKey,
    Resolve,
    RevokeKey,
    SetLimits,
    SetPhase,
    SetState,
    SettleDebt,
    TwoPersonsAct,
)
from exchange.protocol.messages import Keys, Proposals, Redemptions, Status
from exchange.simulation.callers import Caller
from exchange.simulation.deeds_operator import to_undo
from exchange.simulation.marketplace import AUDITOR, FIRMS, OFFICE, OPERATORS, PROVIDERS, happens, key_of

REKEYED = (*FIRMS, *PROVIDERS, OFFICE, AUDITOR)
"""Whose keys one operator alone may change."""

IDS_PER_MEMBER = 65_536
"""What a venue remembers of each member's client ids at first."""

TRADES_BACK = 8
"""Of how many of the latest trades one is to be undone."""


def deposit(member: Caller, chance: Random) -> str:
    """Book money that came in; sometimes once more under the same reference."""
    last = member.memory.get("deposit")
    if last is not None and happens(chance, 30):
        return member.decide(replace(last, amount=last.amount + happens(chance, 30)))
    name = chance.choice((*FIRMS, *PROVIDERS))
    act = Deposit(name, chance.choice((1, 10_000, 200_000)), member.new_reference())
    member.memory["deposit"] = act
    return member.decide(act)


def block(member: Caller, chance: Random) -> str:
    """Block a firm until a later deed."""
    name = chance.choice(FIRMS)
    to_undo(member, BlockMember(name, False))
    return member.decide(BlockMember(name, True), "it runs wild")


def limits(member: Caller, chance: Random) -> str:
    """Set a firm's limits, so low that they are met, or high again."""
    name = chance.choice(FIRMS)
    wide = SetLimits(member=name, open_orders_max=1_000, quantity_max=10**6, notional_max=10**12)
    tight = SetLimits(
        member=name,
        open_orders_max=chance.choice((None, 2, 5)),
        quantity_max=chance.choice((None, 10)),
        notional_max=chance.choice((None, 15_000)),
        turnover_max=chance.choice((None, 1, 40_000)),
    )
    to_undo(member, replace(wide, turnover_max=10**14))
    return member.decide(tight)


def cancel_orders(member: Caller, chance: Random) -> str:
    """Cancel all that a member has open."""
    return member.decide(CancelOrders(chance.choice((*FIRMS, *PROVIDERS))), "by hand")


def keep_ids(member: Caller, chance: Random) -> str:
    """Have more client ids remembered, or as many."""
    return member.decide(KeepIds(IDS_PER_MEMBER + chance.choice((0, 0, 1, -1))))


def admit(member: Caller, chance: Random) -> str:
    """Admit another member, or propose another operator."""
    number = member.memory["admitted"] = member.memory.get("admitted", 0) + 1
    name = f"NEW-{member.name}-{number}"
    if happens(chance, 30):
        return member.decide(Propose(Admit(member=name, role="operator")), "another operator")
    owner = chance.choice(("", "", "EVE"))
    return member.decide(Admit(member=name, role="firm", owner=owner, size="small", region="HANGZHOU"))


def enrol(member: Caller, chance: Random) -> str:
    """Enrol firms in a programme, or withdraw that."""
    rolls = [code for code in member.session.programmes if code.startswith("ROLL")]
    if not rolls:
        return ""
    names = tuple(chance.sample(FIRMS, chance.randint(1, 3)))
    return member.decide(Enrol(chance.choice(rolls), names, happens(chance, 70)))


# --- keys --------------------------------------------------------------------------------------


def rotate(member: Caller, chance: Random) -> str:
    """Give a member a second key and revoke its first; or revoke first, and give another by a later deed."""
    name = chance.choice(REKEYED)
    number = member.memory["keys"] = member.memory.get("keys", 0) + 1
    fresh = RegisterKey(name, key_of(name, number, member.name))
    is_gentle = happens(chance, 60)
    is_forgetful = is_gentle and happens(chance, 40)

    def go_on(answer: Keys) -> None:
        known = [key for holder in answer.holders for key in holder.public_keys]
        if is_gentle:
            member.decide(fresh, "a new key")
        if is_forgetful:
            member.decide(RegisterKey(name, key_of(name, -number, member.name)), "and another")
        if known and not is_forgetful:
            member.decide(RevokeKey(known[0]), "an old key")
        if not is_gentle:
            to_undo(member, fresh)

    member.ask(member.session.keys(name), go_on)
    return "rotate key" if is_gentle else "revoke key"


def rotate_operator(member: Caller, chance: Random) -> str:
    """Revoke another operator's key, and propose a new one; a third operator approves it."""
    name = chance.choice([one for one in OPERATORS if one != member.name])
    number = member.memory["keys"] = member.memory.get("keys", 0) + 1
    fresh = RegisterKey(name, key_of(name, number, member.name))

    def go_on(answer: Keys) -> None:
        others = [holder for holder in answer.holders if holder.admitted.role == "operator"]
        alive = [holder for holder in others if holder.public_keys]
        if len(alive) == len(OPERATORS):
            keys = next(one.public_keys for one in alive if one.admitted.member == name)
            member.decide(RevokeKey(keys[0]), "it may be in wrong hands")
        member.decide(Propose(fresh), "a new key")

    member.ask(member.session.keys(), go_on)
    return "revoke operator's key"


def undo(member: Caller, chance: Random) -> str:
    """End the halt, block or call that one has begun; where there is none, see what others propose."""
    acts: list[Act] = member.memory.get("undo", [])
    return (
        member.decide(acts.pop(0), "it is over")
        if acts
        else chance.choice((approve, resolve))(member, chance)
    )


def mistake(member: Caller, chance: Random) -> str:
    """Decide something that is refused."""
    acts: tuple[Act, ...] = (
        Deposit("ANN", 0, member.new_reference()),
        Approve(1),
        FixPrices(date(2025, 1, 1)),
        Admit(member="ANN", role="firm"),
        RegisterKey("ANN", "short"),
        RegisterKey("NOBODY", key_of("NOBODY")),
        SetState("CLERK", "retired"),
        Recall(1),
        Resolve(1, True),
        CloseYear("NOTHING"),
        SetPhase("CLERK", "auction"),
    )
    return member.decide(chance.choice(acts), "a mistake")


# --- what takes two ----------------------------------------------------------------------------


def approve(member: Caller, chance: Random) -> str:
    """Approve what others have proposed; drop some of it."""
    is_kind = happens(chance, 90)

    def go_on(answer: Proposals) -> None:
        for proposal in answer.proposals[:4]:
            if proposal.who != member.name:
                is_key = isinstance(proposal.act, RegisterKey)
                member.decide(Approve(proposal.number, is_kind or is_key), "looked at")

    member.ask(member.session.proposals(), go_on)
    return "approve"


def propose_bust(member: Caller, chance: Random) -> str:
    """Propose to undo some of the latest trades."""
    back = chance.sample(range(TRADES_BACK), 3)

    def go_on(status: Status) -> None:
        for nth in back:
            if status.trades > nth:
                member.decide(Propose(Bust(status.trades - nth)), "by mistake")

    member.ask(member.session.status(), go_on)
    return "propose bust"


def propose_adjustment(member: Caller, chance: Random) -> str:
    """Propose to move money or credits from one member to another."""
    giver, taker = chance.choice(("YUN", "CAT", *FIRMS)), chance.choice(FIRMS)
    symbol, amount = chance.choice(("", "SUM-LATE", "CLERK")), chance.choice((1, 7, 50))
    lines = (AdjustmentLine(giver, symbol, -amount), AdjustmentLine(taker, symbol, amount))
    return propose(member, Adjust(lines))


def propose_award(member: Caller, chance: Random) -> str:
    """Propose an award for a saver's measured use."""
    codes = [code for code in member.session.programmes if code.startswith("MERIT")]
    if not codes:
        return ""
    return propose(
        member, GrantAward(chance.choice(codes[:1]), chance.choice(("ANN", "ANN", "BEN", "EVE")), 1)
    )


def propose(member: Caller, act: TwoPersonsAct) -> str:
    """Propose an act; return the shape's name."""
    member.decide(Propose(act), "proposed")
    return f"propose {type(act).__name__}"


# --- programmes --------------------------------------------------------------------------------


def close_year(member: Caller, chance: Random) -> str:
    """Close a programme whose year is over, or one whose year is not."""
    codes = [*member.session.programmes]
    past = [code for code in codes if code.startswith("OLD")]
    return member.decide(CloseYear(chance.choice(past * 12 + codes)), "the year is over") if codes else ""


def define(member: Caller, chance: Random) -> str:
    """Open another programme like the voucher."""
    first = next((one for code, one in member.session.programmes.items() if code.startswith("VOUCHER")), None)
    number = member.memory["defined"] = member.memory.get("defined", 0) + 1
    if first is None or number > 1:
        return ""
    code = f"EXTRA-{member.name[-1]}{number}"
    terms = replace(first.terms, code=code, version=1, budget=chance.choice((2_000, 30_000)), order_cap=4_000)
    return member.decide(DefineProgramme(terms), "another programme")


def resolve(member: Caller, chance: Random) -> str:
    """Decide the tasks that are disputed."""
    is_accepted = happens(chance, 50)

    def go_on(answer: Redemptions) -> None:
        for one in answer.redemptions:
            if one.state == "disputed":
                member.decide(Resolve(one.number, is_accepted), "looked at")

    member.ask(member.session.redemptions(), go_on)
    return "resolve"


def find_ineligible(member: Caller, chance: Random) -> str:
    """Find that a firm was not eligible; what it was paid it owes. Twice an operator at most."""
    year = day_of(member.seat.clock()).year
    codes = [f"{one}-{year}" for one in ("VOUCHER", "TOKENS", "TOKENS", "BACK", "ROLL")]
    codes = [one for one in codes if one in member.session.programmes]
    if not codes or member.memory.get("found", 0) > 1:
        return ""
    member.memory["found"] = member.memory.get("found", 0) + 1
    act = FindIneligible(chance.choice(("ANN", "ANN", "BEN", "EVE")), chance.choice(codes))
    to_undo(member, SettleDebt(act.member, act.programme, 10))
    return member.decide(act, "found")


def find_related(member: Caller, chance: Random) -> str:
    """Find two firms related. Once an operator at most."""
    if member.memory.get("related", 0) > 0:
        return ""
    member.memory["related"] = 1
    one, other = chance.sample(("ANN", "DOM", "EVE", "SID", "CAT"), 2)
    return member.decide(FindRelated(one, other), "found")


def settle_for(member: Caller, chance: Random) -> str:
    """Settle a firm's debt for it, a little at a time."""
    codes = [*member.session.programmes]
    if not codes:
        return ""
    return member.decide(
        SettleDebt(chance.choice(("ANN", "BEN", "EVE")), chance.choice(codes), 10), "settled"
    )
