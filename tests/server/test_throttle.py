"""The token bucket against the rule in plain Python, and the log of reports against a list."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.engine import Engine
from exchange.protocol.arrays import COMMAND, REPORT
from exchange.server.reportlog import ReportLog
from exchange.server.zap import answer
from exchange.throttle import Throttle
from matching.layout import grown
from matching.vocabulary import CommandKind, RejectReason

NOW = 1_767_576_600 * 10**9


class Bucket:
    """What the rule says, in fractions of a token."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.left, self.then = rate, burst, Fraction(burst), 0

    def wait_ms(self, now, tokens):
        now = max(now, self.then)
        self.left = min(Fraction(self.burst), self.left + Fraction((now - self.then) * self.rate, 10**9))
        self.then = now
        if self.left >= 1:
            self.left -= tokens
            return 0
        wait = (1 - self.left) * 1000 / self.rate
        return -(-wait.numerator // wait.denominator)


@given(
    rate=st.integers(1, 10**7),
    burst=st.integers(1, 10**7),
    steps=st.lists(st.tuples(st.integers(-(10**9), 10**13), st.integers(1, 300)), max_size=30),
)
def test_a_bucket_is_exact(rate, burst, steps):
    throttle, model, now = Throttle(rate, burst), Bucket(rate, burst), NOW
    for step, tokens in steps:
        now += step
        for _ in range(2):
            assert throttle.wait_ms(3, now, tokens) == model.wait_ms(now, tokens)


def test_who_waits_as_long_as_told_gets_through():
    throttle = Throttle(7, 1)
    assert throttle.wait_ms(1, NOW) == 0
    wait = throttle.wait_ms(1, NOW)
    assert throttle.wait_ms(1, NOW + (wait - 1) * 10**6) == 1
    assert throttle.wait_ms(1, NOW + wait * 10**6) == 0


def test_what_is_owed_is_waited_for():
    throttle = Throttle(10, 1)
    assert throttle.wait_ms(1, NOW, 31) == 0
    throttle.owe(1, 10)
    assert throttle.wait_ms(1, NOW) == 4_100
    assert throttle.wait_ms(1, NOW + 4_099 * 10**6) == 1
    assert throttle.wait_ms(1, NOW + 4_100 * 10**6) == 0


def test_each_member_has_its_own_bucket_however_many_there_are():
    core = Engine().core
    core.ledger.totals[0]["members"] = 201
    core = core._replace(ledger=core.ledger._replace(members=grown(core.ledger.members, 201)))
    throttle = Throttle(1, 2)
    commands = np.zeros(9, COMMAND)
    commands["kind"] = [CommandKind.NEW] * 7 + [CommandKind.REDUCE, CommandKind.CANCEL]
    commands["member"] = [5, 5, 5, 200, 200, 200, 200, 5, 5]
    faults, details = np.zeros(9, np.uint8), np.zeros(9, np.int64)
    assert throttle.charge(core, commands, NOW, faults, details) == 5
    assert np.flatnonzero(faults == RejectReason.THROTTLED).tolist() == [2, 5, 6, 7, 8]
    assert set(details[faults > 0].tolist()) == {1000}


def rows(sequences):
    reports = np.zeros(len(sequences), REPORT)
    reports["sequence"] = sequences
    reports["order"] = np.arange(len(sequences))
    return reports


@pytest.mark.parametrize("seed", range(20))
def test_the_log_keeps_the_latest_and_knows_what_it_lacks(seed):
    chance = Random(seed)
    kept = chance.randint(1, 40)
    log, sequence = ReportLog(kept, floor=7), 7
    everything: list[tuple] = []
    for _ in range(60):
        batch: list[int] = []
        for _ in range(chance.randint(0, 12 if seed % 2 else 60)):
            sequence += chance.randint(0, 2) if batch else 1
            batch.append(sequence)
        members = np.array([chance.randint(1, 3) for _ in batch], np.int32)
        reports = rows(batch)
        log.keep(members, reports)
        everything += zip(members.tolist(), reports, strict=True)
        lost = everything[: max(0, len(everything) - kept)]
        assert log.floor == (int(lost[-1][1]["sequence"]) if lost else 7)
        since = chance.randint(log.floor, max(log.floor, sequence))
        member = chance.randint(1, 3)
        wanted = [report for one, report in everything if one == member and report["sequence"] > since]
        assert log.since(member, since).tobytes() == b"".join(report.tobytes() for report in wanted)


def test_a_handshake_is_answered_by_its_key_and_door():
    key = bytes(range(32))
    asked = []

    def may_enter(door, name):
        asked.append((door, len(name)))
        return door == "members"

    good = answer([b"1.0", b"7", b"members", b"127.0.0.1", b"", b"CURVE", key], may_enter)
    assert good[:3] == [b"1.0", b"7", b"200"]
    assert len(good[4]) == 40
    assert answer([b"1.0", b"7", b"operators", b"127.0.0.1", b"", b"CURVE", key], may_enter)[2] == b"400"
    assert asked == [("members", 40), ("operators", 40)]


@pytest.mark.parametrize(
    "request_",
    [
        [],
        [b"1.0"],
        [b"1.0", b"7", b"members", b"", b"", b"PLAIN", b"name", b"word"],
        [b"1.0", b"7", b"members", b"", b"", b"NULL"],
        [b"2.0", b"7", b"members", b"", b"", b"CURVE", bytes(32)],
        [b"1.0", b"7", b"members", b"", b"", b"CURVE", bytes(31)],
        [b"1.0", b"7", b"\xff\xfe", b"", b"", b"CURVE", b""],
    ],
)
def test_a_handshake_that_is_none_is_turned_away(request_):
    reply = answer(request_, lambda *_: True)
    assert len(reply) == 6
    assert reply[2] in (b"400", b"500")
    assert reply[4] == b""
