"""No input makes a reader raise what it does not name, and what is refused changes nothing."""

from __future__ import annotations

from random import Random

import pytest

from exchange.protocol.messages import COMMANDS, AskStatus, encode
from tests.fuzz.corpus import kept_inputs, paths
from tests.fuzz.drive import drive
from tests.fuzz.flood import flood
from tests.fuzz.mutator import Mutator
from tests.fuzz.registry import TARGETS
from tests.fuzz.target import StateChanged, Target, outcome_of

QUICK = {
    "query_session": 1_000, "feed": 1_000, "commits": 1_000, "journal": 200, "sealed_frame": 200,
    "acts": 1_000, "image": 1_000, "proof": 1_000, "security": 300, "profile": 200, "settings": 60,
    "terms": 60, "admission": 200, "calendar": 100, "instruments": 100, "map": 100, "catalogue": 40,
    "usage": 500, "lobster": 100, "recording": 100,
}  # fmt: skip
"""How many inputs of each target are tried with the quick tests; of the others only with the slow ones."""

SLOW = {"snapshot": 100, "sql": 600, "command_line": 150, "queries": 1_000, "gateway": 3_000}
SLOW_DEFAULT = 2_000


def failures(name: str, count: int, seed: int) -> list[str]:
    """Return what was found within so many inputs, each with what repeats it."""
    driven = drive(TARGETS[name], seed, lambda tried: tried >= count)
    assert driven.tried == count or driven.findings
    return [f"{one.told}\n{one.data[:400]!r}\n{one.trace}"[:3_000] for one in driven.findings]


@pytest.mark.parametrize("name", sorted(QUICK))
def test_a_reader_raises_only_what_it_names(name, seed, scale):
    assert not failures(name, QUICK[name] * scale, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_reader_raises_only_what_it_names_at_length(name, seed, scale):
    assert not failures(name, SLOW.get(name, SLOW_DEFAULT) * scale, seed + 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_input_that_is_kept_is_taken(name, tmp_path):
    """What our encoders write, and each input that ever found a bug."""
    assert paths(name), f"python -m tests.fuzz.corpus writes the corpus of {name}"
    take = TARGETS[name].make(tmp_path)
    for path in paths(name):
        take(path.read_bytes())


FLOOD_QUICK, FLOOD = 200_000, 5_000_000


def test_malformed_frames_change_nothing(seed):
    """Two hundred thousand of them; five million with the slow tests."""
    assert flood(FLOOD_QUICK, kept_inputs(TARGETS["gateway"]), seed).frames >= FLOOD_QUICK


@pytest.mark.slow
def test_five_million_malformed_frames_change_nothing(seed):
    assert flood(FLOOD, kept_inputs(TARGETS["gateway"]), seed + 1).frames >= FLOOD


# --- the fuzzers themselves ------------------------------------------------------------------------


def a_target(take) -> Target:
    return Target("canary", lambda folder: take, lambda: [encode(AskStatus(2)), COMMANDS + bytes(128)])


def test_a_planted_bug_is_found_and_the_seed_repeats_it():
    def take(data):
        if data[:1] == b"C" and len(data) not in (1, 129):
            raise IndexError("past the end")
        return "taken"

    seeds = [*a_target(take).seeds()]
    first, again = (drive(a_target(take), 7, lambda tried: tried >= 500, seeds) for _ in range(2))
    (found,) = first.findings
    assert "past the end" in found.told
    assert again.findings[0].data == found.data


def test_a_change_of_state_is_found(monkeypatch):
    """A decoder that lets a malformed frame through to the journal."""
    from exchange.server.gateway import Gateway
    from exchange.server.sequencer import telling_time

    sound = Gateway.take

    def take(self, session, body):
        if body[:1] == b"R":
            self._sequencer.submit(telling_time())
            return 0
        return sound(self, session, body)

    monkeypatch.setattr(Gateway, "take", take)
    with pytest.raises(StateChanged):
        flood(2_000, [encode(AskStatus(2))], 1)


def test_the_same_seed_gives_the_same_inputs():
    seeds = [b"one", b"two", bytes(64)]
    first, again = (Mutator(seeds, Random(3)) for _ in range(2))
    inputs = [first.next() for _ in range(300)]
    assert inputs == [again.next() for _ in range(300)]
    assert len(set(inputs)) > 250
    assert max(map(len, inputs)) <= first.longest


def test_what_comes_of_inputs_is_told_without_their_particulars():
    assert outcome_of(KeyError("row 7: 'x'")) == outcome_of(KeyError("row 8: 'y'"))
