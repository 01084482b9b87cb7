"""Acts of redemption: credits are asked for, delivered, disputed and burned, or perish at their day's end."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from exchange.calendar import day_of
from exchange.money_decisions import MEASURED_MAX, MoneyDecision
from exchange.protocol.acts import (
    Accept,
    Deliver,
    Dispute,
    ExpireCredits,
    Recall,
    Redeem,
    Resolve,
)
from exchange.standing import WINDOW_NS, Redemption
from matching.vocabulary import RejectReason
from settlement.layout import HOUSE
from settlement.programmes import is_own, rate_for
from settlement.redeeming import Taken, pass_over_spent, redeem_lots, redeemable, take_lots
from settlement.reversing import perish
from settlement.rows import RedemptionRow, RedemptionState


class RedemptionDecision(MoneyDecision):
    """An act by which credits are used up, or come back unused."""

    # --- what is asked for ---------------------------------------------------------------------

    def redeem(self, act: Redeem) -> RejectReason:
        """Set lots aside, until the provider has delivered what they stand for."""
        registry = self.registry
        member = registry.member_numbers.get(act.member)
        if member is None:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        index = registry.instrument_numbers.get(act.instrument)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, act.instrument)
        if self.is_done(member, act):
            return RejectReason.NONE
        reason = self.reference_fault(member, act.reference)
        if reason != RejectReason.NONE:
            return reason
        if act.lots <= 0:
            return self.refuse(RejectReason.AMOUNT_OUT_OF_RANGE, act.lots)
        if self.time >= registry.perishes_at(index):
            return self.refuse(RejectReason.STATE_NOT_ALLOWED, f"{act.instrument}: expired")
        if self.redeemable(member, index) < act.lots:
            return self.refuse(RejectReason.CREDITS_NOT_AVAILABLE, act.lots, self.redeemable(member, index))
        self.note_reference(member, act)
        taken = self.take(member, index, act.lots)
        for parcel, lots in taken.parts:
            registry.aside[parcel] = registry.aside.get(parcel, 0) + lots
        self.core.ledger.accounts[self.account_slot(member, index + 1)]["redeeming"] += act.lots
        self.post_taken("redeem", member, index, taken, (member, "redeeming", index + 1, act.lots))
        redemption = Redemption(self.sequence, member, index, act.lots, taken.parts, act.reference, self.time)
        registry.redemptions[self.sequence] = redemption
        self.tell_redemption(redemption, "requested")
        return RejectReason.NONE

    def recall(self, act: Recall) -> RejectReason:
        """Take a redemption back that is not delivered."""
        redemption, reason = self.open_in(act.redemption, "requested")
        if redemption is not None:
            self.give_back(redemption)
        return reason

    def deliver(self, act: Deliver) -> RejectReason:
        """Confirm what was delivered; an agent's task waits for its firm."""
        redemption, reason = self.open_in(act.redemption, "requested")
        if redemption is not None:
            if self.registry.instruments[redemption.instrument].kind == "agent":
                redemption.until = self.time + WINDOW_NS
                self.change(redemption, "delivered")
            else:
                self.confirm(redemption)
        return reason

    def accept(self, act: Accept) -> RejectReason:
        """Accept a delivered task."""
        redemption, reason = self.open_in(act.redemption, "delivered")
        if redemption is not None:
            self.confirm(redemption)
        return reason

    def dispute(self, act: Dispute) -> RejectReason:
        """Dispute a delivered task within its window."""
        redemption, reason = self.open_in(act.redemption, "delivered")
        if redemption is None:
            return reason
        if self.time >= redemption.until:
            return self.refuse(RejectReason.REDEMPTION_STATE, f"{act.redemption}: its window is over")
        self.change(redemption, "disputed")
        return RejectReason.NONE

    def resolve(self, act: Resolve) -> RejectReason:
        """Decide a disputed task."""
        redemption, reason = self.open_in(act.redemption, "disputed")
        if redemption is not None:
            if act.is_accepted:
                self.confirm(redemption)
            else:
                self.give_back(redemption)
        return reason

    def close_windows(self) -> RejectReason:
        """Accept every delivered task whose window is over."""
        for redemption in [*self.registry.redemptions.values()]:
            if redemption.state == "delivered" and self.time >= redemption.until:
                self.confirm(redemption)
        return RejectReason.NONE

    def open_in(self, number: int, state: RedemptionState) -> tuple[Redemption | None, RejectReason]:
        """Return an open redemption that is in this state; else None, and why it is refused."""
        redemption = self.registry.redemptions.get(number)
        if redemption is None:
            return None, self.refuse(RejectReason.UNKNOWN_REDEMPTION, number)
        if redemption.state != state:
            return None, self.refuse(RejectReason.REDEMPTION_STATE, f"{number}: {redemption.state}")
        return redemption, RejectReason.NONE

    def change(self, redemption: Redemption, state: RedemptionState) -> None:
        """Let a redemption be in another state, still open."""
        redemption.state = state
        self.tell_redemption(redemption, state)

    # --- how it ends ---------------------------------------------------------------------------

    def give_back(self, redemption: Redemption) -> None:
        """Give lots back where they came from."""
        member, asset = redemption.member, redemption.instrument + 1
        self.end(redemption)
        account = self.core.ledger.accounts[self.account_slot(member, asset)]
        restricted, free = redemption.restricted, redemption.lots - redemption.restricted
        account["redeeming"] -= redemption.lots
        account["restricted"] += restricted
        account["available"] += free
        self.post(
            "return",
            (member, "redeeming", asset, -redemption.lots),
            (member, "restricted", asset, restricted),
            (member, "free", asset, free),
        )
        self.tell_redemption(redemption, "returned")

    def confirm(self, redemption: Redemption) -> None:
        """Burn the lots of a redemption, and let what they stand for vest."""
        member, asset, lots = redemption.member, redemption.instrument + 1, redemption.lots
        self.end(redemption)
        self.core.ledger.accounts[self.account_slot(member, asset)]["redeeming"] -= lots
        self.post("burn", (member, "redeeming", asset, -lots), (HOUSE, "outside", asset, lots))
        taken = Taken(redemption.parts, lots - redemption.restricted)
        vested, reimbursed = self.burned(member, redemption.instrument, taken)
        self.tell_redemption(redemption, "confirmed", vested, reimbursed)

    def end(self, redemption: Redemption) -> None:
        """Let a redemption be open no longer, and set nothing aside."""
        del self.registry.redemptions[redemption.number]
        aside = self.registry.aside
        for parcel, lots in redemption.parts:
            aside[parcel] -= lots
            if aside[parcel] == 0:
                del aside[parcel]

    def tell_redemption(
        self, redemption: Redemption, state: RedemptionState, vested: int = 0, reimbursed: int = 0
    ) -> None:
        """Bring a redemption that was asked for to the store, as it now stands."""
        self.redemptions.append(
            RedemptionRow(
                sequence=self.sequence,
                time=self.time,
                redemption=redemption.number,
                number=1,
                member=redemption.member,
                instrument=redemption.instrument,
                lots=redemption.lots,
                restricted=redemption.restricted,
                state=state,
                reference=redemption.reference,
                units=0,
                vested=vested,
                reimbursed=reimbursed,
            )
        )

    # --- lots ----------------------------------------------------------------------------------

    def redeemable(self, member: int, instrument: int) -> int:
        """Return the lots of an instrument that a member may redeem."""
        account = self.account_row(member, instrument + 1)
        return 0 if account is None else redeemable(account)

    def take(self, member: int, instrument: int, lots: int) -> Taken:
        """Take lots out of what a member has; they are there."""
        slot = self.account_slot(member, instrument + 1)
        return take_lots(self.core.ledger, slot, lots, self.registry.aside)

    def post_taken(
        self, reason: str, member: int, instrument: int, taken: Taken, gets: tuple[int, str, int, int]
    ) -> None:
        """Post that lots of a member have gone from restricted and free to where `gets` says."""
        asset = instrument + 1
        self.post(
            reason,
            (member, "restricted", asset, -taken.restricted),
            (member, "free", asset, -taken.free),
            gets,
        )

    def burned(self, member: int, instrument: int, taken: Taken) -> tuple[int, int]:
        """Let burned lots meet obligations, count for awards, and vest; return what vests and is paid."""
        lots = taken.restricted + taken.free
        self.core.ledger.listings[instrument]["redeemed"] += lots
        self.fulfil(instrument, lots, "redeemed")
        self.measure(member, instrument, lots)
        vested = reimbursed = 0
        for parcel, part in taken.parts:
            grown = redeem_lots(self.core.ledger, parcel, part)
            self.pay_out(self.ground_of(parcel), grown.payable, "reimbursed")
            vested += grown.amount
            reimbursed += grown.payable
        pass_over_spent(self.core.ledger, self.account_slot(member, instrument + 1))
        return vested, reimbursed

    def fulfil(self, instrument: int, lots: int, field: Literal["redeemed", "expired"]) -> None:
        """Let lots meet the obligations of providers, in the order of their issues."""
        issues = self.registry.issues[instrument]
        met: Counter[int] = Counter()
        while lots:
            part = min(issues[0].lots, lots)
            met[issues[0].provider] += part
            issues[0].lots -= part
            lots -= part
            if issues[0].lots == 0:
                del issues[0]
        for provider, part in met.items():
            self.tell_obligation(provider, instrument, field, part)

    def measure(self, member: int, instrument: int, lots: int) -> None:
        """Count burned lots for the awards of this year that have a rate for them, at list price.

        What a group issues itself is not measured.
        """
        if is_own(self.core.ledger, instrument, self.group_of(member)):
            return
        year = day_of(self.time).year
        for programme, terms in enumerate(self.registry.programmes):
            if terms.payout != "award" or terms.fiscal_year != year:
                continue
            if rate_for(self.core.ledger, programme, member, instrument) > 0:
                slot = self.usage_slot(programme, self.group_of(member))
                usage, listing = self.core.ledger.usages[slot], self.core.ledger.listings[instrument]
                measured = int(usage["measured"]) + lots * int(listing["list_price"])
                usage["measured"] = min(measured, MEASURED_MAX)

    # --- what perishes -------------------------------------------------------------------------

    def expire_credits(self, act: ExpireCredits) -> RejectReason:
        """Retire an instrument whose day is over, which cancels its orders; what is left is burned then."""
        index = self.registry.instrument_numbers.get(act.instrument)
        if index is None:
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, act.instrument)
        if self.time < self.registry.perishes_at(index):
            return self.refuse(RejectReason.NOT_DUE, act.instrument)
        if index not in self.registry.expired:
            self.registry.expired.add(index)
            self.enter_state(index, "retired")
        return RejectReason.NONE

    def burn_expired(self, act: ExpireCredits) -> None:
        """End open redemptions of an expired instrument, and burn what members have left of it."""
        index = self.registry.instrument_numbers[act.instrument]
        for redemption in [*self.registry.redemptions.values()]:
            if redemption.instrument == index:
                if redemption.state == "requested":
                    self.give_back(redemption)
                else:
                    self.confirm(redemption)
        ledger = self.core.ledger
        accounts = ledger.accounts[: int(ledger.totals[0]["accounts"])]
        members = sorted(accounts["member"][accounts["asset"] == index + 1].tolist())
        lost = [part for member in members for part, _ in self.expire_lots(member, index)]
        for parcel in lost:
            self.owe(self.ground_of(parcel), perish(self.core.ledger, parcel))

    def expire_lots(self, member: int, instrument: int) -> tuple[tuple[int, int], ...]:
        """Burn what a member has left of an expired instrument; return (parcel, lots) of its parcels."""
        lots = self.redeemable(member, instrument)
        if lots == 0:
            return ()
        taken = self.take(member, instrument, lots)
        self.post_taken("expire", member, instrument, taken, (HOUSE, "outside", instrument + 1, lots))
        self.core.ledger.listings[instrument]["expired"] += lots
        self.fulfil(instrument, lots, "expired")
        for parcel, part in taken.parts:
            self.core.ledger.parcels[parcel]["redeemed"] += part
        pass_over_spent(self.core.ledger, self.account_slot(member, instrument + 1))
        return taken.parts
