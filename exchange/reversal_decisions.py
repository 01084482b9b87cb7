"""Acts that put right what went wrong: trades are undone, members found related or ineligible."""

from __future__ import annotations

import numpy as np

from exchange.money_decisions import MEASURED_MAX, MoneyDecision
from exchange.programme_tables import with_barred
from exchange.protocol.acts import Bust, FindIneligible, FindRelated
from exchange.standing import Ground
from matching.ids import find
from matching.layout import Row
from matching.vocabulary import NO_SLOT, CommandKind, RejectReason
from settlement.layout import HOUSE, MONEY, RECENT_TRADES, Payout
from settlement.programmes import is_barred, is_own
from settlement.redeeming import lots_there, pass_over_spent, vest
from settlement.reversing import Lost, earned_by, forget_leg, reckon
from settlement.rows import BustRow, MemberRow


class ReversalDecision(MoneyDecision):
    """An act that undoes something."""

    # --- busts ---------------------------------------------------------------------------------

    def bust(self, act: Bust, who: str, why: str) -> RejectReason:
        """Undo one of the latest trades: lots, money and fees go back, and E is reckoned without it."""
        trade = self.core.ledger.recents[act.trade % RECENT_TRADES]
        if act.trade <= 0 or trade["trade"] != act.trade or trade["quantity"] == 0:
            return self.refuse(RejectReason.UNKNOWN_TRADE, act.trade)
        reason = self.bust_fault(trade)
        if reason != RejectReason.NONE:
            return reason
        parcel = self.parcel_of(trade)
        lost = Lost(0, 0, 0) if parcel == NO_SLOT else self.lose_trade(parcel, trade)
        self.undo(trade, parcel, lost.paid)
        if parcel != NO_SLOT:
            self.take_back(parcel, lost, act.trade)
        trade["quantity"] = 0
        self.busts.append(BustRow(self.sequence, self.time, act.trade, who, why))
        return RejectReason.NONE

    def parcel_of(self, trade: Row) -> int:
        """Return the parcel that a trade's buy brought, NO_SLOT if no programme paid for it."""
        leg = int(trade["leg"])
        return NO_SLOT if leg == NO_SLOT else int(self.core.ledger.legs[leg]["parcel"])

    def bust_fault(self, trade: Row) -> RejectReason:
        """Return what is not there to undo a trade with, or NONE."""
        ledger, parcel = self.core.ledger, self.parcel_of(trade)
        quantity, asset = int(trade["quantity"]), int(trade["instrument"]) + 1
        if parcel == NO_SLOT:
            account = self.account_row(int(trade["buyer"]), asset)
            there = 0 if account is None else int(account["available"])
        else:
            there = lots_there(ledger, parcel, self.registry.aside)
        if there < quantity:
            return self.refuse(RejectReason.CREDITS_NOT_AVAILABLE, f"{quantity} of the buyer's lots", there)
        proceeds = int(trade["price"]) * quantity - int(trade["seller_fee"])
        available = int(self.money_of(int(trade["seller"]))["available"])
        if available < proceeds:
            return self.refuse(RejectReason.MONEY_NOT_AVAILABLE, f"{proceeds} of the seller's", available)
        if parcel != NO_SLOT:
            row, leg = ledger.parcels[parcel], ledger.legs[trade["leg"]]
            earned = earned_by(row, int(row["gross"]) - int(leg["gross"]))
            if earned < max(int(row["vested"]), int(row["claimed"])):
                return self.refuse(RejectReason.MONEY_NOT_AVAILABLE, "more has vested than is earned", earned)
        return RejectReason.NONE

    def lose_trade(self, parcel: int, trade: Row) -> Lost:
        """Take a trade and its lots out of a parcel."""
        ledger = self.core.ledger
        forget_leg(ledger, int(trade["leg"]))
        ledger.parcels[parcel]["lots"] -= trade["quantity"]
        return reckon(ledger, parcel)

    def undo(self, trade: Row, parcel: int, returned: int) -> None:
        """Let lots, money and fees of a trade go back, and to a programme what it has paid too much."""
        buyer, seller, asset = int(trade["buyer"]), int(trade["seller"]), int(trade["instrument"]) + 1
        quantity = int(trade["quantity"])
        buyer_fee, seller_fee = int(trade["buyer_fee"]), int(trade["seller_fee"])
        amount = int(trade["price"]) * quantity
        is_free = parcel == NO_SLOT
        office = "" if is_free else self.office(int(self.core.ledger.parcels[parcel]["programme"]))
        refund = amount + buyer_fee - returned
        bought, sold = self.account_slot(buyer, asset), self.account_slot(seller, asset)
        accounts = self.core.ledger.accounts
        accounts[bought]["available" if is_free else "restricted"] -= quantity
        accounts[sold]["available"] += quantity
        self.money_of(seller)["available"] -= amount - seller_fee
        self.money_of(buyer)["available"] += refund
        self.post(
            "bust",
            (buyer, "free", MONEY, refund),
            (HOUSE, office, MONEY, returned),
            (seller, "free", MONEY, seller_fee - amount),
            (HOUSE, "fees", MONEY, -buyer_fee - seller_fee),
            (buyer, "free" if is_free else "restricted", asset, -quantity),
            (seller, "free", asset, quantity),
        )

    def take_back(self, parcel: int, lost: Lost, trade: int) -> None:
        """Let a programme have back what it paid too much; the rest vests as far as it is redeemed."""
        ledger, ground = self.core.ledger, self.ground_of(parcel)
        row = ledger.programmes[ground.programme]
        row["paid"] -= lost.paid
        row["uncommitted"] += lost.paid
        if lost.paid:
            self.tell_leg(ground, -lost.paid, "bust", trade)
        self.hold_more(parcel, lost.released)
        if ledger.parcels[parcel]["lots"]:
            self.pay_out(ground, vest(ledger, parcel).payable, "reimbursed")
        pass_over_spent(ledger, int(ledger.parcels[parcel]["account"]))

    def hold_more(self, parcel: int, released: int) -> None:
        """Let an open order's buyer hold what its deducting programme no longer reserves for it."""
        ledger = self.core.ledger
        row = ledger.parcels[parcel]
        is_deducting = ledger.programmes[row["programme"]]["payout"] == Payout.DEDUCT
        if released == 0 or not row["is_open"] or not is_deducting:
            return
        stake = ledger.stakes[find(self.core.book, int(row["order"]))]
        money = ledger.accounts[stake["money"]]
        stake["held"] += released
        money["held"] += released
        money["available"] -= released

    # --- what is found out later ---------------------------------------------------------------

    def find_related(self, act: FindRelated) -> RejectReason:
        """Let two groups be one from now on; neither is paid for what it bought from the other.

        That is reckoned afterwards, when the open orders that it concerns are cancelled.
        """
        numbers = self.registry.member_numbers
        for name in (act.member, act.other):
            if numbers.get(name, HOUSE) == HOUSE:
                return self.refuse(RejectReason.UNKNOWN_MEMBER, name)
        kept, gone = self.group_of(numbers[act.member]), self.group_of(numbers[act.other])
        if kept == gone:
            return self.refuse(RejectReason.ALREADY_EXISTS, f"{act.member}, {act.other}: one group already")
        between = set(self.parcels_with(self.legs_between(kept, gone)))
        for parcel in self.open_parcels():
            other = {kept: gone, gone: kept}.get(self.group_of(self.ground_of(parcel).member))
            if other is not None and (parcel in between or self.is_own(parcel, other)):
                self.cancel_order_of(parcel)
        return RejectReason.NONE

    def open_parcels(self) -> list[int]:
        """Return the parcels of open orders, in order."""
        parcels = self.core.ledger.parcels[: int(self.core.ledger.totals[0]["parcels"])]
        return self.in_order(set(np.flatnonzero(parcels["is_open"]).tolist()))

    def is_own(self, parcel: int, group: int) -> bool:
        """Tell whether a group may issue what a parcel's order is for."""
        ledger = self.core.ledger
        instrument = int(ledger.accounts[ledger.parcels[parcel]["account"]]["asset"]) - 1
        return bool(is_own(ledger, instrument, group))

    def reckon_related(self, act: FindRelated) -> None:
        """Reckon without the trades between two groups, and make them one."""
        numbers = self.registry.member_numbers
        kept, gone = self.group_of(numbers[act.member]), self.group_of(numbers[act.other])
        legs = self.legs_between(kept, gone)
        parcels = self.parcels_with(legs)
        for leg in legs:
            forget_leg(self.core.ledger, leg)
        for parcel in parcels:
            self.lose(parcel)
        self.merge_groups(kept, gone)

    def cancel_order_of(self, parcel: int) -> None:
        """Ask the book to cancel a parcel's order."""
        form = self.ask_book(CommandKind.CANCEL, NO_SLOT)
        form["order"] = self.core.ledger.parcels[parcel]["order"]

    def parcels_with(self, legs: list[int]) -> list[int]:
        """Return the parcels of legs, in order."""
        return self.in_order({int(self.core.ledger.legs[leg]["parcel"]) for leg in legs})

    def legs_between(self, one: int, other: int) -> list[int]:
        """Return the legs by which members of one group bought from members of another, either way."""
        ledger = self.core.ledger
        legs = ledger.legs[: int(ledger.totals[0]["legs"])]
        buyers = ledger.accounts["member"][ledger.parcels["account"][legs["parcel"]]]
        buying, selling = ledger.members["group"][buyers], ledger.members["group"][legs["seller"]]
        between = ((buying == one) & (selling == other)) | ((buying == other) & (selling == one))
        found: list[int] = np.flatnonzero(between & (legs["lots"] > 0)).tolist()
        return found

    def in_order(self, parcels: set[int]) -> list[int]:
        """Return parcels by programme, and in each by the order that was entered first."""
        rows = self.core.ledger.parcels
        return sorted(parcels, key=lambda slot: (int(rows[slot]["programme"]), int(rows[slot]["order"])))

    def lose(self, parcel: int) -> None:
        """Reckon E of a parcel anew; what was paid for more is its member's debt."""
        self.owe(self.ground_of(parcel), reckon(self.core.ledger, parcel))

    def merge_groups(self, kept: int, gone: int) -> None:
        """Let all that belongs to one group belong to another: members, open orders, uses and debts."""
        ledger, registry = self.core.ledger, self.registry
        members = ledger.members[: int(ledger.totals[0]["members"])]
        moved = np.flatnonzero(members["group"] == gone).tolist()
        members["group"][moved] = kept
        orders = self.core.book.orders
        orders["group"][orders["group"] == gone] = kept
        ledger.groups[kept]["debt"] += ledger.groups[gone]["debt"]
        ledger.groups[gone]["debt"] = 0
        for programme in range(len(registry.programmes)):
            self.merge_usages(programme, kept, gone)
        registry.merge_groups(kept, gone)
        for index in moved:
            self.tell_member(index)

    def merge_usages(self, programme: int, kept: int, gone: int) -> None:
        """Count what one group has used of a programme among what another has."""
        if self.used(programme, gone) is None:
            return
        source, target = self.usage_slot(programme, gone), self.usage_slot(programme, kept)
        ledger = self.core.ledger
        for field in ("money", "lots", "measured"):
            both = int(ledger.usages[target][field]) + int(ledger.usages[source][field])
            ledger.usages[target][field] = min(both, MEASURED_MAX)
            ledger.usages[source][field] = 0
        ledger.parcels["usage"][ledger.parcels["usage"] == source] = target

    def tell_member(self, index: int) -> None:
        """Bring a member to the store as it now stands."""
        member = self.registry.members[index]
        owner = self.registry.owners.get(index)
        self.members.append(
            MemberRow(
                sequence=self.sequence,
                index=index,
                member=member.member,
                group_name=self.registry.group_names[self.group_of(index)],
                size=member.size,
                region=member.region,
                role=member.role if index else "house",
                owner="" if owner is None else self.registry.members[owner].member,
            )
        )

    def find_ineligible(self, act: FindIneligible) -> RejectReason:
        """Bar a firm, with all its accounts, from a programme, and cancel its orders that draw on it.

        What the programme has paid it is reckoned afterwards.
        """
        registry = self.registry
        if registry.member_numbers.get(act.member, HOUSE) == HOUSE:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, act.member)
        if act.programme not in registry.programme_numbers:
            return self.refuse(RejectReason.UNKNOWN_PROGRAMME, act.programme)
        programme = registry.programme_numbers[act.programme]
        for member in self.accounts_of(act.member):
            if not is_barred(self.core.ledger, programme, member):
                self.core = self.core._replace(ledger=with_barred(self.core.ledger, programme, member))
        rows = self.core.ledger.parcels
        for parcel in self.parcels_of(act):
            if rows[parcel]["is_open"]:
                self.cancel_order_of(parcel)
        return RejectReason.NONE

    def accounts_of(self, name: str) -> list[int]:
        """Return a member and all other accounts of its owner."""
        registry = self.registry
        owner = registry.owner_of(registry.member_numbers[name])
        return [number for number in range(len(registry.members)) if registry.owner_of(number) == owner]

    def parcels_of(self, act: FindIneligible) -> list[int]:
        """Return the parcels of a firm that a programme has paid for, in the order of entry."""
        ledger = self.core.ledger
        parcels = ledger.parcels[: int(ledger.totals[0]["parcels"])]
        own = parcels["programme"] == self.registry.programme_numbers[act.programme]
        own &= np.isin(ledger.accounts["member"][parcels["account"]], self.accounts_of(act.member))
        return self.in_order(set(np.flatnonzero(own).tolist()))

    def reckon_ineligible(self, act: FindIneligible) -> None:
        """Let a firm owe all that a programme has paid it, for orders and in awards."""
        ledger = self.core.ledger
        for parcel in self.parcels_of(act):
            leg = int(ledger.parcels[parcel]["last_leg"])
            while leg != NO_SLOT:
                forget_leg(ledger, leg)
                leg = int(ledger.legs[leg]["ahead"])
            self.lose(parcel)
        for member in self.accounts_of(act.member):
            self.lose_award(self.registry.programme_numbers[act.programme], member)

    def lose_award(self, index: int, member: int) -> None:
        """Let a member owe the awards that it was granted."""
        ledger = self.core.ledger
        granted = self.registry.awards.get(index, {}).pop(member, 0)
        if granted:
            ledger.usages[self.usage_slot(index, self.group_of(member))]["money"] -= granted
            version = int(ledger.programmes[index]["terms_version"])
            self.owe(Ground(member, index, 0, version), Lost(0, granted, 0))
