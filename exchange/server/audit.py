"""Proof from the journal alone: chain, replay, trial balance, budgets, and the store against both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine
from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.journal import JournalDamaged, JournalTorn
from exchange.server.reading import segment_name
from exchange.server.rebuild import Rebuild
from exchange.server.replay import ReplayParted, earliest
from exchange.server.retention import begins_late
from exchange.server.security import ChainBroken
from exchange.server.security import read as read_security_log
from exchange.server.snapshots import Begun, SnapshotDamaged, SnapshotUnfit, load, sequences, snapshot_name
from matching.layout import Book
from matching.vocabulary import NO_SLOT, Side
from settlement.balances import BASIS_POINTS
from settlement.history import differences as history_differences
from settlement.layout import Exhaustion, Ledger, Payout
from settlement.reconcile import Reconciler
from settlement.report import settlement_report
from settlement.rows import ProgrammeRow
from settlement.store import Store, StoreError, StoreInUse

THREADS = 2
"""How many threads sum up the rebuilt store, which nobody else waits for."""


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
    """Audit a venue's folder. It needs no server and no keys, and may run beside a server.

    The store is made anew in the system's folder for temporary files, which needs room for it: in memory one
    of six million commands was too large.
    """
    if begins_late(folder.journal):
        return _verify_what_is_left(folder, progress or (lambda _: None))
    with TemporaryDirectory(prefix="bourse-verify-") as aside:
        rebuilt = Store.open(Path(aside) / "rebuilt.duckdb", threads=THREADS, spill=Path(aside) / "rebuilt")
        try:
            return _verify_all(folder, rebuilt, Path(aside) / "stored", progress or (lambda _: None))
        finally:
            rebuilt.close()


def _verify_all(folder: Folder, rebuilt: Store, spill: Path, progress: Callable[[int], None]) -> Verdict:
    """Audit a folder whose journal is there from its beginning, by an empty store to be filled from it.

    What summing up the store that lies there has no memory for goes into the folder `spill`.
    """
    wrong: list[str] = []
    told: list[str] = []
    stored = _stored(folder.settlement, told, wrong, spill)
    is_running = stored is None and folder.settlement.exists()
    rebuild = Rebuild(
        folder.journal,
        rebuilt,
        stored,
        None,
        lambda store: history_broken(folder, store, told, is_running=is_running),
    )
    follower = rebuild.settler.follower
    proofs = SnapshotProofs(folder.snapshots)
    faults: list[str] = []
    with _faults_noted(folder.journal, follower, faults):
        rebuild.run(progress, lambda frame: proofs.look(frame.last, follower))
    if stored is not None:
        stored.close()
    told += [*rebuild.told, *proofs.told]
    wrong += [*faults, *rebuild.differences, *proofs.wrong]
    (told if faults else wrong).extend(proofs.unreached(follower.engine.sequence))
    with ThreadPoolExecutor(1) as pool:
        report = pool.submit(settlement_report, rebuilt)
        wrong += laws_broken(follower.engine)
        wrong += rebuild.settler.unreconciled()
        wrong += report.result().differences
    wrong += security_broken(folder, told)
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
    except JournalDamaged as damage:
        wrong.append(str(damage))
    else:
        told += begun.told
        follower = Follower(folder.journal, begun)
        proofs = SnapshotProofs(folder.snapshots, begun.mark.sequence)
        faults: list[str] = []
        with _faults_noted(folder.journal, follower, faults):
            try:
                _replay_beside(follower, stored, faults, proofs, progress)
            except JournalTorn as torn:
                told.append(f"the journal ends in a frame that is not whole yet: {torn}")
        told += proofs.told
        wrong += [*faults, *proofs.wrong, *laws_broken(follower.engine)]
        (told if faults else wrong).extend(proofs.unreached(follower.engine.sequence))
    if stored is not None:
        wrong += settlement_report(stored).differences
        wrong += history_broken(folder, stored, told)
        stored.close()
    wrong += security_broken(folder, told)
    return _verdict(follower, wrong, told)


@contextmanager
def _faults_noted(journal: Path, follower: Follower, wrong: list[str]) -> Iterator[None]:
    """Note what ends a replay, with the place of the frame that it could not apply.

    A frame that was written anew, digests and all, may say what no sequencer says: whatever the engine makes
    of that is a fault of the frame.
    """
    try:
        yield
    except JournalDamaged as damage:
        wrong.append(str(damage))
    except ReplayParted as parted:
        wrong.append(f"{parted} {_place_of(journal, follower)}")
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as fault:
        what = f"{type(fault).__name__} {fault}".strip()
        next_one = follower.engine.sequence + 1
        wrong.append(f"sequence {next_one} cannot be applied: {what} {_place_of(journal, follower)}")


def _place_of(journal: Path, follower: Follower) -> str:
    """Return in words where the frame begins that comes next."""
    next_one = follower.engine.sequence + 1
    with suppress(JournalDamaged):
        for frame in follower.ahead():
            if frame.last >= next_one:
                path = journal / segment_name(frame.end.segment)
                return f"(its frame begins at byte {frame.end.offset - frame.size} of {path})"
    return f"(behind byte {follower.position.offset} of {journal / segment_name(follower.position.segment)})"


def history_broken(folder: Folder, store: Store, told: list[str], *, is_running: bool = False) -> list[str]:
    """Return where the Parquet files of a venue's history differ from a store, a line a file.

    A venue that `is_running` writes on meanwhile: what could not be compared for that is told.
    """
    if not folder.history.is_dir():
        return []
    noted: list[str] = []
    found = history_differences(store, folder.history, noted, is_running=is_running)
    told += [f"history, not compared: {line}" for line in noted]
    return [f"history: {line}" for line in found]


def security_broken(folder: Folder, told: list[str]) -> list[str]:
    """Return where the chain of the security log does not hold, if there is one to be read."""
    try:
        for _ in read_security_log(folder.security, told):
            pass
    except ChainBroken as broken:
        return [str(broken)]
    except OSError as error:
        told.append(f"{folder.security}: {error.strerror}; the security log was not read")
    return []


class SnapshotProofs:
    """Holds each snapshot of a folder against a replica that passes its sequence.

    What lies at or before `since` is not passed; its bytes are looked at all the same.
    """

    def __init__(self, folder: Path, since: int = 0) -> None:
        self.told: list[str] = []
        self._folder = folder
        self.wrong: list[str] = []
        self._due = [sequence for sequence in sequences(folder) if sequence > since]
        for sequence in sequences(folder):
            if sequence <= since:
                self._loaded(sequence)

    def look(self, sequence: int, follower: Follower) -> None:
        """Compare the snapshot of a sequence that a replica has come to, if there is one."""
        if not self._due or sequence < self._due[0]:
            return
        due = self._due.pop(0)
        path = self._folder / snapshot_name(due)
        begun = self._loaded(due)
        if begun is None:
            return
        if due != sequence or begun.mark != follower.mark:
            self.wrong.append(f"{path}: at sequence {due} it was taken of another journal")
        elif begun.engine.state_hash() != follower.engine.state_hash():
            self.wrong.append(
                f"{path}: at sequence {due} its state is {begun.engine.state_hash():016x}, "
                f"the journal leads to {follower.engine.state_hash():016x}"
            )

    def _loaded(self, sequence: int) -> Begun | None:
        """Return a snapshot, or note why it cannot be used."""
        try:
            return load(self._folder / snapshot_name(sequence))
        except FileNotFoundError:
            return None  # taken away by the venue since its name was read
        except SnapshotDamaged as damage:
            self.wrong.append(f"sequence {sequence}: {damage}")
        except SnapshotUnfit as unfit:
            self.told.append(str(unfit))
        return None

    def unreached(self, last: int) -> list[str]:
        """Return which snapshots the replica has not come to, standing at `last`."""
        return [
            f"{self._folder / snapshot_name(due)}: the replay ended at sequence {last}, before it"
            for due in self._due
        ]


def _replay_beside(
    follower: Follower,
    stored: Store | None,
    wrong: list[str],
    proofs: SnapshotProofs,
    progress: Callable[[int], None],
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
            proofs.look(frame.last, follower)
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


def _stored(path: Path, told: list[str], wrong: list[str], spill: Path | None = None) -> Store | None:
    """Open the store that lies there, or say why it cannot be looked at."""
    if not path.exists():
        told.append("no settlement store lies here; it will be made from the journal")
        return None
    try:
        return Store.open(path, spill=spill)
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
