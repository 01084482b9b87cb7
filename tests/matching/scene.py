"""What a story's words mean: lines become commands, and events become lines.

The language itself is told in `tests.matching.stories`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from itertools import groupby, islice
from typing import NamedTuple

from matching.reference import Command, Event, Market
from matching.vocabulary import (
    BOTH_SIDES,
    EVERY,
    CommandKind,
    EventKind,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)

KINDS = {
    "buy": CommandKind.NEW,
    "sell": CommandKind.NEW,
    "cancel": CommandKind.CANCEL,
    "reduce": CommandKind.REDUCE,
    "replace": CommandKind.REPLACE,
}
"""The verbs that speak of one order."""
NUMBERS = {
    "@": "price",
    "by": "quantity",
    "stop": "stop_price",
    "limit": "price",
    "trailing": "trail",
    "from": "stop_price",
    "showing": "display_quantity",
    "minimum": "minimum_quantity",
    "numbered": "order",
    "reference": "price",
}
"""The words that a number follows, and the field that it sets."""
WORDS: dict[str, dict[str, int]] = {
    "market": {"type": OrderType.MARKET},
    "stop": {"type": OrderType.STOP},
    "limit": {"type": OrderType.STOP_LIMIT},
    "trailing": {"type": OrderType.TRAILING_STOP},
    "day": {"time_in_force": TimeInForce.DAY},
    "ioc": {"time_in_force": TimeInForce.IOC},
    "fok": {"time_in_force": TimeInForce.FOK},
    "post-only": {"post_only": 1},
    "subsidised": {"subsidised": 1},
    "buys": {"side": Side.BUY},
    "sells": {"side": Side.SELL},
}
"""What a word says by itself."""
PHASE_FAULTS = {RejectReason.INSTRUMENT_NOT_OPEN, RejectReason.NOT_IN_PHASE}
"""Why a command is refused that the instrument's phase does not take: the refusal bears the phase."""
NUMBER = re.compile(r"-?\d+")
TIME = re.compile(r"(\d\d):(\d\d)")
NAME = re.compile(r"[a-z]+(-\d+)?")


class Resting(NamedTuple):
    """An order as it stands in the book, or beside it: parked at a stop price, or waiting for an auction."""

    instrument: int
    side: int
    price: int
    id: int
    shown: int
    leaves: int
    stop_price: int = 0
    is_waiting: bool = False

    @property
    def is_in_book(self) -> bool:
        """Tell whether the order stands in the book."""
        return not self.stop_price and not self.is_waiting


class Known(NamedTuple):
    """What earlier events have told of an order."""

    side: int
    instrument: int
    price: int
    quantity: int
    leaves: int


