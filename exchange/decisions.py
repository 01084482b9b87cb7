"""Acts applied: what an operator or the venue decides, as changes of the engine's state.

Each function checks first and changes after, so that a refused act leaves nothing behind.
"""

from __future__ import annotations

from exchange.instruments import State
from exchange.market_decisions import MarketDecision
from exchange.protocol.acts import (
    Admit,
    BlockMember,
    DefineProgramme,
    Deposit,
    Issue,
    RegisterKey,
    RevokeKey,
    SetCapacity,
    SetFees,
)
from exchange.registry import CALENDAR, REGIONS_MAX
from matching.layout import Row, grown
from matching.vocabulary import RejectReason, Role, Size
from settlement.balances import BASIS_POINTS, account_of
from settlement.classes import KINDS, RATES
from settlement.layout import HOUSE, MONEY
from settlement.rows import MemberRow, Posting
from settlement.terms import AMOUNT_MAX

MONEY_MAX = 2**62
"""Most money, in hao, that may ever be brought in: 460 trillion yuan. Balances, holds and sums of them
then stay within int64, whoever holds it."""

ISSUABLE: tuple[State, ...] = ("listed", "suspended")
"""The states in which credits are issued: later nobody could buy them, before there is nothing to issue."""

_PUBLIC_KEY_CHARACTERS = 40
_Z85 = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#")

_LIMITS = ("open_orders_max", "quantity_max", "notional_max", "turnover_max")


