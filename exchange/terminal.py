"""What a person sees: the market live on a terminal, one line now and then in a pipe."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from exchange.client.money import yuan
from exchange.watching.words import TAKERS, net_price, price_text
from feeds.builder import Books, State
from feeds.documents import budgets_of
from feeds.messages import PROGRAMMES, Document, Message, Trades
from feeds.records import TradePrint

TOP_INSTRUMENTS = 12
TAPE_LINES = 8
LINE_SECONDS = 5.0
"""How often a line is written where nobody watches: a log must not be flooded."""


class Row(NamedTuple):
    """One instrument as the screen shows it: prices in hao, volume in lots."""

    symbol: str
    bid: int | None
    ask: int | None
    last: int | None
    volume: int


class Screen:
    """The picture of a trading market. It is told what happens, and draws when asked."""

    def __init__(self, symbols: list[str], title: str) -> None:
        self.symbols = symbols
        self.title = title
        self.orders = 0
        self.trades = 0
        self.budget = 0
        self.uncommitted = 0
        self.paid = 0
        self._volume = [0] * len(symbols)
        self._last: list[int | None] = [None] * len(symbols)
        self._tape: deque[tuple[str, TradePrint]] = deque(maxlen=TAPE_LINES)

    def hear(self, messages: list[Message]) -> None:
        """Take in what the feed brought."""
        for message in messages:
            if isinstance(message, Trades):
                for told in message.prints:
                    self._volume[message.instrument] += told.quantity
                    self._last[message.instrument] = told.price
                    self._tape.appendleft((self.symbols[message.instrument], told))
                    self.trades += 1
            elif isinstance(message, Document) and message.kind == PROGRAMMES:
                for budget in budgets_of(message)[:1]:
                    self.budget, self.uncommitted = budget.budget, budget.uncommitted
                    self.paid = budget.paid + budget.vested

    def top(self, books: Books) -> list[Row]:
        """Return the instruments with the most volume, the busiest first."""
        busiest = sorted(range(len(self.symbols)), key=lambda at: -self._volume[at])[:TOP_INSTRUMENTS]
        rows = []
        for at in busiest:
            bid, ask = books[at].best_bid, books[at].best_ask
            rows.append(
                Row(
                    self.symbols[at],
                    bid.price if bid else None,
                    ask.price if ask else None,
                    self._last[at],
                    self._volume[at],
                )
            )
        return rows

    def draw(self, books: Books, seconds_left: float) -> Group:
        """Return the whole picture, and whether it can be trusted."""
        market = Table(expand=True, header_style="bold", box=None, padding=(0, 1))
        market.add_column("instrument")
        for column in ("bid", "ask", "last", "volume"):
            market.add_column(column, justify="right")
        for row in self.top(books):
            market.add_row(
                row.symbol,
                Text(price_text(row.bid), style="green"),
                Text(price_text(row.ask), style="red"),
                price_text(row.last),
                f"{row.volume:,}",
            )
        tape = Table(expand=True, header_style="bold", box=None, padding=(0, 1))
        for column in ("tape", "taker", "price", "lots", "net price"):
            tape.add_column(column, justify="left" if column in ("tape", "taker") else "right")
        for symbol, told in self._tape:
            word, style = TAKERS[told.taker_side]
            net = Text(price_text(net_price(told)), style="magenta")
            tape.add_row(symbol, Text(word, style=style), price_text(told.price), f"{told.quantity:,}", net)
        return Group(
            Panel(market, title=self.title, title_align="left", subtitle=self._counts(books, seconds_left)),
            Panel(tape, title="trades", title_align="left"),
            Panel(self._budget_bar(), title="programme budget", title_align="left"),
        )

    def line(self) -> str:
        """Return the same in one line."""
        return (
            f"{self.orders} orders, {self.trades} trades, programme paid {yuan(self.paid)}, "
            f"left {yuan(self.uncommitted)} yuan"
        )

    def _counts(self, books: Books, seconds_left: float) -> str:
        doubtful = sum(book.state is not State.LIVE for book in books)
        feed = f"{doubtful} books not live" if doubtful else "feed live"
        left = f"{max(seconds_left, 0):.0f} s left"
        return f"{self.orders:,} orders · {self.trades:,} trades · {feed} · {left}"

    def _budget_bar(self) -> Progress:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:.1f} % left"),
        )
        text = f"paid {yuan(self.paid)} · left {yuan(self.uncommitted)} of {yuan(self.budget)} yuan"
        bar.add_task(text, total=max(self.budget, 1), completed=self.uncommitted)
        return bar


class Viewer:
    """Shows a screen: drawn four times a second on a terminal, told in a line now and then elsewhere."""

    def __init__(self, screen: Screen, *, quiet: bool) -> None:
        self._screen = screen
        self._console = Console(stderr=quiet)
        self._live: Live | None = None
        self._next_line = time.monotonic() + LINE_SECONDS
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, screen=False)
            self._live.start()
        self._next_frame = 0.0

    def show(self, books: Books, seconds_left: float) -> None:
        """Draw or tell, if it is time to."""
        now = time.monotonic()
        if self._live is not None and now >= self._next_frame:
            self._next_frame = now + 0.25
            self._live.update(self._screen.draw(books, seconds_left), refresh=True)
        elif self._live is None and now >= self._next_line:
            self._next_line = now + LINE_SECONDS
            self._console.print(self._screen.line(), soft_wrap=True)

    def close(self) -> None:
        """Leave the last picture standing."""
        if self._live is not None:
            self._live.stop()


@contextmanager
def ended_in_good_order() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, by an exception: what it has begun, it then ends."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def warm_with_progress(*, book_alone: bool = False) -> None:
    """Compile a venue's kernels, or the order book's, if they never were; a line tells how far it is."""
    from exchange.server.warm import book_steps, venue_steps, warm_up
    from matching.kernel import is_cached

    steps = book_steps if book_alone else venue_steps
    if is_cached("batch.run" if book_alone else "core.run"):
        warm_up(steps=steps)
        return
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("compiling kernels, once: {task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task("", total=None)

        def told(name: str, number: int, count: int) -> None:
            progress.update(task, description=name, completed=number - 1, total=count)
            if not console.is_terminal:
                sys.stderr.write(f"compiling kernels, once: {number}/{count} {name}\n")

        warm_up(told, steps)
