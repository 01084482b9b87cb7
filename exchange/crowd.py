"""The demo's crowd: providers that quote around a moving price, firms that buy, some with a voucher.

Firms redeem a part of what they bought so, and providers deliver it. All chance comes from one seed.
The crowd knows no socket: it hands orders to a desk and hears what became of them, so that it trades on a
running venue and inside one process alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import NamedTuple, Protocol

from exchange.instruments import Instrument
from exchange.protocol.acts import Admit
from exchange.server.founding import MILLION_YUAN
from matching.vocabulary import OrderType, Side, TimeInForce

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
_MARKET = 0.15
_STOPS = 0.08
_ICEBERGS = 0.2
_SLICES = 4
_REPLACES = 0.25
_REDEEMS = 0.5
_DELIVERS = 0.6


class Wish(NamedTuple):
    """An order that somebody of the crowd wants placed. Prices in hao, quantities in lots."""

    member: str
    client_id: str
    instrument: int
    side: Side
    quantity: int
    price: int
    time_in_force: TimeInForce
    programme: str | None = None
    type: OrderType = OrderType.LIMIT
    stop_price: int = 0
    display_quantity: int = 0


class Resting(NamedTuple):
    """An order that a firm has open, as far as the crowd knows."""

    order: int
    wish: Wish


class Claim(NamedTuple):
    """A redemption that is open: its number, who asked, of which instrument, and whether it is delivered."""

    number: int
    firm: str
    instrument: int
    is_delivered: bool = False


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

    def replace(self, member: str, order: int, price: int, quantity: int) -> Placed:
        """Give an order of a member another price and total; tell what became of it."""

    def redeem(self, firm: str, instrument: int, lots: int, reference: str) -> int:
        """Ask for what credits stand for; return the redemption's number, 0 if it was refused."""

    def deliver(self, provider: str, redemption: int) -> None:
        """Confirm that a redemption was delivered."""

    def accept(self, firm: str, redemption: int) -> None:
        """Accept an agent's delivered task."""


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
        self._resting: dict[str, list[Resting]] = {firm: [] for firm in self._firms}
        self._free: dict[tuple[str, int], int] = {}
        self._restricted: dict[tuple[str, int], int] = {}
        self._claims: list[Claim] = []
        self._references = 0
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
            room = at_most - (self.placed - before)
            if room <= 0:
                break
            wishes = list(islice(self._wishes(firm), room))
            resting = self._resting[firm]
            if len(resting) > _RESTING_MAX:
                desk.cancel(firm, [each.order for each in resting[: _RESTING_MAX // 2]])
                del resting[: _RESTING_MAX // 2]
            self._note(firm, wishes, desk.place(firm, wishes))
            if self._chance.random() < _REPLACES:
                self._replace(desk, firm)
        self._use_credits(desk)

    def _popular(self) -> int:
        """Return an instrument, a few of them far oftener than the rest."""
        rank = int(len(self._favourites) ** self._chance.random()) - 1
        return self._favourites[rank]

    def _quote(self, desk: Desk, provider: str, indices: list[int]) -> None:
        wishes = []
        for index in indices:
            fair = self._fair[index]
            for level in range(_QUOTE_LEVELS):
                apart = _SPREAD_TICKS + level * 2
                for side, ticks in ((Side.BUY, fair - apart), (Side.SELL, fair + apart)):
                    lots = self._chance.randint(*_QUOTE_LOTS)
                    wish = self._wish(provider, index, side, lots, ticks, TimeInForce.GTC)
                    is_iceberg = self._chance.random() < _ICEBERGS
                    wishes.append(wish._replace(display_quantity=lots // _SLICES if is_iceberg else 0))
        for start in range(0, len(wishes), _ORDERS_A_MESSAGE):
            part = wishes[start : start + _ORDERS_A_MESSAGE]
            for wish, placed in zip(part, desk.place(provider, part), strict=True):
                if placed.leaves:
                    self._quotes.setdefault(wish.instrument, []).append(placed.order)

    def _wishes(self, firm: str) -> Iterator[Wish]:
        """Yield what a firm wants this round: mostly to buy at once, sometimes to wait or to sell."""
        for _ in range(self._chance.randint(1, 3)):
            index = self._popular()
            fair = self._fair[index]
            rests = self._chance.random() < _RESTS
            lots = self._chance.randint(*_FIRM_LOTS)
            free = self._free.get((firm, index), 0)
            if free and self._chance.random() > _BUYS:
                ticks = fair + 1 if rests else fair - _SPREAD_TICKS - 2
                lasting = TimeInForce.GTC if rests else TimeInForce.IOC
                wish = self._wish(firm, index, Side.SELL, min(lots, free), ticks, lasting)
            else:
                ticks = fair - 1 if rests else fair + _SPREAD_TICKS + 2
                lasting = TimeInForce.DAY if rests else TimeInForce.IOC
                programme = self._programme if self._chance.random() < _WITH_VOUCHER else None
                wish = self._wish(firm, index, Side.BUY, lots, ticks, lasting, programme)
            yield wish if rests else self._varied(wish)

    def _varied(self, wish: Wish) -> Wish:
        """Return an order that wants to trade at once: as it is, as a market order, or as a stop.

        The price that it would have taken is the worst price of a market order; a stop waits for it.
        """
        draw = self._chance.random()
        if draw < _MARKET:
            return wish._replace(type=OrderType.MARKET)
        if draw < _MARKET + _STOPS:
            step = self._instruments[wish.instrument].tick * _STEP_TICKS
            worst = wish.price + (step if wish.side == Side.BUY else -step)
            lasting = TimeInForce.DAY
            return wish._replace(
                type=OrderType.STOP, stop_price=wish.price, price=worst, time_in_force=lasting
            )
        return wish

    def _wish(
        self,
        member: str,
        index: int,
        side: Side,
        lots: int,
        ticks: int,
        lasting: TimeInForce,
        programme: str | None = None,
    ) -> Wish:
        self.placed += 1
        client_id = f"{self._run}-{self.placed}"
        price = ticks * self._instruments[index].tick
        return Wish(member, client_id, index, side, lots, price, lasting, programme)

    def _note(self, firm: str, wishes: list[Wish], placed: list[Placed]) -> None:
        """Remember what a firm has resting, what it may sell again, and what it can only redeem."""
        for wish, now in zip(wishes, placed, strict=True):
            if now.leaves:
                self._resting[firm].append(Resting(now.order, wish))
            key = (firm, wish.instrument)
            if wish.side == Side.SELL:
                self._free[key] = max(0, self._free.get(key, 0) - wish.quantity)
            else:
                bought = self._free if wish.programme is None else self._restricted
                bought[key] = bought.get(key, 0) + now.filled

    def _replace(self, desk: Desk, firm: str) -> None:
        """Let a firm give one of its open orders a price that is one tick better, and another total."""
        resting = self._resting[firm]
        if not resting:
            return
        at = self._chance.randrange(len(resting))
        order, wish = resting.pop(at)
        tick = self._instruments[wish.instrument].tick
        price = wish.price + (tick if wish.side == Side.BUY else -tick)
        quantity = max(1, wish.quantity + self._chance.randint(-2, 0 if wish.side == Side.SELL else 2))
        if desk.replace(firm, order, price, quantity).leaves:
            resting.append(Resting(order, wish._replace(price=price, quantity=quantity)))

    def _use_credits(self, desk: Desk) -> None:
        """Let a firm redeem what it cannot sell, and providers deliver what was asked for before."""
        for claim in tuple(self._claims):
            if self._chance.random() > _DELIVERS:
                continue
            self._claims.remove(claim)
            instrument = self._instruments[claim.instrument]
            if claim.is_delivered:
                desk.accept(claim.firm, claim.number)
                continue
            desk.deliver(instrument.provider, claim.number)
            if instrument.kind == "agent":
                self._claims.append(claim._replace(is_delivered=True))
        owned = [key for key, lots in self._restricted.items() if lots]
        if owned and self._chance.random() < _REDEEMS:
            firm, index = self._chance.choice(owned)
            lots = self._chance.randint(1, self._restricted[firm, index])
            self._restricted[firm, index] -= lots
            self._references += 1
            number = desk.redeem(firm, index, lots, f"{self._run}-{self._references}")
            if number:
                self._claims.append(Claim(number, firm, index))
