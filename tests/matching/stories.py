"""Stories: the rules of the book in a trader's words, played on the kernels and on the reference.

A story tells first what is asked, a line a command; orders are named after their members.

    sell 3 @ 101 ann               ann sells 3 lots at 101 or more; a second order of hers is `ann-2`
    buy 4 @ 102 cat ioc            what does not trade at once is cancelled
    buy 4 @ 102 cat fok            it trades wholly at once, or not at all
    buy 4 @ 102 cat minimum 3      so much trades at once, or it is cancelled
    buy 4 @ 102 cat day            it ends with the trading day
    buy 4 @ 102 cat until 12:00    it ends at a time
    buy 4 @ 102 cat post-only      it is refused if it would trade at once
    buy 9 @ 102 cat showing 3      an iceberg, which shows no more than 3 lots
    buy 4 @ 102 cat subsidised     a programme pays part of it
    buy 4 market cat               a market order
    buy 4 market @ 110 cat         a market order with a protection price of its own
    sell 3 stop 95 dan             a stop; `stop 95 @ 90` with a protection price of its own
    sell 3 stop 95 limit 94 dan    a stop-limit
    sell 3 trailing 5 dan          a trailing stop; `trailing 5 from 95` with a stop price to begin with
    buy 4 @ 102 cat self-trade cancel-maker     what is done where it meets an order of her own

    cancel ann                     asked by ann; else `cancel ann asked by bob`, or `for its owner`
    reduce ann by 2                two lots fewer
    replace ann 5 @ 103            a new total and a new price; `replace ann 5` keeps the price
    replace dan 3 stop 97          a new total and a new stop price
    cancel all                     or fewer: `cancel all sells of ann in GLM`
    phase GLM halted               `phase GLM continuous reference 100`; of all instruments: `phase all ...`
    phase GLM pre_open             a call begins; `phase GLM auction` uncrosses
    end day
    clock 12:00                    tells the time; each line may begin with one: `09:30 buy 4 @ 102 cat`

The setting stands before all else; without one there is a single book.

    book GLM tick 5 halted         a book, its tick size and its phase
    book QWEN reference 100 collar 50           a reference price, and the collar of protection prices
    book GLM static_collar 50 dynamic_collar 20 last 99     those of trades, and the last price
    buy 4 @ 105 cat in QWEN        an order that names no book goes to the first
    group ann bob                  these members are related parties

For orders that no screen would let through, a field may be set to any number: `numbered 0` gives the
order's own, `with side 7` that of the field `side`.

Below the double line is told what happens, a line an event.

    ann x cat 3 @ 101              a trade: maker, taker, quantity, price
    auction: ann sells cat 3 @ 101              a trade of an auction, which knows no maker
    cat cancelled 1                with a reason, if there is one: `cat cancelled 1: related party`
    cat expired 1
    dan refused: price off tick
    dan refused while no cancel: not in phase   where the phase is why, it is told
    cat protected at 105           accepted, and the book found its protection price
    dan triggered                  `dan triggered, protected at 88` if its protection price has moved
    ann reduced to 3               her total now
    ann replaced: 5 @ 103          her total and her price now
    GLM halted
    GLM pre open: static collar    a collar has stopped trading
    GLM indicative 3 @ 101, 2 more to buy       what an auction would find now: `more to sell`, `balanced`
    GLM no indicative              it would find no price any more

That an order is accepted is not told: every order that is not refused is. Behind the dashes stands what
rests, as on a screen: sells down to the best, then buys from the best on, first come first; then the
stops that wait, in the order in which a price would elect them; then the market orders that wait for an
auction, in the order of a mass cancel. Of an iceberg the lots shown come first, and all that is open in
brackets.

    sell 102 eve:5 fay:1 gus:3(9)
    buy 100 hal:2
    parked buy stop 105 @ 110 ida:3
    waiting sell @ 90 jan:2
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import numpy as np

from matching import view
from matching.batch import match
from matching.layout import COMMAND, empty_book
from matching.permissions import CALLS
from matching.reference import Command, Event, Market, ReferenceBook, events_from
from matching.vocabulary import Side
from tests.matching.scene import Resting, Scene, lines_of

DIVIDER = "=="
"""Parts what is asked from what is told, in a story's file."""


Engine = Callable[[list[Market], list[Command]], tuple[list[Event], list[Resting]]]
"""Plays commands; returns the events, and what rests: book by book and side by side, in priority."""


def play(text: str, engine: Engine) -> str:
    """Play the commands of `text` on `engine` and tell what happened."""
    scene = Scene.read(text)
    events, resting = engine(scene.markets, scene.commands)
    return "\n".join([*scene.told(events), "--", *scene.screen(resting)])


def story(text: str) -> str:
    """Return what is expected to be told, without comments and needless blanks."""
    return "\n".join(lines_of(text))


def read(path: Path) -> tuple[str, str]:
    """Return the two parts of a story's file: what is asked, and what is told."""
    asked, told = path.read_text("utf-8").split(f"\n{DIVIDER}\n")
    return asked, told


# --- the two engines ---------------------------------------------------------------------------


def kernels(markets: list[Market], commands: list[Command]) -> tuple[list[Event], list[Resting]]:
    """Play on the kernels, all commands in one batch."""
    book = empty_book(len(markets))
    for field in Market._fields:
        book.markets[field] = [getattr(market, field) for market in markets]
    book.counts["calls"] = sum(market.phase in CALLS for market in markets)
    book, rows = match(book, array_of(commands))
    resting = [
        Resting(instrument, side, *row[["price", "id", "shown", "leaves"]].item())
        for instrument, side in halves(markets)
        for row in view.orders_of(book, instrument, side)
    ]
    parked = [
        Resting(instrument, side, *row[["price", "id", "shown", "leaves", "stop_price"]].item())
        for instrument, side in halves(markets)
        for row in view.parked_of(book, instrument, side)
    ]
    waiting = [
        Resting(instrument, side, *row[["price", "id", "shown", "leaves"]].item())._replace(is_waiting=True)
        for instrument, side in halves(markets)
        for row in view.waiting_of(book, instrument, side)
    ]
    return events_from(rows), resting + parked + waiting


def reference(markets: list[Market], commands: list[Command]) -> tuple[list[Event], list[Resting]]:
    """Play on the reference."""
    book = ReferenceBook(markets)
    events = book.apply_all(commands)
    resting = [
        Resting(instrument, side, order.price, order.id, order.shown, order.leaves)
        for instrument, side in halves(markets)
        for order in book.orders_of(instrument, side)
    ]
    parked = [
        Resting(instrument, side, order.price, order.id, order.shown, order.leaves, order.stop_price)
        for instrument, side in halves(markets)
        for order in book.parked_of(instrument, side)
    ]
    waiting = [
        Resting(instrument, side, order.price, order.id, order.shown, order.leaves, is_waiting=True)
        for instrument, side in halves(markets)
        for order in book.waiting_of(instrument, side)
    ]
    return events, resting + parked + waiting


def halves(markets: list[Market]) -> list[tuple[int, int]]:
    """Return each side of each instrument."""
    return list(product(range(len(markets)), Side))


def array_of(commands: Iterable[Command]) -> np.ndarray:
    """Return plain commands as rows."""
    commands = list(commands)
    rows = np.zeros(len(commands), COMMAND)
    for name in Command._fields:
        rows[name] = [getattr(command, name) for command in commands]
    return rows
