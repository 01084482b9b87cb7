"""Acts applied: what an operator, a member or the venue decides, as changes of the engine's state.

Each function checks first and changes after, so that a refused act leaves nothing behind. This file sends
each to where it is done, and has what two operators decide.
"""

from __future__ import annotations

from typing import assert_never

from exchange.member_decisions import MemberDecision
from exchange.permissions import may_decide
from exchange.programme_decisions import ProgrammeDecision
from exchange.protocol.acts import (
    Accept,
    Act,
    Adjust,
    Admit,
    Approve,
    BlockMember,
    Bust,
    CancelOrders,
    CloseWindows,
    CloseYear,
    DefineProgramme,
    Deliver,
    Deposit,
    Dispute,
    Enrol,
    ExpireCredits,
    FindIneligible,
    FindRelated,
    GrantAward,
    Guard,
    Issue,
    KeepIds,
    Propose,
    Recall,
    RecordUsage,
    Redeem,
    RegisterKey,
    Resolve,
    ReviseProgramme,
    RevokeKey,
    Reweight,
    SetCapacity,
    SetFees,
    SetLimits,
    SettleDebt,
    Transfer,
    TwoPersonsAct,
    Withdraw,
)
from exchange.standing import PROPOSALS_MAX, Proposal
from exchange.transfer_decisions import TransferDecision
from exchange.usage_decisions import UsageDecision
from matching.vocabulary import NO_SLOT, RejectReason


class Decision(TransferDecision, UsageDecision, ProgrammeDecision, MemberDecision):
    """One act at its place in the journal, whatever it is about."""

    def apply(self) -> RejectReason:
        """Apply the act, or return why it is refused; then nothing has changed."""
        signed = self.signed
        if may_decide(self.registry, signed.who, signed.act):
            self.reason = self.apply_act(signed.act)
        else:
            self.reason = self.refuse(RejectReason.ROLE_NOT_PERMITTED, signed.who)
        return self.reason

    def apply_act(self, act: Act) -> RejectReason:
        """Apply an act whose signer may decide it."""
        match act:
            case SetFees() | Admit() | RegisterKey() | RevokeKey() | BlockMember():
                return self.apply_to_members(act)
            case SetLimits() | Guard() | CancelOrders() | KeepIds():
                return self.apply_to_members(act)
            case Propose():
                return self.propose(act)
            case Approve():
                return self.approve(act)
            case ReviseProgramme() | GrantAward() | Bust() | Adjust() | Reweight():
                return self.refuse(RejectReason.TWO_PERSONS_NEEDED, type(act).__name__)
            case Deposit() | Withdraw() | Transfer() | SetCapacity() | Issue():
                return self.apply_to_accounts(act)
            case Enrol():
                return self.enrol(act)
            case DefineProgramme() | CloseYear() | SettleDebt() | FindRelated() | FindIneligible():
                return self.apply_to_programmes(act)
            case Redeem() | Recall() | Deliver() | Accept() | Dispute() | Resolve():
                return self.apply_to_redemption(act)
            case CloseWindows() | RecordUsage() | ExpireCredits():
                return self.apply_to_credits(act)
            case _:
                return self.apply_to_market(act)

    def apply_to_accounts(self, act: Deposit | Withdraw | Transfer | SetCapacity | Issue) -> RejectReason:
        """Apply an act by which money or credits come, go or change hands."""
        match act:
            case Deposit():
                return self.deposit(act)
            case Withdraw():
                return self.withdraw(act)
            case Transfer():
                return self.transfer(act)
            case SetCapacity():
                return self.set_capacity(act)
            case Issue():
                return self.issue(act)
            case _:
                assert_never(act)

    def apply_to_programmes(
        self, act: DefineProgramme | CloseYear | SettleDebt | FindRelated | FindIneligible
    ) -> RejectReason:
        """Apply an act about programmes, and what members owe to them."""
        match act:
            case DefineProgramme():
                return self.define_programme(act)
            case CloseYear():
                return self.close_year(act)
            case SettleDebt():
                return self.settle_debt(act)
            case FindRelated():
                return self.find_related(act)
            case FindIneligible():
                return self.find_ineligible(act)
            case _:
                assert_never(act)

    def apply_to_redemption(
        self, act: Redeem | Recall | Deliver | Accept | Dispute | Resolve
    ) -> RejectReason:
        """Apply an act about one redemption."""
        match act:
            case Redeem():
                return self.redeem(act)
            case Recall():
                return self.recall(act)
            case Deliver():
                return self.deliver(act)
            case Accept():
                return self.accept(act)
            case Dispute():
                return self.dispute(act)
            case Resolve():
                return self.resolve(act)
            case _:
                assert_never(act)

    def apply_to_credits(self, act: CloseWindows | RecordUsage | ExpireCredits) -> RejectReason:
        """Apply an act that burns credits of many members."""
        match act:
            case CloseWindows():
                return self.close_windows()
            case RecordUsage():
                return self.record_usage(act)
            case ExpireCredits():
                return self.expire_credits(act)
            case _:
                assert_never(act)

    def finish(self) -> None:
        """Burn what has expired, and reckon what was found out, now that orders are cancelled."""
        act = self.signed.act
        if self.reason != RejectReason.NONE:
            return
        match act:
            case ExpireCredits():
                self.burn_expired(act)
            case FindRelated():
                self.reckon_related(act)
            case FindIneligible():
                self.reckon_ineligible(act)
            case _:
                pass

    # --- two persons ---------------------------------------------------------------------------

    def propose(self, act: Propose) -> RejectReason:
        """Let an act stand until another operator approves it; the oldest falls if there are too many."""
        proposals = self.registry.proposals
        proposals[self.sequence] = Proposal(self.signed.who, self.signed.why, act.act)
        if len(proposals) > PROPOSALS_MAX:
            del proposals[next(iter(proposals))]
        return RejectReason.NONE

    def approve(self, act: Approve) -> RejectReason:
        """Do what another operator has proposed, or drop it; if it is refused, the proposal still stands."""
        proposal = self.registry.proposals.get(act.proposal)
        if proposal is None:
            return self.refuse(RejectReason.UNKNOWN_PROPOSAL, act.proposal)
        if not act.is_approved:
            del self.registry.proposals[act.proposal]
            return RejectReason.NONE
        if self.is_same_person(proposal.who, self.signed.who):
            return self.refuse(RejectReason.TWO_PERSONS_NEEDED, self.signed.who)
        reason = self.apply_proposed(proposal)
        if reason == RejectReason.NONE:
            del self.registry.proposals[act.proposal]
        return reason

    def is_same_person(self, one: str, other: str) -> bool:
        """Tell whether two names are accounts of one owner."""
        numbers = self.registry.member_numbers
        first, second = numbers.get(one, NO_SLOT), numbers.get(other, NO_SLOT)
        return self.registry.owner_of(first) == self.registry.owner_of(second)

    def apply_proposed(self, proposal: Proposal) -> RejectReason:
        """Apply what two operators have decided."""
        act: TwoPersonsAct = proposal.act
        match act:
            case ReviseProgramme():
                return self.revise_programme(act)
            case GrantAward():
                return self.grant_award(act)
            case Bust():
                return self.bust(act, f"{proposal.who}, {self.signed.who}", proposal.why)
            case Adjust():
                return self.adjust(act)
            case Admit():
                return self.admit(act)
            case RegisterKey():
                return self.register_key(act)
            case Reweight():
                return self.reweight(act, f"{proposal.who}, {self.signed.who}", proposal.why)
            case _:
                assert_never(act)
