"""The full-screen program: what its screens share, and an instrument's book.

Reading and drawing are two timers of one thread: a read takes what has come for at most a few ms, a
drawing shows what was folded so far, ten times a second at most. So a busy feed cannot hold up the keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from exchange.watching.book_view import BookShown, BookView
from exchange.watching.paint_book import (
    TAPE_WIDTH,
    paint_header,
    paint_ladder,
    paint_tape,
    scroll_bounds,
)
from exchange.watching.readers import Clock, Opener
from feeds.documents import Definition
from feeds.messages import FAST_VIEW

READS_A_SECOND = 20
DRAWINGS_A_SECOND = 10
READ_NS_MAX = 20_000_000
"""How long one read may take before keys and drawing have their turn."""

DEPTH_STEP = 5
DEPTH_MAX = 500

BOOK_HELP = """\
An instrument's book, as the venue's feed tells it.

  q, escape   leave            p       pause; the state stays live
  up, down    scroll           home    back to the spread
  + , -       more, fewer levels of each side
  o           a level's orders, each with its lots, the first in the queue
              nearest to the price

Prices are in yuan a lot, and gross; bars are as long as lots are many.
Net price: what a lot cost the buyer himself, where a programme paid a
part at once; "later" where it pays when the credits are redeemed.

  ● LIVE      the book is the engine's, as of the last message
  ▲ GAPPED    a message is missing, a refresh is asked for (resyncs)
  ■ STALE     nothing was heard for three seconds: it may be right
  … WAITING   there is no book yet
"""


class Painted(Widget):
    """A widget that shows what a function paints for its width and height."""

    def __init__(self, paint: Callable[[int, int], Text], id: str) -> None:
        super().__init__(id=id)
        self._paint = paint

    def render(self) -> Text:
        """Paint."""
        return self._paint(self.size.width, self.size.height)


class HelpScreen(ModalScreen[None]):
    """What the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "app.pop_screen", "close")
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out."""
        with VerticalScroll(id="help"):
            yield Static(Text(self._text))


class FeedScreen(Screen[None]):
    """A screen with a reader of its own, which it reads and draws until it is left."""

    HELP_TEXT: ClassVar[str] = ""

    def __init__(self, opened: Opener, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._reader = opened()

    def on_mount(self) -> None:
        """Begin to read and draw."""
        self.set_interval(1 / READS_A_SECOND, self.read)
        self.set_interval(1 / DRAWINGS_A_SECOND, self.draw)

    def on_unmount(self) -> None:
        """Close the reader."""
        self._reader.close()

    def read(self) -> None:
        """Take what has come, as long as time is."""
        raise NotImplementedError

    def draw(self) -> None:
        """Show what was taken."""
        raise NotImplementedError

    def action_help(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(HelpScreen(self.HELP_TEXT))


class BookScreen(FeedScreen):
    """An instrument's ladder and tape."""

    HELP_TEXT = BOOK_HELP
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  declared so by Textual
        (0, "-narrow"),
        (110, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "leave", "leave"),
        Binding("o", "orders", "orders"),
        Binding("plus,equals_sign", "deeper(1)", "deeper", key_display="+"),
        Binding("minus", "deeper(-1)", "shallower", key_display="-"),
        Binding("up", "scroll_book(-1)", "scroll", key_display="↑↓"),
        Binding("down", "scroll_book(1)", show=False),
        Binding("pageup", "scroll_book(-10)", show=False),
        Binding("pagedown", "scroll_book(10)", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("p", "pause", "pause"),
        Binding("question_mark", "help", "help", key_display="?"),
    ]

    def __init__(self, opened: Opener, clock: Clock, definition: Definition, depth: int) -> None:
        super().__init__(opened, clock)
        self._view = BookView(definition)
        self._depth = depth
        self._orders = False
        self._scroll = 0
        self._paused: BookShown | None = None
        self._book = self._reader.follow(definition.index)
        self._reader.listen(FAST_VIEW, definition.index)
        self._shown = self._view.shown(self._book, clock(), depth)

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Painted(
            lambda width, _: paint_header(self._shown, width, is_paused=self._paused is not None), "header"
        )
        with Container(id="body"):
            yield Painted(
                lambda width, height: paint_ladder(self._pictured, width, height, self._scroll), "ladder"
            )
            yield Painted(lambda width, height: paint_tape(self._pictured, width, height), "tape")
        yield Footer(compact=True)

    @property
    def _pictured(self) -> BookShown:
        return self._paused or self._shown

    def read(self) -> None:
        """Take what has come, as long as time is."""
        end = self._clock() + READ_NS_MAX
        while messages := self._reader.poll(0):
            self._view.take(messages, self._clock())
            if self._clock() >= end:
                break

    def draw(self) -> None:
        """Show the book as it is now, if anything has changed."""
        now = self._view.shown(self._book, self._clock(), self._depth, orders=self._orders)
        if now == self._shown:
            return
        self._shown = now
        self._repaint()

    def _repaint(self) -> None:
        for painted in self.query(Painted):
            painted.refresh()

    def action_leave(self) -> None:
        """Go back to where one came from, or end."""
        if len(self.app.screen_stack) > 2:  # noqa: PLR2004  the program's own, and this one
            self.app.pop_screen()
        else:
            self.app.exit()

    def action_orders(self) -> None:
        """Show each order of a level, or their sum."""
        self._orders = not self._orders
        if self._orders:
            self._reader.follow(self._view.definition.index, orders=True)
        self.draw()

    def action_deeper(self, steps: int) -> None:
        """Show more levels, or fewer."""
        self._depth = min(
            max(self._depth + steps * DEPTH_STEP, 1 if self._depth <= DEPTH_STEP else DEPTH_STEP), DEPTH_MAX
        )
        self.draw()

    def action_scroll_book(self, lines: int) -> None:
        """Look further down, or up."""
        top, bottom = scroll_bounds(self._pictured, self.query_one("#ladder").size.height)
        self._scroll = max(min(self._scroll + lines, bottom), top)
        self._repaint()

    def action_scroll_home(self) -> None:
        """Look at the spread."""
        self._scroll = 0
        self._repaint()

    def action_pause(self) -> None:
        """Hold the picture, or let it go on."""
        self._paused = None if self._paused else self._shown
        self._repaint()


