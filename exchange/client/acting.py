"""Flows of what a member asks of the venue, and has done with its money and credits: one act each.

`why` is kept in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence

from exchange.client.answers import Account, account_of
from exchange.client.desk import Desk, answer
from exchange.client.errors import ExchangeError, OutcomeUnknown, RequestRefused
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Wait, deadline_after
from exchange.client.money import Amount, hao_of
from exchange.client.queries import Queries, settled_meanwhile
from exchange.client.subsidy import Preview
from exchange.client.subsidy import preview as previewed
from exchange.client.tickets import OrderTicket, check_quantity
from exchange.protocol.acts import (
    Accept,
    Act,
    Deliver,
    Dispute,
    Issue,
    Recall,
    RecordUsage,
    Redeem,
    SettleDebt,
    Transfer,
    UsageRecord,
    Withdraw,
)
from exchange.protocol.messages import Decided, KeyHolder, OpenRedemption, Proposal, Status
from exchange.protocol.rehearsals import Rehearsal

# --- questions -----------------------------------------------------------------------------


def account(desk: Desk, timeout: float = TIMEOUT_SECONDS) -> Flow[Account]:
    """Ask for one's balances: money in hao, credits in lots. Raises `Timeout`, `ConnectionLost`."""
    told = yield from answer(desk, desk.session.account(), "the question for balances", timeout)
    return account_of(told, desk.session.instruments)


def status(desk: Desk, timeout: float = TIMEOUT_SECONDS) -> Flow[Status]:
    """Ask how the venue is: counts, times in ns, budgets in hao. Raises as `account` does."""
    return (yield from answer(desk, desk.session.status(), "the question for its status", timeout))


def redemptions(desk: Desk, timeout: float = TIMEOUT_SECONDS) -> Flow[tuple[OpenRedemption, ...]]:
    """Ask for open redemptions: one's own, a provider also for those that it may deliver."""
    asked = desk.session.redemptions()
    return (yield from answer(desk, asked, "the question for redemptions", timeout)).redemptions


def proposals(desk: Desk, timeout: float = TIMEOUT_SECONDS) -> Flow[tuple[Proposal, ...]]:
    """Ask, as an operator, for what was proposed and is not approved."""
    return (
        yield from answer(desk, desk.session.proposals(), "the question for proposals", timeout)
    ).proposals


def keys(desk: Desk, member: str = "", timeout: float = TIMEOUT_SECONDS) -> Flow[tuple[KeyHolder, ...]]:
    """Ask who there is, and by which keys: operators and auditors of all, others of themselves."""
    return (yield from answer(desk, desk.session.keys(member), "the question for keys", timeout)).holders


def preview(desk: Desk, ticket: OrderTicket, timeout: float = TIMEOUT_SECONDS) -> Flow[Preview]:
    """Reckon what an order would hold, and what its programme would pay for it, before it is placed.

    Without a programme nothing is paid. Caps and budget are asked for now, terms are as of the logon.
    Raises `UnknownName` for a programme that is not there, `BadInput` for an order without a price.
    """
    session = desk.session
    listed = session.programmes[ticket.programme or ""]
    owned = yield from account(desk, timeout)
    left = next(one for one in owned.programmes if one.code == listed.code)
    instrument = session.instruments[ticket.instrument]
    return previewed(ticket, instrument, listed, left, session.standing, desk.clock())


# --- acts ----------------------------------------------------------------------------------


def act(desk: Desk, act: Act, why: str, timeout: float = TIMEOUT_SECONDS) -> Flow[int]:
    """Have an act (`exchange.protocol.acts`) sequenced, with the reason; return its sequence.

    An operator may decide all, a firm and a provider what is theirs. Raises `RequestRefused`;
    `OutcomeUnknown` where no answer came: look before deciding again, unless the act has a reference.
    """
    return (yield from decide(desk, act, why, timeout)).sequence


def decide(desk: Desk, act: Act, why: str, timeout: float = TIMEOUT_SECONDS) -> Flow[Decided]:
    """Have an act sequenced as `act` does; return its sequence, and how many orders it has cancelled."""
    asked = desk.session.decide(act, why)
    try:
        return (yield from answer(desk, asked, "the act", timeout))
    except RequestRefused:
        raise
    except ExchangeError as error:
        if not asked.handed:
            raise
        raise OutcomeUnknown(
            f"it is not known whether the venue took the act ({error.problem})",
            field="act",
            value=type(act).__name__,
            remedy=(
                "send it again as it is: it is done once"
                if is_done_once(act)
                else "see by ex.status(), ex.refresh() or ex.history whether it did, then decide"
            ),
        ) from error


