"""What two worlds come to at their end, read from their ledgers, class by class and firm by firm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from exchange.engine import Engine
from exchange.server.what_if_report import (
    Curve,
    Figures,
    FiguresPair,
    FirmPair,
    Firms,
    InstrumentPair,
    Orders,
    ProgrammePair,
    ProgrammeSide,
    Refusals,
)
from exchange.server.what_if_tally import ExactSums, Tally
from matching.vocabulary import NO_SLOT, RejectReason, Size
from settlement.balances import BASIS_POINTS
from settlement.classes import KINDS
from settlement.layout import Exhaustion, Payout
from settlement.terms import VENUE_OFFSET_NS

TOP = 10
"""How many firms are told each way, and are the largest."""

AWARDED = "award"
"""Beside the kinds of instruments: what was granted for no order."""


class Granted(NamedTuple):
    """What programmes have granted, columns beside each other: a row an order, or an award (`kind` is -1)."""

    programme: np.ndarray
    member: np.ndarray
    kind: np.ndarray
    subsidy: np.ndarray
    lots: np.ndarray
    amount: np.ndarray

    def figures(self, mask: np.ndarray) -> Figures:
        """Return what rows come to."""
        subsidy = self.subsidy[mask]
        return Figures(
            subsidy=exact(subsidy),
            firms=len(np.unique(self.member[mask][subsidy > 0])),
            orders=int((self.kind[mask] >= 0).sum()),
            lots=exact(self.lots[mask]),
            amount=exact(self.amount[mask]),
        )


class WorldSums:
    """One world at its end."""

    def __init__(self, engine: Engine, tally: Tally) -> None:
        self.engine = engine
        self.tally = tally
        self.calls_by_collar = int(engine.core.book.counts[0]["interruptions"])
        ledger = engine.core.ledger
        parcels = ledger.parcels[: int(ledger.totals[0]["parcels"])]
        self._parcels = parcels[parcels["last_leg"] != NO_SLOT]  # the others have bought nothing
        self.granted = self._granted()
        firms = np.zeros(len(engine.registry.members), np.int64)
        np.add.at(firms, self.granted.member, self.granted.subsidy)
        self.firms: list[int] = firms.tolist()

    def _granted(self) -> Granted:
        """Return what was granted: E of an order; of a pro-rata programme its share, once that is paid."""
        ledger, own = self.engine.core.ledger, self._parcels
        own = own[own["covered_filled"] > 0]
        accounts = ledger.accounts[own["account"]]
        is_shared = ledger.programmes["exhaustion"][own["programme"]] == Exhaustion.PRO_RATA
        awards = [
            (programme, member, amount)
            for programme, to_members in self.engine.registry.awards.items()
            for member, amount in to_members.items()
            if amount
        ]
        added = np.array(awards, np.int64).reshape(-1, 3)
        nothing = np.zeros(len(awards), np.int64)
        columns = (
            (own["programme"], added[:, 0]),
            (accounts["member"], added[:, 1]),
            (ledger.listings["kind"][accounts["asset"] - 1], np.full(len(awards), -1)),
            (np.where(is_shared, own["vested"], own["earned"]), added[:, 2]),
            (own["covered_filled"], nothing),
            (own["gross"], nothing),
        )
        return Granted(*(np.concatenate(pair).astype(np.int64) for pair in columns))

    def programme(self, index: int) -> ProgrammeSide:
        """Return how a programme stands."""
        row, tally = self.engine.core.ledger.programmes[index], self.tally
        own = self._parcels[self._parcels["programme"] == index]
        reimburses = row["payout"] == Payout.REIMBURSE and row["exhaustion"] == Exhaustion.FIRST_COME
        owed = sum(
            debt.amount
            for debts in self.engine.registry.debts.values()
            for debt in debts
            if debt.ground.programme == index
        )
        return ProgrammeSide(
            budget=int(row["budget"]),
            uncommitted=int(row["uncommitted"]),
            reserved=int(row["reserved"]),
            paid=int(row["paid"]),
            vested=int(row["vested"]),
            granted=self.granted.figures(self.granted.programme == index),
            to_come=exact(own["earned"]) - exact(own["vested"]) if reimburses else 0,
            owed=owed,
            claims=exact(own["claimed"]),
            orders=tally.asked[index],
            orders_refused=tally.exhausted_for[index],
            refused_otherwise=tally.refused_otherwise[index],
            exhausted=tally.exhausted.get(index),
            emptied=tally.emptied.get(index),
        )

    def of_size(self, size: Size) -> Figures:
        """Return what firms of one size were granted."""
        sizes = self.engine.core.ledger.members["firm_size"][self.granted.member]
        return self.granted.figures(sizes == size)

    def of_kind(self, kind: int) -> Figures:
        """Return what was granted for instruments of one kind; -1: for none."""
        return self.granted.figures(self.granted.kind == kind)

    def top_share(self) -> int:
        """Return what share of all subsidies the ten largest firms have, in basis points."""
        total = sum(self.firms)
        return sum(sorted(self.firms)[-TOP:]) * BASIS_POINTS // total if total else 0

    def mean_price(self, instrument: int) -> int | None:
        """Return amount / lots of an instrument's trades, rounded to a hao; None without any."""
        lots = self.tally.lots.of(instrument)
        return (2 * self.tally.amounts.of(instrument) + lots) // (2 * lots) if lots else None

    def orders_beside(self, other: WorldSums, orders: Sequence[int], others: Sequence[int]) -> Orders:
        """Return refused orders by reason, and how many were refused in this world alone, and the other."""
        reasons = sorted({*self.tally.refusals, *other.tally.refusals})
        return Orders(
            refusals=tuple(
                Refusals(
                    RejectReason(code).name.lower(), self.tally.refusals[code], other.tally.refusals[code]
                )
                for code in reasons
            ),
            refused_only_history=orders[0],
            refused_only_other=orders[1],
            others_only_history=others[0],
            others_only_other=others[1],
        )


