"""What is counted of one world while its commands go by: by instrument, by programme, by reason.

Columns at a time, no row is kept: what it holds grows with the names of a venue, not with its commands.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine, Outcome
from exchange.server.what_if_report import Moment
from matching.vocabulary import NO_SLOT, CommandKind, EventKind, RejectReason
from settlement.balances import BASIS_POINTS
from settlement.classes import RATES
from settlement.layout import Exhaustion, Ledger
from settlement.terms import AMOUNT_MAX, VENUE_OFFSET_NS

_NEW, _REPLACE = int(CommandKind.NEW), int(CommandKind.REPLACE)
_TRADED, _REJECTED = int(EventKind.TRADED), int(EventKind.REJECTED)
_EXHAUSTED = int(RejectReason.PROGRAMME_EXHAUSTED)
"""As plain numbers: to compare an array with an enum's member costs several microseconds more."""

_HALF = 32
_LOW = (1 << _HALF) - 1


class ExactSums:
    """Sums of int64 by index, exact: high and low halves of the words are added apart."""

    def __init__(self) -> None:
        self._high = np.zeros(16, np.int64)
        self._low = np.zeros(16, np.int64)

    def add(self, places: np.ndarray, values: np.ndarray) -> None:
        """Add each value at its place."""
        if len(places) == 0:
            return
        room = int(places.max()) + 1
        if room > len(self._low):
            more = np.zeros(2 * room - len(self._low), np.int64)
            self._high, self._low = np.concatenate([self._high, more]), np.concatenate([self._low, more])
        np.add.at(self._high, places, values >> _HALF)
        np.add.at(self._low, places, values & _LOW)

    def of(self, place: int) -> int:
        """Return the sum at a place."""
        if place >= len(self._low):
            return 0
        return (int(self._high[place]) << _HALF) + int(self._low[place])

    def total(self) -> int:
        """Return the sum of all."""
        return (int(self._high.sum()) << _HALF) + int(self._low.sum())


class Piece(NamedTuple):
    """What of a piece of the journal is compared: the trades' rows, and which commands were refused.

    `trades` has a row a trade: sequence, order, maker's order, which one of these it is; `worth` price and
    quantity of each, `numbers` what the venue calls it. `orders` and `others` are the sequences of new orders
    that were refused, and of other commands.
    """

    trades: np.ndarray
    worth: np.ndarray
    numbers: np.ndarray
    orders: np.ndarray
    others: np.ndarray


_NONE = np.zeros(0, np.int64)
NOTHING = Piece(np.zeros((0, 4), np.int64), np.zeros((0, 2), np.int64), _NONE, _NONE, _NONE)
"""A piece in which nothing traded and nothing was refused."""


