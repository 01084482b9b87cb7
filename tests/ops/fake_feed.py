"""A venue's feed in memory: what is said reaches every reader that listens, byte for byte as on the wire."""

from __future__ import annotations

from feeds.builder import Books
from feeds.documents import Budget, Definition, write_body
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    EVERY_INSTRUMENT,
    HEARTBEAT,
    INDICATIVE,
    LEVELS_REFRESH,
    ORDERS,
    ORDERS_REFRESH,
    PROGRAMMES,
    SLOW_VIEW,
    STATUS,
    TOPS,
    TRADES,
    VERSION,
    read,
    topic,
)
from feeds.records import (
    HEADER,
    INDICATIVE_PRICE,
    LAST_NUMBERS,
    LEVEL_UPDATE,
    ORDER_UPDATE,
    STATUS_CHANGE,
    TOPIC_NUMBER,
    TOTALS,
    TRADE_PRINT,
)
from matching.vocabulary import Phase, QueueChange, Side

SECOND = 1_000_000_000
NOON = 1_795_348_800 * SECOND  # 2026-11-22 12:00:00 UTC


def definition(index, symbol, **others):
    facts = {
        "name": symbol.title(),
        "kind": "model",
        "provider": "ALIBABA",
        "domestic": True,
        "filed": True,
        "region": "HANGZHOU",
        "tier": "frontier",
        "list_price": 60_000,
        "tick": 100,
        "weights": (1000, 1000, 4000),
        "milli_pflops": 0,
        "expires": "",
        "state": "listed",
        "mode": "continuous",
    }
    return Definition(index=index, symbol=symbol, **(facts | others))


QWEN, AGENT, CARD = range(3)


class Market:
    """One instrument's book by orders, and its numbers."""

    def __init__(self):
        self.orders: dict[int, list] = {side: [] for side in Side}  # (order, price, lots), first come first
        self.numbers = dict.fromkeys((DEPTH, ORDERS, TRADES, STATUS, INDICATIVE, TOPS), 0)
        self.status = (60_000, 0, 0, Phase.CONTINUOUS, 0)
        self.indicative = (0, 0, 0, 0)
        self.last = (0, 0, 0, 0, 0, 0, 0)
        self.totals = [0, 0, 0, 0]

    def queue(self, side):
        return sorted(self.orders[side], key=lambda order: -order[1] if side == Side.BUY else order[1])

    def levels(self, side):
        levels: dict[int, tuple[int, int]] = {}
        for _, price, lots in self.queue(side):
            quantity, orders = levels.get(price, (0, 0))
            levels[price] = (quantity + lots, orders + 1)
        return [(price, quantity, orders, side) for price, (quantity, orders) in levels.items()]


