"""What members ask that changes nothing: who am I here, what have I, how is the venue."""

from __future__ import annotations

from exchange.engine import RULES_VERSION
from exchange.protocol.messages import (
    PROTOCOL_VERSION,
    Account,
    AskAccount,
    AskOrders,
    AskStatus,
    Balance,
    ListedInstrument,
    ListedProgramme,
    Logon,
    Orders,
    ProgrammeLeft,
    Status,
    Welcome,
)
from exchange.reports import open_orders
from exchange.server.sequencer import Sequencer
from matching.places import find
from matching.vocabulary import NO_SLOT, Phase
from settlement.layout import MONEY
from settlement.programmes import usage_key


class Enquiries:
    """Reads the engine, between batches."""

    def __init__(self, sequencer: Sequencer, started_at: int) -> None:
        self._sequencer = sequencer
        self._engine = sequencer.engine
        self._started_at = started_at

    def welcome(self, member: int, request: Logon) -> Welcome:
        """Tell a member who it is, and the numbers by which records name what is traded."""
        engine = self._engine
        admitted = engine.registry.members[member]
        return Welcome(
            request=request.request,
            version=PROTOCOL_VERSION,
            member=admitted.member,
            role=admitted.role,
            instruments=tuple(
                ListedInstrument(
                    index, Phase(int(engine.core.book.markets[index]["phase"])).name.lower(), listed
                )
                for index, listed in enumerate(engine.registry.instruments)
            ),
            programmes=self._programmes(),
            sequence=engine.sequence,
            time=engine.time,
        )

    def account(self, member: int, request: AskAccount) -> Account:
        """Return a member's balances, and what programmes still pay for its group."""
        engine = self._engine
        ledger = engine.core.ledger
        used = ledger.accounts[: int(ledger.totals[0]["accounts"])]
        own = {int(row["asset"]): balance_of(row) for row in used[used["member"] == member]}
        symbols = [instrument.symbol for instrument in engine.registry.instruments]
        return Account(
            request=request.request,
            sequence=engine.sequence,
            money=own.pop(MONEY),
            credits={
                symbols[asset - 1]: balance
                for asset, balance in sorted(own.items())
                if balance.available or balance.held or balance.restricted
            },
            programmes=tuple(
                self._left(index, int(ledger.members[member]["group"]))
                for index in range(len(engine.registry.programmes))
            ),
        )

    def orders(self, member: int, request: AskOrders) -> Orders:
        """Return a member's open orders."""
        reports = open_orders(self._engine.core, member)
        return Orders(request.request, self._engine.sequence, reports.tobytes())

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
        )

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
            )
            for row in self._engine.programmes()
        )

    def _left(self, programme: int, group: int) -> ProgrammeLeft:
        """Return what the caps of one programme leave to one group."""
        ledger = self._engine.core.ledger
        terms = self._engine.registry.programmes[programme]
        usage = find(ledger.usage_places, usage_key(group, programme))
        money = 0 if usage == NO_SLOT else int(ledger.usages[usage]["money"])
        lots = 0 if usage == NO_SLOT else int(ledger.usages[usage]["lots"])
        return ProgrammeLeft(
            code=terms.code,
            fiscal_year=terms.fiscal_year,
            cap_left=terms.group_cap - money,
            lots_left=terms.group_lots - lots if terms.group_lots else None,
            uncommitted=int(ledger.programmes[programme]["uncommitted"]),
        )


def balance_of(row: object) -> Balance:
    """Return one account's row (dtype `ACCOUNT`) as the member is told it."""
    return Balance(int(row["available"]), int(row["held"]), int(row["restricted"]))  # type: ignore[index]
