"""The differential can fail: each rule, when it is broken on either side, is found out quickly."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from matching import (
    permissions,
    reference,
    reference_auction,
    reference_faults,
    reference_orders,
    reference_trading,
)
from matching.permissions import Ask
from matching.reference import ReferenceBook
from matching.vocabulary import Phase, RejectReason, Side, TimeInForce
from tests.matching.differential import play_seed
from tests.matching.other_auction_rules import OTHER_AUCTION_RULES, OTHER_AUCTION_WORDS
from tests.matching.other_rules import OTHER_RULES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMANDS = 10_000
SEEDS_MAX = 5
FILES = (reference, reference_auction, reference_faults, reference_orders, reference_trading)
PLAIN_SECONDS_MAX = 120
"""Far more than is needed: a changed kernel may run in circles, and is then found out too."""


def test_the_canaries_sing_while_nothing_is_broken(seed):
    play_seed(seed, COMMANDS)


# --- a reference whose rules are others --------------------------------------------------------


@pytest.mark.parametrize("changed", [*OTHER_RULES, *OTHER_AUCTION_RULES])
def test_a_reference_with_another_rule_is_found_out(changed, seed):
    with pytest.raises(AssertionError, match="kernel and reference differ at command"):
        play_seeds(seed, changed)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("priority", lambda order: (order.price if order.side else -order.price, -order.entry)),
        ("priority", lambda order: (-order.price if order.side else order.price, order.entry)),
        (
            "parked_priority",
            lambda order: (-order.stop_price if order.side else order.stop_price, -order.entry),
        ),
        ("parked_priority", lambda order: (order.accepted,)),
        ("expiry", lambda order: (order.expires_at, -order.accepted)),
        ("expiry", lambda order: (order.expires_at, order.entry)),
        ("reaches", lambda side, price, maker: price == maker.price),
        (
            "is_reached",
            lambda order, last: order.stop_price < last if order.side == 0 else order.stop_price > last,
        ),
        ("is_reached", lambda order, last: order.stop_price == last),
        ("is_nearer", lambda order, stop_price: True),
        ("is_nearer", lambda order, stop_price: stop_price > order.stop_price),
        ("are_related", lambda one, other: False),
        ("are_related", lambda one, other: one.group == other.group),
        ("are_related", lambda one, other: one.group == other.group and one.subsidised),
        ("are_related", lambda one, other: one.group == other.group and (one.subsidised or other.subsidised)),
        ("may_trade", lambda taker, maker: True),
        ("goes_past", lambda taker, maker: False),
        ("goes_past", lambda taker, maker: True),
        ("rounded_down", reference_orders.rounded_up),
        ("rounded_up", reference_orders.rounded_down),
        ("within_bounds", lambda price, tick: price),
        ("other_side", Side),
        ("RESTING_TIMES", (TimeInForce.GTC, TimeInForce.GTD)),
        ("AT_ONCE", (TimeInForce.IOC,)),
        ("PRICE_MAX", 10**15 - 1),
        ("PRICE_MAX", 10**15 + 1),
        ("QUANTITY_MAX", 2**41 - 1),
        ("QUANTITY_MAX", 2**41 + 1),
        ("NOTIONAL_MAX", 2**61 - 10**15),
        ("SLICES_MAX", 999),
        ("SLICES_MAX", 1_001),
        ("fault_of_market", lambda market, ask: RejectReason.NONE),
        *OTHER_AUCTION_WORDS,
    ],
)
def test_a_reference_with_another_word_is_found_out(name, changed, seed, monkeypatch):
    say(name, changed, monkeypatch)
    with pytest.raises(AssertionError, match="kernel and reference differ at command"):
        play_seeds(seed)


@pytest.mark.parametrize(("phase", "ask"), [*product(Phase, Ask)])
def test_a_reference_with_another_permission_is_found_out(phase, ask, seed, monkeypatch):
    def is_taken(where: int, what: int) -> bool:
        is_changed = (where, what) == (phase, ask)
        return permissions.is_taken(where, what) != is_changed

    say("is_taken", is_taken, monkeypatch)
    with pytest.raises(AssertionError, match="kernel and reference differ at command"):
        play_seeds(seed)


def say(name: str, changed: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something else stand behind a word, wherever the reference says it."""
    for file in FILES:
        if hasattr(file, name):
            monkeypatch.setattr(file, name, changed)


def play_seeds(seed: int, changed: type[ReferenceBook] = ReferenceBook) -> None:
    """Play a few seeds: not every one has a market in which every rule can be seen."""
    for number in range(SEEDS_MAX):
        play_seed(seed + number, COMMANDS, reference=changed)


# --- kernels with a line changed ---------------------------------------------------------------

