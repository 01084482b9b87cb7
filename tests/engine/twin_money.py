"""The twin's acts of money: names become numbers, and who may decide what is checked.

What is done then, and why it is refused, `settlement.reference` says. These acts the twin judges itself:
unlike those about trading it must refuse what the engine refuses, for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exchange.protocol.acts import (
    Accept,
    Adjust,
    Admit,
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
    Propose,
    Recall,
    RecordUsage,
    Redeem,
    RegisterKey,
    Resolve,
    ReviseProgramme,
    Reweight,
    SetState,
    SettleDebt,
    Transfer,
    TwoPersonsAct,
    UsageRecord,
    Withdraw,
)
from exchange.registry import CALENDAR
from matching.reference import Command, Event
from matching.vocabulary import EventKind, RejectReason, Role
from settlement.layout import HOUSE, MONEY
from settlement.reference import ReferenceLedger
from settlement.reference_orders import must
from settlement.reference_redemptions import Used
from tests.engine.twin_markets import Markets

MoneyAct = (
    Deposit
    | Withdraw
    | Transfer
    | Issue
    | Redeem
    | Recall
    | Deliver
    | Accept
    | Dispute
    | Resolve
    | CloseWindows
    | RecordUsage
    | ExpireCredits
    | CloseYear
    | FindRelated
    | FindIneligible
    | SettleDebt
    | Propose
    | Approve
    | ReviseProgramme
    | GrantAward
    | Bust
    | Adjust
    | Enrol
    | Reweight
)
"""The acts that the twin judges."""

TWO_PERSONS = (ReviseProgramme, GrantAward, Bust, Adjust, Reweight)

SECOND_NS = 10**9


class Moneys(Markets):
    """Acts of money, done as they were decided, or refused."""

    def __init__(self, ledger: Callable[[], ReferenceLedger]) -> None:
        super().__init__()
        self.ledger = ledger()
        self.names: list[str] = []
        self.symbols: list[str] = []
        self.groups: list[str] = []
        self.capacities: dict[str, int] = {}
        self.proposals: dict[int, tuple[str, TwoPersonsAct]] = {}
        self.merged: dict[str, str] = {}
        self.expired: set[int] = set()
        self.afterwards: Callable[[], None] | None = None

    def judge(self, act: MoneyAct, who: str) -> list[Event]:
        """Do an act of money; return what the book did for it. Raises `Refused` if it may not be done."""
        ledger = self.ledger
        if isinstance(act, TWO_PERSONS):
            self.must_be_operator(who)
            must(holds=False, reason=RejectReason.TWO_PERSONS_NEEDED)
        match act:
            case Propose():
                self.must_be_operator(who)
                self.proposals[ledger.sequence] = who, act.act
            case Approve():
                self.approve(act, who)
            case ExpireCredits():
                return self.expire(act, who)
            case FindIneligible():
                return self.find_ineligible(act, who)
            case Deposit() | Withdraw() | Transfer() | SettleDebt() | Issue():
                self.move(act, who)
            case Redeem() | Recall() | Deliver() | Accept() | Dispute() | Resolve():
                self.redeem(act, who)
            case CloseWindows():
                must(who == CALENDAR or self.is_operator(who), RejectReason.ROLE_NOT_PERMITTED)
                ledger.close_windows()
            case RecordUsage():
                self.record_usage(act, who)
            case CloseYear() | Enrol():
                self.change_programme(act, who)
            case FindRelated():
                self.must_be_operator(who)
                return self.find_related(act)
        return []

    def finish(self) -> None:
        """Do what has waited for the book to have done what the act asks of it."""
        if self.afterwards is not None:
            self.afterwards()
        self.afterwards = None

    # --- names and numbers ---------------------------------------------------------------------

    def member(self, name: str) -> int:
        """Return the number of somebody who may have something."""
        must(name in self.names, RejectReason.UNKNOWN_MEMBER)
        return self.names.index(name)

    def customer(self, name: str) -> int:
        """Return the number of a member that is not the house."""
        must(self.member(name) != HOUSE, RejectReason.UNKNOWN_MEMBER)
        return self.member(name)

    def instrument(self, symbol: str) -> int:
        """Return the number of an instrument."""
        must(symbol in self.symbols, RejectReason.UNKNOWN_INSTRUMENT)
        return self.symbols.index(symbol)

    def programme(self, code: str) -> int:
        """Return the number of a programme."""
        codes = [one.terms.code for one in self.ledger.programmes]
        must(code in codes, RejectReason.UNKNOWN_PROGRAMME)
        return codes.index(code)

    def asset(self, symbol: str) -> int:
        """Return the asset that a movement names: money where it names no instrument."""
        return self.instrument(symbol) + 1 if symbol else MONEY

    # --- who may decide ------------------------------------------------------------------------

    def is_operator(self, who: str) -> bool:
        """Tell whether somebody is an operator, or founds a venue that has none yet."""
        operators = [at for at, one in enumerate(self.ledger.members) if one.role == Role.OPERATOR]
        return not operators or (who in self.names and self.names.index(who) in operators)

    def must_be_operator(self, who: str) -> None:
        """Refuse what only operators decide."""
        must(self.is_operator(who), RejectReason.ROLE_NOT_PERMITTED)

    def must_be(self, who: str, *names: str) -> None:
        """Refuse what only these members and operators decide."""
        must(who in names or self.is_operator(who), RejectReason.ROLE_NOT_PERMITTED)

    def must_provide(self, who: str, instrument: int) -> None:
        """Refuse what only providers of an instrument and operators decide."""
        listing = self.ledger.listings[instrument]
        provides = who in self.names and listing.may_issue(self.names.index(who))
        must(provides or self.is_operator(who), RejectReason.ROLE_NOT_PERMITTED)

    # --- movements -----------------------------------------------------------------------------

    def move(self, act: Deposit | Withdraw | Transfer | SettleDebt | Issue, who: str) -> None:
        """Move money or credits of one member."""
        ledger = self.ledger
        match act:
            case Deposit():
                self.must_be_operator(who)
                ledger.deposit(self.customer(act.member), act.amount, act.reference)
            case Withdraw():
                self.must_be(who, act.member)
                ledger.withdraw(self.member(act.member), act.amount, act.reference)
            case SettleDebt():
                self.must_be(who, act.member)
                ledger.settle_debt(self.member(act.member), self.programme(act.programme), act.amount)
            case Transfer():
                source, target = self.member(act.source), self.member(act.target)
                self.must_be(who, act.source, self.names[ledger.owner_of(source)])
                ledger.transfer(source, target, self.asset(act.instrument), act.amount, act.reference)
            case Issue():
                self.issue(act, who)

    def issue(self, act: Issue, who: str) -> None:
        """Issue credits within the capacity."""
        instrument = self.instrument(act.instrument)
        listing = self.ledger.listings[instrument]
        provider = self.member(act.provider) if act.provider else listing.provider
        self.must_be(who, self.names[provider])
        must(listing.may_issue(provider), RejectReason.ROLE_NOT_PERMITTED)
        must(self.states[instrument] in ("listed", "suspended"), RejectReason.STATE_NOT_ALLOWED)
        must(act.lots > 0, RejectReason.AMOUNT_OUT_OF_RANGE)
        left = self.capacities.get(act.instrument, 0) - listing.issued
        must(act.lots <= left, RejectReason.CAPACITY_EXCEEDED)
        self.ledger.issue(instrument, act.lots, provider)

    # --- redemption ----------------------------------------------------------------------------

    def redeem(self, act: Redeem | Recall | Deliver | Accept | Dispute | Resolve, who: str) -> None:
        """Ask for a redemption, or do the next step of one."""
        ledger = self.ledger
        if isinstance(act, Redeem):
            self.must_be(who, act.member)
            ledger.redeem(self.member(act.member), self.instrument(act.instrument), act.lots, act.reference)
            return
        must(who in self.names, RejectReason.ROLE_NOT_PERMITTED)
        if isinstance(act, Resolve):
            self.must_be_operator(who)
        redemption = ledger.redemptions.get(act.redemption)
        must(redemption is not None, RejectReason.UNKNOWN_REDEMPTION)
        assert redemption is not None
        match act:
            case Deliver():
                self.must_provide(who, redemption.instrument)
                ledger.deliver(act.redemption)
            case Resolve():
                ledger.resolve(act.redemption, is_accepted=act.is_accepted)
            case _:
                self.must_be(who, self.names[redemption.member])
                does = {Recall: ledger.recall, Accept: ledger.accept, Dispute: ledger.dispute}
                does[type(act)](act.redemption)

    def record_usage(self, act: RecordUsage, who: str) -> None:
        """Redeem what was used."""
        must(who in self.names, RejectReason.ROLE_NOT_PERMITTED)
        for record in act.records:
            for instrument in self.ledger.of_meter(record.model)[:1]:
                self.must_provide(who, instrument)
        self.ledger.record_usage(self.used(record) for record in act.records)

    def used(self, record: UsageRecord) -> Used:
        """Return a record of usage in the ledger's numbers."""
        usage = record.usage
        member = self.member(record.member)
        must(bool(self.ledger.of_meter(record.model)), RejectReason.UNKNOWN_INSTRUMENT)
        return Used(
            record.id,
            member,
            record.model,
            record.created * SECOND_NS,
            usage.prompt_tokens,
            usage.prompt_tokens_details.cached_tokens,
            usage.completion_tokens,
        )

    def expire(self, act: ExpireCredits, who: str) -> list[Event]:
        """Let credits perish: first the instrument is retired, and with that its orders are cancelled."""
        must(who == CALENDAR or self.is_operator(who), RejectReason.ROLE_NOT_PERMITTED)
        instrument = self.instrument(act.instrument)
        self.ledger.must_be_over(instrument)
        self.afterwards = lambda: self.ledger.expire(instrument)
        if instrument in self.expired:
            return []
        self.expired.add(instrument)
        return self.done(self.asked_by_state(SetState(act.instrument, "retired")))

    def cancelled(self, orders: list[int], then: Callable[[], None]) -> list[Event]:
        """Cancel orders whatever the phase; what is to be done then waits for the events to be settled."""
        events: list[Event] = []
        for number in orders:
            events += self.book.end(self.book.open[number], EventKind.CANCELLED)
        self.afterwards = then
        return events

    def done(self, forms: Iterable[Command]) -> list[Event]:
        """Let the book do what is asked, one after the other, and what that triggers."""
        events = []
        for form in forms:
            events += [*self.book.do(form), *self.book.trigger()]
        return events

    # --- programmes and weights ----------------------------------------------------------------

    def change_programme(self, act: CloseYear | Enrol, who: str) -> None:
        """Close a programme's year; or enrol members, or withdraw that, as programme offices may too."""
        if isinstance(act, CloseYear):
            self.must_be_operator(who)
            self.ledger.close_year(self.programme(act.programme), self.ledger.time)
            return
        offices = [at for at, one in enumerate(self.ledger.members) if one.role == Role.PROGRAMME_OFFICE]
        self.must_be(who, *(self.names[at] for at in offices))
        programme = self.programme(act.programme)
        must(not self.ledger.programmes[programme].closed, RejectReason.PROGRAMME_CLOSED)
        must(len(act.members) > 0, RejectReason.TERMS_INVALID)
        members = {self.customer(name) for name in act.members}
        self.ledger.enrol(programme, members, enrolled=act.enrolled)

    def reweight(self, act: Reweight) -> None:
        """Give a suspended model other weights."""
        number = self.instrument(act.instrument)
        weights = (act.weight_input, act.weight_cached, act.weight_output)
        must(self.instruments[number].kind == "model", RejectReason.TERMS_INVALID)
        must(self.states[number] == "suspended", RejectReason.STATE_NOT_ALLOWED)
        must(all(0 <= weight <= 2**60 for weight in weights), RejectReason.TERMS_INVALID)
        self.ledger.listings[number].weights = weights

    # --- putting right -------------------------------------------------------------------------

    def approve(self, act: Approve, who: str) -> None:
        """Do what another operator has proposed."""
        self.must_be_operator(who)
        must(act.proposal in self.proposals, RejectReason.UNKNOWN_PROPOSAL)
        if not act.is_approved:
            del self.proposals[act.proposal]
            return
        proposer, proposed = self.proposals[act.proposal]
        must(proposer != who, RejectReason.TWO_PERSONS_NEEDED)
        ledger = self.ledger
        match proposed:
            case ReviseProgramme():
                ledger.revise(proposed.terms)
            case GrantAward():
                ledger.award(
                    self.programme(proposed.programme), self.member(proposed.member), proposed.amount
                )
            case Bust():
                ledger.bust(proposed.trade)
            case Adjust():
                ledger.adjust(
                    [
                        (self.member(line.member), self.asset(line.instrument), line.amount)
                        for line in proposed.lines
                    ]
                )
            case RegisterKey():
                self.register_key(proposed)
            case Reweight():
                self.reweight(proposed)
            case Admit():
                raise AssertionError("the flows propose nobody's admission")
        del self.proposals[act.proposal]

    def register_key(self, act: RegisterKey) -> None:
        """Let a key speak for a member."""
        raise NotImplementedError

    def find_related(self, act: FindRelated) -> list[Event]:
        """Let two groups be one, also in the book; orders that could not hold a hao more go first."""
        member, other = self.customer(act.member), self.customer(act.other)
        self.ledger.must_be_two_groups(member, other)
        orders = self.ledger.orders_concerned(member, other)
        return self.cancelled(orders, lambda: self.merge_groups(member, other))

    def merge_groups(self, member: int, other: int) -> None:
        """Let one group be another from now on."""
        ours, theirs = self.ledger.group_of(member), self.ledger.group_of(other)
        self.ledger.find_related(member, other)
        self.merged |= {theirs: ours} | {old: ours for old, new in self.merged.items() if new == theirs}
        self.group_of |= {order: ours for order, group in self.group_of.items() if group == theirs}
        for order in self.book.open.values():
            order.group = self.groups.index(self.ledger.group_of(order.member))

    def find_ineligible(self, act: FindIneligible, who: str) -> list[Event]:
        """Let a firm owe what a programme has paid it: its open orders that draw on it first."""
        self.must_be_operator(who)
        member, programme = self.customer(act.member), self.programme(act.programme)
        orders = self.ledger.bar(member, programme)
        return self.cancelled(orders, lambda: self.ledger.find_ineligible(member, programme))
