"""What a member asks of the venue, and what it has done with its money and credits: one act each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from exchange.client.answers import Account, account_of
from exchange.client.errors import ExchangeError, OutcomeUnknown, RequestRefused
from exchange.client.link import TIMEOUT_SECONDS, Link, deadline_after
from exchange.client.money import Amount, hao_of
from exchange.client.requests import Asked
from exchange.client.session import Session
from exchange.client.subsidy import Preview, preview
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
from exchange.protocol.messages import OpenRedemption, Proposal, Status

AnswerT = TypeVar("AnswerT")


class Acting:
    """The half of a session that trades nothing: questions and acts. `why` is kept in the journal."""

    _session: Session
    _link: Link
    _clock: Callable[[], int]

    # --- questions -----------------------------------------------------------------------------

    def account(self, timeout: float = TIMEOUT_SECONDS) -> Account:
        """Ask for one's balances: money in hao, credits in lots. Raises `Timeout`, `ConnectionLost`."""
        answer = self._answer(self._session.account(), "the question for balances", timeout)
        return account_of(answer, self._session.instruments)

    def status(self, timeout: float = TIMEOUT_SECONDS) -> Status:
        """Ask how the venue is: counts, times in ns, budgets in hao. Raises as `account` does."""
        return self._answer(self._session.status(), "the question for its status", timeout)

    def redemptions(self, timeout: float = TIMEOUT_SECONDS) -> tuple[OpenRedemption, ...]:
        """Ask for open redemptions: one's own, a provider also for those that it may deliver."""
        asked = self._session.redemptions()
        return self._answer(asked, "the question for redemptions", timeout).redemptions

    def proposals(self, timeout: float = TIMEOUT_SECONDS) -> tuple[Proposal, ...]:
        """Ask, as an operator, for what was proposed and is not approved."""
        return self._answer(self._session.proposals(), "the question for proposals", timeout).proposals

    def preview(self, ticket: OrderTicket, timeout: float = TIMEOUT_SECONDS) -> Preview:
        """Reckon what an order would hold, and what its programme would pay for it, before it is placed.

        Without a programme nothing is paid. Caps and budget are asked for now, terms are as of the logon.
        Raises `UnknownName` for a programme that is not there, `BadInput` for an order without a price.
        """
        session = self._session
        listed = session.programmes[ticket.programme or ""]
        owned = self.account(timeout)
        left = next(one for one in owned.programmes if one.code == listed.code)
        instrument = session.instruments[ticket.instrument]
        return preview(ticket, instrument, listed, left, session.standing, self._clock())

    # --- acts ----------------------------------------------------------------------------------

    def act(self, act: Act, why: str, timeout: float = TIMEOUT_SECONDS) -> int:
        """Have an act (`exchange.protocol.acts`) sequenced, with the reason; return its sequence.

        An operator may decide all, a firm and a provider what is theirs. Raises `RequestRefused`;
        `OutcomeUnknown` where no answer came: look before deciding again, unless the act has a reference.
        """
        asked = self._session.decide(act, why)
        try:
            return self._answer(asked, "the act", timeout).sequence
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

    def redeem(
        self,
        symbol: str,
        lots: int,
        reference: str,
        why: str = "redemption",
        timeout: float = TIMEOUT_SECONDS,
    ) -> int:
        """Ask an instrument's provider for what `lots` of it stand for; return the redemption's number.

        They are set aside until it delivers. Sent again under its `reference` it is one redemption.
        """
        check_quantity(lots)
        instrument = self._session.instruments[symbol].symbol
        return self.act(Redeem(self._session.blotter.member, instrument, lots, reference), why, timeout)

    def recall(self, redemption: int, why: str = "recall", timeout: float = TIMEOUT_SECONDS) -> int:
        """Take a redemption back that is not delivered; its lots are free, or restricted, as before."""
        return self.act(Recall(redemption), why, timeout)

    def deliver(self, redemption: int, why: str = "delivery", timeout: float = TIMEOUT_SECONDS) -> int:
        """Confirm, as the provider, that a redemption was delivered."""
        return self.act(Deliver(redemption), why, timeout)

    def accept(self, redemption: int, why: str = "acceptance", timeout: float = TIMEOUT_SECONDS) -> int:
        """Accept an agent's delivered task."""
        return self.act(Accept(redemption), why, timeout)

    def dispute(self, redemption: int, why: str, timeout: float = TIMEOUT_SECONDS) -> int:
        """Dispute an agent's delivered task within its seven days; an operator resolves it."""
        return self.act(Dispute(redemption), why, timeout)

    def issue(self, symbol: str, lots: int, why: str = "issue", timeout: float = TIMEOUT_SECONDS) -> int:
        """Issue, as a provider of an instrument, credits of it to oneself, within its capacity."""
        check_quantity(lots)
        instrument = self._session.instruments[symbol].symbol
        return self.act(Issue(instrument, lots, self._session.blotter.member), why, timeout)

    def record_usage(
        self, records: Sequence[UsageRecord], why: str = "usage", timeout: float = TIMEOUT_SECONDS
    ) -> int:
        """Redeem what members used of one's models: all of it or nothing; known ids are passed over."""
        return self.act(RecordUsage(tuple(records)), why, timeout)

    def withdraw(
        self, amount: Amount, reference: str, why: str = "withdrawal", timeout: float = TIMEOUT_SECONDS
    ) -> int:
        """Have free money paid out; sent again under its `reference` it is one withdrawal."""
        paid = hao_of(amount, "amount")
        return self.act(Withdraw(self._session.blotter.member, paid, reference), why, timeout)

    def transfer(
        self,
        target: str,
        amount: Amount,
        reference: str,
        *,
        instrument: str = "",
        why: str = "transfer",
        timeout: float = TIMEOUT_SECONDS,
    ) -> int:
        """Move free money, or with `instrument` so many free lots of it, to an account of one's own owner.

        Sent again under its `reference` it is one transfer.
        """
        if instrument:
            check_quantity(amount)
            moved, symbol = int(amount), self._session.instruments[instrument].symbol
        else:
            moved, symbol = hao_of(amount, "amount"), ""
        act = Transfer(self._session.blotter.member, target, symbol, moved, reference)
        return self.act(act, why, timeout)

    def settle_debt(
        self,
        programme: str,
        amount: Amount,
        why: str = "settlement",
        timeout: float = TIMEOUT_SECONDS,
    ) -> int:
        """Pay one's debt to a programme, or part of it, out of free money."""
        code = self._session.programmes[programme].code
        paid = hao_of(amount, "amount")
        return self.act(SettleDebt(self._session.blotter.member, code, paid), why, timeout)

    def _answer(self, asked: Asked[AnswerT], what: str, timeout: float) -> AnswerT:
        """Wait for the answer to a question, and return it."""
        try:
            done = self._link.wait_for(self._session, asked.is_done, deadline_after(timeout))
        finally:
            self._session.drop(asked)
        if not done or asked.lost:
            raise self._link.silence(what)
        return asked.result()


def is_done_once(act: Act) -> bool:
    """Tell whether an act may be sent again as it is: its reference, or its records' ids, are taken once."""
    return isinstance(act, RecordUsage) or getattr(act, "reference", "") != ""