class Tally:
    """Counts of one world."""

    def __init__(self) -> None:
        self.lots = ExactSums()
        self.amounts = ExactSums()
        self.refusals: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()
        self.exhausted_for: Counter[int] = Counter()
        self.refused_otherwise: Counter[int] = Counter()
        self.exhausted: dict[int, Moment] = {}
        self.emptied: dict[int, Moment] = {}
        self.spent: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def note(self, engine: Engine, commands: np.ndarray, outcome: Outcome, span_ns: int) -> Piece:
        """Count what a piece of the journal, just applied, has brought about; return what is compared."""
        events, effects = outcome.events, outcome.effects
        is_new = commands["kind"] == _NEW
        _count(self.asked, commands["programme"][is_new & (commands["programme"] != NO_SLOT)])
        self._note_budgets(engine, span_ns)
        kinds = events["kind"]
        traded, refused = np.flatnonzero(kinds == _TRADED), np.flatnonzero(kinds == _REJECTED)
        piece = NOTHING
        if len(refused):
            is_order = is_new[events["command"][refused]]
            self._note_refused(commands, outcome, refused[is_order])
            sequences = effects["sequence"][refused]
            piece = piece._replace(orders=sequences[is_order], others=sequences[~is_order])
        if len(traded):
            prices, quantities = events["price"][traded], events["quantity"][traded]
            self.lots.add(events["instrument"][traded], quantities)
            self.amounts.add(events["instrument"][traded], prices * quantities)  # it fits into int64
            keys = [effects["sequence"][traded], events["order"][traded], events["maker_order"][traded]]
            piece = piece._replace(
                trades=numbered(np.stack(keys, axis=1)),
                worth=np.stack([prices, quantities], axis=1),
                numbers=effects["trade"][traded],
            )
        return piece

    def _note_refused(self, commands: np.ndarray, outcome: Outcome, rows: np.ndarray) -> None:
        events, effects = outcome.events, outcome.effects
        reasons = events["reason"][rows]
        _count(self.refusals, reasons)
        programmes = commands["programme"][events["command"][rows]]
        is_exhausted = reasons == _EXHAUSTED
        _count(self.exhausted_for, programmes[is_exhausted])
        _count(self.refused_otherwise, programmes[~is_exhausted & (programmes != NO_SLOT)])
        if is_exhausted.any():
            for programme in np.unique(programmes[is_exhausted]).tolist():
                if programme not in self.exhausted:
                    first = rows[is_exhausted & (programmes == programme)][0]
                    here = effects[first]
                    self.exhausted[programme] = Moment(int(here["sequence"]), int(here["time"]))

    def _note_budgets(self, engine: Engine, span_ns: int) -> None:
        rows = engine.core.ledger.programmes[: int(engine.core.ledger.totals[0]["programmes"])]
        paid = rows["paid"] + rows["vested"]
        self.spent[(engine.time + VENUE_OFFSET_NS) // span_ns] = (rows["reserved"] + paid, paid)
        for programme in np.flatnonzero(rows["uncommitted"] == 0).tolist():
            self.emptied.setdefault(programme, Moment(engine.sequence, engine.time))

    def may_empty(self, engine: Engine, commands: np.ndarray) -> bool:
        """Tell whether commands may use a budget up for the first time: then they are taken one by one.

        What they can reserve at most is reckoned generously, and as a float: it decides nothing but that.
        """
        ledger = engine.core.ledger
        asking = commands[(commands["kind"] == _NEW) & (commands["programme"] != NO_SLOT)]
        changing = commands[commands["kind"] == _REPLACE]
        if len(asking) == 0 and len(changing) == 0:
            return False
        for programme in range(int(ledger.totals[0]["programmes"])):
            row = ledger.programmes[programme]
            if programme in self.emptied or row["exhaustion"] != Exhaustion.FIRST_COME:
                continue
            most = _most_reserved(ledger, asking, programme)
            if len(changing):
                most += _most_added(engine, commands, changing, programme)
            if most >= int(row["uncommitted"]):
                return True
        return False


def _most_reserved(ledger: Ledger, asking: np.ndarray, programme: int) -> float:
    """Return the most, in hao, that a programme can reserve for new orders."""
    row = ledger.programmes[programme]
    own = asking[asking["programme"] == programme]
    own = own[(own["instrument"] >= 0) & (own["instrument"] < len(ledger.listings)) & (own["quantity"] > 0)]
    rate = int(ledger.rates[RATES * programme : RATES * (programme + 1)].max()) / BASIS_POINTS
    ceilings = ledger.listings["list_price"][own["instrument"]] * (1 + int(row["ceiling"]) / BASIS_POINTS)
    most: float = np.minimum(ceilings * own["quantity"] * rate, float(row["order_cap"])).sum()
    return most


def _most_added(engine: Engine, commands: np.ndarray, changing: np.ndarray, programme: int) -> float:
    """Return the most that it can reserve for orders that are replaced: open ones, and new ones of this run.

    What a replacement keeps as it is counts as much as an order may get.
    """
    ledger = engine.core.ledger
    row = ledger.programmes[programme]
    fresh = changing["order"] - engine.sequence - 1  # the place in this run of the order that is replaced
    within = changing[(fresh >= 0) & (fresh < len(commands))]
    renewed = commands[within["order"] - engine.sequence - 1]
    renewed["quantity"] = np.where(within["quantity"] > 0, within["quantity"], AMOUNT_MAX)
    parcels = ledger.parcels[: int(ledger.totals[0]["parcels"])]
    own = parcels[(parcels["is_open"] != 0) & (parcels["programme"] == programme)]
    own = own[np.argsort(own["order"])]
    known = changing[np.isin(changing["order"], own["order"])]
    parcel = own[np.searchsorted(own["order"], known["order"])]
    lots = np.where(known["quantity"] > 0, known["quantity"], AMOUNT_MAX).astype(float)
    most = parcel["ceiling_price"] * lots * (parcel["rate"] / BASIS_POINTS)
    rest: float = np.minimum(most, float(row["order_cap"])).sum()
    return rest + _most_reserved(ledger, renewed, programme)


def _count(counter: Counter[int], values: np.ndarray) -> None:
    if len(values):
        numbers, counts = np.unique(values, return_counts=True)
        counter.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))


def numbered(keys: np.ndarray) -> np.ndarray:
    """Return rows with one column more: of equal rows, the first has 0 there, the next 1."""
    nth = np.zeros(len(keys), np.int64)
    if len(keys) > 1:
        order = np.lexsort(keys.T[::-1])  # stable: equal rows stay in their order
        ranked = keys[order]
        is_first = np.ones(len(keys), bool)
        is_first[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
        places = np.arange(len(keys))
        nth[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return np.column_stack([keys, nth])