class Scene(NamedTuple):
    """A story's setting and commands, and the names behind the numbers."""

    books: list[str]
    markets: list[Market]
    groups: dict[str, str]
    members: list[str]
    orders: list[str]
    commands: list[Command]

    @classmethod
    def read(cls, text: str) -> Scene:
        """Read the commands of a story."""
        scene = cls([], [], {}, [], [""], [])
        for line in lines_of(text):
            try:
                scene.read_line(line.split())
            except (StopIteration, KeyError, ValueError) as error:
                raise ValueError(f"a story does not know how to read: {line}") from error
        if not scene.books:
            scene.books.append("")
            scene.markets.append(Market())
        return scene

    def read_line(self, words: list[str]) -> None:
        """Read one line: a part of the setting, or a command."""
        match words:
            case ["book", name, *terms]:
                self.books.append(name)
                self.markets.append(market_of(iter(terms)))
            case ["group", first, *others]:
                self.groups.update(dict.fromkeys((first, *others), first))
            case ["clock", time]:
                self.commands.append(Command(kind=CommandKind.CLOCK, time=nanoseconds(time)))
            case [time, *rest] if TIME.fullmatch(time):
                self.commands.append(self.command_from(rest)._replace(time=nanoseconds(time)))
            case _:
                self.commands.append(self.command_from(words))

    def command_from(self, words: list[str]) -> Command:
        """Return the command that a line asks for."""
        match words:
            case ["end", "day", *terms]:
                command = Command(kind=CommandKind.END_DAY)
            case ["cancel", "all", *terms]:
                command = Command(
                    kind=CommandKind.MASS_CANCEL, instrument=EVERY, member=EVERY, side=BOTH_SIDES
                )
            case ["phase", book, phase, *terms]:
                instrument = EVERY if book == "all" else self.number_of_book(book)
                command = Command(kind=CommandKind.PHASE, instrument=instrument, phase=Phase[phase.upper()])
            case _:
                verb, *terms = words
                command = Command(kind=KINDS[verb], side=Side.SELL if verb == "sell" else Side.BUY)
        return command._replace(**self.fields_of(iter(terms)))

    def fields_of(self, words: Iterator[str]) -> dict[str, int]:
        """Return the fields that the words behind a verb set."""
        fields: dict[str, int] = {}
        for word in words:
            fields |= WORDS.get(word, {})
            if word in NUMBERS:
                fields[NUMBERS[word]] = int(next(words))
            elif word not in WORDS:
                said = self.field_of(word, words)
                if "order" in fields.keys() & said.keys():
                    raise ValueError(word)
                fields |= said
        return fields

    def field_of(self, word: str, words: Iterator[str]) -> dict[str, int]:
        """Return what one word sets, with those behind it that belong to it."""
        match word:
            case "until":
                return {"time_in_force": TimeInForce.GTD, "expires_at": nanoseconds(next(words))}
            case "self-trade":
                return {"self_trade": SelfTrade[next(words).upper().replace("-", "_")]}
            case "in":
                return {"instrument": self.number_of_book(next(words))}
            case "of":
                return {"member": number_of(next(words), self.members)}
            case "asked":
                return self.field_of("of", islice(words, 1, None))
            case "for":
                if (next(words), next(words)) != ("its", "owner"):
                    raise ValueError(word)
                return {"member": EVERY}
            case "with":
                return {next(words): int(next(words))}
            case _ if NUMBER.fullmatch(word):
                return {"quantity": int(word)}
            case _ if NAME.fullmatch(word):
                return self.order_named(word)
        raise ValueError(word)

    def order_named(self, name: str) -> dict[str, int]:
        """Return whose order it is, and its number."""
        member = name.partition("-")[0]
        return {
            "order": number_of(name, self.orders),
            "member": number_of(member, self.members),
            "group": number_of(self.groups.get(member, member), self.members),
        }

    def number_of_book(self, name: str) -> int:
        """Return a book's number; of one that is not listed, the next."""
        return self.books.index(name) if name in self.books else len(self.books)

    # --- what is told --------------------------------------------------------------------------

    def told(self, events: list[Event]) -> list[str]:
        """Return a line for each event that says something, and check on the way what it leaves out."""
        known: dict[int, Known] = {}
        references = [market.reference for market in self.markets]
        lines = []
        for event in events:
            asked = self.commands[event.command]
            before = known.get(event.order)
            if event.kind in {EventKind.PHASE_CHANGED, EventKind.INDICATIVE}:
                learn_of_market(event, asked, references)
            else:
                learn(event, asked, known)
            lines.append(self.line_of(event, asked, before))
        return [line for line in lines if line]

    def line_of(self, event: Event, asked: Command, before: Known | None) -> str:
        """Return what an event says, or nothing where it says what every reader expects."""
        name = self.name_of(event.order)
        because = f": {words_of(RejectReason(event.reason))}" if event.reason else ""
        kind = EventKind(event.kind)
        match kind:
            case EventKind.ACCEPTED:
                return "" if event.price == asked.price else f"{name} protected at {event.price}"
            case EventKind.REJECTED:
                if asked.kind in {CommandKind.MASS_CANCEL, CommandKind.PHASE}:
                    name = words_of(CommandKind(asked.kind))
                phase = f" while {words_of(Phase(event.phase))}" if event.reason in PHASE_FAULTS else ""
                return f"{name} refused{phase}{because}"
            case EventKind.TRADED:
                maker, lots = self.name_of(event.maker_order), f"{event.quantity} @ {event.price}"
                is_auction = event.phase == Phase.AUCTION
                return f"auction: {maker} sells {name} {lots}" if is_auction else f"{maker} x {name} {lots}"
            case EventKind.TRIGGERED:
                moved = before is not None and before.price != event.price
                return f"{name} triggered" + (f", protected at {event.price}" if moved else "")
            case EventKind.REDUCED:
                return f"{name} reduced to {event.quantity}{because}"
            case EventKind.REPLACED:
                return f"{name} replaced: {event.quantity} @ {event.price}"
            case EventKind.PHASE_CHANGED:
                return f"{self.books[event.instrument]} {words_of(Phase(event.phase))}{because}"
            case EventKind.INDICATIVE:
                return f"{self.books[event.instrument]} {indicative_told(event)}"
        return f"{name} {words_of(kind)} {event.quantity}{because}"

    def name_of(self, order: int) -> str:
        """Return an order's name, or its number where the story gave it one."""
        return self.orders[order] if 0 < order < len(self.orders) else f"number {order}"

    def screen(self, resting: list[Resting]) -> list[str]:
        """Return what rests, book by book: sells down to the best, buys from the best on, then who waits."""
        lines = []
        for instrument, name in enumerate(self.books):
            here = [order for order in resting if order.instrument == instrument]
            book = [order for order in here if order.is_in_book]
            asks = self.rows([order for order in book if order.side == Side.SELL])
            bids = self.rows([order for order in book if order.side == Side.BUY])
            stops = self.rows([order for order in here if order.stop_price])
            waiting = self.rows([order for order in here if order.is_waiting])
            prefix = f"{name} " if len(self.books) > 1 else ""
            lines += [prefix + row for row in (*reversed(asks), *bids, *stops, *waiting)]
        return lines or ["nothing rests"]

    def rows(self, orders: list[Resting]) -> list[str]:
        """Return a line for each price, in the order in which the orders come."""
        return [
            f"{label} {' '.join(map(self.entry_of, queue))}" for label, queue in groupby(orders, key=label_of)
        ]

    def entry_of(self, order: Resting) -> str:
        """Return how one order stands on the screen."""
        lots = str(order.leaves)
        if order.is_in_book and order.shown != order.leaves:
            lots = f"{order.shown}({order.leaves})"
        return f"{self.name_of(order.id)}:{lots}"