class Decision(MarketDecision):
    """One act at its place in the journal: those about members, money and programmes, and all of them."""

    def apply(self) -> RejectReason:
        """Apply the act, or return why it is refused; then nothing has changed."""
        act = self.signed.act
        match act:
            case SetFees():
                self.reason = self.set_fees(act)
            case Admit():
                self.reason = self.admit(act)
            case RegisterKey():
                self.reason = self.register_key(act)
            case RevokeKey():
                self.reason = self.revoke_key(act)
            case DefineProgramme():
                self.reason = self.define_programme(act)
            case Deposit():
                self.reason = self.deposit(act)
            case SetCapacity():
                self.reason = self.set_capacity(act)
            case Issue():
                self.reason = self.issue(act)
            case BlockMember():
                self.reason = self.block(act)
            case _:
                self.reason = self.apply_to_market(act)
        return self.reason

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
        if any(not 0 <= getattr(act, limit) <= AMOUNT_MAX for limit in _LIMITS):
            return RejectReason.TERMS_INVALID
        if act.region not in registry.regions and len(registry.regions) >= REGIONS_MAX:
            return RejectReason.CAPACITY_EXCEEDED
        ledger, memory = self.core.ledger, self.core.memory
        index = registry.add_member(act)
        self.core = self.core._replace(
            ledger=ledger._replace(members=grown(ledger.members, index + 1)),
            memory=memory._replace(recalls=grown(memory.recalls, index + 1)),
        )
        self.core.ledger.totals["members"] = index + 1
        member = self.core.ledger.members[index]
        member["group"] = registry.group_number(act.group or act.member)
        member["region"] = registry.region_number(act.region)
        member["role"] = Role[act.role.upper()] if index else Role.HOUSE
        member["firm_size"] = Size[act.size.upper()]
        member["domestic_only"] = act.domestic_only
        for limit in _LIMITS:
            member[limit] = getattr(act, limit)
        member["money"] = account_of(self.core.ledger, index, MONEY)
        self.members.append(
            MemberRow(
                sequence=self.sequence,
                index=index,
                member=act.member,
                group_name=act.group or act.member,
                size=act.size,
                region=act.region,
                role=act.role if index else "house",
            )
        )
        return RejectReason.NONE

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

    def define_programme(self, act: DefineProgramme) -> RejectReason:
        """Open a programme with its whole budget uncommitted, paid in by its office."""
        terms, registry = act.terms, self.registry
        if terms.code in registry.programme_numbers:
            return RejectReason.ALREADY_EXISTS
        if terms.fault():
            return RejectReason.TERMS_INVALID
        if not self.may_bring_in(terms.budget):
            return RejectReason.AMOUNT_OUT_OF_RANGE
        if len(set(registry.regions) | set(terms.regions)) > REGIONS_MAX:
            return RejectReason.CAPACITY_EXCEEDED
        index = registry.add_programme(terms)
        ledger = self.core.ledger
        self.core = self.core._replace(
            ledger=ledger._replace(
                programmes=grown(ledger.programmes, index + 1),
                rates=grown(ledger.rates, RATES * (index + 1)),
            )
        )
        self.core.ledger.totals["programmes"] = index + 1
        self.core.ledger.totals["brought_in"] += terms.budget
        programme = self.core.ledger.programmes[index]
        for field in ("budget", "ceiling", "order_cap", "group_cap", "order_lots", "group_lots"):
            programme[field] = getattr(terms, field)
        programme["uncommitted"] = terms.budget
        programme["valid_from"], programme["valid_until"] = terms.valid_ns()
        programme["regions"] = sum(1 << registry.region_number(name) for name in dict.fromkeys(terms.regions))
        programme["fiscal_year"] = terms.fiscal_year
        programme["terms_version"] = terms.version
        self.core.ledger.rates[RATES * index : RATES * (index + 1)] = terms.rate_table()
        account = f"programme:{terms.code}"
        self.post("fund", (HOUSE, account, MONEY, terms.budget), (HOUSE, "outside", MONEY, -terms.budget))
        return RejectReason.NONE

    def deposit(self, act: Deposit) -> RejectReason:
        """Add money that a member has paid in to what it may spend."""
        if act.member not in self.registry.member_numbers:
            return RejectReason.UNKNOWN_MEMBER
        if not 0 < act.amount <= AMOUNT_MAX or not self.may_bring_in(act.amount):
            return RejectReason.AMOUNT_OUT_OF_RANGE
        self.money_of(self.registry.member_numbers[act.member])["available"] += act.amount
        self.core.ledger.totals["brought_in"] += act.amount
        member = self.registry.member_numbers[act.member]
        self.post("deposit", (member, "free", MONEY, act.amount), (HOUSE, "outside", MONEY, -act.amount))
        return RejectReason.NONE

    def may_bring_in(self, amount: int) -> bool:
        """Tell whether the ledger can hold so much money more: no balance then leaves int64."""
        return amount <= MONEY_MAX - int(self.core.ledger.totals[0]["brought_in"])

    def money_of(self, member: int) -> Row:
        """Return the row of a member's money account."""
        row: Row = self.core.ledger.accounts[self.core.ledger.members[member]["money"]]
        return row

    def set_capacity(self, act: SetCapacity) -> RejectReason:
        """Set how much credit may be issued of an instrument; never below what was issued."""
        index = self.registry.instrument_numbers.get(act.instrument)
        if index is None:
            return RejectReason.UNKNOWN_INSTRUMENT
        listing = self.core.ledger.listings[index]
        if not int(listing["issued"]) <= act.lots <= AMOUNT_MAX:
            return RejectReason.CAPACITY_EXCEEDED
        listing["capacity"] = act.lots
        return RejectReason.NONE

    def issue(self, act: Issue) -> RejectReason:
        """Make credits of an instrument for its provider, who owes them from now on."""
        index = self.registry.instrument_numbers.get(act.instrument)
        if index is None:
            return RejectReason.UNKNOWN_INSTRUMENT
        if self.registry.instruments[index].state not in ISSUABLE:
            return RejectReason.STATE_NOT_ALLOWED
        if act.lots <= 0:
            return RejectReason.AMOUNT_OUT_OF_RANGE
        listing = self.core.ledger.listings[index]
        if act.lots > int(listing["capacity"]) - int(listing["issued"]):
            return RejectReason.CAPACITY_EXCEEDED
        listing["issued"] += act.lots
        provider = int(listing["provider"])
        slot = account_of(self.core.ledger, provider, index + 1)
        self.core.ledger.accounts[slot]["available"] += act.lots
        asset = index + 1
        self.post("issue", (provider, "free", asset, act.lots), (HOUSE, "outside", asset, -act.lots))
        return RejectReason.NONE

    def block(self, act: BlockMember) -> RejectReason:
        """Refuse a member's new orders, or take that back."""
        index = self.registry.member_numbers.get(act.member)
        if index is None:
            return RejectReason.UNKNOWN_MEMBER
        self.core.ledger.members[index]["blocked"] = act.blocked
        return RejectReason.NONE

    def post(self, reason: str, *lines: tuple[int, str, int, int]) -> None:
        """Book one entry whose lines (member, account, asset, amount) sum to zero, asset by asset."""
        totals = self.core.ledger.totals
        totals["entries"] += 1
        assert sum(amount for _, _, _, amount in lines) == 0, f"entry {reason} does not balance"
        entry = int(totals["entries"][0])
        self.postings += [
            Posting(entry, self.sequence, self.time, member, account, asset, amount, reason)
            for member, account, asset, amount in lines
        ]
