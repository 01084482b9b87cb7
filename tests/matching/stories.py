"""Stories: a market's rule told in a trader's words, and played on the kernels and on the reference.

    sell 3 @ 101 ann            a new order, named after its member: `ann`, or `ann-2` for her second
    buy 4 @ 102 cat day         it may end with the day (`day`) or at once (`ioc`)
    buy 4 @ 102 cat subsidised  a programme pays part of it
    buy 4 @ 102 cat numbered 0  under a number of its own, told as `number 0`
    cancel ann                  asked by ann; `cancel ann by bob`, or `cancel ann by its owner`
    end day
    book GLM tick 5 halted      a book, its tick size and phase, before it is used; without, one book
    buy 4 @ 105 cat in GLM      is open for all orders that name none
    group ann bob               these members are related parties

Told back, with a line an event (an accepted order is left out: every order that is not refused is),
then what rests, as on a screen: sells down to the best, then buys from the best on, first come first.

    ann x cat 3 @ 101           maker, taker, quantity, price
    cat cancelled 1             or `expired 1`, or with the reason: `cancelled 1: related party`
    dan refused: price off tick
    --
    sell 102 eve:5 fay:1
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from matching.batch import match
from matching.layout import COMMAND, empty_book
from matching.reference import (
    OWNER,
    Command,
    Event,
    Market,
    ReferenceBook,
    events_from,
)
from matching.view import orders_of
from matching.vocabulary import CommandKind, EventKind, Phase, RejectReason, Side, TimeInForce

FOLDER = Path(__file__).parent / "stories"
DIVIDER = "=="
"""Parts what is asked from what is told, in a story's file."""

Resting = tuple[int, int]
"""A resting order: its id, and the lots that are open."""
Engine = Callable[
    [list[Market], list[Command]], tuple[list[Event], dict[tuple[int, int, int], list[Resting]]]
]
"""Plays commands; returns the events, and the queue at each (instrument, side, price)."""


def play(text: str, engine: Engine) -> str:
    """Play the commands of `text` on `engine` and tell what happened."""
    scene = Scene.read(text)
    events, queues = engine(scene.markets, scene.commands)
    return "\n".join([*scene.told(events), "--", *scene.screen(queues)])


def story(text: str) -> str:
    """Return what is expected to be told, without comments and needless blanks."""
    return "\n".join(lines_of(text))


def read(path: Path) -> tuple[str, str]:
    """Return the two parts of a story's file: what is asked, and what is told."""
    asked, told = path.read_text("utf-8").split(f"\n{DIVIDER}\n")
    return asked, told


def lines_of(text: str) -> list[str]:
    """Return the lines that say something, each with single blanks."""
    lines = (" ".join(line.split("#")[0].split()) for line in text.splitlines())
    return [line for line in lines if line]


# --- the two engines ---------------------------------------------------------------------------


def kernels(
    markets: list[Market], commands: list[Command]
) -> tuple[list[Event], dict[tuple[int, int, int], list[Resting]]]:
    """Play on the kernels, all commands in one batch."""
    book = empty_book(len(markets))
    book.markets["tick"] = [market.tick for market in markets]
    book.markets["phase"] = [market.phase for market in markets]
    book, rows = match(book, array_of(commands))
    queues: dict[tuple[int, int, int], list[Resting]] = {}
    for instrument in range(len(markets)):
        for side in Side:
            for row in orders_of(book, instrument, side):
                at = (instrument, int(side), int(row["price"]))
                queues.setdefault(at, []).append((int(row["id"]), int(row["leaves"])))
    return events_from(rows), queues


def reference(
    markets: list[Market], commands: list[Command]
) -> tuple[list[Event], dict[tuple[int, int, int], list[Resting]]]:
    """Play on the reference."""
    book = ReferenceBook(markets)
    events = book.apply_all(commands)
    queues: dict[tuple[int, int, int], list[Resting]] = {}
    for instrument in range(len(markets)):
        for side in Side:
            for order in book.orders_of(instrument, side):
                at = (instrument, int(side), order.price)
                queues.setdefault(at, []).append((order.id, order.leaves))
    return events, queues


def array_of(commands: Iterable[Command]) -> np.ndarray:
    """Return plain commands as rows."""
    commands = list(commands)
    rows = np.zeros(len(commands), COMMAND)
    for name in Command._fields:
        rows[name] = [getattr(command, name) for command in commands]
    return rows


# --- words -------------------------------------------------------------------------------------


