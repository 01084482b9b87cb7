"""The overview full-screen: all instruments, sorted, filtered, one of them to be opened."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Footer, Input

from exchange.watching.overview import Overview, Row
from exchange.watching.paint_book import joined
from exchange.watching.paint_market import (
    COLUMN_NAMES,
    Choice,
    Fitted,
    column_at,
    detail,
    fit,
    paint_budgets,
    paint_heading,
    paint_row,
    paint_title,
)
from exchange.watching.readers import Clock, Opener
from exchange.watching.screens import READ_NS_MAX, BookScreen, FeedScreen, Painted
from feeds.messages import DEFINITIONS, EVERY_INSTRUMENT, FAST_VIEW, PROGRAMMES, SLOW_VIEW

MARKET_HELP = """\
All instruments, as the venue's feed tells them each second.

  q, escape   leave            enter   open the instrument's book
  up, down    choose a row     s, r    sort by the next column, turn round
  /           filter by words of symbol, name, provider; escape clears it
  m, a, c     only models, agents, compute; again: all

A click on a column's name sorts by it, one on a row chooses it.

  last        in yuan a lot; ~ in a call: what the auction would find
  change      from the reference price
  volume, amount, trades   since the venue's feed began, gross
  paid        which share of the amount programmes paid at once
  ?           behind a symbol: a view was missed, the row is asked for anew

