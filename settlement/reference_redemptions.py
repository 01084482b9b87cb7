"""Redemption in plain Python: lots are set aside, burned or given back; parcels vest; credits perish."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from matching.vocabulary import RejectReason
from settlement.layout import HOUSE
from settlement.reference_accounts import Line
from settlement.reference_orders import Grant, Order, must, rate_for
from settlement.reference_programmes import Programmes
from settlement.terms import VENUE_ZONE

WINDOW_NS = 7 * 86_400 * 10**9
"""How long a firm may dispute an agent's delivered task."""

USAGE_NS_MAX = 35 * 86_400 * 10**9
"""How old a usage record may be."""

LOT_THOUSANDTHS = 10**9
"""A lot of a model, in thousandths of a weighted unit."""


class Used(NamedTuple):
    """One record of usage, in the ledger's numbers. `created` in ns; tokens as they were counted."""

    id: str
    member: int
    meter: str
    created: int
    prompt: int
    cached: int
    completion: int


class Taken(NamedTuple):
    """Lots that were taken out of a member's credits: of parcels, oldest first, and free ones."""

    parcels: list[tuple[Order, int]]
    free: int

    @property
    def restricted(self) -> int:
        """Return how many of them are restricted."""
        return sum(lots for _, lots in self.parcels)

    @property
    def lots(self) -> int:
        """Return how many they are."""
        return self.restricted + self.free


@dataclass
class Redemption:
    """What a firm has asked for: its lots are set aside until its state is `confirmed` or `returned`."""

    id: int
    member: int
    instrument: int
    taken: Taken
    state: str = "requested"
    delivered: int = 0


@dataclass
class Meters:
    """What is noted of usage: ids that were recorded, and what is left of lots that are begun."""

    known: set[tuple[int, str]] = field(default_factory=set)
    begun: dict[tuple[int, str], int] = field(default_factory=dict)


