"""The differential can fail: each rule, when it is broken on either side, is found out quickly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import matching.reference
from matching.reference import ReferenceBook
from matching.vocabulary import EventKind, RejectReason, Side, TimeInForce
from tests.matching.differential import play_seed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMANDS = 10_000
PLAIN_SECONDS_MAX = 20
"""Far more than is needed: a changed kernel may run in circles, and is then found out too."""


def test_the_canaries_sing_while_nothing_is_broken(seed):
    play_seed(seed, COMMANDS)


# --- a reference whose rules are others --------------------------------------------------------


class TakersPrice(ReferenceBook):
    """Trades are made at the taker's price."""

    def trade(self, taker, maker):
        for event in super().trade(taker, maker):
            yield event._replace(price=taker.price)


class IocRests(ReferenceBook):
    """What is left of an IOC order rests."""

    def order_from(self, command):
        order = super().order_from(command)
        if order.time_in_force == TimeInForce.IOC:
            order.time_in_force = TimeInForce.GTC
        return order


class AnyoneCancels(ReferenceBook):
    """Everybody may cancel everybody's orders."""

    def cancel(self, command):
        return super().cancel(command._replace(member=-1))


class NothingEnds(ReferenceBook):
    """DAY orders outlast the day."""

    def end_day(self):
        return iter(())


class EndsFirstComeFirst(ReferenceBook):
    """DAY orders expire in the order in which they entered, whatever their book and price."""

    def end_day(self):
        for order in sorted(self.resting.values(), key=lambda order: order.entry):
            if order.time_in_force == TimeInForce.DAY:
                yield from self.end(order, EventKind.EXPIRED)


class EndsAsksFirst(ReferenceBook):
    """DAY orders expire asks before bids."""

    def end_day(self):
        for book in self.books:
            for order in (*book.asks, *book.bids):
                if order.time_in_force == TimeInForce.DAY:
                    yield from self.end(order, EventKind.EXPIRED)


class AnyNumberWillDo(ReferenceBook):
    """An order's id may be 0, or negative."""

    def fault_of(self, command):
        reason = super().fault_of(command)
        return RejectReason.NONE if reason == RejectReason.ORDER_NOT_POSITIVE else reason


class NamesAreUsedUp(ReferenceBook):
    """An id may not be used again after its order has left."""

    def __init__(self, markets):
        super().__init__(markets)
        self.used = set()

    def fault_of(self, command):
        reason = super().fault_of(command)
        if reason == RejectReason.NONE and command.order in self.used:
            return RejectReason.DUPLICATE_ORDER
        self.used.add(command.order)
        return reason


class BarredStays(ReferenceBook):
    """A buy that meets a related sell tells no reason."""

    def end(self, order, kind, reason=RejectReason.NONE):
        del reason
        return super().end(order, kind)


class LeavesForgotten(ReferenceBook):
    """A trade does not say what is left of the maker."""

    def trade(self, taker, maker):
        for event in super().trade(taker, maker):
            yield event._replace(maker_leaves=0)


class ExpiredIsCancelled(ReferenceBook):
    """The day's end is told as a cancel."""

    def end(self, order, kind, reason=RejectReason.NONE):
        del kind
        return super().end(order, EventKind.CANCELLED, reason)


