"""Acts about members applied: who is admitted, with which keys, who may trade, and what guards its orders."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from exchange.protocol.acts import (
    GUARD_SECONDS_MAX,
    Admit,
    Approve,
    BlockMember,
    CancelOrders,
    Guard,
    KeepIds,
    RegisterKey,
    RevokeKey,
    SetFees,
    SetLimits,
)
from exchange.protocol.curve import is_key
from exchange.registry import CALENDAR, KEYS_PER_MEMBER, REGIONS_MAX, SESSIONS
from exchange.reversal_decisions import ReversalDecision
from matching.layout import grown
from matching.vocabulary import EVERY, CommandKind, RejectReason, Role, Size
from settlement.balances import BASIS_POINTS, account_of
from settlement.classes import KINDS
from settlement.layout import HOUSE, MONEY
from settlement.terms import AMOUNT_MAX

MemberAct = (
    SetFees | Admit | RegisterKey | RevokeKey | BlockMember | SetLimits | Guard | CancelOrders | KeepIds
)

IDS_MOST = 2**20
"""Most client ids of a member that may be remembered: 128 MiB."""

_CAUSES = {
    "session_lost": RejectReason.SESSION_LOST,
    "dead_man": RejectReason.DEAD_MAN,
    "operator": RejectReason.CANCELLED_BY_OPERATOR,
}

_LIMITS = {
    "open_orders_max": 2**31 - 1,
    "quantity_max": AMOUNT_MAX,
    "notional_max": AMOUNT_MAX,
    "turnover_max": AMOUNT_MAX,
}
"""A member's limits, and how large each can be."""


class MemberDecision(ReversalDecision):
    """One act about members."""

    def apply_to_members(self, act: MemberAct) -> RejectReason:
        """Apply an act about who may trade, with which keys, and at what price."""
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
            case SetLimits():
                return self.set_limits(act)
            case Guard():
                return self.guard(act)
            case CancelOrders():
                return self.cancel_orders(act)
            case KeepIds():
                return self.keep_ids(act)
            case _:
                assert_never(act)

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
        if act.member in ("", CALENDAR, SESSIONS) or act.member in registry.member_numbers:
            return RejectReason.ALREADY_EXISTS
        if any(not 0 <= getattr(act, limit) <= most for limit, most in _LIMITS.items()):
            return RejectReason.TERMS_INVALID
        if act.role == "operator" and not self.is_approved():
            return self.refuse(RejectReason.TWO_PERSONS_NEEDED, f"admit operator {act.member}")
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
        """Let a public key speak for a member. An operator's key is given by itself or by two operators."""
        registry = self.registry
        number = registry.member_numbers.get(act.member, HOUSE)
        if number == HOUSE:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        if not is_key(act.public_key) or act.public_key in registry.keys:
            return self.refuse(RejectReason.KEY_INVALID, act.public_key)
        is_own = self.signed.who == act.member
        if registry.members[number].role == "operator" and not is_own and not self.is_approved():
            return self.refuse(RejectReason.TWO_PERSONS_NEEDED, f"key of operator {act.member}")
        if sum(holder == number for holder in registry.keys.values()) >= KEYS_PER_MEMBER:
            return self.refuse(RejectReason.KEYS_AT_LIMIT, act.member, KEYS_PER_MEMBER)
        registry.keys[act.public_key] = number
        registry.two_persons = registry.two_persons or len(self.operators_with_keys()) > 1
        return RejectReason.NONE

    def operators_with_keys(self) -> set[int]:
        """Return the persons behind the operators that can speak: an owner's accounts are one person."""
        registry = self.registry
        holders = set(registry.keys.values())
        return {registry.owner_of(one) for one in holders if registry.members[one].role == "operator"}

    def is_approved(self) -> bool:
        """Tell whether what makes somebody an operator may be done: two have decided it, or there are no two.

        From the moment on that two operators have keys, one alone makes no third, whatever is revoked later.
        """
        return isinstance(self.signed.act, Approve) or not self.registry.two_persons

    def revoke_key(self, act: RevokeKey) -> RejectReason:
        """Let a public key speak for nobody; with somebody's last one falls what that somebody has proposed.

        A key is revoked when it may be in wrong hands, and what these have proposed shall not stand.
        """
        registry = self.registry
        number = registry.keys.pop(act.public_key, None)
        if number is None:
            return self.refuse(RejectReason.KEY_INVALID, act.public_key)
        if number not in registry.keys.values():
            name = registry.members[number].member
            for proposal in [key for key, one in registry.proposals.items() if one.who == name]:
                del registry.proposals[proposal]
        return RejectReason.NONE

    def block(self, act: BlockMember) -> RejectReason:
        """Refuse a member's new orders, or take that back."""
        index = self.registry.member_numbers.get(act.member)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        self.core.ledger.members[index]["blocked"] = act.blocked
        return RejectReason.NONE

    def set_limits(self, act: SetLimits) -> RejectReason:
        """Set a member's limits for what it enters from now on; what is open stays."""
        index = self.registry.member_numbers.get(act.member, HOUSE)
        if index == HOUSE:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        told = {name: getattr(act, name) for name in _LIMITS if getattr(act, name) is not None}
        if not told:
            return self.refuse(RejectReason.TERMS_INVALID, "no limit; name at least one")
        for name, limit in told.items():
            if not 0 <= limit <= _LIMITS[name]:
                return self.refuse(RejectReason.TERMS_INVALID, f"{name}: {limit}; give 0 to {_LIMITS[name]}")
        self.registry.members[index] = replace(self.registry.members[index], **told)
        for name, limit in told.items():
            self.core.ledger.members[index][name] = limit
        return RejectReason.NONE

    def guard(self, act: Guard) -> RejectReason:
        """Note what takes a member's orders back, or that nothing does any more."""
        index = self.registry.member_numbers.get(act.member, HOUSE)
        if index == HOUSE:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        if not 0 <= act.seconds <= GUARD_SECONDS_MAX:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.seconds)
        if act.on_disconnect or act.seconds:
            self.registry.guards[index] = act
        else:
            self.registry.guards.pop(index, None)
        return RejectReason.NONE

    def cancel_orders(self, act: CancelOrders) -> RejectReason:
        """Cancel all of a member's orders that may be cancelled now."""
        index = self.registry.member_numbers.get(act.member, HOUSE)
        if index == HOUSE:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        self.cause = _CAUSES[act.cause]
        self.ask_book(CommandKind.MASS_CANCEL, EVERY)["member"] = index
        return RejectReason.NONE

    def keep_ids(self, act: KeepIds) -> RejectReason:
        """Set how many client ids of each member are remembered; what is remembered stays."""
        used = self.core.memory.used[0]
        if not used["ids_max"] <= act.per_member <= IDS_MOST:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.per_member)
        used["ids_max"] = act.per_member
        return RejectReason.NONE
