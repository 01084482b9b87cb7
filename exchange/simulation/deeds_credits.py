"""What savers do with public money, what firms ask of providers, and what providers deliver."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace as changed

from exchange.calendar import day_of
from exchange.client.tickets import Instrument
from exchange.protocol.acts import (
    Accept,
    Act,
    Deliver,
    Dispute,
    Issue,
    PromptDetails,
    Recall,
    RecordUsage,
    Redeem,
    SettleDebt,
    TokenUsage,
    Transfer,
    UsageRecord,
    Withdraw,
)
from exchange.protocol.messages import Account, Redemptions
from exchange.simulation.callers import Caller
from exchange.simulation.deeds_orders import chosen, lots, near, open_ones, ticket, tradable
from exchange.simulation.marketplace import FIRMS, METER, happens
from exchange.simulation.plan import SECOND_NS
from matching.vocabulary import Side, TimeInForce

DURATIONS = (TimeInForce.DAY, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)
"""How long a subsidised order may rest: no longer than the day."""

LIKED = ("SUM-LATE", "CLERK")
"""What savers mostly buy: it can be redeemed."""

# --- public money ------------------------------------------------------------------------------


def subsidised(member: Caller, chance: Random) -> str:
    """Buy with a programme that is in force, at a price that finds a seller or at one that rests."""
    programmes = [one for one in member.session.programmes.values() if not one.is_closed]
    year = day_of(member.seat.clock()).year
    likely = [
        one
        for one in programmes
        if happens(chance, 5) or (one.fiscal_year == year and one.terms.payout != "award")
    ]
    if not likely:
        return ""
    code = chance.choice(likely).code
    wanted = [one for one in tradable(member) if one.symbol in LIKED]
    one = chance.choice(wanted) if wanted and happens(chance, 60) else chosen(member, chance)
    price = near(chance, one, Side.BUY, 2)
    if happens(chance, 60):
        price = one.listing.list_price + one.tick * chance.randint(0, 4)
    duration = (
        chance.choice((*DURATIONS, TimeInForce.GTC)) if happens(chance, 10) else chance.choice(DURATIONS)
    )
    member.place(changed(ticket(member, chance, Side.BUY, one, price, duration), programme=code))
    return f"subsidised buy {code.split('-')[0].lower()}"


def owned(member: Caller, account: Account, chance: Random) -> tuple[Instrument, int] | None:
    """Return credits that a member has, mostly such as a programme paid for, and how many lots in all."""
    listed = member.session.instruments
    found = [
        (listed[symbol], row.available + row.restricted)
        for symbol, row in account.credits.items()
        if symbol in listed and row.available + row.restricted > 0
    ]
    bought = [one for one in found if account.credits[one[0].symbol].restricted > 0]
    if bought and happens(chance, 80):
        return chance.choice(bought)
    return chance.choice(found) if found else None


def redeem(member: Caller, chance: Random) -> str:
    """Ask what one has, then a provider for some of it; sometimes for more than there is."""
    own = Random(chance.random())

    def go_on(account: Account) -> None:
        member.memory["account"] = account
        found = owned(member, account, own)
        if found is not None:
            one, most = found
            asked = min(lots(own), most) if happens(own, 95) else most + 1
            act = Redeem(member.name, one.symbol, asked, member.new_reference())
            member.decide(act, "redemption", lambda told: noted_redemption(member, told.sequence))

    member.ask(member.session.account(), go_on)
    return "redeem"


def noted_redemption(member: Caller, number: int) -> None:
    """Remember a redemption that was asked for."""
    member.memory.setdefault("redemptions", []).append(number)


def next_of_redemption(member: Caller, chance: Random) -> str:
    """Accept or dispute what was delivered, recall some of what was not; of the oldest open redemptions."""
    own = Random(chance.random())

    def go_on(answer: Redemptions) -> None:
        mine = [one for one in answer.redemptions if one.member == member.name]
        for one in mine[:3]:
            acts: tuple[Act, ...] = (Recall(one.number),)
            if one.state == "delivered" or happens(own, 15):
                acts = (Accept(one.number), Dispute(one.number))
            if one.state == "delivered" or happens(own, 25):
                member.decide(own.choice(acts), "next step")

    member.ask(member.session.redemptions(), go_on)
    return "next of a redemption"


def pay_debt(member: Caller, chance: Random) -> str:
    """Pay what one owes to programmes, or a part of it, if one does."""
    part = chance.choice((1, 100, 10**9))

    def go_on(account: Account) -> None:
        member.memory["account"] = account
        if account.debt:
            for left in account.programmes:
                member.decide(SettleDebt(member.name, left.code, min(part, account.debt)), "settlement")

    member.ask(member.session.account(), go_on)
    return "pay debt"


# --- one's own money ---------------------------------------------------------------------------


def withdraw(member: Caller, chance: Random) -> str:
    """Have money paid out; sometimes the same twice, or under a reference that named something else."""
    amount = chance.choice((1, 500, 20_000, 10**9))
    last = member.memory.get("withdrawal")
    if last is not None and happens(chance, 30):
        reference = last.reference
        amount = last.amount if happens(chance, 40) else amount + 7
    else:
        reference = member.new_reference()
    act = Withdraw(member.name, amount, reference)
    member.memory["withdrawal"] = act
    return member.decide(act)


def transfer(member: Caller, chance: Random) -> str:
    """Move money or credits between an owner's two accounts."""
    others = ("ANN-2", "ANN") if member.name in ("ANN", "ANN-2") else FIRMS
    target = next(name for name in others if name != member.name)
    symbol = chance.choice(("", "", chosen(member, chance).symbol))
    amount = chance.choice((1, 3, 2_000)) if symbol == "" else chance.randint(1, 3)
    return member.decide(Transfer(member.name, target, symbol, amount, member.new_reference()))


