"""Putting right on the ledger's rows: what a parcel has earned is reckoned anew, and goes back.

Plain Python, for acts are few. Products are Python's own integers, however large.
"""

from __future__ import annotations

from typing import NamedTuple

from matching.layout import Row
from settlement.balances import BASIS_POINTS
from settlement.layout import Exhaustion, Ledger, Payout, Unredeemed


class Lost(NamedTuple):
    """What a parcel no longer earns, in hao, by where it stands in its programme's budget.

    `paid` and `vested` were paid to the firm, and stay there until they are settled. What was only reserved
    has gone back already; `released` is what of it an open order can no longer count on.
    """

    paid: int
    vested: int
    released: int


def earned_by(parcel: Row, gross: int) -> int:
    """Return E of a parcel whose covered fills amount to `gross`."""
    return min(gross * int(parcel["rate"]) // BASIS_POINTS, int(parcel["subsidy_max"]))


def forget_leg(ledger: Ledger, leg: int) -> None:
    """Let a trade count no longer for its parcel and its group's cap in lots; E is reckoned afterwards."""
    row = ledger.legs[leg]
    parcel = ledger.parcels[int(row["parcel"])]
    parcel["gross"] -= row["gross"]
    parcel["covered_filled"] -= row["lots"]
    ledger.usages[int(parcel["usage"])]["lots"] -= row["lots"]
    row["gross"] = 0
    row["lots"] = 0


def reckon(ledger: Ledger, parcel: int) -> Lost:
    """Reckon E anew from the trades that count; what no longer is comes off the group's cap.

    S becomes E and what is reserved, of which an open order keeps what it can still need: that may be less,
    by a rounded hao, which its buyer must hold then if the programme deducts.
    """
    row = ledger.parcels[parcel]
    programme = ledger.programmes[int(row["programme"])]
    is_deducting = programme["payout"] == Payout.DEDUCT
    before, reserved, gross = int(row["earned"]), int(row["reserved"]), int(row["gross"])
    earned = earned_by(row, gross)
    to_come = gross + int(row["covered_price"]) * int(row["cover"])
    keep = min(to_come * int(row["rate"]) // BASIS_POINTS - earned, reserved)
    vested = max(int(row["vested"]) - earned, 0)
    unvested, released = before - earned - vested, reserved - keep
    row["earned"] = earned
    row["reserved"] = keep
    row["subsidy_max"] = earned + reserved
    row["vested"] -= vested
    row["claimed"] = min(int(row["claimed"]), earned)
    ledger.usages[int(row["usage"])]["money"] -= before - earned + released
    if programme["exhaustion"] == Exhaustion.FIRST_COME:
        surplus = released if is_deducting else released + unvested
        programme["reserved"] -= surplus
        programme["uncommitted"] += surplus
    return Lost(unvested if is_deducting else 0, vested, released)


def perish(ledger: Ledger, parcel: int) -> Lost:
    """Let what a parcel has earned and not vested be lost, its credits having expired, or stay paid."""
    row = ledger.parcels[parcel]
    programme = ledger.programmes[int(row["programme"])]
    if programme["payout"] == Payout.DEDUCT and programme["unredeemed"] == Unredeemed.PAID:
        return Lost(0, 0, 0)
    row["subsidy_max"] = max(int(row["vested"]), int(row["claimed"]))
    return reckon(ledger, parcel)
