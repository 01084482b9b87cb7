"""Anybody's day of order flow, a table with a map of its columns, as commands for `bourse match`.

A table without executions asks: each row becomes the command that it is. One with executions tells what
happened, as LOBSTER's files do, and is read as these are: an execution becomes an order of another member
that takes, a replace a cancel and a new order, and an order that stands in the way has left unseen.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from exchange.generic_map import NS_OF, Action, Field, Map
from exchange.lobster import Command, Importer, Kind, Row, Why
from exchange.lobster_files import NS, ORDER_MAX
from exchange.matchfile.columns import BadTable
from exchange.matchfile.commands import NO_PARQUET, no_word_of_torn_rows
from matching.vocabulary import Side

NEEDED: dict[Action, tuple[Field, ...]] = {
    "new": ("side", "price", "quantity"),
    "cancel": (),
    "reduce": ("quantity",),
    "replace": ("price", "quantity"),
    "execute": ("quantity",),
}
"""What a row of each action must say beside its order."""

KINDS: dict[Action, Kind] = {"reduce": Kind.REDUCED, "execute": Kind.EXECUTED}
"""What LOBSTER calls two of our actions."""

NEVER_ENTERED = "{} of orders that were not entered before, left out"

Key = tuple[str, str]
"""An order: its instrument and its id."""

TELLS_EVERY = 65_536
"""After how many rows it is told how far the reading is."""


class Told(NamedTuple):
    """One row in our words: `number` from 1, time in ns (None: the table has none), price in hao."""

    number: int
    action: Action
    instrument: str
    order: str
    side: Side | None
    price: int | None
    quantity: int | None
    time: int | None
    member: str | None

    @property
    def key(self) -> Key:
        """Which order the row is about."""
        return self.instrument, self.order


class Imported(NamedTuple):
    """The commands of a table, each with its instrument, and what was left out or put right."""

    commands: list[Command]
    instruments: list[str]
    notes: Counter[str]


class Table:
    """A table of order flow on disk. Raises `BadTable` for what cannot be taken."""

    def __init__(self, path: Path, form: str, named: Map) -> None:
        """Open a table of the format `csv` or `parquet`, and read the cells of the columns that are named."""
        self.path = path
        self._map = named
        self._actions = {str(word): action for action, words in named.words.action.items() for word in words}
        self._sides = {
            str(word): Side[side.upper()] for side, words in named.words.side.items() for word in words
        }
        self._price_of = lru_cache(maxsize=65_536)(self._scaled)
        self._scale = Decimal(named.price.scale)
        self._zone = ZoneInfo(named.time.zone)
        self._begin = self._midnight()
        self._cells = self._read(form)

    def __len__(self) -> int:
        return len(self._cells["order"])

    def rows(self, told: Callable[[int, int], None] | None = None) -> Iterator[Told]:
        """Yield the rows in our words; `told` hears how many are done, of how many."""
        last = None
        for at in range(len(self)):
            if told is not None and at % TELLS_EVERY == 0:
                told(at, len(self))
            row = self._row(at)
            if row.time is not None:
                if last is not None and row.time < last:
                    raise self.fault(
                        at, "time", f"{self._cells['time'][at]!r} is before the row in front; sort the rows"
                    )
                last = row.time
            yield row

    def fault(self, at: int, field: Field, what: str) -> BadTable:
        """Return what is wrong with a field in the row at a place, told by its column."""
        column = self._map.columns.get(field)
        where = f"column {column}" if column else f"{field}, for which the map has no column"
        return BadTable(f"{self.path.name}: row {at + 1}, {where}: {what}")

    # --- one row -------------------------------------------------------------------------------

    def _row(self, at: int) -> Told:
        action = self._word(at, "action", self._actions)
        side = self._word(at, "side", self._sides) if self._text(at, "side") else None
        order = self._text(at, "order")
        if not order:
            raise self.fault(at, "order", "it is blank; every row is about an order")
        for field in NEEDED[action]:
            if not self._text(at, field):
                raise self.fault(at, field, f"it is blank; {action} needs it")
        return Told(
            number=at + 1,
            action=action,
            instrument=self._text(at, "instrument"),
            order=order,
            side=side,
            price=self._price(at),
            quantity=self._quantity(at, least=0 if action == "replace" else 1),
            time=self._time(at) if "time" in self._cells else None,
            member=self._text(at, "member") or None,
        )

    def _text(self, at: int, field: Field) -> str:
        cells = self._cells.get(field)
        value = self._map.constants.get(field, "") if cells is None else cells[at]
        return "" if value is None else str(value)

    def _word(self, at: int, field: Field, words: dict[str, Any]) -> Any:  # noqa: ANN401  a code of the words'
        text = self._text(at, field)
        if text not in words:
            known = ", ".join(words)
            raise self.fault(at, field, f"{text!r} is not one of {known}; add it to words.{field} of the map")
        return words[text]

    def _price(self, at: int) -> int | None:
        text = self._text(at, "price")
        if not text:
            return None
        hao = self._price_of(text)
        if hao is None:
            raise self.fault(at, "price", f"{text!r} is no number; write one, with a point for decimals")
        if hao != hao.to_integral_value():
            scale = self._map.price.scale
            raise self.fault(
                at, "price", f"{text} x {scale} = {hao.normalize():f} hao is not whole; mend price.scale"
            )
        if not 0 < hao < ORDER_MAX:
            raise self.fault(at, "price", f"{text} must be above 0, and below {ORDER_MAX} hao")
        return int(hao)

    def _scaled(self, text: str) -> Decimal | None:
        try:
            price = Decimal(text)
        except InvalidOperation:
            return None
        return price * self._scale if price.is_finite() else None

    def _quantity(self, at: int, least: int) -> int | None:
        text = self._text(at, "quantity")
        if not text:
            return None
        try:
            number = Decimal(text)
            lots = int(number)
        except (ArithmeticError, ValueError) as error:
            raise self.fault(at, "quantity", f"{text!r} is no whole number of lots") from error
        if lots != number or not least <= lots < ORDER_MAX:
            raise self.fault(at, "quantity", f"{text} must be a whole number from {least}, below {ORDER_MAX}")
        return lots

    def _time(self, at: int) -> int:
        text, means = self._text(at, "time"), self._map.time
        try:
            if means.format:
                moment = datetime.strptime(text, means.format)  # noqa: DTZ007  its zone follows
                if means.day is not None:
                    moment = datetime.combine(means.day, moment.timetz())
                return _ns_of(moment if moment.tzinfo else moment.replace(tzinfo=self._zone))
            number = Decimal(text) * NS_OF[means.unit]
        except (ValueError, ArithmeticError) as error:
            wanted = f"as {means.format}" if means.format else f"a number of {means.unit}"
            raise self.fault(at, "time", f"{text!r} is no time; write {wanted}, or mend the map") from error
        if number != number.to_integral_value() or not 0 <= number + self._begin < ORDER_MAX:
            raise self.fault(at, "time", f"{text} {means.unit} is no whole number of nanoseconds since 1970")
        return int(number) + self._begin

    def _midnight(self) -> int:
        day = self._map.time.day
        return 0 if day is None else _ns_of(datetime(day.year, day.month, day.day, tzinfo=self._zone))

    # --- the file ------------------------------------------------------------------------------

    def _read(self, form: str) -> dict[Field, list[Any]]:
        wanted = self._map.columns
        table = self._read_csv() if form == "csv" else self._read_parquet()
        cells: dict[Field, list[Any]] = {}
        for field, column in wanted.items():
            values = table.column(column)
            if pa.types.is_timestamp(values.type):
                if values.type.tz is None:
                    values = values.cast(pa.timestamp("ns")).cast(pa.timestamp("ns", self._map.time.zone))
                values = values.cast(pa.int64()) if field != "time" else self._instants(values)
            cells[field] = values.to_pylist()
        if not cells["order"]:
            message = f"{self.path.name}: there is no row in it; give a day's table"
            raise BadTable(message)
        return cells

    def _instants(self, values: Any) -> Any:  # noqa: ANN401  Arrow's
        """Return moments as what the map's unit would be, so that nothing of a nanosecond is lost."""
        if self._map.time.day is not None or self._map.time.format or self._map.time.unit != "ns":
            column = self._map.columns["time"]
            message = f"{self.path.name}: column {column} has moments; of [time] leave all but the zone out"
            raise BadTable(message)
        return values.cast(pa.timestamp("ns", "UTC")).cast(pa.int64())

    def _read_csv(self) -> Any:  # noqa: ANN401  Arrow's table
        torn: list[Any] = []

        def note(row: Any) -> str:  # noqa: ANN401  Arrow's
            torn.append(row)
            return "error"

        cells = pyarrow.csv.ParseOptions(delimiter=self._map.delimiter, invalid_row_handler=note)
        # Only a single thread numbers the rows, and the number is what helps to mend the file.
        rows = pyarrow.csv.ReadOptions(use_threads=False)
        try:
            with (
                no_word_of_torn_rows(),
                pyarrow.csv.open_csv(self.path, read_options=rows, parse_options=cells) as reader,
            ):
                names = list(reader.schema.names)
            self._check(names)
            texts = pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[*self._map.columns.values()],
                null_values=[""],
                strings_can_be_null=True,
            )
            with no_word_of_torn_rows():
                return pyarrow.csv.read_csv(
                    self.path, read_options=rows, parse_options=cells, convert_options=texts
                )
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            message = f"{self.path.name}: cannot be read as a CSV in UTF-8: {error}"
            if torn:
                row = torn[0]
                message = (
                    f"{self.path.name}: row {row.number - 1}: {row.actual_columns} cells under "
                    f"{row.expected_columns} columns; a blank cell has its delimiter too"
                )
            raise BadTable(message) from error

    def _read_parquet(self) -> Any:  # noqa: ANN401  Arrow's table
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                self._check(list(file.schema_arrow.names))
                table = file.read([*self._map.columns.values()])
                table.validate(full=True)  # its text may be any bytes
                return table
        except NO_PARQUET as error:
            message = f"{self.path.name}: cannot be read as Parquet: {error}"
            raise BadTable(message) from error

    def _check(self, names: list[str]) -> None:
        for field, column in self._map.columns.items():
            if names.count(column) != 1:
                near = difflib.get_close_matches(column, names, n=1, cutoff=0.0)
                times = "stands there twice" if column in names else f"is missing; the nearest is {near[0]!r}"
                raise BadTable(
                    f"{self.path.name}: column {column!r}, which columns.{field} names, {times}; "
                    f"there are {', '.join(names)}"
                )


