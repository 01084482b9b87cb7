"""Market data as calls: the book once, and books, trades and bars as they come, from the public feed."""

from __future__ import annotations

from exchange.client.desk import Desk
from exchange.client.errors import BadInput
from exchange.client.flows import TIMEOUT_SECONDS, Flow, Wait, deadline_after
from exchange.client.market_streams import BarStream, BookStream, TradeStream
from exchange.client.marketreaders import BookReader
from exchange.client.marketviews import Book, book_of
from exchange.client.statements import Moment, check_interval
from feeds.builder import State

DEPTH = 10
"""How many levels of each side a book shows, unless it is told otherwise."""

BOOK_SLOW = ("resync", "raise", "conflate")
TRADES_SLOW = ("resync", "raise")


def book(
    desk: Desk,
    symbol: str,
    depth: int | None = DEPTH,
    *,
    orders: bool = False,
    timeout: float = TIMEOUT_SECONDS,
) -> Flow[Book]:
    """Return an instrument's book, whole, within `timeout` seconds: the best `depth` levels, or all for None.

    With `orders` each level has its queue, and `Book.place_of` tells where an order stands. Raises
    `ConnectionLost` or `Timeout` where no whole book comes in time, `UnknownName`, `BadInput`, and
    `ProfileError` where the profile names no feed.
    """
    deadline = deadline_after(timeout)
    check_depth(depth)
    index = desk.session.instruments[symbol].index
    line = desk.feeds.open(BookReader(index, orders=orders))
    try:
        line.follow(index, orders=orders)
        builder = line.books[index]
        if not (yield Wait(line, lambda: builder.state is State.LIVE, deadline)):
            raise line.silence(f"the question for the book of {symbol}")
        return book_of(symbol, builder, depth, 0)
    finally:
        line.close()


def books(
    desk: Desk,
    symbol: str,
    depth: int | None = DEPTH,
    *,
    orders: bool = False,
    timeout: float | None = None,
    limit: int | None = None,
    on_slow: str = "resync",
) -> BookStream:
    """Iterate over an instrument's book: its newest state, whenever it is another than the one told last.

    Whoever looks seldom gets what holds now, and nothing of what was between. Each change of `Book.state` is
    told, too: a feed that falls silent yields a `stale` book, one with a loss a `gapped` one, and one that
    cannot be reached a `waiting` one after three seconds; it goes on by itself when the venue is back. It
    ends after `timeout` seconds without a change, or after `limit` books.

    `on_slow` says what is done when messages come faster than the program takes them, so that some are
    dropped: `"resync"` has the book made whole again, counted by `Book.resyncs`; `"raise"` raises
    `ReaderTooSlow`; `"conflate"` goes over to pictures of ten levels each 100 ms (`Book.conflated`), and
    stays there. Other losses are healed whatever it says. Arguments and errors are those of `book` otherwise.
    """
    check_depth(depth)
    check_word("on_slow", on_slow, BOOK_SLOW)
    if orders and on_slow == "conflate":
        raise BadInput(
            "pictures of ten levels have no orders",
            field="on_slow",
            value=on_slow,
            remedy="take orders=False, or on_slow='resync'",
        )
    return BookStream(desk, symbol, timeout, limit, depth, orders=orders, on_slow=on_slow)


def trades(
    desk: Desk,
    symbol: str,
    since: int | None = None,
    *,
    timeout: float | None = None,
    limit: int | None = None,
    on_slow: str = "resync",
) -> TradeStream:
    """Iterate over an instrument's trades, each once, in their order.

    Those numbered `since` and later come from history, then those to come; without `since` it begins with
    what is told from now on. What the feed did not bring, for whatever reason, is read from history as soon
    as the store has come as far. It ends after `timeout` seconds without a trade, or after `limit`.

    Raises `TradesMissed` where history cannot tell what is missing, `ReaderTooSlow` with `on_slow="raise"`
    where messages came faster than the program took them, and `ConnectionLost`, once, when nothing is heard
    of the feed for three seconds. After each of them the stream may be read on, with `for` or `next`.
    """
    check_word("on_slow", on_slow, TRADES_SLOW)
    return TradeStream(desk, symbol, timeout, limit, since, on_slow=on_slow)


def bars(
    desk: Desk,
    symbol: str,
    interval: str = "1m",
    *,
    live: bool = True,
    since: Moment | None = None,
    timeout: float | None = None,
    limit: int | None = None,
) -> BarStream:
    """Iterate over an instrument's bars: history's from `since` on, then each minute as it ends.

    The minute under way begins with its trades in history, so that no bar is partial; where there is no
    history to ask, the first bar is the next whole minute's. Without `since` only those are told that end
    from now on; without `live` only history's, of which the last may be under way. A minute without a
    trade has no bar; one is told a second or two after it is over, or with the first trade of a later one.
    Should a trade be told later still, its bar is told again with it. It ends and raises as `trades` does.
    """
    check_interval(interval)
    return BarStream(desk, symbol, timeout, limit, since, live=live)


def check_depth(depth: int | None) -> None:
    """Raise `BadInput` for what is no number of levels."""
    if depth is not None and (type(depth) is not int or depth < 1):
        raise BadInput(
            f"depth {depth!r} is no number of levels",
            field="depth",
            value=depth,
            remedy="give 1 or more, or None for all levels",
        )


def check_word(field: str, word: str, words: tuple[str, ...]) -> None:
    """Raise `BadInput` for a word that is none of `words`."""
    if word not in words:
        raise BadInput(
            f"{field} {word!r} is none of {', '.join(words)}",
            field=field,
            value=word,
            remedy="choose one of them",
        )