def rehearse(
    desk: Desk, acts: Act | Sequence[Act], why: str = "", timeout: float = TIMEOUT_SECONDS
) -> Flow[Rehearsal]:
    """Ask, as an operator or auditor, what acts would bring about, in numbers; nothing is done.

    It holds as of the rehearsal's `sequence`, which is not before what this client has heard: what comes
    between it and the acts may change it. Acts that take two operators are rehearsed as approved. Raises
    `RequestRefused`, `Timeout`, `ConnectionLost`.
    """
    deadline = deadline_after(timeout)
    tried = tuple(acts) if isinstance(acts, Sequence) else (acts,)
    heard = desk.session.sequence
    while True:
        rehearsal = yield from _rehearse_once(desk.queries, tried, why, deadline)
        if rehearsal.sequence >= heard:
            return rehearsal
        yield from settled_meanwhile(desk.queries, heard, deadline)


def _rehearse_once(queries: Queries, acts: tuple[Act, ...], why: str, deadline: float) -> Flow[Rehearsal]:
    """Rehearse as of wherever the settlement is."""
    asked = queries.session.rehearse(acts, why)
    try:
        line = queries.line()
        if not (yield Wait(line, asked.is_done, deadline)):
            raise line.silence("the rehearsal")
    finally:
        queries.session.drop(asked)
    return asked.result().rehearsal


def redeem(
    desk: Desk,
    symbol: str,
    lots: int,
    reference: str,
    why: str = "redemption",
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[int]:
    """Ask an instrument's provider for what `lots` of it stand for; return the redemption's number.

    They are set aside until it delivers. Sent again under its `reference` it is one redemption.
    """
    check_quantity(lots)
    instrument = desk.session.instruments[symbol].symbol
    return (
        yield from act(desk, Redeem(desk.session.blotter.member, instrument, lots, reference), why, timeout)
    )


def recall(desk: Desk, redemption: int, why: str = "recall", timeout: float = TIMEOUT_SECONDS) -> Flow[int]:
    """Take a redemption back that is not delivered; its lots are free, or restricted, as before."""
    return (yield from act(desk, Recall(redemption), why, timeout))


def deliver(
    desk: Desk, redemption: int, why: str = "delivery", timeout: float = TIMEOUT_SECONDS
) -> Flow[int]:
    """Confirm, as the provider, that a redemption was delivered."""
    return (yield from act(desk, Deliver(redemption), why, timeout))


def accept(
    desk: Desk, redemption: int, why: str = "acceptance", timeout: float = TIMEOUT_SECONDS
) -> Flow[int]:
    """Accept an agent's delivered task."""
    return (yield from act(desk, Accept(redemption), why, timeout))


def dispute(desk: Desk, redemption: int, why: str, timeout: float = TIMEOUT_SECONDS) -> Flow[int]:
    """Dispute an agent's delivered task within its seven days; an operator resolves it."""
    return (yield from act(desk, Dispute(redemption), why, timeout))


def issue(
    desk: Desk, symbol: str, lots: int, why: str = "issue", timeout: float = TIMEOUT_SECONDS
) -> Flow[int]:
    """Issue, as a provider of an instrument, credits of it to oneself, within its capacity."""
    check_quantity(lots)
    instrument = desk.session.instruments[symbol].symbol
    return (yield from act(desk, Issue(instrument, lots, desk.session.blotter.member), why, timeout))


def record_usage(
    desk: Desk, records: Sequence[UsageRecord], why: str = "usage", timeout: float = TIMEOUT_SECONDS
) -> Flow[int]:
    """Redeem what members used of one's models: all of it or nothing; known ids are passed over."""
    return (yield from act(desk, RecordUsage(tuple(records)), why, timeout))


def withdraw(
    desk: Desk, amount: Amount, reference: str, why: str = "withdrawal", timeout: float = TIMEOUT_SECONDS
) -> Flow[int]:
    """Have free money paid out; sent again under its `reference` it is one withdrawal."""
    paid = hao_of(amount, "amount")
    return (yield from act(desk, Withdraw(desk.session.blotter.member, paid, reference), why, timeout))


def transfer(
    desk: Desk,
    target: str,
    amount: Amount,
    reference: str,
    *,
    instrument: str = "",
    why: str = "transfer",
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[int]:
    """Move free money, or with `instrument` so many free lots of it, to an account of one's own owner.

    Sent again under its `reference` it is one transfer.
    """
    if instrument:
        check_quantity(amount)
        moved, symbol = int(amount), desk.session.instruments[instrument].symbol
    else:
        moved, symbol = hao_of(amount, "amount"), ""
    moving = Transfer(desk.session.blotter.member, target, symbol, moved, reference)
    return (yield from act(desk, moving, why, timeout))


def settle_debt(
    desk: Desk,
    programme: str,
    amount: Amount,
    why: str = "settlement",
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[int]:
    """Pay one's debt to a programme, or part of it, out of free money."""
    code = desk.session.programmes[programme].code
    paid = hao_of(amount, "amount")
    return (yield from act(desk, SettleDebt(desk.session.blotter.member, code, paid), why, timeout))


def is_done_once(act: Act) -> bool:
    """Tell whether an act may be sent again as it is: its reference, or its records' ids, are taken once."""
    return isinstance(act, RecordUsage) or getattr(act, "reference", "") != ""
