"""From what the engine says to what the feed tells: who traded stays here, what was traded goes out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from exchange.engine import Engine, Outcome
from exchange.instruments import Instrument
from feeds.documents import Budget, Definition, Fixing
from feeds.messages import FAST_VIEW, SLOW_VIEW
from feeds.publisher import Batch, Publisher
from matching.vocabulary import NO_SLOT, Side
from settlement.rows import FixingRow, ProgrammeRow


class Teller:
    """Has a publisher tell what a replica's batches bring about. The engine's tape must be recorded.

    `run` must differ from that of every start before. What holds when it begins is told to who asks.
    """

    def __init__(self, engine: Engine, run: int) -> None:
        self._engine = engine
        self._publisher = Publisher(run, engine.sequence, engine.time, engine.core.book)
        self._defined: list[Instrument] = []
        self._define()

    def told(self, outcome: Outcome, first: int, last: int, time: int) -> list[bytes]:
        """Return the messages of the commands `first` to `last`, which the engine has just applied.

        `time` is theirs, in ns since 1970, UTC.
        """
        batch = batch_of(outcome, first, last, time)
        messages = self._publisher.outgoing(batch, self._engine.core.book)
        if not outcome.acts:
            return messages
        fixings = fixings_of(outcome.happened.fixings, self._engine.registry.instruments)
        return [*self._define(), *messages, *self._publisher.fix(fixings)]

    def each_second(self, now: int) -> list[bytes]:
        """Return the heartbeat, and what programmes have left. `now` in ns since 1970, UTC."""
        budgets = budgets_of(self._engine.programmes())
        return [self._publisher.heartbeat(now), self._publisher.budgets(budgets, now)]

    def fast_views(self, now: int) -> list[bytes]:
        """Return pictures of what has changed since the last call."""
        return self._publisher.views(FAST_VIEW, self._engine.core.book, now)

    def slow_views(self, now: int) -> list[bytes]:
        """Return pictures of what has changed since the last call."""
        return self._publisher.views(SLOW_VIEW, self._engine.core.book, now)

    def answer(self, request: bytes) -> bytes | None:
        """Return what a reader asked for; None for what is no request, or for what is not listed."""
        return self._publisher.answer(request, self._engine.core.book)

    def _define(self) -> list[bytes]:
        """Return the message of the instruments that are new or have changed, or none."""
        instruments = self._engine.registry.instruments
        if instruments == self._defined:
            return []
        self._defined = list(instruments)
        return self._publisher.define(definitions_of(instruments))


def batch_of(outcome: Outcome, first: int, last: int, time: int) -> Batch:
    """Return what a batch did as the publisher takes it: no member, no client id, no programme's name."""
    events, effects = outcome.events, outcome.effects
    programmes = np.where(events["side"] == Side.BUY, effects["programme"], effects["maker_programme"])
    return Batch(
        events,
        outcome.tape,
        first,
        last,
        time,
        trades=effects["trade"],
        paid=effects["subsidy"],
        subsidised=(programmes != NO_SLOT).astype(np.uint8),
    )


def definitions_of(instruments: Iterable[Instrument]) -> list[Definition]:
    """Return instruments, in the order of their numbers, as the feed tells them."""
    return [
        Definition(
            index=index,
            symbol=one.symbol,
            name=one.name,
            kind=one.kind,
            provider=one.provider,
            domestic=one.domestic,
            filed=one.filed,
            region=one.region,
            tier=one.tier,
            list_price=one.list_price,
            tick=one.tick,
            weights=(one.weight_input, one.weight_cached, one.weight_output),
            milli_pflops=one.milli_pflops,
            expires="" if one.expires is None else one.expires.isoformat(),
            state=one.state,
            mode=one.mode,
        )
        for index, one in enumerate(instruments)
    ]


def fixings_of(rows: Iterable[FixingRow], instruments: list[Instrument]) -> list[Fixing]:
    """Return fixings as the feed tells them."""
    return [
        Fixing(
            index=row.instrument,
            symbol=instruments[row.instrument].symbol,
            day=row.day.isoformat(),
            price=row.price,
            rung=row.rung,
        )
        for row in rows
    ]


def budgets_of(rows: Iterable[ProgrammeRow]) -> list[Budget]:
    """Return programmes' budgets as the feed tells them."""
    return [
        Budget(
            programme=row.programme,
            fiscal_year=row.fiscal_year,
            budget=row.budget,
            uncommitted=row.uncommitted,
            reserved=row.reserved,
            paid=row.paid,
            vested=row.vested,
        )
        for row in rows
    ]
