"""A whole market from one seed: crowd, venue, journal, store and feed, with the laws checked on the way."""

from __future__ import annotations

import pytest

from exchange.crowd import Crowd, firms
from exchange.demo import ClientDesk
from exchange.server.audit import laws_broken, verify
from exchange.server.feeding import batch_of
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower
from exchange.server.founding import standard_acts, voucher
from exchange.server.sequencer import midnight_after
from exchange.server.settler import Settler
from exchange.testing import OPENING, Exchange
from feeds.builder import Books
from feeds.messages import LEVELS_REFRESH, read
from feeds.publisher import Publisher
from matching.view import depth_of
from matching.vocabulary import Side
from settlement.store import Store

ORDERS = 1_500
TIGHT_BUDGET = 8_000_000
"""800 yuan: the voucher is exhausted in the middle of the day."""


def market(seed, folder):
    """Let the crowd trade until the voucher is gone and the day ends; check the laws after each round."""
    programme = voucher(OPENING.year, budget=TIGHT_BUDGET)
    acts = standard_acts(firms(), [], [programme])
    folder.found(acts, [])
    venue = Exchange(acts, folder=folder.journal)
    registry = venue.engine.registry
    clients = {member.member: venue.connect(member.member) for member in registry.members[1:]}
    desk = ClientDesk(clients, [instrument.symbol for instrument in registry.instruments])
    crowd = Crowd(seed, registry.instruments, registry.members, programme.code)
    crowd.open_market(desk, ORDERS)
    while crowd.placed < ORDERS:
        crowd.play_round(desk, min(60, ORDERS - crowd.placed))
        assert laws_broken(venue.engine) == [], f"after {venue.engine.sequence} commands"
    venue.clock.now = midnight_after(venue.clock.now)
    venue.sequencer.tell_time_if_due()
    assert laws_broken(venue.engine) == []
    for client in clients.values():
        client.close()
    return venue


@pytest.mark.simulation
@pytest.mark.parametrize("day", range(4))
def test_a_day_keeps_every_law(tmp_path, seed, scale, day):
    for number in range(scale):
        folder = Folder(tmp_path / f"venue-{number}")
        venue = market(seed + 1_000 * number + day, folder)
        commit = Commit(venue.journal.sequence, venue.journal.position)
        follower = Follower(folder.journal)
        store = Store.open(folder.settlement)
        settler = Settler(follower, store, note=lambda _: None)
        settler.settle(commit)
        settler.flush()
        assert follower.engine.state_hash() == venue.engine.state_hash(), "replay is not live"
        assert book_from_feed(folder, commit) == book_of(venue.engine)
        (row,) = follower.engine.programmes()
        assert (row.reserved, row.uncommitted + row.paid + row.vested) == (0, row.budget)
        exhausted = "select count(*) from refusals where reason = 'programme_exhausted'"
        assert store.cursor().execute(exhausted).fetchall() > [(0,)], "the budget was not put to the test"
        store.close()
        venue.journal.close()
        verdict = verify(folder)
        assert (verdict.differences, verdict.told) == ([], [])


def book_from_feed(folder, commit):
    """Return every level that a reader of the feed has, by instrument and side."""
    follower = Follower(folder.journal)
    follower.engine.record()
    publisher = Publisher(run=1)
    books = Books(range(193))
    for frame, outcome in follower.advance(commit):
        for instrument in range(len(follower.engine.registry.instruments)):
            if books[instrument].wants_refresh(frame.time):
                books[instrument].asked(frame.time)
                whole = publisher.refresh(LEVELS_REFRESH, instrument, follower.engine.core.book)
                books.take(read(whole), frame.time)
        batch = batch_of(outcome, frame.first, frame.last, frame.time)
        for message in publisher.outgoing(batch, follower.engine.core.book):
            books.take(read(message), frame.time)
    return {
        (at, side): [tuple(level) for level in half]
        for at in range(len(follower.engine.registry.instruments))
        for side, half in ((Side.BUY, books[at].bids), (Side.SELL, books[at].asks))
    }


def book_of(engine):
    """Return every level that the engine has, by instrument and side."""
    return {
        (at, side): [tuple(row) for row in depth_of(engine.core.book, at, side, 10**6).tolist()]
        for at in range(len(engine.registry.instruments))
        for side in Side
    }
