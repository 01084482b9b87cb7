"""What a person sees: the market live on a terminal, one line now and then in a pipe."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from exchange.client.money import yuan
from exchange.instruments import HAO_PER_YUAN
from feeds.builder import Books
from feeds.messages import NO_TAKER, Message, Trades
from matching.vocabulary import Side

TOP_INSTRUMENTS = 12
TAPE_LINES = 8
LINE_SECONDS = 5.0
"""How often a line is written where nobody watches: a log must not be flooded."""


_TAKERS = {
    Side.BUY: Text("buy", style="green"),
    Side.SELL: Text("sell", style="red"),
    NO_TAKER: Text("auction"),
}
"""How the tape shows a trade's taker."""


class Row(NamedTuple):
    """One instrument as the screen shows it: prices in hao, volume in lots."""

    symbol: str
    bid: int | None
    ask: int | None
    last: int | None
    volume: int


def price_text(hao: int | None) -> str:
    """Return a price in yuan with all four decimals, so that columns line up; blank for none."""
    return "" if hao is None else f"{hao // HAO_PER_YUAN}.{hao % HAO_PER_YUAN:04}"


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
        self._tape: deque[tuple[str, int, int, int]] = deque(maxlen=TAPE_LINES)

    def hear(self, messages: list[Message]) -> None:
        """Take in what the feed brought."""
        for message in messages:
            if isinstance(message, Trades):
                for told in message.prints:
                    self._volume[message.instrument] += told.quantity
                    self._last[message.instrument] = told.price
                    self._tape.appendleft(
                        (self.symbols[message.instrument], told.taker_side, told.price, told.quantity)
                    )
                    self.trades += 1

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
        """Return the whole picture."""
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
        for column in ("tape", "side", "price", "lots"):
            tape.add_column(column, justify="right" if column in ("price", "lots") else "left")
        for symbol, side, price, lots in self._tape:
            tape.add_row(symbol, _TAKERS[side], price_text(price), str(lots))
        return Group(
            Panel(market, title=self.title, title_align="left", subtitle=self._counts(seconds_left)),
            Panel(tape, title="trades", title_align="left"),
            Panel(self._budget_bar(), title="programme budget", title_align="left"),
        )

    def line(self) -> str:
        """Return the same in one line."""
        return (
            f"{self.orders} orders, {self.trades} trades, programme paid {yuan(self.paid)}, "
            f"left {yuan(self.uncommitted)} yuan"
        )

    def _counts(self, seconds_left: float) -> str:
        return f"{self.orders:,} orders · {self.trades:,} trades · {max(seconds_left, 0):.0f} s left"

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
            self._console.print(self._screen.line())

    def close(self) -> None:
        """Leave the last picture standing."""
        if self._live is not None:
            self._live.stop()


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
