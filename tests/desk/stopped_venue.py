"""A venue that has traded and stopped: journal, store, snapshot; and how a journal is written anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from exchange.engine import Engine
from exchange.instruments import standard_catalogue
from exchange.protocol.acts import Admit
from exchange.protocol.arrays import COMMAND
from exchange.server.folder import Folder
from exchange.server.founding import MILLION_YUAN, sandbox_firms, standard_acts, voucher
from exchange.server.frames import Frame
from exchange.server.journal import Journal
from exchange.server.reading import read_frames
from exchange.server.rebuild import settle
from exchange.server.replay import apply_frame
from exchange.server.snapshots import save
from exchange.testing import Exchange

SYMBOL = standard_catalogue()[0].symbol


def stopped_venue(root: Path, orders: int = 16, *, snapshot: bool = True, store: bool = True) -> Folder:
    """Return a venue in which a provider and two firms have traded, a round each tenth of a second."""
    folder = Folder(root)
    folder.found((), [])
    two = standard_catalogue()[:2]
    firms = [
        *sandbox_firms(),
        (Admit(member="FIRM", role="firm", size="small", region="Hangzhou"), 10 * MILLION_YUAN),
    ]
    venue = Exchange(standard_acts(firms, [], [voucher(2026)], two), folder=folder.journal)
    chance = random.Random(7)
    with (
        venue.connect(two[0].provider.upper()) as provider,
        venue.connect("SANDBOX") as sandbox,
        venue.connect("FIRM") as firm,
    ):
        listed = provider.instruments[SYMBOL]
        top, tick = listed.listing.list_price, listed.tick
        for number in range(orders):
            venue.clock.advance(10**8)
            provider.place(listed.sell(2, limit=top + tick * chance.randrange(-3, 4)))
            buyer = (sandbox, firm)[number % 2]
            buyer.place(listed.buy(1 + number % 3, limit=top + tick * chance.randrange(-3, 4)))
            if snapshot and number == orders // 2:
                assert isinstance(venue.journal, Journal)
                save(folder.snapshots, venue.engine, venue.journal.mark)
        sandbox.place(listed.buy(3, limit=top - 5 * tick, programme="HZ-VOUCHER-2026"), client_id="last-one")
    venue.journal.close()
    if store:
        settle(folder, lambda _: None, is_anew=True, is_checked=False)
    return folder


def frames_of(journal: Path) -> list[Frame]:
    return list(read_frames(journal))


def rewritten(
    source: Path,
    target: Path,
    change: Callable[[int, np.ndarray], None] = lambda _sequence, _row: None,
    cut: Callable[[Frame], Iterable[int]] | None = None,
    *,
    honest: bool = False,
) -> Path:
    """Write a journal anew, sealed frame by frame as a sequencer would; state hashes stay, unless `honest`.

    `change` may change each command; `cut` names the last sequences of the frames that one becomes.
    """
    target.mkdir(parents=True)
    frames = frames_of(source)
    engine = Engine()
    with_hashes = {frame.first: frame.state_hash for frame in frames}
    journal = Journal.open(target, rules_version=frames[0].rules_version)
    for frame in frames:
        rows = np.frombuffer(frame.commands, COMMAND).copy()
        for at in range(len(rows)):
            change(frame.first + at, rows[at : at + 1])
        first = frame.first
        for last in (*(cut(frame) if cut else ()), frame.last):
            part = rows[first - frame.first : last - frame.first + 1]
            state_hash = (
                engine.state_hash() if honest and with_hashes.get(first) else with_hashes.get(first, 0)
            )
            journal.append(frame.time, part.tobytes(), frame.acts, len(part), state_hash)
            first = last + 1
        if honest:
            apply_frame(engine, frame._replace(commands=rows.tobytes(), state_hash=0))
    journal.close()
    return target