def import_table(table: Table, told: Callable[[int, int], None] | None = None) -> Imported:
    """Return the commands of a table. Raises `BadTable`."""
    rows = [*table.rows(told)]
    entered: dict[Key, int] = {}
    for at, row in enumerate(rows):
        if row.action == "new" and entered.setdefault(row.key, row.number) != row.number:
            what = (
                f"{row.order!r} was entered in row {entered[row.key]} before; an id names one order a table"
            )
            raise table.fault(at, "order", what)
    if any(row.action == "execute" for row in rows):
        return _what_happened(rows)
    return _what_was_asked(rows)


def _what_was_asked(rows: Sequence[Told]) -> Imported:
    """Return each row as the command that it is; what is about orders that were never entered is left out."""
    commands, instruments, notes = [], [], Counter[str]()
    numbers: dict[Key, int] = {}
    for row in rows:
        is_new = row.action == "new"
        if is_new:
            numbers[row.key] = len(numbers) + 1
        elif row.key not in numbers:
            notes[NEVER_ENTERED.format(row.action)] += 1
            continue
        side = row.side.name.lower() if is_new and row.side is not None else None
        commands.append(
            Command(
                row=row.number - 1,
                why=Why.TOLD,
                time=row.time or 0,
                kind=row.action,
                member=row.member if is_new else None,
                order=numbers[row.key],
                side=side,
                time_in_force="gtc" if is_new else None,
                price=row.price if row.action in ("new", "replace") else None,
                quantity=None if row.action == "cancel" else row.quantity,
            )
        )
        instruments.append(row.instrument)
    return Imported(commands, instruments, notes)


