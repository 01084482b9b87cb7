"""The demo's crowd: providers that quote around a moving price, firms that buy, some with a voucher.

All chance comes from one seed. The crowd knows no socket: it hands orders to a desk and hears what
became of them, so that it trades on a running venue and inside one process alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple, Protocol

from exchange.instruments import Instrument
from exchange.protocol.acts import Admit
from exchange.server.founding import MILLION_YUAN
from matching.vocabulary import Side, TimeInForce

FIRMS = 24
_SIZES = ("micro", "small", "medium", "large")
_REGIONS = ("HANGZHOU", "HAIKOU", "FUZHOU", "CHENGDU")
_DOMESTIC_ONLY = (5, 13, 21)
_MONEY = {
    "micro": MILLION_YUAN // 2,
    "small": 2 * MILLION_YUAN,
    "medium": 10 * MILLION_YUAN,
    "large": 50 * MILLION_YUAN,
}

_QUOTE_LEVELS = 2
_QUOTE_LOTS = (40, 400)
_SPREAD_TICKS = 3
_BUYS = 0.75
_WITH_VOUCHER = 0.6
_RESTS = 0.35
_FIRM_LOTS = (1, 60)
_QUOTES_A_ROUND = 12
_QUOTES_POPULAR = 0.5
_STEP_TICKS = 3
_LEAST_TICKS = 20
_RESTING_MAX = 20
_ORDERS_A_MESSAGE = 400


class Wish(NamedTuple):
    """An order that somebody of the crowd wants placed. Price in hao, quantity in lots."""

    member: str
    client_id: str
    instrument: int
    side: Side
    quantity: int
    price: int
    time_in_force: TimeInForce
    programme: str | None


class Placed(NamedTuple):
    """What became of a wish: the venue's number (0 if refused), and how much was filled at once."""

    order: int
    filled: int
    leaves: int


class Desk(Protocol):
    """Where the crowd's orders go."""

    def place(self, member: str, wishes: list[Wish]) -> list[Placed]:
        """Place the orders of one member; tell what became of each, in the same order."""

    def cancel(self, member: str, orders: list[int]) -> None:
        """Cancel orders of one member; those that have ended are passed over."""


def firms() -> list[tuple[Admit, int]]:
    """Return the crowd's firms with the money that each begins with: sizes, groups and regions mixed.

    A third of them share a group with a neighbour; one belongs to a provider's own group, so that the
    voucher refuses it there.
    """
    admitted = []
    for number in range(FIRMS):
        size = _SIZES[number % len(_SIZES)]
        is_paired = number % 6 in (0, 1)
        group = f"GROUP-{number // 2:02}" if is_paired else ""
        firm = Admit(
            member=f"FIRM-{number + 1:02}",
            role="firm",
            group="ALIBABA" if number == FIRMS - 1 else group,
            size=size,  # type: ignore[arg-type]
            region=_REGIONS[number % len(_REGIONS)],
            domestic_only=number in _DOMESTIC_ONLY,
        )
        admitted.append((firm, _MONEY[size]))
    return admitted