Below: how much of each programme's budget is not committed to anybody.
"""


MARKED = "on #33475b"


class MarketTable(Widget, can_focus=True):
    """The rows that are chosen, as many as there is room for, one of them marked."""

    def __init__(self) -> None:
        super().__init__(id="market")
        self.rows: list[Row] = []
        self.fitted: list[Fitted] = []
        self.choice = Choice()
        self._marked: int | None = None  # an instrument's number: rows change places
        self._first = 0

    @property
    def marked(self) -> Row | None:
        """The marked row, if any is shown."""
        return self.rows[self._at] if self.rows else None

    @property
    def _at(self) -> int:
        return next((n for n, row in enumerate(self.rows) if row.definition.index == self._marked), 0)

    def show(self, rows: list[Row], choice: Choice) -> None:
        """Show these rows."""
        self.rows, self.choice = rows, choice
        self.refresh()

    def move(self, lines: int) -> None:
        """Mark another row, so many further down."""
        if self.rows:
            at = max(min(self._at + lines, len(self.rows) - 1), 0)
            self._marked = self.rows[at].definition.index
            self.refresh()

    def render(self) -> Text:
        """Paint the heading and the rows around the marked one."""
        width, room = self.size.width, max(self.size.height - 1, 1)
        at = self._at
        self._first = max(min(self._first, at, max(len(self.rows) - room, 0)), at - room + 1)
        self.fitted = fit(self.rows, width)
        lines: list[Text] = [paint_heading(self.fitted, self.choice)]
        for n, row in enumerate(self.rows[self._first : self._first + room], start=self._first):
            line = Text.assemble(*paint_row(row, self.fitted), no_wrap=True)
            if n == at:
                line.pad_right(max(width - line.cell_len, 0))
                line.stylize(MARKED)
                line.stylize("reverse", 0, self.fitted[0].width)
            lines.append(line)
        if not self.rows:
            lines.append(Text("no instrument to show", style="dim"))
        return joined(lines)

    def on_click(self, event: events.Click) -> None:
        """Sort by the column whose name is clicked, mark the row that is clicked."""
        if event.y == 0:
            name = column_at(self.fitted, event.x)
            if name is not None and isinstance(self.screen, MarketScreen):
                self.screen.sort_by(name)
        elif self._first + event.y - 1 < len(self.rows):
            self.move(self._first + event.y - 1 - self._at)

    def on_mouse_scroll_down(self) -> None:
        """Mark a row further down."""
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        """Mark a row further up."""
        self.move(-3)


class MarketScreen(FeedScreen):
    """The overview of the market."""

    HELP_TEXT = MARKET_HELP
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "leave"),
        Binding("escape", "unfilter", show=False),
        Binding("enter", "open", "book"),
        Binding("s", "sort", "sort"),
        Binding("r", "reverse", "reverse"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("m", "kind('model')", "models"),
        Binding("a", "kind('agent')", "agents"),
        Binding("c", "kind('compute')", "compute"),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-15)", show=False),
        Binding("pagedown", "move(15)", show=False),
        Binding("home", "move(-100000)", show=False),
        Binding("end", "move(100000)", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
    ]

    def __init__(
        self, opened: Opener, clock: Clock, choice: Choice, *, is_fast: bool = False, depth: int = 15
    ) -> None:
        super().__init__(opened, clock)
        self._opened = opened
        self._overview = Overview()
        self._choice = choice
        self._depth = depth
        self._is_new = True
        for kind in (FAST_VIEW if is_fast else SLOW_VIEW, PROGRAMMES, DEFINITIONS):
            self._reader.listen(kind, EVERY_INSTRUMENT)

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Painted(self._title, "title")
        yield MarketTable()
        yield Painted(self._detail, "detail")
        yield Input(placeholder="words of symbol, name or provider", id="filter", compact=True)
        yield Painted(lambda width, _: paint_budgets(self._overview.budgets, width), "budgets")
        yield Footer(compact=True)

    def _title(self, width: int, _height: int) -> Text:
        health = self._overview.health(self._clock())
        return paint_title(health, self._overview.rows(), len(self._table.rows), self._choice, width)

    def _detail(self, _width: int, _height: int) -> Text:
        marked = self._table.marked
        return Text(detail(marked) if marked else "", no_wrap=True)

    @property
    def _table(self) -> MarketTable:
        return self.query_one(MarketTable)

    def read(self) -> None:
        """Take what has come, as long as time is, and ask for what is missing."""
        end = self._clock() + READ_NS_MAX
        while messages := self._reader.poll(0):
            self._overview.take(messages, self._clock())
            self._is_new = True
            if self._clock() >= end:
                break
        for kind, instrument in self._overview.asks(self._clock()):
            self._reader.ask(kind, instrument)

    def draw(self) -> None:
        """Show the market as it is now."""
        if self._is_new:
            self._is_new = False
            self._show()
            self.query_one("#budgets").refresh(layout=True)
        self.query_one("#title").refresh()

    def _show(self) -> None:
        self._table.show(self._choice.chosen(self._overview.rows()), self._choice)
        for name in ("#title", "#detail"):
            self.query_one(name).refresh()

    def _choose(self, choice: Choice) -> None:
        self._choice = choice
        self._show()

    def sort_by(self, name: str) -> None:
        """Sort by a column; once more: the other way round."""
        is_again = name == self._choice.sort
        turned = not self._choice.is_reversed if is_again else False
        self._choose(self._choice._replace(sort=name, is_reversed=turned))

    def action_sort(self) -> None:
        """Sort by the next column that is shown."""
        names = [one.column.name for one in self._table.fitted] or list(COLUMN_NAMES)
        at = names.index(self._choice.sort) + 1 if self._choice.sort in names else 0
        self._choose(self._choice._replace(sort=names[at % len(names)], is_reversed=False))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._choose(self._choice._replace(is_reversed=not self._choice.is_reversed))

    def action_kind(self, kind: str) -> None:
        """Show one kind of instrument alone, or all."""
        only = frozenset({kind})
        self._choose(self._choice._replace(kinds=frozenset() if self._choice.kinds == only else only))

    def action_move(self, lines: int) -> None:
        """Mark another row."""
        self._table.move(lines)
        self.query_one("#detail").refresh()

    def action_open(self) -> None:
        """Open the marked instrument's book."""
        if (marked := self._table.marked) is not None:
            self.app.push_screen(BookScreen(self._opened, self._clock, marked.definition, self._depth))

    def action_filter(self) -> None:
        """Let words be typed."""
        box = self.query_one("#filter", Input)
        box.add_class("-open")
        box.focus()

    def action_unfilter(self) -> None:
        """Show all again; where nothing is filtered, leave."""
        box = self.query_one("#filter", Input)
        if not (self._choice.text or box.has_class("-open")):
            self.app.exit()
            return
        box.value = ""
        box.remove_class("-open")
        self._table.focus()
        self._choose(self._choice._replace(text=""))

    @on(Input.Changed)
    def filter_changed(self, event: Input.Changed) -> None:
        """Show what the words typed so far choose."""
        self._choose(self._choice._replace(text=event.value))

    @on(Input.Submitted)
    def filter_done(self) -> None:
        """Go back to the table, filtered."""
        self.query_one("#filter").remove_class("-open")
        self._table.focus()
