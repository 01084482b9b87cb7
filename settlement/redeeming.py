"""Redeeming on the ledger's rows: lots leave an account parcel by parcel, oldest first; what is earned vests.

Plain Python, for acts are few. Products are Python's own integers, however large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from matching.layout import Row
from matching.vocabulary import NO_SLOT
from settlement.layout import Exhaustion, Ledger, Payout


class Taken(NamedTuple):
    """Lots that were taken out of an account: (parcel, lots) of the restricted ones, and the free ones."""

    parts: tuple[tuple[int, int], ...]
    free: int

    @property
    def restricted(self) -> int:
        """How many of them were restricted."""
        return sum(lots for _, lots in self.parts)


class Vested(NamedTuple):
    """What of a parcel's E has vested now, and how much of that is to be paid to the firm, in hao."""

    amount: int
    payable: int


def redeemable(account: Row) -> int:
    """Return the lots of an account that may be redeemed: those that no order and no redemption holds."""
    return int(account["available"]) + int(account["restricted"])


def lots_there(ledger: Ledger, parcel: int, aside: Mapping[int, int]) -> int:
    """Return the lots of a parcel that are neither redeemed nor set aside."""
    row = ledger.parcels[parcel]
    return int(row["lots"]) - int(row["redeemed"]) - aside.get(parcel, 0)


def take_lots(ledger: Ledger, account: int, lots: int, aside: Mapping[int, int]) -> Taken:
    """Take lots out of an account, which are there: restricted ones first, parcel by parcel, oldest first."""
    row = ledger.accounts[account]
    parts: list[tuple[int, int]] = []
    rest = lots
    parcel = int(row["first_parcel"])
    while rest > 0 and parcel != NO_SLOT:
        part = min(rest, lots_there(ledger, parcel, aside))
        if part > 0:
            parts.append((parcel, part))
            rest -= part
        parcel = int(ledger.parcels[parcel]["behind"])
    row["restricted"] -= lots - rest
    row["available"] -= rest
    return Taken(tuple(parts), rest)


def redeem_lots(ledger: Ledger, parcel: int, lots: int) -> Vested:
    """Count lots of a parcel as redeemed, and let it vest."""
    ledger.parcels[parcel]["redeemed"] += lots
    return vest(ledger, parcel)


def vest(ledger: Ledger, parcel: int) -> Vested:
    """Let a parcel vest in the proportion in which its lots are redeemed, never less than before.

    A deducting programme has paid that already; a reimbursing one pays it now, or counts it as a claim.
    """
    row = ledger.parcels[parcel]
    programme = ledger.programmes[int(row["programme"])]
    due = int(row["earned"]) * int(row["redeemed"]) // int(row["lots"])
    if programme["exhaustion"] == Exhaustion.PRO_RATA:
        claimed = 0 if programme["closed"] else max(due - int(row["claimed"]), 0)
        row["claimed"] += claimed
        return Vested(claimed, 0)
    grown = max(due - int(row["vested"]), 0)
    is_deducting = programme["payout"] == Payout.DEDUCT
    programme["paid" if is_deducting else "reserved"] -= grown
    programme["vested"] += grown
    row["vested"] += grown
    return Vested(grown, 0 if is_deducting else grown)


def pass_over_spent(ledger: Ledger, account: int) -> None:
    """Let an account's chain of parcels begin with the first of which lots are left or may still come.

    What is redeemed for good need not be walked over again and again.
    """
    row = ledger.accounts[account]
    parcel = int(row["first_parcel"])
    while parcel != NO_SLOT:
        here = ledger.parcels[parcel]
        if here["is_open"] or here["redeemed"] < here["lots"]:
            break
        parcel = int(here["behind"])
    row["first_parcel"] = parcel
    if parcel == NO_SLOT:
        row["last_parcel"] = NO_SLOT
