"""The twin's acts about members: whose key is whose, and who takes all of a member's orders back."""

from __future__ import annotations

from collections.abc import Callable

from exchange.protocol.acts import CancelOrders, Guard, KeepIds, RegisterKey, RevokeKey, SetLimits
from exchange.registry import SESSIONS
from matching.reference import Command, Event
from matching.vocabulary import BOTH_SIDES, EVERY, CommandKind, RejectReason, Role
from settlement.reference import ReferenceLedger
from settlement.reference_orders import must
from tests.engine.twin_money import MoneyAct, Moneys

MemberAct = RegisterKey | RevokeKey | Guard | CancelOrders | KeepIds | SetLimits
"""The acts about members that the twin judges; all others it does as the engine has."""

JudgedAct = MoneyAct | MemberAct

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

CAUSES = {
    "session_lost": RejectReason.SESSION_LOST,
    "dead_man": RejectReason.DEAD_MAN,
    "operator": RejectReason.CANCELLED_BY_OPERATOR,
}


class Members(Moneys):
    """Keys by their holder's name; what has guards is only judged, for nothing here falls silent."""

    ids_per_member: int

    def __init__(self, ledger: Callable[[], ReferenceLedger]) -> None:
        super().__init__(ledger)
        self.keys: dict[str, str] = {}
        self.two_persons = False

    def judge(self, act: JudgedAct, who: str) -> list[Event]:
        """Do an act that is judged here. Raises `Refused` if it may not be done."""
        match act:
            case RegisterKey():
                self.must_be(who, act.member)
                needs_two = self.two_persons and self.is_an_operator(act.member) and who != act.member
                self.register_key(act, needs_two=needs_two)
            case RevokeKey():
                self.must_be(who, *filter(None, [self.keys.get(act.public_key)]))
                self.revoke_key(act.public_key)
            case Guard():
                must(who == SESSIONS, RejectReason.ROLE_NOT_PERMITTED)
                self.customer(act.member)
                must(0 <= act.seconds <= 86_400, RejectReason.AMOUNT_OUT_OF_RANGE)
            case CancelOrders():
                return self.cancel_orders(act, who)
            case KeepIds():
                self.must_be_operator(who)
                is_more = self.ids_per_member <= act.per_member <= 2**20
                must(is_more, RejectReason.AMOUNT_OUT_OF_RANGE)
                self.keep_ids(act.per_member)
            case SetLimits():
                self.must_be_operator(who)
                self.set_limits(act)
            case _:
                return super().judge(act, who)
        return []

    def is_an_operator(self, name: str) -> bool:
        """Tell whether a member is an operator."""
        return name in self.names and self.ledger.members[self.names.index(name)].role == Role.OPERATOR

    def register_key(self, act: RegisterKey, *, needs_two: bool = False) -> None:
        """Let a key speak for a member; two operators with keys make a rule that stays."""
        self.customer(act.member)
        is_key = len(act.public_key) == 40 and all(one in Z85 for one in act.public_key)
        must(is_key and act.public_key not in self.keys, RejectReason.KEY_INVALID)
        must(not needs_two, RejectReason.TWO_PERSONS_NEEDED)
        must([*self.keys.values()].count(act.member) < 2, RejectReason.KEYS_AT_LIMIT)
        self.keys[act.public_key] = act.member
        self.two_persons |= len({*filter(self.is_an_operator, self.keys.values())}) == 2

    def revoke_key(self, key: str) -> None:
        """Let a key speak for nobody; with somebody's last one fall its proposals."""
        must(key in self.keys, RejectReason.KEY_INVALID)
        name = self.keys.pop(key)
        if name not in self.keys.values():
            self.proposals = {number: one for number, one in self.proposals.items() if one[0] != name}

    def cancel_orders(self, act: CancelOrders, who: str) -> list[Event]:
        """Cancel what a member has open, where the phase lets it go; its end tells why."""
        may = who == SESSIONS if act.cause != "operator" else who != SESSIONS and self.is_operator(who)
        must(may, RejectReason.ROLE_NOT_PERMITTED)
        member = self.customer(act.member)
        form = Command(kind=CommandKind.MASS_CANCEL, side=BOTH_SIDES, instrument=EVERY, member=member)
        return [event._replace(reason=CAUSES[act.cause]) for event in self.done([form])]

    def set_limits(self, act: SetLimits) -> None:
        """Set the limits of a member that are told; each can be as large as its number."""
        member = self.ledger.members[self.customer(act.member)]
        most = {"open_orders_max": 2**31 - 1}
        names = ("open_orders_max", "quantity_max", "notional_max", "turnover_max")
        told = {name: getattr(act, name) for name in names if getattr(act, name) is not None}
        must(bool(told), RejectReason.TERMS_INVALID)
        for name, limit in told.items():
            must(0 <= limit <= most.get(name, 2**60), RejectReason.TERMS_INVALID)
        for name, limit in told.items():
            setattr(member, name, limit)

    def keep_ids(self, per_member: int) -> None:
        """Remember more ids of each member."""
        raise NotImplementedError
