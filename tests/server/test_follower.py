"""Frames that a follower takes together: the same events, the same state, whatever is joined to what."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from exchange.engine import RULES_VERSION, Engine
from exchange.server.follower import TOGETHER_COMMANDS_MAX, Commit, Follower, joined, together
from exchange.server.journal import Journal, read_frames
from exchange.server.replay import apply_frame
from exchange.server.sequencer import Sequencer
from exchange.testing import FakeClock
from feeds.bars import MINUTE_NS
from matching.vocabulary import CommandKind, Side
from tests.server.venue import Venue, commands, founding, new


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """The journal of a venue with small frames, acts among them, and the end of a day."""
    folder = tmp_path_factory.mktemp("journal")
    venue = Venue(Journal.open(folder, rules_version=RULES_VERSION, segment_bytes=1 << 20))
    for session, name in ((b"\0ann1", "ANN"), (b"\0ali1", "ALIBABA"), (b"\0ope1", "OPERATOR")):
        venue.meet(session, name)
    chance = Random(3)
    for number in range(400):
        venue.clock.advance(chance.choice((0, 10**6, 10**9, 3_600 * 10**9)))
        session, side = chance.choice(((b"\0ann1", Side.BUY), (b"\0ali1", Side.SELL)))
        rows = [
            new(venue, f"n{number}-{at}", side, chance.randint(1, 4), chance.randint(-2, 2))
            for at in range(chance.randint(1, 3))
        ]
        venue.say(session, commands(*rows))
    venue.journal.close()
    return folder, venue


def follow(folder, commit, apart=0):
    follower, events, effects = Follower(folder), [], []
    for _, outcome in follower.advance(commit, apart):
        events.append(outcome.events.copy())
        effects.append(outcome.effects.copy())
    return follower, np.concatenate(events), np.concatenate(effects)


def test_a_follower_comes_to_what_the_sequencer_came_to(journal):
    folder, venue = journal
    commit = Commit(venue.engine.sequence, venue.journal.position)
    follower, events, effects = follow(folder, commit)
    assert follower.engine.state_hash() == venue.engine.state_hash()
    assert (follower.position, follower.digest) == (venue.journal.position, venue.journal.digest)
    assert follower.frames == venue.journal.frames
    single, singles, effects_of_singles = Engine(), [], []
    for frame in read_frames(folder):
        outcome = apply_frame(single, frame)
        singles.append(outcome.events.copy())
        effects_of_singles.append(outcome.effects.copy())
    numberless = [name for name in events.dtype.names if name != "command"]  # a row of its own batch
    assert events[numberless].tolist() == np.concatenate(singles)[numberless].tolist()
    assert effects.tobytes() == np.concatenate(effects_of_singles).tobytes()


def test_frames_are_taken_together_and_none_across_a_watermark(journal):
    folder, venue = journal
    every = list(read_frames(folder))
    lots = list(together(iter(every)))
    assert [frame for lot in lots for frame in lot] == every
    assert len(lots) < len(every) // 3  # its clock often jumps by an hour
    assert all(not (frame.acts or frame.state_hash) for lot in lots for frame in lot[1:])
    for mark in (every[0].last, every[len(every) // 2].last, every[-2].last):
        ends = [lot[-1].last for lot in together(iter(every), apart=mark)]
        assert mark in ends
    commit = Commit(venue.engine.sequence, venue.journal.position)
    assert follow(folder, commit, every[50].last)[0].engine.state_hash() == venue.engine.state_hash()


def test_what_is_taken_together_is_of_one_minute(journal):
    folder, _ = journal
    every = [frame._replace(time=7 * nth * MINUTE_NS // 60) for nth, frame in enumerate(read_frames(folder))]
    lots = list(together(iter(every)))
    assert [frame for lot in lots for frame in lot] == every
    assert max(len(lot) for lot in lots) > 1
    for lot in lots:
        assert len({frame.time // MINUTE_NS for frame in lot}) == 1


def test_a_lot_is_bounded(tmp_path):
    clock = FakeClock()
    book = Journal.open(tmp_path, rules_version=RULES_VERSION)
    sequencer = Sequencer(Engine(), book, clock)
    sequencer.found(founding())
    from exchange.protocol.arrays import COMMAND

    for _ in range(5):
        batch = np.zeros(TOGETHER_COMMANDS_MAX // 2, COMMAND)
        batch["kind"] = CommandKind.CLOCK
        sequencer.submit(batch)
    book.close()
    lots = list(together(read_frames(tmp_path)))
    assert max(sum(frame.count for frame in lot) for lot in lots) <= TOGETHER_COMMANDS_MAX
    assert [joined(lot).last for lot in lots][-1] == sequencer.engine.sequence
