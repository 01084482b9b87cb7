"""What always holds of money, reckoned from a reference ledger's orders, trades and postings alone.

Each law is a method that yields, in words, what breaks it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from matching.vocabulary import OrderState
from settlement.layout import HOUSE, MONEY
from settlement.reference import Order, Programme, ReferenceLedger, share
from settlement.reference_orders import Balance

OUT_OF_RESTRICTED = {"trade", "redeem", "return", "burn", "expire", "bust"}
"""The reasons of entries that may touch restricted credits: none of them sells or moves any."""


class Laws:
    """The laws of one ledger; they look at each posting once, and at all else anew."""

    def __init__(self, ledger: ReferenceLedger) -> None:
        self.ledger = ledger
        self.seen = 0
        self.sums: Counter[tuple[int, str, int]] = Counter()
        self.assets: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.caps: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.groups: dict[str, set[int]] = {}
        self.merged: set[str] = set()

    def broken(self) -> list[str]:
        """Return every law that is broken now."""
        self.read_postings()
        self.note_caps()
        laws = (
            self.postings,
            self.nothing_negative,
            self.balances,
            self.holds,
            self.budgets,
            self.caps_kept,
            self.parcels,
            self.supplies,
        )
        return [wrong for law in laws for wrong in law()]

    # --- postings ------------------------------------------------------------------------------

    def read_postings(self) -> None:
        """Add what was posted since the last look."""
        entries: Counter[tuple[int, int]] = Counter()
        for posting in self.ledger.postings[self.seen :]:
            entries[posting.entry, posting.asset] += posting.amount
            self.sums[posting.member, posting.account, posting.asset] += posting.amount
            self.assets[posting.asset] += posting.amount
            if posting.account == "restricted" and posting.reason not in OUT_OF_RESTRICTED:
                self.wrong.append(f"restricted credits in an entry of {posting.reason}")
        self.seen = len(self.ledger.postings)
        self.wrong += [f"entry {entry} does not balance" for (entry, _), rest in entries.items() if rest]

    def postings(self) -> Iterator[str]:
        """Each entry sums to zero, asset by asset, and so does all; restricted credits are never sold."""
        yield from self.wrong
        yield from (f"asset {asset} sums to {rest}" for asset, rest in self.assets.items() if rest)

    def balances(self) -> Iterator[str]:
        """What everybody has is what the postings say."""
        ledger = self.ledger
        for (member, asset), one in ledger.balances.items():
            accounts = {
                "free": one.available + one.held,
                "restricted": one.restricted,
                "redeeming": one.redeeming,
                "debt": -one.debt,
            }
            for account, amount in accounts.items():
                if self.sums[member, account, asset] != amount:
                    yield f"{account} of {member} in {asset}: {amount}"
        if self.sums[HOUSE, "fees", MONEY] != ledger.fees_earned:
            yield f"fees: {ledger.fees_earned}"

    # --- balances ------------------------------------------------------------------------------

    def nothing_negative(self) -> Iterator[str]:
        """Nobody has less than nothing, nor any part of a budget."""
        for key, one in self.ledger.balances.items():
            if min(vars(one).values()) < 0:
                yield f"{key}: {one}"

    def holds(self) -> Iterator[str]:
        """What is held is the most that the open orders can still cost, and no more."""
        needs: Counter[tuple[int, int]] = Counter()
        for order in self.ledger.open.values():
            asset = MONEY if order.is_buy else order.asked.instrument + 1
            needs[order.asked.member, asset] += most_it_takes(order)
        for key, one in self.ledger.balances.items():
            if one.held != needs[key]:
                yield f"held by {key}: {one.held}, and needed {needs[key]}"

    def supplies(self) -> Iterator[str]:
        """What was issued and neither redeemed nor expired is what members have, and what is owed."""
        totals: Counter[int] = Counter()
        for (_, asset), one in self.ledger.balances.items():
            totals[asset] += total_of(one)
        for number, listing in enumerate(self.ledger.listings):
            left = listing.issued - listing.redeemed - listing.expired
            owed = sum(issued.owed for issued in listing.issues)
            if not left == totals[number + 1] == owed:
                yield f"instrument {number}: {left} left, {totals[number + 1]} held, {owed} owed"

    # --- programmes ----------------------------------------------------------------------------

    def budgets(self) -> Iterator[str]:
        """A budget's four states are not negative and sum to it; what is left to pay is what is posted."""
        ledger = self.ledger
        for programme in ledger.programmes:
            code = programme.terms.code
            uncommitted, reserved = ledger.uncommitted(programme), ledger.reserved(programme)
            paid, vested = ledger.paid(programme), ledger.vested(programme)
            if min(uncommitted, reserved, paid, vested) < 0:
                yield f"{code}: {uncommitted} {reserved} {paid} {vested}"
            if self.sums[HOUSE, f"programme:{code}", MONEY] != uncommitted + reserved:
                yield f"{code} has posted another rest than {uncommitted} + {reserved}"
            debts = sum(debt.amount for debt in programme.debts)
            if self.sums[HOUSE, f"claims:{code}", MONEY] != debts:
                yield f"{code} claims {debts}"

    def note_caps(self) -> None:
        """Note the widest caps that each programme has had, and which groups were found to be one."""
        for programme in self.ledger.programmes:
            terms = programme.terms
            money, lots = self.caps[terms.code]
            self.caps[terms.code] = max(money, terms.group_cap), max(lots, terms.group_lots or 2**62)
        for number, member in enumerate(self.ledger.members):
            before = self.groups.setdefault(member.group, {number})
            if number not in before and number < self.known:
                self.merged.add(member.group)
            before.add(number)
        self.known = len(self.ledger.members)

    known = 0
    """How many members there were at the last look."""

    def caps_kept(self) -> Iterator[str]:
        """No group has more of a programme than its caps; but for groups that were two."""
        for programme in self.ledger.programmes:
            money, lots = self.caps[programme.terms.code]
            for group in self.groups.keys() - self.merged:
                used = self.ledger.used_money(programme, group), self.ledger.used_lots(programme, group)
                if not (0 <= used[0] <= money and 0 <= used[1] <= lots):
                    yield f"{group} has used {used} of {programme.terms.code}"

    def parcels(self) -> Iterator[str]:
        """A parcel earns at most its share, vests at most what it earns; restricted are its lots left."""
        restricted: Counter[tuple[int, int]] = Counter()
        for programme in self.ledger.programmes:
            for order in programme.orders:
                restricted[order.asked.member, order.asked.instrument + 1] += order.lots_left
                yield from (f"order {order.id}: {wrong}" for wrong in wrong_with(order, programme))
        for key, one in self.ledger.balances.items():
            if one.restricted != restricted[key]:
                yield f"restricted of {key}: {one.restricted}, in parcels {restricted[key]}"