CHANGED_LINES = [
    ("cross.py", "    extra.hidden -= order.leaves\n", ""),
    ("cross.py", "half.best_key <= reach", "half.best_key < reach"),
    ("entering.py", "is_market = extra.type != OrderType.STOP_LIMIT", "is_market = False"),
    ("auction.py", "price = high if surplus > 0 else", "price = low if surplus > 0 else"),
    ("collars.py", "    return reach\n", "    return reach + 1\n"),
    ("queues.py", "    here.quantity -= order.leaves\n", ""),
]
"""A file of `matching`, a line in it, and what stands there instead: found within a few hundred commands."""

SELDOM_SEEN_LINES = [
    ("changing.py", "command.quantity <= order.quantity", "command.quantity < order.quantity"),
    ("extras.py", "a.arrival < b.arrival", "a.arrival > b.arrival"),
    ("levels.py", "key < half.best_key", "key <= half.best_key + 1"),
    ("stops.py", "order_at(book, counts.elected_last).behind = slot", "order = slot"),
    ("uncross.py", "taker = buy if is_later(book, buy, sell) else sell", "taker = buy"),
    ("waiting.py", "    stamp(book, slot)\n", ""),
]
"""It takes some thousand commands, which plain Python plays in 7 seconds or more."""

MORE_CHANGED_LINES = [
    ("auction.py", "lots += extra_at(book, order.extra).hidden", "pass"),
    ("auction.py", "upper_demand == supply and upper_surplus < surplus", "False"),
    ("auction.py", "    lowest = max(lowest, min(lowest_ask, worst_of(book, bids, _NONE_BELOW)))\n", ""),
    ("auction.py", "    demand += more_demand\n    supply += more_supply\n    high =", "    high ="),
    ("auction.py", "                market.touched = 0\n", ""),
    (
        "auction.py",
        "kind <= EventKind.PHASE_CHANGED and kind != EventKind.REJECTED",
        "kind == EventKind.ACCEPTED",
    ),
    ("batch.py", "end if counts.calls == 0 else indicate(book, events, at, end)", "end"),
    ("changing.py", "note_lots(book, slot, -lots)", "pass"),
    ("changing.py", "EVERY, kind < WAITING, EventKind.EXPIRED", "EVERY, True, EventKind.EXPIRED"),
    ("collars.py", "abs(price - base) > width_of", "abs(price - base) >= width_of"),
    ("collars.py", "is_beyond(price, last, market.dynamic_collar)", "False"),
    ("collars.py", "    book.counts[0].calls += 1\n", ""),
    ("entering.py", "    last = market.last\n", "    last = market.reference\n"),
    ("entering.py", "if not is_call and is_reached", "if is_reached"),
    (
        "entering.py",
        "order.time_in_force == TimeInForce.FOK or minimum > 0",
        "order.time_in_force == TimeInForce.FOK",
    ),
    ("phases.py", "if not (is_call(phase) and is_call(market.phase)):", "if True:"),
    ("phases.py", "if phase == Phase.AUCTION or phase == Phase.CONTINUOUS:", "if phase == Phase.CONTINUOUS:"),
    ("refusing.py", "Ask.AT_ONCE if must_trade_at_once(command) else Ask.ORDER", "Ask.ORDER"),
    ("tell.py", "    event_at(events, at - 1).phase = market_at(book, instrument).phase\n", ""),
    ("uncross.py", " and not is_crossed(book, instrument)", ""),
    ("uncross.py", "trigger_first(book, True, events, at)", "trigger_first(book, False, events, at)"),
    ("uncross.py", "            market_at(book, instrument).last = price\n", ""),
    ("uncross.py", "        if behind != NO_SLOT:\n            return _HIDDEN, behind\n", ""),
    ("uncross.py", "lots = min(bid_lots, ask_lots, volume)", "lots = min(bid_lots, ask_lots)"),
    ("uncross.py", "        extra_at(book, order.extra).hidden -= lots - shown\n", "        pass\n"),
    ("uncross.py", "if mode != SelfTrade.CANCEL_TAKER:", "if mode == SelfTrade.CANCEL_MAKER:"),
    ("uncross.py", "order.side == side and level_at(book, order.level).key <= reach", "order.side == side"),
    ("waiting.py", "price >= market.cut_price", "price > market.cut_price"),
    ("batch.py", "            counts.row = row\n", ""),
    ("changing.py", "            slot = behind\n", "            slot = NO_SLOT\n"),
    ("changing.py", "        level = worse\n", "        level = NO_SLOT\n"),
    ("changing.py", "    if leaves <= 0:\n", "    if leaves < 0:\n"),
    ("changing.py", "    leave(book, slot)\n    await_price(book, slot, stop_price)\n", ""),
    ("changing.py", "and command.member != EVERY", ""),
    ("changing.py", "counts.next_expiry <= counts.clock", "counts.next_expiry <= counts.clock - 100_000"),
    ("cross.py", "        order.quantity -= lots\n", ""),
    ("cross.py", "    if last != first:\n        note_price(book, instrument, last)\n", ""),
    ("cross.py", "    note_price(book, instrument, first)\n", ""),
    ("cross.py", "elif mode != _CANCEL_MAKER:", "elif mode == _TRADE:"),
    ("cross.py", "min(total + shown, wanted)", "min(total + whole, wanted)"),
    ("cross.py", "order.leaves = min(extra.display, extra.hidden)", "order.leaves = extra.hidden"),
    ("cross.py", "taker if order_at(book, taker).side == Side.BUY else maker", "taker"),
    (
        "entering.py",
        "if not is_call and is_reached(book",
        "if not is_call and not is_reached(book",
    ),
    ("entering.py", "order.marks & POST_ONLY != 0 and would_trade", "would_trade"),
    ("extras.py", "            below += 1\n", "            pass\n"),
    ("extras.py", "    if at < last:\n        sift(book, at)\n    else:\n", "    if at >= last:\n"),
    ("extras.py", "0 < extra.display < order.leaves", "0 < extra.display < order.leaves - 1"),
    ("ids.py", "        book.heads[np.uint64(place)] = order_at(book, slot).chain\n", "        pass\n"),
    ("ids.py", "slot != NO_SLOT and order_at(book, slot).id != order", "False"),
    ("levels.py", "        half.prefix >>= _BITS\n", ""),
    ("phases.py", "if phase == Phase.CLOSED:", "if phase == Phase.HALTED:"),
    ("protection.py", "market.last if market.last != 0 else market.reference", "market.reference"),
    (
        "protection.py",
        "within_bounds(whole_ticks(base + width, market.tick, False), market.tick)",
        "base + width",
    ),
    ("queues.py", "    book.orders[behind].ahead = ahead\n", ""),
    (
        "refusing.py",
        "command.expires_at <= book.counts[0].clock",
        "command.expires_at < book.counts[0].clock",
    ),
    ("refusing.py", "command.order <= 0", "command.order < 0"),
    ("refusing.py", "command.quantity > QUANTITY_MAX", "command.quantity >= QUANTITY_MAX"),
    (
        "stops.py",
        "            await_price(book, slot, stop_price)\n",
        "            await_price(book, slot, was)\n",
    ),
    ("stops.py", "for kind in range(PARKED, WAITING):", "for kind in range(WAITING - 1, PARKED - 1, -1):"),
    ("tell.py", "    event.leaves = leaves\n", "    event.leaves = order.leaves\n"),
]


