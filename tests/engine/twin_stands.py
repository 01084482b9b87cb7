"""How the twin stands, in the words of `tests.engine.stands`."""

from __future__ import annotations

from matching.reference import ReferenceBook
from matching.vocabulary import OrderState, Side
from settlement.reference import ReferenceLedger
from settlement.reference_orders import Order, Programme
from tests.engine.stands import Balance, Budget, Owed, Parcel, Stand, Supply, Used, Waiting


def stand_of_twin(ledger: ReferenceLedger, book: ReferenceBook, groups: list[str]) -> Stand:
    """Return how a reference ledger and a reference book stand; what is all zeros is left out."""
    balances = {
        key: Balance(*(getattr(one, name) for name in Balance._fields))
        for key, one in ledger.balances.items()
    }
    parcels = parcels_of(ledger)
    return Stand(
        balances={key: balance for key, balance in balances.items() if any(balance)},
        budgets=[budget_of(ledger, one) for one in ledger.programmes],
        usages=usages_of(ledger, groups),
        parcels={
            key: [parcel_of(ledger, order) for order in chain] for key, chain in sorted(parcels.items())
        },
        drawing={
            order.id: parcel_of(ledger, order)
            for order in ledger.open.values()
            if order.programme is not None and not order.fills
        },
        supplies=[Supply(one.issued, one.redeemed, one.expired) for one in ledger.listings],
        debts=debts_of(ledger, groups),
        owed=owed_by(ledger),
        obligations=obligations_of(ledger),
        redemptions={
            number: Waiting(one.member, one.instrument, one.taken.lots, one.taken.restricted, one.state)
            for number, one in ledger.redemptions.items()
        },
        begun={key: left for key, left in ledger.meters.begun.items() if left},
        counters=[(one.open_orders, one.turnover, int(one.blocked)) for one in ledger.members],
        numbers=(ledger.entries, ledger.trades),
        book=[
            (instrument, side, order.id, order.price, order.leaves, order.shown, order.member)
            for instrument in range(len(book.markets))
            for side in Side
            for order in book.orders_of(instrument, side)
        ],
        markets=[(market.phase, market.reference, market.last) for market in book.markets],
    )


def budget_of(ledger: ReferenceLedger, programme: Programme) -> Budget:
    return Budget(*(getattr(ledger, name)(programme) for name in Budget._fields))


def usages_of(ledger: ReferenceLedger, groups: list[str]) -> dict[tuple[int, int], Used]:
    """Return what each group has used of each programme, where that is not nothing."""
    usages = {}
    for number, programme in enumerate(ledger.programmes):
        members = {order.asked.member for order in programme.orders}
        members |= {one.member for one in (*programme.grants, *programme.measured)}
        for group in {ledger.group_of(member) for member in members}:
            used = Used(
                ledger.used_money(programme, group),
                ledger.used_lots(programme, group),
                ledger.measured(programme, group),
            )
            if any(used):
                usages[number, groups.index(group)] = used
    return usages


def debts_of(ledger: ReferenceLedger, groups: list[str]) -> dict[int, int]:
    """Return what each group owes, where that is not nothing."""
    owed = {group: ledger.group_debt(group) for group in {one.group for one in ledger.members}}
    return {groups.index(group): debt for group, debt in owed.items() if debt}


def owed_by(ledger: ReferenceLedger) -> dict[int, list[Owed]]:
    """Return what members owe, in the order in which it arose."""
    owed: dict[int, list[Owed]] = {}
    for debt in ledger.debts:
        if debt.amount:
            number = ledger.programmes.index(debt.programme)
            owed.setdefault(debt.member, []).append(Owed(number, debt.paid, debt.vested))
    return owed


def obligations_of(ledger: ReferenceLedger) -> dict[tuple[int, int], Supply]:
    """Return what each provider has issued of an instrument, and what became of it."""
    obligations: dict[tuple[int, int], Supply] = {}
    for number, listing in enumerate(ledger.listings):
        for one in listing.issues:
            before = obligations.get((number, one.provider), Supply(0, 0, 0))
            counts = zip(before, (one.lots, one.redeemed, one.expired), strict=True)
            obligations[number, one.provider] = Supply(*(sum(pair) for pair in counts))
    return obligations


def parcels_of(ledger: ReferenceLedger) -> dict[tuple[int, int], list[Order]]:
    """Return the parcels of which lots are left, or may still come, by member and asset, oldest first."""
    parcels: dict[tuple[int, int], list[Order]] = {}
    orders = [
        order
        for programme in ledger.programmes
        for order in programme.orders
        if order.fills and (order.state == OrderState.OPEN or order.redeemed < order.lots)
    ]
    for order in sorted(orders, key=lambda one: one.fills[0].trade):
        parcels.setdefault((order.asked.member, order.asked.instrument + 1), []).append(order)
    return parcels


def parcel_of(ledger: ReferenceLedger, order: Order) -> Parcel:
    assert order.programme is not None
    return Parcel(
        order=order.id,
        programme=ledger.programmes.index(order.programme),
        terms_version=order.terms_version,
        rate=order.rate,
        ceiling_price=order.ceiling,
        reserved=order.reserved,
        gross=order.covered_gross,
        earned=order.earned,
        cover=order.cover,
        covered_filled=order.covered_filled,
        lots=order.lots,
        redeemed=order.redeemed,
        vested=order.vested,
        claimed=order.claimed,
    )