class Pairs(NamedTuple):
    """Both worlds side by side, programme by programme, class by class, firm by firm."""

    programmes: tuple[ProgrammePair, ...]
    sizes: tuple[FiguresPair, ...]
    kinds: tuple[FiguresPair, ...]
    firms: Firms
    instruments: tuple[InstrumentPair, ...]


def paired(one: WorldSums, two: WorldSums, replaced: frozenset[str], span_ns: int) -> Pairs:
    """Return how two worlds differ; `replaced` are the programmes whose terms are other."""
    kinds = [*enumerate(KINDS), (-1, AWARDED)]
    return Pairs(
        programmes=tuple(
            _programme(one, two, index, terms.code, span_ns if terms.code in replaced else 0)
            for index, terms in enumerate(one.engine.registry.programmes)
        ),
        sizes=tuple(FiguresPair(size.name.lower(), one.of_size(size), two.of_size(size)) for size in Size),
        kinds=tuple(FiguresPair(name, one.of_kind(kind), two.of_kind(kind)) for kind, name in kinds),
        firms=_firms(one, two),
        instruments=tuple(_instruments(one, two)),
    )


def _programme(one: WorldSums, two: WorldSums, index: int, code: str, span_ns: int) -> ProgrammePair:
    curve = _curve(one.tally, two.tally, index, span_ns) if span_ns else None
    return ProgrammePair(code, bool(span_ns), one.programme(index), two.programme(index), curve)


def _curve(one: Tally, two: Tally, index: int, span_ns: int) -> Curve:
    spans = range(min(one.spent), max(one.spent) + 1)
    columns: list[list[int]] = []
    for at in (0, 1):
        for tally in (one, two):
            here, column = 0, []
            for span in spans:
                rows = tally.spent[span][at] if span in tally.spent else ()
                here = int(rows[index]) if index < len(rows) else here
                column.append(here)
            columns.append(column)
    starts = tuple(span * span_ns - VENUE_OFFSET_NS for span in spans)
    return Curve(starts, *(tuple(column) for column in columns))


def _firms(one: WorldSums, two: WorldSums) -> Firms:
    registry = one.engine.registry
    pairs = [
        FirmPair(member.member, member.size, before, after)
        for member, before, after in zip(registry.members, one.firms, two.firms, strict=True)
        if before or after
    ]
    gain = sorted((pair for pair in pairs if pair.change > 0), key=lambda pair: (-pair.change, pair.firm))
    lose = sorted((pair for pair in pairs if pair.change < 0), key=lambda pair: (pair.change, pair.firm))
    return Firms(
        gain=len(gain),
        lose=len(lose),
        same=len(pairs) - len(gain) - len(lose),
        gainers=tuple(gain[:TOP]),
        losers=tuple(lose[:TOP]),
        history_top_ten_basis_points=one.top_share(),
        other_top_ten_basis_points=two.top_share(),
    )


def _instruments(one: WorldSums, two: WorldSums) -> list[InstrumentPair]:
    """Return the instruments whose mean price is another, those of the most trade first."""
    pairs = []
    for index, instrument in enumerate(one.engine.registry.instruments):
        lots = one.tally.lots.of(index), two.tally.lots.of(index)
        amounts = one.tally.amounts.of(index), two.tally.amounts.of(index)
        if amounts[0] * lots[1] != amounts[1] * lots[0] or (lots[0] == 0) != (lots[1] == 0):
            pair = InstrumentPair(instrument.symbol, *lots, one.mean_price(index), two.mean_price(index))
            pairs.append((max(amounts), pair))
    return [pair for _, pair in sorted(pairs, key=lambda both: (-both[0], both[1].instrument))]


def exact(values: np.ndarray) -> int:
    """Return the sum of int64, which may not fit into one."""
    sums = ExactSums()
    sums.add(np.zeros(len(values), np.int64), values.astype(np.int64))
    return sums.of(0)