def wrong_with(order: Order, programme: Programme) -> Iterator[str]:
    """Yield what is wrong with one parcel."""
    most = share(sum(fill.price * fill.quantity for fill in order.fills if fill.counts), order.rate)
    if not 0 <= max(order.vested, order.claimed) <= order.earned <= most:
        yield f"vested {order.vested}, claimed {order.claimed}, earned {order.earned} of {most}"
    if order.earned + order.reserved > order.subsidy_max:
        yield f"earned {order.earned} and reserves {order.reserved}, of {order.subsidy_max} at most"
    if order.state != OrderState.OPEN and (order.reserved, order.cover) != (0, 0):
        yield f"has ended, and reserves {order.reserved} for {order.cover} lots"
    if min(order.redeemed, order.aside, order.lots_left, order.reserved) < 0:
        yield f"{order.lots} lots, {order.redeemed} redeemed, {order.aside} aside"
    if programme.is_shared and order.vested and not programme.closed:
        yield "has vested before its claims were shared"


def total_of(one: Balance) -> int:
    """Return all credits of one account."""
    return one.available + one.held + one.restricted + one.redeeming


def most_it_takes(order: Order) -> int:
    """Return the most that an open order can still take of its member, reckoned from the rule alone."""
    if not order.is_buy:
        return order.leaves
    rest = order.price * order.leaves
    gross = order.maker_gross + order.taker_gross + rest
    need = rest + gross * max(order.maker_fee, order.taker_fee) // 10_000 - order.fees
    is_deducting = order.programme is not None and order.programme.terms.payout == "deduct"
    return need - order.reserved if is_deducting else need