class Crowd:
    """Everybody who trades, round by round. `run` begins every client id, so that none is used twice."""

    def __init__(
        self,
        seed: int,
        instruments: list[Instrument],
        members: list[Admit],
        programme: str,
        run: str = "demo",
    ) -> None:
        self.placed = 0
        self._chance = Random(seed)
        self._instruments = instruments
        self._programme = programme
        self._firms = [member.member for member in members if member.role == "firm"]
        self._fair = [instrument.list_price // instrument.tick for instrument in instruments]
        self._quotes: dict[int, list[int]] = {}
        self._resting: dict[str, list[int]] = {firm: [] for firm in self._firms}
        self._free: dict[tuple[str, int], int] = {}
        self._run = run
        self._favourites = self._chance.sample(range(len(instruments)), len(instruments))

    def open_market(self, desk: Desk, at_most: int) -> None:
        """Let every provider quote each of its instruments once; at most so many orders."""
        by_provider: dict[str, list[int]] = {}
        for index, instrument in enumerate(self._instruments):
            by_provider.setdefault(instrument.provider, []).append(index)
        for provider, indices in by_provider.items():
            room = (at_most - self.placed) // (2 * _QUOTE_LEVELS)
            self._quote(desk, provider, indices[: max(room, 0)])

    def play_round(self, desk: Desk, at_most: int) -> None:
        """Let prices move, some providers quote anew, and every firm act; at most so many orders."""
        before = self.placed
        for index in self._chance.sample(range(len(self._instruments)), _QUOTES_A_ROUND):
            if self.placed - before + 2 * _QUOTE_LEVELS > at_most:
                break
            moved = self._popular() if self._chance.random() < _QUOTES_POPULAR else index
            step = self._chance.randint(-_STEP_TICKS, _STEP_TICKS)
            self._fair[moved] = max(_LEAST_TICKS, self._fair[moved] + step)
            provider = self._instruments[moved].provider
            desk.cancel(provider, self._quotes.pop(moved, []))
            self._quote(desk, provider, [moved])
        for firm in self._chance.sample(self._firms, len(self._firms)):
            wishes = list(self._wishes(firm))[: at_most - (self.placed - before)]
            if not wishes:
                continue
            resting = self._resting[firm]
            if len(resting) > _RESTING_MAX:
                desk.cancel(firm, resting[: _RESTING_MAX // 2])
                del resting[: _RESTING_MAX // 2]
            self._note(firm, wishes, desk.place(firm, wishes))

    def _popular(self) -> int:
        """Return an instrument, a few of them far oftener than the rest."""
        rank = int(len(self._favourites) ** self._chance.random()) - 1
        return self._favourites[rank]

    def _quote(self, desk: Desk, provider: str, indices: list[int]) -> None:
        wishes = []
        for index in indices:
            tick, fair = self._instruments[index].tick, self._fair[index]
            for level in range(_QUOTE_LEVELS):
                apart = _SPREAD_TICKS + level * 2
                for side, ticks in ((Side.BUY, fair - apart), (Side.SELL, fair + apart)):
                    lots = self._chance.randint(*_QUOTE_LOTS)
                    wishes.append(self._wish(provider, index, side, lots, ticks * tick, TimeInForce.GTC))
        for start in range(0, len(wishes), _ORDERS_A_MESSAGE):
            part = wishes[start : start + _ORDERS_A_MESSAGE]
            for wish, placed in zip(part, desk.place(provider, part), strict=True):
                if placed.leaves:
                    self._quotes.setdefault(wish.instrument, []).append(placed.order)

    def _wishes(self, firm: str) -> Iterator[Wish]:
        """Yield what a firm wants this round: mostly to buy at once, sometimes to wait or to sell."""
        for _ in range(self._chance.randint(1, 3)):
            index = self._popular()
            instrument, fair = self._instruments[index], self._fair[index]
            rests = self._chance.random() < _RESTS
            lots = self._chance.randint(*_FIRM_LOTS)
            free = self._free.get((firm, index), 0)
            if free and self._chance.random() > _BUYS:
                ticks = fair + 1 if rests else fair - _SPREAD_TICKS - 2
                lasting = TimeInForce.GTC if rests else TimeInForce.IOC
                yield self._wish(firm, index, Side.SELL, min(lots, free), ticks * instrument.tick, lasting)
                continue
            ticks = fair - 1 if rests else fair + _SPREAD_TICKS + 2
            lasting = TimeInForce.DAY if rests else TimeInForce.IOC
            programme = self._programme if self._chance.random() < _WITH_VOUCHER else None
            yield self._wish(firm, index, Side.BUY, lots, ticks * instrument.tick, lasting, programme)

    def _wish(
        self,
        member: str,
        index: int,
        side: Side,
        lots: int,
        price: int,
        lasting: TimeInForce,
        programme: str | None = None,
    ) -> Wish:
        self.placed += 1
        client_id = f"{self._run}-{self.placed}"
        return Wish(member, client_id, index, side, lots, price, lasting, programme)

    def _note(self, firm: str, wishes: list[Wish], placed: list[Placed]) -> None:
        """Remember what a firm has resting, and what it may sell again."""
        for wish, now in zip(wishes, placed, strict=True):
            if now.leaves:
                self._resting[firm].append(now.order)
            key = (firm, wish.instrument)
            if wish.side == Side.SELL:
                self._free[key] = max(0, self._free.get(key, 0) - wish.quantity)
            elif wish.programme is None:
                self._free[key] = self._free.get(key, 0) + now.filled