class Scene(NamedTuple):
    """A story's setting and commands, and the names behind the numbers."""

    books: list[str]
    markets: list[Market]
    orders: list[str]
    commands: list[Command]

    @classmethod
    def read(cls, text: str) -> Scene:
        """Read the commands of a story."""
        scene = cls([], [], [""], [])
        members: list[str] = []
        groups: dict[str, str] = {}
        for line in lines_of(text):
            match line.split():
                case ["book", name, *rest]:
                    scene.books.append(name)
                    scene.markets.append(market_of(rest))
                case ["group", first, *others]:
                    groups.update(dict.fromkeys((first, *others), first))
                case ["end", "day"]:
                    scene.commands.append(Command(kind=CommandKind.END_DAY))
                case ["cancel", order, *by]:
                    asker = " ".join(by[1:]) or order.split("-")[0]
                    member = OWNER if asker == "its owner" else number_of(asker, members)
                    number = number_of(order, scene.orders)
                    scene.commands.append(Command(number, kind=CommandKind.CANCEL, member=member))
                case ["buy" | "sell" as side, quantity, "@", price, order, *rest]:
                    member_name = order.split("-")[0]
                    command = Command(
                        order=number_of(order, scene.orders),
                        price=int(price),
                        quantity=int(quantity),
                        side=Side[side.upper()],
                        member=number_of(member_name, members),
                        group=number_of(groups.get(member_name, member_name), members),
                    )
                    scene.commands.append(scene.with_terms(command, rest))
                case _:
                    raise ValueError(f"a story does not know how to read: {line}")
        if not scene.books:
            scene.books.append("")
            scene.markets.append(Market())
        return scene

    def with_terms(self, command: Command, words: list[str]) -> Command:
        """Return a new order with the words behind its name: `day`, `subsidised`, `in GLM`, `numbered 0`."""
        match words:
            case []:
                return command
            case ["subsidised", *rest]:
                return self.with_terms(command._replace(subsidised=1), rest)
            case ["numbered", number, *rest]:
                return self.with_terms(command._replace(order=int(number)), rest)
            case ["in", book, *rest]:
                listed = self.books.index(book) if book in self.books else len(self.books)
                return self.with_terms(command._replace(instrument=listed), rest)
            case [word, *rest]:
                return self.with_terms(command._replace(time_in_force=TimeInForce[word.upper()]), rest)
        raise AssertionError(words)

    def told(self, events: list[Event]) -> list[str]:
        """Return a line an event, and check on the way what a line leaves out."""
        open_lots: dict[int, int] = {}
        lines = []
        for event in events:
            order = self.name_of(event.order)
            asked = self.commands[event.command]
            reason = RejectReason(event.reason).name.lower().replace("_", " ")
            because = "" if event.reason == RejectReason.NONE else f": {reason}"
            if event.kind == EventKind.REJECTED:
                assert (event.leaves, event.quantity) == (0, asked.quantity)
                lines.append(f"{order} refused{because}")
                continue
            if event.kind == EventKind.ACCEPTED:
                assert (event.price, event.quantity) == (asked.price, asked.quantity)
                open_lots[event.order] = event.leaves
                continue
            open_lots[event.order] -= event.quantity
            assert event.leaves == open_lots[event.order]
            if event.kind == EventKind.TRADED:
                open_lots[event.maker_order] -= event.quantity
                assert event.maker_leaves == open_lots[event.maker_order]
                maker = self.name_of(event.maker_order)
                lines.append(f"{maker} x {order} {event.quantity} @ {event.price}")
            else:
                kind = EventKind(event.kind).name.lower()
                lines.append(f"{order} {kind} {event.quantity}{because}")
        return lines

    def name_of(self, order: int) -> str:
        """Return an order's name, or its number where the story gave it one."""
        return self.orders[order] if 0 < order < len(self.orders) else f"number {order}"

    def screen(self, queues: dict[tuple[int, int, int], list[Resting]]) -> list[str]:
        """Return what rests, book by book, sells above buys, each from the highest price down."""
        lines = []
        for instrument, side, price in sorted(queues, key=lambda at: (at[0], -at[1], -at[2])):
            queue = queues[instrument, side, price]
            names = " ".join(f"{self.name_of(order)}:{leaves}" for order, leaves in queue)
            line = f"{self.books[instrument]} {Side(side).name.lower()} {price} {names}"
            lines.append(line.strip())
        return lines or ["nothing rests"]


def market_of(words: list[str]) -> Market:
    """Return the market that the words behind a book's name tell: `tick 5`, `halted`."""
    market = Market()
    for index, word in enumerate(words):
        if word == "tick":
            market = market._replace(tick=int(words[index + 1]))
        elif not word.isdecimal():
            market = market._replace(phase=Phase[word.upper()])
    return market


def number_of(name: str, names: list[str]) -> int:
    """Return the number of a name, the next one if it is new."""
    if name not in names:
        names.append(name)
    return names.index(name)