class FakeFeed:
    """The publisher, and the clock of whoever reads."""

    def __init__(self, *definitions):
        self.run = 7
        self.sequence = 100
        self.now = SECOND
        self.definitions = definitions
        self.markets = {one.index: Market() for one in definitions}
        self.readers = []
        self.defined = 1

    def clock(self):
        return self.now

    def open(self):
        reader = FakeReader(self)
        self.readers.append(reader)
        return reader

    def say(self, frame):
        for reader in self.readers:
            reader.hear(frame)

    # --- what happens ---------------------------------------------------------------------------

    def place(self, index, side, price, *lots):
        """Place orders, and tell of them by levels and by orders."""
        market = self.markets[index]
        placed = []
        for quantity in lots:
            self.sequence += 1
            market.orders[side].append((self.sequence, price, quantity))
            placed.append((self.sequence, self.sequence, price, quantity, side, QueueChange.PLACED))
        self.say(self.message(ORDERS, index, [ORDER_UPDATE.pack(*row) for row in placed]))
        level = next(level for level in market.levels(side) if level[0] == price)
        self.say(self.message(DEPTH, index, [LEVEL_UPDATE.pack(*level)]))

    def trade(self, index, price, lots, taker, paid=0, subsidised=0):
        market = self.markets[index]
        self.sequence += 1
        market.last = (self.sequence, self.sequence, price, lots, paid, taker, subsidised)
        market.totals = [
            old + new for old, new in zip(market.totals, (1, lots, price * lots, paid), strict=True)
        ]
        self.say(self.message(TRADES, index, [TRADE_PRINT.pack(*market.last)]))

    def change_phase(self, index, phase, cause=0):
        market = self.markets[index]
        self.sequence += 1
        market.status = (60_000, self.sequence, NOON, phase, cause)
        self.say(self.message(STATUS, index, [STATUS_CHANGE.pack(*market.status)]))

    def indicate(self, index, *indicative):
        self.markets[index].indicative = indicative
        self.say(self.message(INDICATIVE, index, [INDICATIVE_PRICE.pack(*indicative)]))

    def beat(self):
        rows = [
            TOPIC_NUMBER.pack(kind, index, number)
            for index, market in self.markets.items()
            for kind, number in market.numbers.items()
            if number
        ]
        rows.append(TOPIC_NUMBER.pack(DEFINITIONS, EVERY_INSTRUMENT, self.defined))
        self.say(self.frame(HEARTBEAT, EVERY_INSTRUMENT, 1, len(rows), b"".join(rows)))

    def view(self, *indexes):
        """Tell a slow view of each."""
        for index in indexes:
            self.say(self.picture(SLOW_VIEW, index))

    def tell_budget(self, budget, uncommitted, paid):
        one = Budget(
            programme="HZ-VOUCHER-2026",
            fiscal_year=2026,
            budget=budget,
            uncommitted=uncommitted,
            reserved=budget - uncommitted - paid,
            paid=paid,
            vested=0,
        )
        body = write_body((one,))
        self.say(self.frame(PROGRAMMES, EVERY_INSTRUMENT, 1, len(body), body))

    def lose_one(self, index):
        """Count a message of each book topic that nobody hears."""
        for kind in (DEPTH, ORDERS, TRADES):
            self.markets[index].numbers[kind] += 1

    # --- bytes ----------------------------------------------------------------------------------

    def frame(self, kind, instrument, number, count, body):
        head = HEADER.pack(kind, instrument, VERSION, self.run, number, self.sequence, NOON, count)
        return head + body

    def message(self, kind, index, rows):
        numbers = self.markets[index].numbers
        numbers[kind] += 1
        return self.frame(kind, index, numbers[kind], len(rows), b"".join(rows))

    def picture(self, kind, index):
        market = self.markets[index]
        if kind == ORDERS_REFRESH:
            rows = [
                ORDER_UPDATE.pack(order, order, price, lots, side, QueueChange.PLACED)
                for side in Side
                for order, price, lots in market.queue(side)
            ]
        else:
            rows = [LEVEL_UPDATE.pack(*level) for side in Side for level in market.levels(side)]
        numbers = market.numbers
        number = numbers[ORDERS if kind == ORDERS_REFRESH else DEPTH]
        body = b"".join(
            (
                LAST_NUMBERS.pack(
                    *(numbers[kind] for kind in (DEPTH, ORDERS, TRADES, STATUS, INDICATIVE, TOPS))
                ),
                TRADE_PRINT.pack(*market.last),
                STATUS_CHANGE.pack(*market.status),
                INDICATIVE_PRICE.pack(*market.indicative),
                TOTALS.pack(*market.totals),
                *rows,
            )
        )
        return self.frame(kind, index, number, len(rows), body)

    def answer(self, kind, instrument):
        if kind == DEFINITIONS:
            body = write_body(self.definitions)
            return self.frame(DEFINITIONS, EVERY_INSTRUMENT, self.defined, len(body), body)
        assert kind in (LEVELS_REFRESH, ORDERS_REFRESH)
        return self.picture(kind, instrument)


class FakeReader:
    """What `feeds.subscriber.Subscriber` is, without sockets; each poll of nothing lets time pass."""

    def __init__(self, feed):
        self.feed = feed
        self.books = Books()
        self.asked = []
        self.is_closed = False
        self.is_deaf = False
        self._prefixes = [topic(HEARTBEAT)]
        self._frames = []

    def follow(self, instrument, *, orders=False):
        book = self.books.add(instrument, orders=orders)
        for kind in (TRADES, STATUS, INDICATIVE, TOPS, ORDERS if orders else DEPTH):
            self._prefixes.append(topic(kind, instrument))
        return book

    def listen(self, kind, instrument=EVERY_INSTRUMENT):
        self._prefixes.append(kind if instrument == EVERY_INSTRUMENT else topic(kind, instrument))

    def ask(self, kind, instrument=EVERY_INSTRUMENT):
        self.asked.append((kind, instrument))
        if not self.is_deaf:
            self._frames.append(self.feed.answer(kind, instrument))

    def hear(self, frame):
        if not self.is_deaf and frame.startswith(tuple(self._prefixes)):
            self._frames.append(frame)

    def poll(self, timeout_ms):
        self.feed.now += timeout_ms * 1_000_000
        messages = [read(frame) for frame in self._frames]
        self._frames.clear()
        for message in messages:
            self.books.take(message, self.feed.now)
        self.books.tick(self.feed.now)
        for kind, instrument in self.books.wanting(self.feed.now):
            self.ask(kind, instrument)
            self.books[instrument].asked(self.feed.now)
        return messages

    def close(self):
        self.is_closed = True


def market():
    feed = FakeFeed(
        definition(QWEN, "QWEN3-MAX", name="Qwen3 Max"),
        definition(AGENT, "AGENT-LAW", kind="agent", tier="standard", region="NINGBO"),
        definition(CARD, "H100-HOUR", kind="compute", domestic=False, provider="VOLTAGE"),
    )
    feed.place(QWEN, Side.BUY, 59_900, 40, 10)
    feed.place(QWEN, Side.BUY, 59_800, 200)
    feed.place(QWEN, Side.SELL, 60_100, 1_500)
    feed.place(QWEN, Side.SELL, 60_300, 7, 5, 3)
    return feed
