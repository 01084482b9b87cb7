"""Proof from the journal alone: chain, replay, trial balance, budgets, and the store against both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine
from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.journal import JournalDamaged, JournalTorn, read_frames
from exchange.server.replay import ReplayParted
from exchange.server.settler import Settler
from matching.layout import Book
from matching.vocabulary import NO_SLOT, Side
from settlement.balances import BASIS_POINTS
from settlement.compare import differences
from settlement.report import settlement_report
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
    wrong: list[str] = []
    told: list[str] = []
    follower = Follower(folder.journal)
    rebuilt = Store.open(None)
    stored = _stored(folder.settlement, told, wrong)
    settler = Settler(follower, rebuilt, note=lambda _: None)
    mark = stored.watermark.sequence if stored else 0
    try:
        for frame in read_frames(folder.journal):
            outcome = follower.take(frame)
            rebuilt.add(outcome.events, outcome.effects, outcome.happened)
            if progress is not None:
                progress(frame.last)
            if frame.last == mark and stored is not None:
                settler.flush()
                wrong += differences(stored, rebuilt)
                mark = NO_SLOT
    except JournalTorn as torn:
        told.append(f"the journal ends in a frame that is not whole yet: {torn}")
    except (JournalDamaged, ReplayParted) as damage:
        wrong.append(str(damage))
    settler.flush()
    if mark > 0:
        wrong.append(f"store: its watermark {mark} is the end of no frame of the journal")
    if stored is not None:
        stored.close()
    report = settlement_report(rebuilt)
    wrong += report.differences
    wrong += laws_broken(follower.engine)
    wrong += unreconciled(follower.engine, rebuilt)
    rebuilt.close()
    return Verdict(
        ok=not wrong,
        commands=follower.engine.sequence,
        frames=follower.frames,
        head=(follower.digest or b"").hex(),
        state_hash=follower.engine.state_hash(),
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
    book, ledger = engine.core.book, engine.core.ledger
    wrong: list[str] = []
    accounts = ledger.accounts[: int(ledger.totals[0]["accounts"])]
    for field in ("available", "held", "restricted", "debt"):
        wrong += [
            f"member {row['member']} asset {row['asset']}: {field} is {row[field]}"
            for row in accounts[accounts[field] < 0]
        ]
    for row in engine.programmes():
        states = (row.uncommitted, row.reserved, row.paid, row.vested)
        if sum(states) != row.budget or min(states) < 0:
            wrong.append(f"programme {row.programme}: {states} is not the budget {row.budget}")
    used = slice(0, int(book.counts[0]["orders_used"]))
    is_open = book.orders[used]["leaves"] > 0  # resting, parked or waiting
    orders, stakes = book.orders[used][is_open], ledger.stakes[used][is_open]
    needed = needed_by(orders, open_lots_of(book, orders), stakes)
    wrong += [
        f"order {orders['id'][at]}: {stakes['held'][at]} held, {needed[at]} needed"
        for at in np.flatnonzero(stakes["held"] != needed)
    ]
    held = np.zeros(len(accounts), np.int64)
    slots = np.where(orders["side"] == Side.BUY, stakes["money"], stakes["credits"])
    np.add.at(held, slots, stakes["held"])
    for slot in np.flatnonzero(held != accounts["held"]):
        row = accounts[slot]
        wrong.append(
            f"member {row['member']} asset {row['asset']}: {row['held']} held, open orders need {held[slot]}"
        )
    for programme, row in enumerate(engine.programmes()):
        reserved = int(stakes["reserved"][stakes["programme"] == programme].sum())
        if reserved != row.reserved:
            wrong.append(f"programme {row.programme}: {row.reserved} reserved, orders need {reserved}")
    return wrong


def open_lots_of(book: Book, orders: np.ndarray) -> np.ndarray:
    """Return what is open of each order, lots that an iceberg hides included."""
    hidden = np.where(orders["extra"] == NO_SLOT, 0, book.extras["hidden"][orders["extra"]])
    lots: np.ndarray = orders["leaves"] + hidden
    return lots


def needed_by(orders: np.ndarray, leaves: np.ndarray, stakes: np.ndarray) -> np.ndarray:
    """Return what open orders must hold: a sell its lots, a buy the most that they can still cost."""
    rest = stakes["price"] * leaves
    gross = stakes["maker_gross"] + stakes["taker_gross"] + rest
    rate = np.maximum(stakes["maker_fee"], stakes["taker_fee"])
    fees = gross // BASIS_POINTS * rate + gross % BASIS_POINTS * rate // BASIS_POINTS - stakes["fees"]
    return np.where(orders["side"] == Side.BUY, rest + fees - stakes["reserved"], leaves)


def unreconciled(engine: Engine, store: Store) -> list[str]:
    """Return where balances in memory and the sums of the postings part, in words."""
    ledger = engine.core.ledger
    names = [member.member for member in engine.registry.members]
    assets = ["money", *(instrument.symbol for instrument in engine.registry.instruments)]
    balances: dict[tuple[str, str, str], int] = {}
    for row in ledger.accounts[: int(ledger.totals[0]["accounts"])]:
        key = (names[row["member"]], assets[row["asset"]])
        balances[(*key, "free")] = int(row["available"]) + int(row["held"])
        balances[(*key, "restricted")] = int(row["restricted"])
    posted = {
        (member, asset, account): int(total)
        for member, asset, account, total in store.cursor()
        .execute(
            "select member, asset, account, sum(amount) from postings "
            "where account in ('free', 'restricted') group by all"
        )
        .fetchall()
    }
    return [
        f"{' '.join(key)}: {balances.get(key, 0)} in memory, {posted.get(key, 0)} by the postings"
        for key in sorted(balances.keys() | posted.keys())
        if balances.get(key, 0) != posted.get(key, 0)
    ]
