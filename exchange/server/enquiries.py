"""What members ask that changes nothing: who am I here, what have I, how is the venue."""

from __future__ import annotations

from exchange.engine import RULES_VERSION
from exchange.instruments import Instrument
from exchange.protocol.messages import (
    PROTOCOL_VERSION,
    Account,
    AskAccount,
    AskKeys,
    AskOrders,
    AskProposals,
    AskRedemptions,
    AskStatus,
    Balance,
    KeyHolder,
    Keys,
    ListedInstrument,
    ListedProgramme,
    Logon,
    Obligation,
    OpenRedemption,
    Orders,
    ProgrammeLeft,
    Proposal,
    Proposals,
    Redemptions,
    Refused,
    Status,
    Welcome,
)
from exchange.protocol.reasons import refused
from exchange.reports import open_orders
from exchange.server.sequencer import Sequencer
from matching.places import find
from matching.vocabulary import NO_SLOT, Phase, RejectReason
from settlement.classes import KINDS
from settlement.layout import MONEY
from settlement.programmes import is_barred, is_enrolled, is_excluded, usage_key

OVERSEERS = ("operator", "auditor")
"""The roles that see everybody's redemptions and keys, and what is proposed."""


class Enquiries:
    """Reads the engine, between batches."""

    def __init__(self, sequencer: Sequencer, started_at: int) -> None:
        self._sequencer = sequencer
        self._engine = sequencer.engine
        self._started_at = started_at

    def welcome(self, member: int, request: Logon, resumed: int, heartbeat_ms: int) -> Welcome:
        """Tell a member who it is, and the numbers by which records name what is traded.

        `resumed` is the sequence from which on it is told its reports.
        """
        engine = self._engine
        admitted = engine.registry.members[member]
        return Welcome(
            request=request.request,
            version=PROTOCOL_VERSION,
            member=admitted.member,
            role=admitted.role,
            size=admitted.size,
            regions=tuple(region for region in (admitted.region, *admitted.districts) if region),
            instruments=tuple(
                self._listed(index, listed) for index, listed in enumerate(engine.registry.instruments)
            ),
            programmes=self._programmes(),
            sequence=engine.sequence,
            time=engine.time,
            resumed=resumed,
            heartbeat_ms=heartbeat_ms,
        )

    def account(self, member: int, request: AskAccount) -> Account:
        """Return a member's balances, and what programmes still pay for its group."""
        engine = self._engine
        ledger = engine.core.ledger
        used = ledger.accounts[: int(ledger.totals[0]["accounts"])]
        rows = {int(row["asset"]): row for row in used[used["member"] == member]}
        money = rows.pop(MONEY)
        own = {asset: balance_of(row) for asset, row in rows.items()}
        symbols = [instrument.symbol for instrument in engine.registry.instruments]
        return Account(
            request=request.request,
            sequence=engine.sequence,
            money=balance_of(money),
            credits={
                symbols[asset - 1]: balance
                for asset, balance in sorted(own.items())
                if balance.available or balance.held or balance.restricted or balance.redeeming
            },
            programmes=tuple(self._left(index, member) for index in range(len(engine.registry.programmes))),
            debt=int(money["debt"]),
            obligations=tuple(
                Obligation(symbols[instrument], one.issued, one.redeemed, one.expired)
                for instrument, by_provider in sorted(engine.registry.obligations.items())
                if (one := by_provider.get(member)) is not None
            ),
        )

    def orders(self, member: int, request: AskOrders) -> Orders:
        """Return a member's open orders."""
        reports = open_orders(self._engine.core, member)
        return Orders(request.request, self._engine.sequence, reports.tobytes())

    def redemptions(self, member: int, request: AskRedemptions) -> Redemptions:
        """Return the open redemptions of a member, and those that it may deliver; all for who oversees."""
        registry = self._engine.registry
        admitted = registry.members[member]
        return Redemptions(
            request=request.request,
            sequence=self._engine.sequence,
            redemptions=tuple(
                OpenRedemption(
                    number=number,
                    member=registry.members[one.member].member,
                    instrument=registry.instruments[one.instrument].symbol,
                    lots=one.lots,
                    state=one.state,
                    reference=one.reference,
                    time=one.time,
                    until=one.until,
                )
                for number, one in sorted(registry.redemptions.items())
                if one.member == member
                or admitted.member in registry.instruments[one.instrument].providers
                or admitted.role in OVERSEERS
            ),
        )

    def proposals(self, member: int, request: AskProposals) -> Proposals | Refused:
        """Return what operators have proposed and none has approved; it is for them and for auditors."""
        registry = self._engine.registry
        admitted = registry.members[member]
        if admitted.role not in OVERSEERS:
            return refused(RejectReason.ROLE_NOT_PERMITTED, admitted.member, request.request)
        standing = sorted(registry.proposals.items())
        return Proposals(
            request.request,
            self._engine.sequence,
            tuple(Proposal(number, one.who, one.why, one.act) for number, one in standing),
        )

    def keys(self, member: int, request: AskKeys) -> Keys | Refused:
        """Return whose keys live: for who oversees everybody's, or those of one; for others their own."""
        registry = self._engine.registry
        admitted = registry.members[member]
        if request.member not in ("", *registry.member_numbers):
            return refused(RejectReason.UNKNOWN_MEMBER, request.member, request.request)
        if admitted.role in OVERSEERS:
            asked = range(1, len(registry.members))  # the first is the house, for which nobody speaks
            if request.member:
                asked = range(number := registry.member_numbers[request.member], number + 1)
        elif request.member in ("", admitted.member):
            asked = range(member, member + 1)
        else:
            return refused(RejectReason.ROLE_NOT_PERMITTED, admitted.member, request.request)
        keys: dict[int, list[str]] = {}
        for public_key, holder in registry.keys.items():
            keys.setdefault(holder, []).append(public_key)
        rows = self._engine.core.ledger.members
        return Keys(
            request.request,
            self._engine.sequence,
            tuple(
                KeyHolder(
                    admitted=registry.members[number],
                    group=registry.group_names[rows[number]["group"]],
                    is_blocked=bool(rows[number]["blocked"]),
                    public_keys=tuple(keys.get(number, ())),
                    open_orders=int(rows[number]["open_orders"]),
                    turnover=int(rows[number]["turnover"]),
                    enrolled=tuple(
                        registry.programmes[programme].code
                        for programme, members in registry.enrolled.items()
                        if number in members
                    ),
                )
                for number in asked
            ),
        )

    def status(self, request: AskStatus) -> Status:
        """Return how the venue is."""
        engine = self._engine
        return Status(
            request=request.request,
            sequence=engine.sequence,
            time=engine.time,
            started_at=self._started_at,
            members=len(engine.registry.members),
            instruments=len(engine.registry.instruments),
            open_orders=int(engine.core.book.counts[0]["open_orders"]),
            trades=int(engine.core.ledger.totals[0]["trades"]),
            journal_bytes=self._sequencer.journal.bytes_written,
            rules_version=RULES_VERSION,
            programmes=self._programmes(),
            calendar=engine.registry.calendar,
            collars=tuple(engine.registry.collars.values()),
        )

    def _listed(self, index: int, listed: Instrument) -> ListedInstrument:
        core = self._engine.core
        phase = Phase(int(core.book.markets[index]["phase"])).name.lower()
        fees = core.ledger.fees[KINDS.index(listed.kind)]
        return ListedInstrument(index, phase, listed, int(fees["maker"]), int(fees["taker"]))

    def _programmes(self) -> tuple[ListedProgramme, ...]:
        return tuple(
            ListedProgramme(
                index=row.index,
                code=row.programme,
                fiscal_year=row.fiscal_year,
                terms_version=row.terms_version,
                budget=row.budget,
                uncommitted=row.uncommitted,
                reserved=row.reserved,
                paid=row.paid,
                vested=row.vested,
                is_closed=bool(self._engine.core.ledger.programmes[row.index]["closed"]),
                terms=self._engine.registry.programmes[row.index],
            )
            for row in self._engine.programmes()
        )

    def _left(self, programme: int, member: int) -> ProgrammeLeft:
        """Return what one programme leaves to a member, whose group's caps count."""
        ledger = self._engine.core.ledger
        terms = self._engine.registry.programmes[programme]
        money, lots, measured = self._used(programme, int(ledger.members[member]["group"]))
        return ProgrammeLeft(
            code=terms.code,
            fiscal_year=terms.fiscal_year,
            cap_left=terms.group_cap - money,
            lots_left=terms.group_lots - lots if terms.group_lots else None,
            uncommitted=int(ledger.programmes[programme]["uncommitted"]),
            used=money,
            measured=measured,
            barred="" if (reason := self._barred(programme, member)) is None else reason.name.lower(),
        )

    def _used(self, programme: int, group: int) -> tuple[int, int, int]:
        """Return what a group has used of a programme: money, lots, and what is measured for an award."""
        ledger = self._engine.core.ledger
        slot = find(ledger.usage_places, usage_key(group, programme))
        if slot == NO_SLOT:
            return 0, 0, 0
        usage = ledger.usages[slot]
        return int(usage["money"]), int(usage["lots"]), int(usage["measured"])

    def _barred(self, programme: int, member: int) -> RejectReason | None:
        """Return why a programme gives a member nothing more, whatever it buys."""
        ledger = self._engine.core.ledger
        group = int(ledger.members[member]["group"])
        if ledger.programmes[programme]["closed"]:
            return RejectReason.PROGRAMME_CLOSED
        if ledger.groups[group]["debt"] > 0:
            return RejectReason.PROGRAMME_DEBT
        if is_barred(ledger, programme, member) or not is_enrolled(ledger, programme, member):
            return RejectReason.PROGRAMME_NOT_ELIGIBLE
        if is_excluded(ledger, programme, group):
            return RejectReason.PROGRAMME_EXCLUDED
        return None


def balance_of(row: object) -> Balance:
    """Return one account's row (dtype `ACCOUNT`) as the member is told it."""
    fields = ("available", "held", "restricted", "redeeming")
    return Balance(*(int(row[field]) for field in fields))  # type: ignore[index]
