"""A small market for studies: half an hour of three models on a fake clock, and its history.

Its makers quote around prices that move by chance. The models of one tier follow LEADER by a minute, so
that a study of who leads has something to find.
"""

from __future__ import annotations

from random import Random
from typing import Any

from exchange.client.sync import SyncExchange
from exchange.instruments import Instrument
from exchange.protocol.acts import Admit
from exchange.server.founding import standard_acts, voucher
from exchange.testing import OPENING, SECOND_NS, Exchange

LEADER = "GLM-5"
FOLLOWERS = ("KIMI-K3", "QWEN3-MAX")
FIRMS = {"SMALL-1": "small", "SMALL-2": "small", "MICRO-1": "micro", "LARGE-1": "large"}
MAKER = "LARGE-2"
"""A firm that bids, and waits in the queue."""

VOUCHER = f"HZ-VOUCHER-{OPENING.year}"
MINUTES = 26
_LIST_PRICE = 100_000
_MONEY = 10**12


class StudyMarket:
    """The market, and clients that ask its history as those of a running venue do."""

    def __init__(self, seed: int = 7, minutes: int = MINUTES) -> None:
        models = [_model(symbol) for symbol in (LEADER, *FOLLOWERS)]
        firms = [
            (Admit(member=name, role="firm", size=size, region="HANGZHOU"), _MONEY)  # type: ignore[arg-type]
            for name, size in {**FIRMS, MAKER: "large"}.items()
        ]
        acts = standard_acts(firms, [], [voucher(OPENING.year)], tuple(models))
        self.venue = Exchange(acts)
        self._random = Random(seed)
        self._clients = {name: self.venue.connect(name) for name in ("CLOUD", MAKER, *FIRMS)}
        self._play(minutes)

    def client(self, member: str) -> SyncExchange:
        """Return a member's client, as the studies connect one."""
        return self.venue.connect(member)

    def _play(self, minutes: int) -> None:
        """Let every minute begin with new quotes, and firms buy in it."""
        drift = moved = 0
        resting: list[Any] = []
        for _ in range(minutes):
            moved, drift = drift, drift + self._random.randint(-6, 6) * 100
            for symbol in (LEADER, *FOLLOWERS):
                own = self._random.randint(-1, 1) * 100
                resting.append(
                    self._quote(symbol, _LIST_PRICE + (drift if symbol == LEADER else moved) + own)
                )
            while len(resting) > len(FOLLOWERS) + 1:
                self._withdraw(resting.pop(0))
            self.venue.clock.advance(60 * SECOND_NS - self.venue.clock.now % (60 * SECOND_NS))

    def _quote(self, symbol: str, fair: int) -> list[Any]:
        """Quote both sides; some firms take, with and without the voucher."""
        cloud, maker = self._clients["CLOUD"], self._clients[MAKER]
        placed = [
            (cloud, cloud.place(cloud.instruments[symbol].sell(400, limit=fair + 300))),
            (cloud, cloud.place(cloud.instruments[symbol].buy(60, limit=fair - 300))),
            (maker, maker.place(maker.instruments[symbol].buy(40, limit=fair - 300))),
        ]
        takers = [*FIRMS, "CLOUD"]
        self._random.shuffle(takers)
        for name in takers:
            self._take(name, symbol, fair)
        return placed

    def _take(self, name: str, symbol: str, fair: int) -> None:
        """Let somebody take what is quoted, or nothing: the provider sells, firms buy."""
        if self._random.random() >= 0.7:
            return
        client = self._clients[name]
        model = client.instruments[symbol]
        if name == "CLOUD":
            lots = self._random.randint(20, 110)
            client.place(model.sell(lots, limit=fair - 300, time_in_force="ioc"))
            return
        with_voucher = FIRMS[name] != "large" and self._random.random() < 0.7
        client.place(
            model.buy(
                self._random.randint(1, 30),
                limit=fair + self._random.choice((300, 500)),
                time_in_force="ioc",
                programme=VOUCHER if with_voucher else None,
            )
        )

    def _withdraw(self, placed: list[Any]) -> None:
        for client, order in placed:
            if client.order(order).leaves:
                client.cancel(order)


def _model(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        name=f"{symbol} of the studies",
        kind="model",
        provider="CLOUD",
        domestic=True,
        filed=True,
        region="ZJ",
        tier="frontier",
        list_price=_LIST_PRICE,
        tick=100,
        weight_input=1000,
        weight_cached=200,
        weight_output=3000,
        source="studies",
        source_version="1",
        source_date="2026-01-01",
    )
