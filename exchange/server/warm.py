"""Kernels compiled once, before anybody waits for them; a damaged cache is wiped and made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from exchange.core import begin_act, end_act
from exchange.engine import Engine
from exchange.protocol.arrays import COMMAND, REPORT
from exchange.reports import open_orders, write_reports
from exchange.server.kernel_cache import guard_cache
from exchange.state import Core, Output
from exchange.throttle import Throttle
from feeds.messages import LEVELS_REFRESH, ORDERS_REFRESH
from feeds.publisher import Batch, Publisher
from matching.auction import clearing
from matching.batch import match
from matching.ids import find, note_ids
from matching.kernel import is_cached, prune_cache, wipe_cache
from matching.layout import COMMAND as FORM
from matching.layout import EVENT, TAPE, Book, empty_book
from matching.places import remember
from matching.view import walk_depth, walk_orders
from matching.vocabulary import EventKind
from settlement.balances import note_accounts
from settlement.layout import EFFECT
from settlement.programmes import (
    inclusion_key,
    is_barred,
    is_enrolled,
    is_excluded,
    is_own,
    note_usages,
    rate_for,
    usage_of,
)

Step = tuple[str, Callable[[], object]]


def book_steps() -> Iterator[Step]:
    """Yield what the order book alone needs, by name, each step a call that compiles or loads it.

    The venue enters its kernels by another door, and does not wait for this one.
    """
    book = empty_book(instruments=1)
    yield "the order book", lambda: match(book, np.zeros(1, FORM))
    yield "queues", lambda: walk_orders(book, 0, np.zeros(0, np.int32))


def venue_steps() -> Iterator[Step]:
    """Yield what a venue needs, likewise."""
    engine = Engine()
    core = engine.core
    commands = np.zeros(1, COMMAND)
    book = empty_book(instruments=1)
    yield "matching and settlement", lambda: engine.apply(commands)
    output = Output(np.zeros(1, EVENT), np.zeros(1, EFFECT))
    yield "time before acts", lambda: begin_act(core, commands, 0, output)
    yield "phases and auctions", lambda: end_act(core, commands, 0, 1, np.zeros(0, FORM), 0, output, 0)
    yield "auction prices", lambda: clearing(book, 0)
    yield "early refusals", lambda: engine.faults(commands)
    yield "throttle", lambda: touch_throttle(core, commands)
    yield "state hash", engine.state_hash
    yield (
        "execution reports",
        lambda: write_reports(
            np.zeros(0, EVENT), np.zeros(0, EFFECT), np.zeros(0, REPORT), np.zeros(0, np.int32)
        ),
    )
    yield "open orders", lambda: open_orders(core, 0)
    yield "tables", lambda: (note_ids(core.book), note_accounts(core.ledger))
    yield "usages", lambda: note_usages(core.ledger)
    yield "acts of money", lambda: touch_programmes(core)
    yield "depth", lambda: walk_depth(book, 0, np.zeros((0, 3), np.int64))
    yield "feed", lambda: touch_feed(book)


def touch_throttle(core: Core, commands: np.ndarray) -> None:
    """Charge a command that nobody sent."""
    throttle = Throttle(1, 1)
    throttle.charge(core, commands, 0, np.zeros(1, np.uint8), np.zeros(1, np.int64))
    throttle.wait_ms(0, 0)


def touch_programmes(core: Core) -> None:
    """Call the kernels that acts and enquiries enter by themselves, on a core that nobody needs."""
    rate_for(core.ledger, 0, 0, 0)
    is_own(core.ledger, 0, 0)
    is_barred(core.ledger, 0, 0)
    is_enrolled(core.ledger, 0, 0)
    is_excluded(core.ledger, 0, 0)
    usage_of(core.ledger, 0, 0)
    remember(core.ledger.included, inclusion_key(0, 0), 0)
    find(core.book, 0)


def touch_feed(book: Book) -> None:
    """Call the feed's kernels on next to nothing, with the arrays that the publisher would give them."""
    column, trade = np.zeros(1, np.int64), np.zeros(1, EVENT)
    trade["kind"] = EventKind.TRADED
    batch = Batch(trade, np.zeros(1, TAPE), 1, 1, 0, column, column, column)
    publisher = Publisher(run=1, book=book)
    publisher.outgoing(batch, book)
    for kind in (LEVELS_REFRESH, ORDERS_REFRESH):
        publisher.refresh(kind, 0, book)


def warm_up(
    told: Callable[[str, int, int], None] | None = None, steps: Callable[[], Iterator[Step]] = venue_steps
) -> None:
    """Load the kernels of `steps`, compiling what the cache lacks; `told` hears of each and its number.

    A damaged file of the cache is left out, and its kernel compiled anew; if the cache cannot be read at all,
    it is wiped.
    """
    guard_cache()
    try:
        _run_steps(told, steps)
    except Exception:
        if not is_cached():
            raise
        wipe_cache()
        _run_steps(told, steps)
    prune_cache()


def _run_steps(told: Callable[[str, int, int], None] | None, steps: Callable[[], Iterator[Step]]) -> None:
    every = list(steps())
    for number, (name, call) in enumerate(every, start=1):
        if told is not None:
            told(name, number, len(every))
        call()