@pytest.mark.parametrize(
    "changed",
    [
        TakersPrice,
        IocRests,
        AnyoneCancels,
        NothingEnds,
        EndsFirstComeFirst,
        EndsAsksFirst,
        AnyNumberWillDo,
        NamesAreUsedUp,
        BarredStays,
        LeavesForgotten,
        ExpiredIsCancelled,
    ],
)
def test_a_reference_with_another_rule_is_found_out(changed, seed):
    with pytest.raises(AssertionError, match="kernel and reference differ at command"):
        play_seed(seed, COMMANDS, reference=changed)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("priority", lambda order: (order.price if order.side else -order.price, -order.entry)),
        ("priority", lambda order: (-order.price if order.side else order.price, order.entry)),
        ("reaches", lambda taker, maker: taker.price == maker.price),
        ("are_related", lambda one, other: False),
        ("are_related", lambda one, other: one.group == other.group),
        ("are_related", lambda one, other: one.group == other.group and one.subsidised),
        ("are_related", lambda one, other: one.group == other.group and (one.subsidised or other.subsidised)),
        ("TIMES_IN_FORCE", (TimeInForce.GTC, TimeInForce.IOC)),
        ("PRICE_MAX", 10**15 - 1),
        ("QUANTITY_MAX", 2**41 - 1),
        ("QUANTITY_MAX", 2**41 + 1),
        ("NOTIONAL_MAX", 2**61 - 10**15),
        ("other_side", Side),
    ],
)
def test_a_reference_with_another_word_is_found_out(name, changed, seed, monkeypatch):
    monkeypatch.setattr(matching.reference, name, changed)
    with pytest.raises(AssertionError, match="kernel and reference differ at command"):
        play_seed(seed, COMMANDS)


# --- kernels with a line changed ---------------------------------------------------------------

CHANGED_LINES = [
    ("levels.py", "        if node == half.leaf:\n            half.leaf = NO_SLOT\n", ""),
    ("levels.py", "key < half.best_key", "key <= half.best_key + 1"),
    ("levels.py", "inner.occupied &= ~(_ONE << digit)", "inner.occupied &= ~(_ONE << (digit & 31))"),
    ("queues.py", "        book.orders[order.behind].ahead = order.ahead\n", "        pass\n"),
    ("queues.py", "    here.quantity -= order.leaves\n", ""),
    ("places.py", ">= (at - gap) & mask", "> (at - gap) & mask"),
    ("places.py", "            gap = at\n", "            break\n"),
    ("cross.py", "half.best_key <= reach", "half.best_key < reach"),
    ("cross.py", "        other.leaves -= quantity\n", ""),
    ("cross.py", "one.subsidised if one.side == Side.BUY else other.subsidised", "one.subsidised"),
    (
        "cross.py",
        "one.subsidised if one.side == Side.BUY else other.subsidised",
        "one.subsidised | other.subsidised",
    ),
    ("batch.py", "book.orders[slot].time_in_force == TimeInForce.DAY", "book.orders[slot].leaves > 3"),
    ("batch.py", "in range(len(book.halves))", "in range(len(book.halves) - 1, -1, -1)"),
    ("batch.py", "            level = worse\n", "            level = NO_SLOT\n"),
    ("batch.py", "                slot = behind\n", "                slot = NO_SLOT\n"),
    ("batch.py", "command.quantity > QUANTITY_MAX", "command.quantity >= QUANTITY_MAX"),
    ("batch.py", "command.order <= 0", "command.order < 0"),
]
"""A file of `matching`, a line in it, and what stands there instead."""


@pytest.mark.parametrize(("file", "line", "instead"), CHANGED_LINES)
def test_a_kernel_with_a_line_changed_is_found_out(file, line, instead, seed, tmp_path):
    shutil.copytree(ROOT / "matching", tmp_path / "matching")
    path = tmp_path / "matching" / file
    text = path.read_text("utf-8")
    assert line in text, "the line is gone: choose another that must not change"
    path.write_text(text.replace(line, instead), "utf-8")
    found = played_plainly(tmp_path, seed, COMMANDS)
    assert found is None or found.returncode == 1, found


def test_kernels_unchanged_are_not_found_out(seed, tmp_path):
    shutil.copytree(ROOT / "matching", tmp_path / "matching")
    found = played_plainly(tmp_path, seed, 1_000)
    assert found is not None
    assert (found.returncode, found.stderr) == (0, "")


def played_plainly(folder: Path, seed: int, commands: int) -> subprocess.CompletedProcess[str] | None:
    """Run the differential on the `matching` in `folder`, as plain Python; None if it never ends."""
    try:
        return subprocess.run(
            [
                sys.executable,
                "-W",
                "error::RuntimeWarning",
                str(HERE / "differential.py"),
                f"--seed={seed}",
                f"--commands={commands}",
                "--inspect",
            ],
            env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(folder)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PLAIN_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return None