# --- questions ---------------------------------------------------------------------------------


def ask_account(member: Caller, chance: Random) -> str:
    """Ask for balances."""
    member.ask(member.session.account(), lambda account: member.memory.__setitem__("account", account))
    return "ask account"


def ask_orders(member: Caller, chance: Random) -> str:
    """Ask for open orders."""
    member.ask(member.session.open_orders())
    return "ask orders"


def ask_listing(member: Caller, chance: Random) -> str:
    """Log on again on the same line, to learn what is listed by now."""
    if not member.session.ready:
        return ""
    member.session.log_on()
    return "ask what is listed"


def ask_anything(member: Caller, chance: Random) -> str:
    """Ask one of the questions that change nothing."""
    session = member.session
    sort = chance.choice(("status", "keys", "redemptions", "proposals"))
    member.ask(getattr(session, sort)())
    return f"ask {sort}"


# --- providers ---------------------------------------------------------------------------------


def provided(member: Caller, chance: Random) -> Instrument | None:
    """Return an instrument that this member may issue."""
    own = [one for one in member.session.instruments.values() if member.name in one.listing.providers]
    return chance.choice(open_ones(member, chance, own)) if own else None


def offer(member: Caller, chance: Random) -> str:
    """Offer credits at several prices about the list price."""
    one = provided(member, chance)
    if one is None:
        return ""
    first = one.listing.list_price + one.tick * chance.choice((-2, 0, 0, 1, 3))
    member.place(
        *(
            ticket(member, chance, Side.SELL, one, first + nth * one.tick, TimeInForce.GTC)
            for nth in range(chance.randint(1, 5))
        )
    )
    return "offer"


def issue(member: Caller, chance: Random) -> str:
    """Issue credits within the capacity, or beyond it."""
    one = provided(member, chance)
    if one is None:
        return ""
    return member.decide(Issue(one.symbol, chance.choice((1, 100, 100, 10**6)), member.name))


def deliver(member: Caller, chance: Random) -> str:
    """Confirm some of the redemptions that wait for this provider."""
    most = chance.randint(1, 4)

    def go_on(answer: Redemptions) -> None:
        listed = member.session.instruments
        waiting = [
            one.number
            for one in answer.redemptions
            if one.state == "requested"
            and one.instrument in listed
            and member.name in listed[one.instrument].listing.providers
        ]
        for number in waiting[:most]:
            member.decide(Deliver(number), "delivery")

    member.ask(member.session.redemptions(), go_on)
    return "deliver"


def usage(member: Caller, chance: Random) -> str:
    """Tell what members used of one's models; some of it was told before, or nobody can have used it."""
    known: list[UsageRecord] = member.memory.setdefault("usage", [])
    records = []
    for _ in range(chance.choice((1, 1, 2))):
        if known and happens(chance, 20):
            records.append(chance.choice(known))
            continue
        meter = METER if member.name == "YUN" else "GLO"
        prompt = chance.choice((10, 300_000, 1_500_000))
        created = member.session.heartbeat.time if member.session.heartbeat else 0
        created = created // SECOND_NS - chance.choice((0, 60, 3_600))
        record = UsageRecord(
            member.new_reference(),
            chance.choice(FIRMS),
            meter,
            max(created, 0),
            TokenUsage(prompt, chance.choice((0, 50_000)), PromptDetails(chance.choice((0, prompt // 2)))),
        )
        known.append(record)
        records.append(record)
    return member.decide(RecordUsage(tuple(records)), "usage")
