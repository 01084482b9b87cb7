"""Proof from the journal alone: chain, replay, trial balance, budgets, and the store against both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine
from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.journal import JournalDamaged, JournalTorn
from exchange.server.rebuild import Rebuild
from exchange.server.replay import ReplayParted, earliest
from exchange.server.retention import begins_late
from matching.layout import Book
from matching.vocabulary import NO_SLOT, Side
from settlement.balances import BASIS_POINTS
from settlement.layout import Exhaustion, Ledger, Payout
from settlement.reconcile import Reconciler
from settlement.report import settlement_report
from settlement.rows import ProgrammeRow
from settlement.store import Store, StoreError, StoreInUse


class Verdict(NamedTuple):
    """What an audit found. `head` is the digest of the last frame; `told` what could not be looked at."""

    ok: bool
    commands: int
    frames: int
    head: str
    state_hash: int
    differences: list[str]
    told: list[str]


def verify(folder: Folder, progress: Callable[[int], None] | None = None) -> Verdict:
    """Audit a venue's folder. It needs no server, and may run beside one."""
    if begins_late(folder.journal):
        return _verify_what_is_left(folder, progress or (lambda _: None))
    wrong: list[str] = []
    told: list[str] = []
    stored = _stored(folder.settlement, told, wrong)
    rebuilt = Store.open(None)
    rebuild = Rebuild(folder.journal, rebuilt, stored)
    try:
        rebuild.run(progress or (lambda _: None))
    except (JournalDamaged, ReplayParted) as damage:
        wrong.append(str(damage))
    if stored is not None:
        stored.close()
    follower = rebuild.settler.follower
    told += rebuild.told
    wrong += rebuild.differences
    wrong += settlement_report(rebuilt).differences
    wrong += laws_broken(follower.engine)
    wrong += rebuild.settler.unreconciled()
    rebuilt.close()
    return _verdict(follower, wrong, told)


def _verify_what_is_left(folder: Folder, progress: Callable[[int], None]) -> Verdict:
    """Audit a venue whose journal no longer begins at its beginning: from the oldest snapshot on.

    A store cannot be made anew from that. The one that lies there is reconciled with the ledger in memory,
    at its own watermark.
    """
    wrong: list[str] = []
    told: list[str] = []
    stored = _stored(folder.settlement, told, wrong)
    follower = None
    try:
        begun = earliest(folder.journal, folder.snapshots)
        told += begun.told
        follower = Follower(folder.journal, begun)
        _replay_beside(follower, stored, wrong, progress)
    except JournalTorn as torn:
        told.append(f"the journal ends in a frame that is not whole yet: {torn}")
    except (JournalDamaged, ReplayParted) as damage:
        wrong.append(str(damage))
    if follower is not None:
        wrong += laws_broken(follower.engine)
    if stored is not None:
        wrong += settlement_report(stored).differences
        stored.close()
    return _verdict(follower, wrong, told)


def _replay_beside(
    follower: Follower, stored: Store | None, wrong: list[str], progress: Callable[[int], None]
) -> None:
    """Replay what is left, and hold a store against the replica where both stand at the same sequence."""
    is_reconciled = stored is None

    def reconcile(digest: bytes) -> None:
        nonlocal is_reconciled
        engine = follower.engine
        if stored is None or is_reconciled or engine.sequence != stored.watermark.sequence:
            return
        is_reconciled = True
        if digest != stored.watermark.digest:
            wrong.append(f"store: at sequence {engine.sequence} it was made from another journal")
        wrong.extend(Reconciler(stored).differences(engine.core.ledger, engine.programmes()))

    try:
        reconcile(follower.digest)
        for frame in follower.ahead():
            follower.take(frame)
            reconcile(frame.digest)
            progress(frame.last)
    finally:
        if stored is not None and not is_reconciled:
            mark = stored.watermark.sequence
            wrong.append(f"store: its watermark {mark} is the end of no frame of what is left of the journal")


def _verdict(follower: Follower | None, wrong: list[str], told: list[str]) -> Verdict:
    """Return what was found; without a replica nothing could be replayed."""
    engine = Engine() if follower is None else follower.engine
    return Verdict(
        ok=not wrong,
        commands=engine.sequence,
        frames=0 if follower is None else follower.frames,
        head="" if follower is None or not engine.sequence else follower.digest.hex(),
        state_hash=engine.state_hash(),
        differences=wrong,
        told=told,
    )


def _stored(path: Path, told: list[str], wrong: list[str]) -> Store | None:
    """Open the store that lies there, or say why it cannot be looked at."""
    if not path.exists():
        told.append("no settlement store lies here; it will be made from the journal")
        return None
    try:
        return Store.open(path)
    except StoreInUse:
        told.append("the settlement store is in use by a running venue, and was not compared")
    except StoreError as error:
        wrong.append(str(error))
    return None


def laws_broken(engine: Engine) -> list[str]:
    """Return what is not as it must be in an engine's own state, in words; empty if all is well."""
    ledger = engine.core.ledger
    accounts = ledger.accounts[: int(ledger.totals[0]["accounts"])]
    below_zero = [
        f"member {row['member']} asset {row['asset']}: {field} is {row[field]}"
        for field in ("available", "held", "restricted", "redeeming", "debt")
        for row in accounts[accounts[field] < 0]
    ]
    return [
        *below_zero,
        *_holds_broken(engine.core.book, ledger, accounts),
        *_budgets_broken(ledger, engine.programmes()),
        *_credits_broken(ledger, accounts),
        *_debts_broken(ledger, accounts),
    ]