class Redemptions(Programmes):
    """Redemptions that are asked for, usage that is recorded, and credits that perish."""

    def __init__(self) -> None:
        super().__init__()
        self.redemptions: dict[int, Redemption] = {}
        self.meters = Meters()

    # --- what is asked for ---------------------------------------------------------------------

    def redeem(self, member: int, instrument: int, lots: int, reference: str) -> None:
        """Set lots aside: restricted ones first, parcel by parcel, oldest first, then free ones."""
        if self.is_done(member, reference, "redeem", instrument, lots):
            return
        must(lots > 0, RejectReason.AMOUNT_OUT_OF_RANGE)
        must(not self.has_perished(instrument, self.time), RejectReason.STATE_NOT_ALLOWED)
        must(self.redeemable(member, instrument) >= lots, RejectReason.CREDITS_NOT_AVAILABLE)
        self.note(member, reference, "redeem", instrument, lots)
        taken = self.take(member, instrument, lots)
        for order, part in taken.parcels:
            order.aside += part
        self.credits(member, instrument).redeeming += lots
        self.post_taken("redeem", member, instrument, taken, "redeeming", member)
        self.redemptions[self.sequence] = Redemption(self.sequence, member, instrument, taken)

    def redeemable(self, member: int, instrument: int) -> int:
        """Return the lots that a member may redeem."""
        balance = self.credits(member, instrument)
        return balance.restricted + balance.available

    def take(self, member: int, instrument: int, lots: int) -> Taken:
        """Take lots out of what a member has; they have been found to be there."""
        balance = self.credits(member, instrument)
        parcels, rest = [], lots
        for order in self.parcels(member, instrument):
            part = min(order.lots_left, rest)
            if part:
                parcels.append((order, part))
                rest -= part
        balance.restricted -= lots - rest
        balance.available -= rest
        return Taken(parcels, rest)

    def post_taken(
        self, reason: str, member: int, instrument: int, taken: Taken, account: str, owner: int
    ) -> None:
        """Post that lots of a member have gone from restricted and free to another account."""
        asset = instrument + 1
        self.post(
            reason,
            Line(member, "restricted", asset, -taken.restricted),
            Line(member, "free", asset, -taken.free),
            Line(owner, account, asset, taken.lots),
        )

    def recall(self, number: int) -> None:
        """Take back what is not delivered."""
        self.give_back(self.open_in(number, "requested"))

    def deliver(self, number: int) -> None:
        """Confirm what a provider has delivered; an agent's task waits for the firm."""
        redemption = self.open_in(number, "requested")
        if self.listings[redemption.instrument].kind == "agent":
            redemption.state, redemption.delivered = "delivered", self.time
        else:
            self.confirm(redemption)

    def accept(self, number: int) -> None:
        """Let a firm accept a delivered task."""
        self.confirm(self.open_in(number, "delivered"))

    def dispute(self, number: int) -> None:
        """Let a firm dispute a delivered task within its window."""
        redemption = self.open_in(number, "delivered")
        must(self.time < redemption.delivered + WINDOW_NS, RejectReason.REDEMPTION_STATE)
        redemption.state = "disputed"

    def resolve(self, number: int, *, is_accepted: bool) -> None:
        """Decide a disputed task."""
        redemption = self.open_in(number, "disputed")
        if is_accepted:
            self.confirm(redemption)
        else:
            self.give_back(redemption)

    def close_windows(self) -> None:
        """Accept every delivered task whose window is over."""
        for redemption in [*self.redemptions.values()]:
            if redemption.state == "delivered" and self.time >= redemption.delivered + WINDOW_NS:
                self.confirm(redemption)

    def open_in(self, number: int, state: str) -> Redemption:
        """Return an open redemption in this state; refuse it otherwise."""
        must(number in self.redemptions, RejectReason.UNKNOWN_REDEMPTION)
        must(self.redemptions[number].state == state, RejectReason.REDEMPTION_STATE)
        return self.redemptions[number]

    def give_back(self, redemption: Redemption) -> None:
        """Give lots back where they came from."""
        redemption.state = "returned"
        del self.redemptions[redemption.id]
        member, instrument, taken = redemption.member, redemption.instrument, redemption.taken
        for order, part in taken.parcels:
            order.aside -= part
        balance = self.credits(member, instrument)
        balance.redeeming -= taken.lots
        balance.restricted += taken.restricted
        balance.available += taken.free
        asset = instrument + 1
        self.post(
            "return",
            Line(member, "redeeming", asset, -taken.lots),
            Line(member, "restricted", asset, taken.restricted),
            Line(member, "free", asset, taken.free),
        )

    def confirm(self, redemption: Redemption) -> None:
        """Burn what was delivered; what it vests is paid."""
        redemption.state = "confirmed"
        del self.redemptions[redemption.id]
        member, instrument, taken = redemption.member, redemption.instrument, redemption.taken
        for order, part in taken.parcels:
            order.aside -= part
        self.credits(member, instrument).redeeming -= taken.lots
        asset = instrument + 1
        self.post(
            "burn", Line(member, "redeeming", asset, -taken.lots), Line(HOUSE, "outside", asset, taken.lots)
        )
        self.burned(member, instrument, taken)

    # --- what burning means --------------------------------------------------------------------

    def burned(self, member: int, instrument: int, taken: Taken) -> None:
        """Let burned lots meet obligations, count for awards, and vest."""
        self.listings[instrument].redeem(taken.lots)
        self.measure(member, instrument, taken.lots)
        for order, part in taken.parcels:
            order.redeemed += part
            self.vest(order)

    def measure(self, member: int, instrument: int, lots: int) -> None:
        """Count burned lots for the awards of this year that have a rate for them."""
        if self.is_own(instrument, self.group_of(member)):
            return
        listing = self.listings[instrument]
        year = datetime.fromtimestamp(self.time // 10**9, VENUE_ZONE).year
        for programme in self.programmes:
            terms = programme.terms
            is_measured = terms.payout == "award" and terms.fiscal_year == year
            if is_measured and rate_for(terms, self.members[member], listing) > 0:
                programme.measured.append(Grant(member, lots * listing.list_price))

    def vest(self, order: Order) -> None:
        """Let a parcel vest in the proportion in which it is redeemed; a reimbursing programme pays it."""
        programme = order.programme
        assert programme is not None
        part = order.earned * order.redeemed // order.lots
        if programme.is_shared:
            if not programme.closed:
                order.claimed = max(order.claimed, part)
            return
        grown = max(part - order.vested, 0)
        order.vested += grown
        if grown and not programme.is_deducting:
            self.pay_out("reimburse", programme, order.asked.member, grown)

    # --- usage ---------------------------------------------------------------------------------

    def record_usage(self, records: Iterable[Used]) -> None:
        """Redeem what was used: all of the records, or none. One whose id is known is passed over."""
        fresh: dict[tuple[int, str], Used] = {}
        for record in records:
            is_sound = record.created <= self.time and 0 <= record.cached <= record.prompt
            must(is_sound and record.completion >= 0, RejectReason.USAGE_INVALID)
            must(self.time - record.created <= USAGE_NS_MAX, RejectReason.TOO_OLD)
            provider = self.listings[self.of_meter(record.meter)[0]].provider
            if (provider, record.id) not in self.meters.known:
                fresh.setdefault((provider, record.id), record)
        self.must_cover([*fresh.values()])
        for key, record in fresh.items():
            self.meters.known.add(key)
            self.use(record)

    def of_meter(self, meter: str) -> list[int]:
        """Return the instruments of a meter that have not perished, the earliest expiry first."""
        found = [number for number, one in enumerate(self.listings) if one.meter == meter]
        return sorted(found, key=lambda number: (self.ends_of(number), number))

    def ends_of(self, instrument: int) -> int:
        """Return when an instrument's credits perish, far ahead if they never do."""
        ends = self.listings[instrument].ends
        return 2**63 if ends is None else ends

    def has_perished(self, instrument: int, now: int) -> bool:
        """Tell whether an instrument's last day is over."""
        return now >= self.ends_of(instrument)

    def must_cover(self, records: list[Used]) -> None:
        """Refuse records that together need more lots than their members have."""
        left: dict[tuple[int, int], int] = {}
        begun = dict(self.meters.begun)
        for record in records:
            self.burns_of(record, left, begun)

    def burns_of(
        self, record: Used, left: dict[tuple[int, int], int], begun: dict[tuple[int, str], int]
    ) -> tuple[list[tuple[int, int]], int]:
        """Return (instrument, lots) that a record burns, and its thousandths; take them from what is left."""
        member, meter = record.member, (record.member, record.meter)
        living = [one for one in self.of_meter(record.meter) if not self.has_perished(one, self.time)]
        for instrument in living:
            left.setdefault((member, instrument), self.redeemable(member, instrument))
        held = [instrument for instrument in living if left[member, instrument] > 0]
        must(bool(living), RejectReason.CREDITS_NOT_AVAILABLE)
        next_burned = (held or living)[0]
        units = self.thousandths(record, next_burned)
        need = -(-max(units - begun.get(meter, 0), 0) // LOT_THOUSANDTHS)
        begun[meter] = begun.get(meter, 0) + need * LOT_THOUSANDTHS - units
        burns = []
        for instrument in held:
            part = min(left[member, instrument], need)
            if part:
                burns.append((instrument, part))
                left[member, instrument] -= part
                need -= part
        must(need == 0, RejectReason.CREDITS_NOT_AVAILABLE)
        return burns, units

    def thousandths(self, record: Used, instrument: int) -> int:
        """Return what a record comes to, in thousandths of an instrument's unit."""
        of_input, of_cached, of_output = self.listings[instrument].weights
        fresh = record.prompt - record.cached
        return fresh * of_input + record.cached * of_cached + record.completion * of_output

    def use(self, record: Used) -> None:
        """Burn what a record needs, at once: usage is delivered already."""
        burns, _ = self.burns_of(record, {}, self.meters.begun)
        for instrument, lots in burns:
            taken = self.take(record.member, instrument, lots)
            self.post_taken("burn", record.member, instrument, taken, "outside", HOUSE)
            self.burned(record.member, instrument, taken)

    # --- credits that perish -------------------------------------------------------------------

    def must_be_over(self, instrument: int) -> None:
        """Refuse to let credits perish before their last day is over; its orders are cancelled first."""
        must(self.has_perished(instrument, self.time), RejectReason.NOT_DUE)

    def expire(self, instrument: int) -> None:
        """Let an instrument's credits perish, its orders being cancelled."""
        for redemption in [*self.redemptions.values()]:
            if redemption.instrument == instrument:
                if redemption.state == "requested":
                    self.give_back(redemption)
                else:
                    self.confirm(redemption)
        asset = instrument + 1
        perished: list[Order] = []
        for member in range(len(self.members)):
            lots = self.redeemable(member, instrument)
            if lots:
                taken = self.take(member, instrument, lots)
                self.post_taken("expire", member, instrument, taken, "outside", HOUSE)
                self.listings[instrument].expire(lots)
                for order, part in taken.parcels:
                    order.redeemed += part
                    perished.append(order)
        assert not any(any(vars(one).values()) for key, one in self.balances.items() if key[1] == asset), (
            "all credits have perished"
        )
        for order in perished:
            self.perish(order)

    def perish(self, order: Order) -> None:
        """Settle what a perished parcel had earned and not vested."""
        programme = order.programme
        assert programme is not None
        rest = order.earned - order.vested
        if programme.is_deducting and programme.terms.unredeemed == "paid":
            return
        if programme.is_shared:
            rest = 0
            order.subsidy_max = max(order.claimed, order.vested)
        else:
            order.subsidy_max = order.vested
        order.reckon()
        if programme.is_deducting:
            self.owe(programme, order.asked.member, paid=rest, vested=0)