@pytest.mark.parametrize(
    ("file", "line", "instead"),
    [
        *CHANGED_LINES,
        *(pytest.param(*changed, marks=pytest.mark.slow) for changed in SELDOM_SEEN_LINES),
        *(pytest.param(*changed, marks=pytest.mark.nightly) for changed in MORE_CHANGED_LINES),
    ],
)
def test_a_kernel_with_a_line_changed_is_found_out(file, line, instead, seed, tmp_path):
    shutil.copytree(ROOT / "matching", tmp_path / "matching")
    path = tmp_path / "matching" / file
    text = path.read_text("utf-8")
    assert line in text, "the line is gone: choose another that must not change"
    path.write_text(text.replace(line, instead), "utf-8")
    assert any(is_found_out(tmp_path, seed + number) for number in range(SEEDS_MAX))


def test_kernels_unchanged_are_not_found_out(seed, tmp_path):
    """That a copy is found out by its changed line, and not for being a copy; `test_plain` plays more."""
    shutil.copytree(ROOT / "matching", tmp_path / "matching")
    found = played_plainly(tmp_path, seed, 1_000)
    assert (found.returncode, found.stderr) == (0, "")


def is_found_out(folder: Path, seed: int) -> bool:
    """Tell whether the `matching` in `folder` differs from the reference, or never ends."""
    played = played_plainly(folder, seed, COMMANDS)
    assert played.returncode in (0, 1, -signal.SIGXCPU), played
    return played.returncode != 0


def played_plainly(folder: Path, seed: int, commands: int) -> subprocess.CompletedProcess[str]:
    """Run the differential on the `matching` in `folder`, as plain Python, within so much processor time."""
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error::RuntimeWarning",
            str(HERE / "differential.py"),
            f"--seed={seed}",
            f"--commands={commands}",
        ],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=end_in_time,
    )


def end_in_time() -> None:
    """Have the system end this process when it has worked for too long, however slow the machine is."""
    resource.setrlimit(resource.RLIMIT_CPU, (PLAIN_SECONDS_MAX, PLAIN_SECONDS_MAX + 10))
