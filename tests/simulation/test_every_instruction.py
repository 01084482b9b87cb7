"""All that orders may say, from the journal to the store and the feed: the laws hold, whoever folds it."""

from __future__ import annotations

import random

import pytest

from exchange.engine import RULES_VERSION, Engine
from exchange.server.audit import laws_broken, verify
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower
from exchange.server.journal import Journal
from exchange.server.sequencer import Sequencer
from exchange.server.settler import Settler
from settlement.store import Store
from tests.engine.differential import cut
from tests.engine.flow import Flow
from tests.engine.market import batch_of
from tests.simulation.test_market_days import book_from_feed, book_of

COMMANDS = 4_000

ENDED_WRONG = """
    select "order", state, quantity, filled_quantity, traded
    from orders
    left join (select "order", sum(quantity) as traded from executions group by "order") using ("order")
    where filled_quantity <> coalesce(traded, 0)
       or filled_quantity > quantity
       or (state = 'filled') <> (filled_quantity = quantity)
"""


def sequenced(seed: int, folder: Folder) -> tuple[Engine, Journal]:
    """Put a random flow into a journal, batch by batch, as its times pass."""
    flow, now = Flow(seed), [0]
    folder.journal.mkdir(parents=True)
    journal = Journal.open(folder.journal, rules_version=RULES_VERSION)
    sequencer = Sequencer(Engine(), journal, lambda: now[0])
    for batch in cut([*flow.steps(COMMANDS)], random.Random(seed)):
        now[0] = batch[-1].command.time
        commands, acts = batch_of(batch)
        sequencer.submit(commands, acts)
        assert laws_broken(sequencer.engine) == [], f"after {sequencer.engine.sequence} commands"
    now[0] += 3_600 * 10**9
    sequencer.tell_time_if_due()
    return sequencer.engine, journal


@pytest.mark.simulation
@pytest.mark.parametrize("nth", range(2))
def test_replay_store_and_feed_agree_with_the_engine(tmp_path, seed, scale, nth):
    for number in range(nth, 2 * scale, 2):
        folder = Folder(tmp_path / f"venue-{number}")
        engine, journal = sequenced(seed + number, folder)
        commit = Commit(journal.sequence, journal.position)
        follower, store = Follower(folder.journal), Store.open(folder.settlement)
        chance = random.Random(seed)
        settler = Settler(follower, store, note=lambda _: None)
        while follower.engine.sequence < commit.sequence:
            settler.settle(commit, seconds_max=0.0)
            if chance.random() < 0.05:
                settler.flush()
        settler.flush()
        assert follower.engine.state_hash() == engine.state_hash(), "replay is not live"
        assert book_from_feed(folder, commit) == book_of(engine)
        assert store.cursor().execute(ENDED_WRONG).fetchall() == []
        states = "select time_in_force, state from orders group by all"
        assert {("gtd", "expired"), ("fok", "cancelled"), ("fok", "filled")} <= {
            *store.cursor().execute(states).fetchall()
        }
        store.close()
        journal.close()
        verdict = verify(folder)
        assert (verdict.differences, verdict.told) == ([], [])
