"""A venue with every sort of programme, and credits that perish: for the stories of money.

After each step what the postings add up to is compared with what everybody has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

from msgspec.structs import replace

from exchange.engine import ActResult, Outcome
from exchange.instruments import Instrument
from exchange.protocol.acts import (
    Act,
    Admit,
    Approve,
    DefineProgramme,
    Issue,
    ListInstruments,
    Propose,
    SetCapacity,
    TwoPersonsAct,
)
from matching.vocabulary import RejectReason
from settlement.layout import MONEY
from settlement.postings import PostingAccount, trade_postings
from settlement.rows import Happened
from settlement.terms import ProgrammeTerms, Rate
from tests.engine.market import (
    MONEY_EACH,
    NEW_YEAR,
    YEARS_END,
    Answer,
    Step,
    Venue,
    act_step,
    founding,
    instrument,
    rows_of,
)

WINTER = date(2026, 12, 31)
DAY_NS = 86_400 * 10**9

TASK = instrument("TASK", "agent", "YUN", 100, 1, domestic=True)
DEEP = replace(
    instrument("DEEP", "model", "YUN", 100, 1, domestic=True),
    weight_input=1_000,
    weight_cached=100,
    weight_output=4_000,
    also_provided_by="FAR",
)
DEEP_WINTER = replace(DEEP, symbol="DEEP-WINTER", expires=WINTER, redeemed_as="DEEP", also_provided_by="")
LISTED: tuple[Instrument, ...] = (TASK, DEEP, DEEP_WINTER)

ALL_FIRMS = (Rate(rate=5_000),)


def terms(code: str, **changed: Any) -> ProgrammeTerms:
    """Return terms that pay half of the price, up to the list price, for everybody."""
    plain = ProgrammeTerms(
        code=code,
        version=1,
        fiscal_year=2026,
        budget=100_000,
        rates=ALL_FIRMS,
        ceiling=0,
        order_cap=50_000,
        group_cap=60_000,
        valid_from=NEW_YEAR,
        valid_through=YEARS_END,
    )
    return replace(plain, **changed)


DEDUCT = terms("DEDUCT")
KEPT = terms("KEPT", unredeemed="paid")
REPAY = terms("REPAY", payout="reimburse")
POOL = terms("POOL", payout="reimburse", exhaustion="pro_rata", budget=1_000)
AWARD = terms("AWARD", payout="award", rates=(Rate(rate=1_000, kinds=("model",)),), group_cap=600)
PROGRAMMES = (DEDUCT, KEPT, REPAY, POOL, AWARD)

MORE: tuple[Act, ...] = (
    Admit(member="SECOND", role="operator"),
    Admit(member="ANN-2", role="firm", size="micro", region="HANGZHOU", owner="ANN"),
    ListInstruments(LISTED),
    *(SetCapacity(one.symbol, 10**9) for one in LISTED),
    *(Issue(one.symbol, 1_000) for one in LISTED),
    *(DefineProgramme(one) for one in PROGRAMMES),
)


class MoneyVenue(Venue):
    """A venue that remembers what its acts have brought, and adds up every posting."""

    def __init__(self, acts: Iterable[Act] = (*founding(), *MORE)) -> None:
        self.posted: Counter[tuple[int, int, int]] = Counter()
        self.brought = Happened()
        super().__init__(acts=acts)

    def play(self, *steps: Step) -> Outcome:
        outcome = super().play(*steps)
        self.brought = outcome.happened
        names = {account.name.lower(): account for account in PostingAccount}
        for row in outcome.happened.postings:
            account = names[row.account.partition(":")[0]]
            self.posted[account, row.member, row.asset] += row.amount
        columns = trade_postings(outcome.events, outcome.effects)
        told = (columns[name].tolist() for name in ("account", "member", "asset", "amount"))
        for account, member, asset, amount in zip(*told, strict=True):
            self.posted[account, member, asset] += amount
        assert self.balances() == self.owned()
        return outcome

    def owned(self) -> dict[tuple[int, int, int], int]:
        """Return what members have by the postings, where that is not nothing."""
        house = (PostingAccount.FEES, PostingAccount.OUTSIDE, PostingAccount.PROGRAMME, PostingAccount.CLAIMS)
        return {key: amount for key, amount in self.posted.items() if amount and key[0] not in house}

    def balances(self) -> dict[tuple[int, int, int], int]:
        """Return what members have in memory, where that is not nothing."""
        owned = {}
        for (member, asset), one in self.stand().balances.items():
            owned[PostingAccount.FREE, member, asset] = one.available + one.held
            owned[PostingAccount.RESTRICTED, member, asset] = one.restricted
            owned[PostingAccount.REDEEMING, member, asset] = one.redeeming
            owned[PostingAccount.DEBT, member, asset] = -one.debt
        return {key: amount for key, amount in owned.items() if amount}

    # --- acting ---

    def act(self, act: Act, who: str = "OPERATOR") -> ActResult:
        """Let somebody decide; return what became of it."""
        self.time += 1
        return self.play(act_step(act, self.time, who)).acts[0]

    def refused(self, act: Act, who: str = "OPERATOR") -> RejectReason:
        """Let somebody decide what is refused; return why. Nothing has changed."""
        before, entries = self.stand(), self.brought
        reason = self.act(act, who).reason
        assert reason != RejectReason.NONE
        assert (self.stand(), self.brought) == (before, Happened()), entries
        return reason

    def done(self, act: Act, who: str = "OPERATOR") -> int:
        """Let somebody decide what is done; return the sequence with which it is answered."""
        result = self.act(act, who)
        assert (result.reason, result.value) == (RejectReason.NONE, "")
        return result.answered

    def told(self, act: Act, who: str = "OPERATOR") -> Answer:
        """Let somebody decide what the book takes part in; return what is said of it."""
        self.time += 1
        outcome = self.play(act_step(act, self.time, who))
        assert outcome.acts[0].reason == RejectReason.NONE
        return Answer(rows_of(outcome.events, outcome.effects))

    def two(self, act: TwoPersonsAct) -> RejectReason:
        """Let one operator propose and another approve; return why it is refused, or NONE."""
        return self.act(Approve(self.done(Propose(act))), "SECOND").reason

    def bought(self, member: str, lots: int, symbol: str, price: int, programme: str | None = None) -> int:
        """Let a member buy from the provider; return the trade's number."""
        self.sell("YUN", lots, symbol, price)
        (trade,) = self.buy(member, lots, symbol, price, last="day", programme=programme).trades
        return trade.trade

    # --- looking ---

    def debt(self, member: str) -> int:
        """Return what a member owes."""
        return int(self.money(member).debt)

    def gained(self, member: str) -> int:
        """Return what a member has more than it was given."""
        balance = self.money(member)
        return balance.available + balance.held - MONEY_EACH

    def paid_to(self, member: str, reason: str) -> list[int]:
        """Return the legs that the last step has brought a member."""
        number = self.member(member)
        return [leg.amount for leg in self.brought.legs if (leg.member, leg.reason) == (number, reason)]

    def entries(self) -> list[tuple[str, str, int]]:
        """Return (reason, account, amount) of what the last step has posted in money."""
        rows = self.brought.postings
        return [(row.reason, row.account, row.amount) for row in rows if row.asset == MONEY]