def label_of(order: Resting) -> str:
    """Return what a line on the screen begins with: the same for all orders of one line."""
    side = words_of(Side(order.side))
    if order.stop_price:
        return f"parked {side} stop {order.stop_price} @ {order.price}"
    return f"waiting {side} @ {order.price}" if order.is_waiting else f"{side} {order.price}"


def indicative_told(event: Event) -> str:
    """Return what an auction would find now: volume, price, and which side has how many lots more."""
    if event.price == 0:
        return "no indicative"
    surplus = f"{event.leaves} more to {words_of(Side(event.side))}" if event.leaves else "balanced"
    return f"indicative {event.quantity} @ {event.price}, {surplus}"


def learn_of_market(event: Event, asked: Command, references: list[int]) -> None:
    """Check what a line leaves out of a change of phase, or of an indicative price."""
    assert (event.order, event.maker_order, event.maker_leaves, event.was_price) == (0, 0, 0, 0)
    if event.kind == EventKind.PHASE_CHANGED:
        if asked.kind == CommandKind.PHASE and asked.price:
            references[event.instrument] = asked.price
        assert event.price == references[event.instrument]
        assert (event.quantity, event.leaves, event.side) == (0, 0, 0)
    else:
        assert (event.reason, event.phase) == (0, 0)
        assert (event.price > 0) == (event.quantity > 0)
        assert event.price > 0 or event.leaves == 0
        assert event.leaves > 0 or event.side == Side.BUY


def learn(event: Event, asked: Command, known: dict[int, Known]) -> None:
    """Check what a line leaves out against what earlier events told, and note what is new."""
    assert event.was_price == 0 or event.kind == EventKind.REPLACED
    if event.kind == EventKind.REJECTED:
        assert (event.leaves, event.quantity) == (0, asked.quantity)
        assert event.phase == 0 or event.reason in PHASE_FAULTS
        return
    if event.kind == EventKind.ACCEPTED:
        assert event.quantity == asked.quantity
        assert asked.price in {0, event.price}
        now = Known(asked.side, asked.instrument, event.price, event.quantity, event.quantity)
    else:
        now = known_after(event, known)
    assert event.phase in ({0, Phase.AUCTION} if event.kind == EventKind.TRADED else {0})
    assert (event.side, event.instrument, event.leaves) == (now.side, now.instrument, now.leaves)
    known[event.order] = now


def known_after(event: Event, known: dict[int, Known]) -> Known:
    """Return what is known of an order after an event; a trade tells of its maker, or of the sell, too."""
    before = known[event.order]
    match event.kind:
        case EventKind.TRADED:
            maker = known[event.maker_order]
            known[event.maker_order] = maker._replace(leaves=maker.leaves - event.quantity)
            assert event.maker_leaves == known[event.maker_order].leaves
            assert maker.side != before.side
            assert event.phase == 0 or before.side == Side.BUY
            return before._replace(leaves=before.leaves - event.quantity)
        case EventKind.TRIGGERED:
            assert event.quantity == before.quantity
            return before._replace(price=event.price)
        case EventKind.REDUCED | EventKind.REPLACED:
            filled = before.quantity - before.leaves
            assert event.kind == EventKind.REDUCED or event.was_price == before.price
            return before._replace(price=event.price, quantity=event.quantity, leaves=event.quantity - filled)
    assert event.quantity == before.leaves
    return before._replace(leaves=0)


def lines_of(text: str) -> list[str]:
    """Return the lines that say something, each with single blanks."""
    lines = (" ".join(line.split("#")[0].split()) for line in text.splitlines())
    return [line for line in lines if line]


def market_of(words: Iterator[str]) -> Market:
    """Return the market that the words behind a book's name tell: `tick 5`, `halted`."""
    market = Market()
    for word in words:
        if word in Market._fields:
            market = market._replace(**{word: int(next(words))})
        else:
            market = market._replace(phase=Phase[word.upper()])
    return market


def number_of(name: str, names: list[str]) -> int:
    """Return the number of a name, the next one if it is new."""
    if name not in names:
        names.append(name)
    return names.index(name)


def nanoseconds(time: str) -> int:
    """Return a time of day, as `09:30`, in ns."""
    hours, minutes = map(int, time.split(":"))
    return (60 * hours + minutes) * 60 * 10**9


def words_of(code: IntEnum) -> str:
    """Return what a code is called."""
    return code.name.lower().replace("_", " ")