class _Resting(NamedTuple):
    """What is known of an order: its number now, side, price and open lots."""

    number: int
    side: Side
    price: int
    lots: int


class _Tape:
    """One instrument's rows as LOBSTER would tell them; `places` are those of the rows in the table."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.places: list[int] = []
        self.executions = 0
        self.open: dict[str, _Resting] = {}
        self.gone: set[str] = set()

    def tell(self, row: Told, number: int) -> str:
        """Add what a row tells of an order, whose number it is from now on; return what is wrong, if so."""
        if row.action == "new":
            self._enter(row, number, row.side)
            return ""
        if row.order in self.gone:
            return f"{row.action} of orders that had left, left out"
        before = self.open.get(row.order)
        if before is None:
            return self._tell_of_unseen(row, number)
        if row.action in ("cancel", "replace"):
            self._say(row, Kind.DELETED, before, before.lots)
            self._leave(row.order)
            if row.action == "replace" and row.quantity:
                self.gone.discard(row.order)
                self._enter(row, number, before.side)
            return ""
        lots = min(row.quantity or 0, before.lots)
        self._say(row, KINDS[row.action], before, lots)
        self.open[row.order] = before._replace(lots=before.lots - lots)
        if lots == before.lots:
            self._leave(row.order)
        return "" if lots == row.quantity else f"{row.action} of more lots than were open, cut"

    def _tell_of_unseen(self, row: Told, number: int) -> str:
        """Add a row about an order from before the table, if it says enough; its lots are not known."""
        if row.side is None or row.price is None or not row.quantity or row.action == "replace":
            return NEVER_ENTERED.format(row.action)
        order = _Resting(number, row.side, row.price, row.quantity)
        self._say(row, KINDS.get(row.action, Kind.DELETED), order, row.quantity)
        if row.action == "cancel":
            self._leave(row.order)
        return ""

    def _enter(self, row: Told, number: int, side: Side | None) -> None:
        assert side is not None
        assert row.price is not None
        assert row.quantity is not None
        self.open[row.order] = _Resting(number, side, row.price, row.quantity)
        self._say(row, Kind.NEW, self.open[row.order], row.quantity)

    def _leave(self, order: str) -> None:
        self.open.pop(order, None)
        self.gone.add(order)

    def _say(self, row: Told, kind: Kind, order: _Resting, lots: int) -> None:
        self.executions += kind == Kind.EXECUTED
        self.rows.append(Row(row.time or 0, kind, order.number, lots, order.price, order.side))
        self.places.append(row.number - 1)


def _what_happened(rows: Sequence[Told]) -> Imported:
    """Return the commands that make happen what the rows tell, as they are made of LOBSTER's files."""
    notes: Counter[str] = Counter()
    tapes: dict[str, _Tape] = {}
    numbers: dict[Key, int] = {}
    members: dict[int, str | None] = {}
    count = 0
    for row in rows:
        before = numbers.get(row.key, 0)
        if not before or row.action == "replace":
            count += 1
            numbers[row.key] = count
            members[count] = row.member or members.get(before)
        fault = tapes.setdefault(row.instrument, _Tape()).tell(row, numbers[row.key])
        if fault:
            notes[fault] += 1
    made: list[tuple[int, str, Command]] = []
    takers = count
    for instrument, tape in tapes.items():
        importer = Importer(tape.rows, takers)
        takers += tape.executions
        for command in importer.commands():
            place = tape.places[command.row]
            member = command.member
            if member == "resting" and command.order is not None:
                member = members.get(command.order) or member
            made.append((place, instrument, command._replace(row=place, member=member)))
        notes.update(importer.counts)
    made.sort(key=lambda one: one[0])
    return Imported([one for _, _, one in made], [name for _, name, _ in made], notes)


def _ns_of(moment: datetime) -> int:
    """Return a moment in ns since 1970; datetimes know microseconds."""
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * NS + moment.microsecond * 1_000
