"""Hold, match, release: what an order may cost is set aside before it meets the book.

A buyer's hold is the most that his order can still cost: limit x leaves and his highest fee, less what
a programme has reserved for it. A seller's hold is the credits. Both shrink with every fill, and what
they no longer need goes back at once.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel
from matching.layout import Row
from matching.places import empty_places, find, remember
from matching.vocabulary import NO_SLOT
from settlement.layout import Ledger

BASIS_POINTS = 10_000
_ASSETS_MAX = 1 << 24


@kernel
def share(amount: int, rate: int) -> int:
    """Return floor(amount x rate / 10,000) of an amount that is not negative, without leaving int64."""
    return (amount // BASIS_POINTS) * rate + (amount % BASIS_POINTS) * rate // BASIS_POINTS


@kernel
def account_key(member: int, asset: int) -> int:
    """Return the id under which a member's account of an asset is noted."""
    return int(member) * _ASSETS_MAX + int(asset)  # those of rows are 32 bits wide


@kernel
def account_of(ledger: Ledger, member: int, asset: int) -> int:
    """Return the slot of a member's account of an asset, opening it if there is none."""
    key = account_key(member, asset)
    slot = find(ledger.account_places, key)
    if slot == NO_SLOT:
        totals = ledger.totals[0]
        slot = totals.accounts
        totals.accounts = slot + 1
        account = ledger.accounts[slot]
        account.member = member
        account.asset = asset
        account.first_parcel = NO_SLOT
        account.last_parcel = NO_SLOT
        remember(ledger.account_places, key, slot)
    return slot


@kernel
def fee_of(stake: Row, amount: int, is_maker: bool) -> int:
    """Add `amount` to what the order traded as maker or as taker; return what the fee grows by.

    The fee is a share of the cumulative amount, so that splitting an order into fills changes nothing.
    """
    if is_maker:
        before = share(stake.maker_gross, stake.maker_fee)
        stake.maker_gross += amount
        fee = share(stake.maker_gross, stake.maker_fee) - before
    else:
        before = share(stake.taker_gross, stake.taker_fee)
        stake.taker_gross += amount
        fee = share(stake.taker_gross, stake.taker_fee) - before
    stake.fees += fee
    return fee


@kernel
def most_it_costs(stake: Row, price: int, leaves: int, discount: int) -> int:
    """Return the most that the rest of a buy can cost its owner, in hao; `discount` is a programme's part."""
    rest = price * leaves
    gross = stake.maker_gross + stake.taker_gross
    fees = share(gross + rest, max(stake.maker_fee, stake.taker_fee)) - stake.fees
    return rest + fees - discount


@kernel
def hold_buy(ledger: Ledger, slot: int, held: int) -> None:
    """Set `held` hao of the order's money aside; it has been checked to be there."""
    stake = ledger.stakes[slot]
    money = ledger.accounts[stake.money]
    money.available -= held
    money.held += held
    stake.held = held


@kernel
def hold_sell(ledger: Ledger, slot: int, held: int) -> None:
    """Set `held` lots of the order's credits aside; they have been checked to be there."""
    stake = ledger.stakes[slot]
    credit = ledger.accounts[stake.credits]
    credit.available -= held
    credit.held += held
    stake.held = held


@kernel
def settle_buy(ledger: Ledger, slot: int, cost: int, quantity: int, held: int) -> None:
    """Pay `cost` out of a buy's hold, take `quantity` lots in, and keep only `held` of the hold."""
    stake = ledger.stakes[slot]
    money = ledger.accounts[stake.money]
    money.held += held - stake.held
    money.available += stake.held - held - cost
    stake.held = held
    credit = ledger.accounts[stake.credits]
    if stake.parcel == NO_SLOT:
        credit.available += quantity
    else:
        credit.restricted += quantity


@kernel
def settle_sell(ledger: Ledger, slot: int, proceeds: int, quantity: int) -> None:
    """Give `quantity` lots out of a sell's hold, and take its proceeds in."""
    stake = ledger.stakes[slot]
    ledger.accounts[stake.credits].held -= quantity
    stake.held -= quantity
    ledger.accounts[stake.money].available += proceeds


@kernel
def keep_held(account: Row, stake: Row, held: int) -> None:
    """Give back what an order holds beyond `held`."""
    account.held += held - stake.held
    account.available += stake.held - held
    stake.held = held


@kernel
def note_all_accounts(ledger: Ledger, places: np.ndarray) -> None:
    """Fill `places` with every account in use."""
    for slot in range(ledger.totals[0].accounts):
        account = ledger.accounts[slot]
        remember(places, account_key(account.member, account.asset), slot)


def note_accounts(ledger: Ledger) -> Ledger:
    """Return the ledger with a table twice as large from member and asset to account."""
    places = empty_places(2 * len(ledger.account_places))
    note_all_accounts(ledger, places)
    return ledger._replace(account_places=places)