class WatchApp(App[None]):
    """The program: it begins with one screen, and ends by itself after `seconds`, if told so."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]
    CSS = f"""
    Screen {{ layout: vertical; }}
    Painted, MarketTable {{ text-wrap: nowrap; text-overflow: clip; }}
    #header {{ height: 2; background: $panel; }}
    #body {{ height: 1fr; }}
    .-wide #body {{ layout: horizontal; }}
    #ladder {{ height: 1fr; }}
    .-wide #ladder {{ width: 1fr; }}
    #tape {{ height: 35%; border-top: solid $panel; }}
    .-wide #tape {{ height: 1fr; width: {TAPE_WIDTH}; border-top: none;
                   border-left: solid $panel; padding: 0 1; }}
    #title {{ height: 1; background: $panel; }}
    #market {{ height: 1fr; }}
    #detail {{ height: 1; color: $text-muted; }}
    #budgets {{ height: auto; max-height: 3; background: $panel; }}
    #filter {{ display: none; height: 1; border: none; }}
    #filter.-open {{ display: block; }}
    HelpScreen {{ align: center middle; }}
    #help {{ width: 78; max-width: 100%; height: auto; max-height: 100%; border: round $primary;
             background: $surface; padding: 0 1; }}
    """

    def __init__(self, first: Callable[[], FeedScreen], seconds: float | None = None) -> None:
        super().__init__()
        self._first = first
        self._seconds = seconds

    def on_mount(self) -> None:
        """Show the first screen."""
        self.title = "Tokenbourse"
        if self._seconds is not None:
            self.set_timer(self._seconds, self.exit)
        self.push_screen(self._first())
