"""Acts applied: what an operator, a member or the venue decides, as changes of the engine's state.

Each function checks first and changes after, so that a refused act leaves nothing behind. This file has the
acts about members, and sends all others to where they are done.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

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
    CloseWindows,
    CloseYear,
    DefineProgramme,
    Deliver,
    Deposit,
    Dispute,
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
    RevokeKey,
    SetCapacity,
    SetFees,
    SettleDebt,
    Transfer,
    TwoPersonsAct,
    Withdraw,
)
from exchange.registry import CALENDAR, REGIONS_MAX
from exchange.reversal_decisions import ReversalDecision
from exchange.standing import PROPOSALS_MAX, Proposal
from exchange.transfer_decisions import TransferDecision
from exchange.usage_decisions import UsageDecision
from matching.layout import grown
from matching.vocabulary import NO_SLOT, RejectReason, Role, Size
from settlement.balances import BASIS_POINTS, account_of
from settlement.classes import KINDS
from settlement.layout import MONEY
from settlement.terms import AMOUNT_MAX

_PUBLIC_KEY_CHARACTERS = 40
_Z85 = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#")

_LIMITS = {
    "open_orders_max": 2**31 - 1,
    "quantity_max": AMOUNT_MAX,
    "notional_max": AMOUNT_MAX,
    "turnover_max": AMOUNT_MAX,
}
"""A member's limits, and how large each can be."""


class Decision(TransferDecision, UsageDecision, ProgrammeDecision, ReversalDecision):
    """One act at its place in the journal: those about members, and all of them."""

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
            case Propose():
                return self.propose(act)
            case Approve():
                return self.approve(act)
            case ReviseProgramme() | GrantAward() | Bust() | Adjust():
                return self.refuse(RejectReason.TWO_PERSONS_NEEDED, type(act).__name__)
            case Deposit() | Withdraw() | Transfer() | SetCapacity() | Issue():
                return self.apply_to_accounts(act)
            case DefineProgramme() | CloseYear() | SettleDebt() | FindRelated() | FindIneligible():
                return self.apply_to_programmes(act)
            case Redeem() | Recall() | Deliver() | Accept() | Dispute() | Resolve():
                return self.apply_to_redemption(act)
            case CloseWindows() | RecordUsage() | ExpireCredits():
                return self.apply_to_credits(act)
            case _:
                return self.apply_to_market(act)

    def apply_to_members(self, act: SetFees | Admit | RegisterKey | RevokeKey | BlockMember) -> RejectReason:
        """Apply an act about who may trade, and what that costs."""
        match act:
            case SetFees():
                return self.set_fees(act)
            case Admit():
                return self.admit(act)
            case RegisterKey():
                return self.register_key(act)
            case RevokeKey():
                return self.revoke_key(act)
            case BlockMember():
                return self.block(act)
            case _:
                assert_never(act)

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
            case _:
                assert_never(act)

    # --- members -------------------------------------------------------------------------------

    def set_fees(self, act: SetFees) -> RejectReason:
        """Set the fees of one kind of instrument, for orders entered from now on."""
        if not (0 <= act.maker <= BASIS_POINTS and 0 <= act.taker <= BASIS_POINTS):
            return RejectReason.TERMS_INVALID
        row = self.core.ledger.fees[KINDS.index(act.kind)]
        row["maker"] = act.maker
        row["taker"] = act.taker
        return RejectReason.NONE

    def admit(self, act: Admit) -> RejectReason:
        """Give a member its number, its group and its money account."""
        registry = self.registry
        if act.member in ("", CALENDAR) or act.member in registry.member_numbers:
            return RejectReason.ALREADY_EXISTS
        if any(not 0 <= getattr(act, limit) <= most for limit, most in _LIMITS.items()):
            return RejectReason.TERMS_INVALID
        regions = (act.region, *act.districts)
        if len(set(registry.regions) | set(regions)) > REGIONS_MAX:
            return self.refuse(RejectReason.CAPACITY_EXCEEDED, ", ".join(regions), REGIONS_MAX)
        reason = self.owner_fault(act)
        if reason != RejectReason.NONE:
            return reason
        if act.owner:
            owner = registry.members[registry.member_numbers[act.owner]]
            act = replace(act, size=owner.size, region=owner.region, districts=owner.districts)
        index = registry.add_member(act)
        if act.owner:
            registry.owners[index] = registry.member_numbers[act.owner]
            group = self.group_of(registry.owners[index])
        else:
            group = registry.group_number(act.group or act.member)
        self.make_member(index, group, act)
        self.tell_member(index)
        return RejectReason.NONE

    def owner_fault(self, act: Admit) -> RejectReason:
        """Return why a member cannot be a second account of the owner that it names, or NONE."""
        registry = self.registry
        owner = registry.member_numbers.get(act.owner)
        if not act.owner:
            return RejectReason.NONE
        if owner is None:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.owner)
        if owner in registry.owners:
            return self.refuse(RejectReason.TERMS_INVALID, f"owner: {act.owner} is a second account itself")
        if act.group and registry.groups.get(act.group) != self.group_of(owner):
            return self.refuse(
                RejectReason.TERMS_INVALID, f"group: {act.group} is not the owner's; leave it out"
            )
        return RejectReason.NONE

    def make_member(self, index: int, group: int, act: Admit) -> None:
        """Write a new member's row, and open its money account."""
        ledger, memory = self.core.ledger, self.core.memory
        self.core = self.core._replace(
            ledger=ledger._replace(
                members=grown(ledger.members, index + 1), groups=grown(ledger.groups, group + 1)
            ),
            memory=memory._replace(recalls=grown(memory.recalls, index + 1)),
        )
        ledger = self.core.ledger
        ledger.totals["members"] = index + 1
        ledger.totals["groups"] = len(self.registry.group_names)
        member = ledger.members[index]
        member["group"] = group
        member["regions"] = self.registry.regions_mask((act.region, *act.districts))
        member["role"] = Role[act.role.upper()] if index else Role.HOUSE
        member["firm_size"] = Size[act.size.upper()]
        member["domestic_only"] = act.domestic_only
        for limit in _LIMITS:
            member[limit] = getattr(act, limit)
        member["money"] = account_of(ledger, index, MONEY)

    def register_key(self, act: RegisterKey) -> RejectReason:
        """Let a public key speak for a member."""
        if act.member not in self.registry.member_numbers:
            return RejectReason.UNKNOWN_MEMBER
        is_key = len(act.public_key) == _PUBLIC_KEY_CHARACTERS and set(act.public_key) <= _Z85
        if not is_key or act.public_key in self.registry.keys:
            return RejectReason.KEY_INVALID
        self.registry.keys[act.public_key] = self.registry.member_numbers[act.member]
        return RejectReason.NONE

    def revoke_key(self, act: RevokeKey) -> RejectReason:
        """Let a public key speak for nobody."""
        if act.public_key not in self.registry.keys:
            return RejectReason.KEY_INVALID
        del self.registry.keys[act.public_key]
        return RejectReason.NONE

    def block(self, act: BlockMember) -> RejectReason:
        """Refuse a member's new orders, or take that back."""
        index = self.registry.member_numbers.get(act.member)
        if index is None:
            return RejectReason.UNKNOWN_MEMBER
        self.core.ledger.members[index]["blocked"] = act.blocked
        return RejectReason.NONE