def _holds_broken(book: Book, ledger: Ledger, accounts: np.ndarray) -> Iterator[str]:
    """Each open order holds what it needs, and each account what its open orders do."""
    used = slice(0, int(book.counts[0]["orders_used"]))
    is_open = book.orders[used]["leaves"] > 0  # resting, parked or waiting
    orders, stakes = book.orders[used][is_open], ledger.stakes[used][is_open]
    needed = needed_by(orders, open_lots_of(book, orders), stakes, discounts_of(ledger, stakes))
    for at in np.flatnonzero(stakes["held"] != needed):
        yield f"order {orders['id'][at]}: {stakes['held'][at]} held, {needed[at]} needed"
    held = np.zeros(len(accounts), np.int64)
    slots = np.where(orders["side"] == Side.BUY, stakes["money"], stakes["credits"])
    np.add.at(held, slots, stakes["held"])
    for slot in np.flatnonzero(held != accounts["held"]):
        row = accounts[slot]
        whose = f"member {row['member']} asset {row['asset']}"
        yield f"{whose}: {row['held']} held, open orders need {held[slot]}"


def open_lots_of(book: Book, orders: np.ndarray) -> np.ndarray:
    """Return what is open of each order, lots that an iceberg hides included."""
    hidden = np.where(orders["extra"] == NO_SLOT, 0, book.extras["hidden"][orders["extra"]])
    lots: np.ndarray = orders["leaves"] + hidden
    return lots


def discounts_of(ledger: Ledger, stakes: np.ndarray) -> np.ndarray:
    """Return what a deducting programme has reserved for each order, which it need not hold itself."""
    parcels = ledger.parcels[stakes["parcel"]]
    deducts = ledger.programmes["payout"][parcels["programme"]] == Payout.DEDUCT
    return np.where((stakes["parcel"] != NO_SLOT) & deducts, parcels["reserved"], 0)


def needed_by(
    orders: np.ndarray, leaves: np.ndarray, stakes: np.ndarray, discounts: np.ndarray
) -> np.ndarray:
    """Return what open orders must hold: a sell its lots, a buy the most that they can still cost."""
    rest = stakes["price"] * leaves
    gross = stakes["maker_gross"] + stakes["taker_gross"] + rest
    rate = np.maximum(stakes["maker_fee"], stakes["taker_fee"])
    fees = gross // BASIS_POINTS * rate + gross % BASIS_POINTS * rate // BASIS_POINTS - stakes["fees"]
    return np.where(orders["side"] == Side.BUY, rest + fees - discounts, leaves)


def _budgets_broken(ledger: Ledger, programmes: list[ProgrammeRow]) -> Iterator[str]:
    """Each budget sums; what is reserved is what open orders may earn, and what is earned and not paid."""
    parcels = ledger.parcels[: int(ledger.totals[0]["parcels"])]
    for slot in np.flatnonzero(
        (parcels["is_open"] == 0) & ((parcels["reserved"] != 0) | (parcels["cover"] != 0))
    ):
        yield f"parcel of order {parcels[slot]['order']}: it has ended, and something is reserved for it"
    for row in programmes:
        states = (row.uncommitted, row.reserved, row.paid, row.vested)
        if sum(states) != row.budget or min(states) < 0:
            yield f"programme {row.programme}: {states} is not the budget {row.budget}"
        terms = ledger.programmes[row.index]
        own = parcels[parcels["programme"] == row.index]
        needed = 0
        if terms["exhaustion"] == Exhaustion.FIRST_COME:
            needed = int(own["reserved"].sum())
            if terms["payout"] == Payout.REIMBURSE:
                needed += int((own["earned"] - own["vested"]).sum())
        if needed != row.reserved:
            yield f"programme {row.programme}: {row.reserved} reserved, its parcels need {needed}"


def _credits_broken(ledger: Ledger, accounts: np.ndarray) -> Iterator[str]:
    """Members hold what was issued and not used; their restricted credits stand in parcels.

    Some of the lots in parcels may be set aside for redemptions.
    """
    for instrument in range(int(ledger.totals[0]["listings"])):
        listing = ledger.listings[instrument]
        rows = accounts[accounts["asset"] == instrument + 1]
        owned = sum(int(rows[field].sum()) for field in ("available", "held", "restricted", "redeeming"))
        left = int(listing["issued"]) - int(listing["redeemed"]) - int(listing["expired"])
        if owned != left:
            yield f"instrument {instrument}: {left} issued and not used, members have {owned}"
    parcels = ledger.parcels[: int(ledger.totals[0]["parcels"])]
    parcelled = np.zeros(len(accounts), np.int64)
    np.add.at(parcelled, parcels["account"], parcels["lots"] - parcels["redeemed"])
    most = accounts["restricted"] + accounts["redeeming"]
    for slot in np.flatnonzero((parcelled < accounts["restricted"]) | (parcelled > most)):
        row = accounts[slot]
        yield (
            f"member {row['member']} asset {row['asset']}: {row['restricted']} restricted, "
            f"{row['redeeming']} redeeming, {parcelled[slot]} in parcels"
        )


def _debts_broken(ledger: Ledger, accounts: np.ndarray) -> Iterator[str]:
    """Each group owes what its members do."""
    owed = np.zeros(len(ledger.groups), np.int64)
    np.add.at(owed, ledger.members["group"][accounts["member"]], accounts["debt"])
    for group in np.flatnonzero(owed != ledger.groups["debt"]):
        yield f"group {group}: {ledger.groups['debt'][group]} owed, its members owe {owed[group]}"
