"""How each peer is driven: what our commands are in its words, prepared ahead, and its own plain loop.

Runs under the peers' interpreter. A step is (kind, order, side, price, lots, change, instrument): `lots`
is what of the order is open after it, `change` what it adds to the order's total. The arguments of every
call are made before the clock starts; what each call answers is counted after it has stopped.
"""

from __future__ import annotations

from datetime import datetime

from matching.vocabulary import CommandKind, Side

BUY = int(Side.BUY)
NEW, CANCEL = int(CommandKind.NEW), int(CommandKind.CANCEL)

GOES_BACK = "reduce and replace are a cancel and a new order, which goes to the back of the queue"


class Peer:
    """A peer over one tape. `prepared` gives the calls of some steps, `play` makes them in its loop."""

    package = ""
    note = ""

    def __init__(self, instruments):
        self.instruments = instruments
        self.trades = 0
        self.lots = 0

    def prepared(self, steps):
        """Return the calls of some steps, as pairs of what is called and its arguments."""
        calls = []
        for kind, order, side, price, lots, change, instrument in steps:
            if kind == NEW:
                calls.append(self.new(order, side, price, lots, change, instrument))
            elif kind == CANCEL:
                calls.append(self.cancel(order, instrument))
            else:
                calls += self.changed(order, side, price, lots, change, instrument)
        return calls

    def changed(self, order, side, price, lots, change, instrument):
        """Return the calls that reduce or replace an order: cancel it, enter what is left of it."""
        return [self.cancel(order, instrument), self.new(order, side, price, lots, change, instrument)]

    def play(self, calls):
        """Make the calls, and return what they answered: this is what is timed."""
        answers = []
        keep = answers.append
        for call, arguments in calls:
            keep(call(*arguments))
        return answers

    def count(self, answers):
        """Count the trades that were told."""

    def recount(self, fill, steps):
        """Return trades and lots traded; a peer that tells none in its own loop plays all again."""
        return self.trades, self.lots


class Liquibook(Peer):
    """C++ behind SWIG. Whoever wants to know of a fill gives the book a listener."""

    package = "liquibook"
    note = f"a Python listener hears of fills; its own replace upsets its depth, so {GOES_BACK}"

    def __init__(self, instruments):
        super().__init__(instruments)
        import liquibook

        self.order = liquibook.SimpleOrder
        self.books = [liquibook.DepthOrderBook() for _ in range(instruments)]
        self.orders = {}
        self.listener = self.heard(liquibook)

    def heard(self, liquibook):
        """Let every book tell a listener, and return it: the books do not keep it alive."""
        peer = self

        class Listener(liquibook.OrderListener):
            def __init__(self):
                liquibook.OrderListener.__init__(self)

            def on_accept(self, order):
                pass

            def on_cancel(self, order):
                pass

            def on_replace(self, order, delta, price):
                pass

            def on_reject(self, order, reason):
                pass

            def on_cancel_reject(self, order, reason):
                pass

            def on_replace_reject(self, order, reason):
                pass

            def on_fill(self, order, matched, lots, price):
                peer.trades += 1
                peer.lots += lots

        listener = Listener()
        for book in self.books:
            book.set_order_listener(listener)
        return listener

    def new(self, order, side, price, lots, change, instrument):
        self.orders[order] = made = self.order(side == BUY, price, lots)
        return self.books[instrument].add, (made,)

    def cancel(self, order, instrument):
        return self.books[instrument].cancel, (self.orders.pop(order),)

    def play(self, calls):
        for call, arguments in calls:
            call(*arguments)


class LiquibookUnheard(Liquibook):
    """The same without a listener: its fastest, but nobody learns of a trade."""

    note = f"tells no fill while it is timed: they are counted in a second run, as above; {GOES_BACK}"

    def heard(self, liquibook):
        return None

    def recount(self, fill, steps):
        twin = Liquibook(self.instruments)
        for part in (fill, steps):
            twin.play(twin.prepared(part))
        return twin.trades, twin.lots


class LimitOrderBook(Peer):
    """C++ behind Cython (before version 3: ctypes)."""

    package = "limit-order-book"
    note = f"tells no trades: the lots come from its volumes, in a second run; {GOES_BACK}"

    def __init__(self, instruments):
        super().__init__(instruments)
        from limit_order_book import LimitOrderBook as Book

        self.books = [Book() for _ in range(instruments)]

    def new(self, order, side, price, lots, change, instrument):
        book = self.books[instrument]
        return (book.limit_buy if side == BUY else book.limit_sell), (order, lots, price)

    def cancel(self, order, instrument):
        return self.books[instrument].cancel, (order,)

    def play(self, calls):
        for call, arguments in calls:
            call(*arguments)

    def recount(self, fill, steps):
        twin = LimitOrderBook(self.instruments)
        twin.play(twin.prepared(fill))
        lots = 0
        for call, arguments in twin.prepared(steps):
            book = call.__self__
            before = book.volume()
            call(*arguments)
            is_new = len(arguments) > 1
            lots += (before + arguments[1] - book.volume()) // 2 if is_new else 0
        return None, lots


class Litebook(Peer):
    """Rust behind PyO3. It gives the ids, when an order is made; making them is not timed."""

    package = "litebook"
    note = f"quantities are floats; {GOES_BACK}"

    def __init__(self, instruments):
        super().__init__(instruments)
        import litebook

        self.sides = [litebook.OrderType.Buy, litebook.OrderType.Sell]
        self.books = [litebook.OrderBook(tick_size=1.0) for _ in range(instruments)]
        self.ids = {}

    def new(self, order, side, price, lots, change, instrument):
        book = self.books[instrument]
        made = book.create_order(self.sides[side], float(price), float(lots))
        self.ids[order] = made.id
        return book.add, (made,)

    def cancel(self, order, instrument):
        return self.books[instrument].cancel, (self.ids.pop(order),)

    def count(self, answers):
        for fills in answers:
            if isinstance(fills, list):
                self.trades += len(fills)
                self.lots += int(sum(fill.quantity for fill in fills))


class LightMatchingEngine(Peer):
    """Plain Python. It numbers the orders in the order of their entry, so their ids are known ahead."""

    package = "lightmatchingengine"
    note = GOES_BACK

    def __init__(self, instruments):
        super().__init__(instruments)
        from lightmatchingengine.lightmatchingengine import LightMatchingEngine as Engine

        self.engine = Engine()
        self.ids = {}
        self.entered = 0

    def new(self, order, side, price, lots, change, instrument):
        self.entered += 1
        self.ids[order] = self.entered
        return self.engine.add_order, (instrument, price, lots, 1 + side)

    def cancel(self, order, instrument):
        return self.engine.cancel_order, (self.ids.pop(order), instrument)

    def play(self, calls):
        """The same loop; an order that is gone with its whole price is told by an assertion."""
        answers = []
        keep = answers.append
        for call, arguments in calls:
            try:
                keep(call(*arguments))
            except AssertionError:
                keep(None)
        return answers

    def count(self, answers):
        for answer in answers:
            if isinstance(answer, tuple):
                taker, trades = answer
                made = [trade.trade_qty for trade in trades if trade.order_id != taker.order_id]
                self.trades += len(made)
                self.lots += sum(made)


class MatchingEngine(Peer):
    """Plain Python, of msgspec structs and sorted lists."""

    package = "matching-engine"
    note = GOES_BACK

    def __init__(self, instruments):
        super().__init__(instruments)
        from matching_engine import domain, events
        from matching_engine.engine import MatchingEngine as Engine

        self.domain = domain
        self.trade = events.Trade
        self.sides = [domain.Side.BUY, domain.Side.SELL]
        self.engines = [Engine() for _ in range(instruments)]
        self.sequence = 0

    def new(self, order, side, price, lots, change, instrument):
        none = self.domain.SelfTradePrevention.NONE
        return self.asked(self.domain.NewOrder(order, 1, self.sides[side], price, lots, stp=none), instrument)

    def cancel(self, order, instrument):
        return self.asked(self.domain.CancelOrder(order, 1), instrument)

    def asked(self, command, instrument):
        self.sequence += 1
        sequenced = self.domain.SequencedCommand(self.sequence, self.sequence, command)
        return self.engines[instrument].process, (sequenced,)

    def count(self, answers):
        for events in answers:
            for event in events:
                if type(event) is self.trade:
                    self.trades += 1
                    self.lots += event.qty


class Edumatcher(Peer):
    """Plain Python, of heaps. An amended order is not matched again: its engine sees to that."""

    package = "edumatcher"
    note = "its order book alone, without its processes and messages"

    def __init__(self, instruments):
        super().__init__(instruments)
        from edumatcher.engine.order_book import OrderBook
        from edumatcher.models import order as models
        from edumatcher.models.trade import set_run_seq

        set_run_seq(1)
        self.models = models
        self.sides = [models.Side.BUY, models.Side.SELL]
        self.books = [OrderBook(str(number)) for number in range(instruments)]
        self.totals = {}

    def new(self, order, side, price, lots, change, instrument):
        models = self.models
        self.totals[order] = lots
        made = models.Order(
            id=str(order), symbol=str(instrument), side=self.sides[side], quantity=lots, remaining_qty=lots,
            order_type=models.OrderType.LIMIT, tif=models.TIF.GTC, status=models.OrderStatus.NEW,
            gateway_id="G", ts_ns=0, tick_decimals=0, price_ticks=price, smp_action=models.SmpAction.NONE,
        )  # fmt: skip
        return self.books[instrument].process, (made,)

    def cancel(self, order, instrument):
        return self.books[instrument].cancel_order, (str(order),)

    def changed(self, order, side, price, lots, change, instrument):
        self.totals[order] += change
        return [(self.books[instrument].amend_order, (str(order), price, self.totals[order]))]

    def count(self, answers):
        for answer in answers:
            if isinstance(answer, tuple) and len(answer) == 2:
                self.trades += len(answer[0])
                self.lots += sum(trade.quantity for trade in answer[0])


class OrderMatching(Peer):
    """Plain Python, of lists that are searched and sorted. Its log is silenced."""

    package = "order-matching"
    note = f"its debug log is silenced; {GOES_BACK}"

    def __init__(self, instruments):
        super().__init__(instruments)
        from loguru import logger
        from order_matching import enums
        from order_matching.matching_engine import MatchingEngine as Engine
        from order_matching.order import LimitOrder
        from order_matching.orders import Orders

        logger.disable("order_matching")
        self.sides = [enums.Side.BUY, enums.Side.SELL]
        self.made, self.orders = LimitOrder, Orders
        self.engines = [Engine(seed=1) for _ in range(instruments)]
        self.now = datetime(2026, 1, 1)  # noqa: DTZ001  the library compares times without zones

    def new(self, order, side, price, lots, change, instrument):
        made = self.made(
            side=self.sides[side],
            price=price,
            size=lots,
            timestamp=self.now,
            order_id=str(order),
            trader_id="T",
        )
        return self.enter, (self.engines[instrument], self.orders([made]))

    def enter(self, engine, orders):
        """Place, then match: two calls of the library."""
        engine.place(orders)
        return engine.match(self.now)

    def cancel(self, order, instrument):
        return self.withdraw, (self.engines[instrument], str(order))

    def withdraw(self, engine, order):
        """Cancel, if it is still there: the library raises where it is not."""
        try:
            engine.cancel_order(order)
        except ValueError:
            return

    def count(self, answers):
        for trades in answers:
            if trades is not None:
                self.trades += len(trades.trades)
                self.lots += int(sum(trade.size for trade in trades.trades))


ADAPTERS = {
    "liquibook": Liquibook,
    "liquibook, nobody listening": LiquibookUnheard,
    "limit-order-book": LimitOrderBook,
    "litebook": Litebook,
    "lightmatchingengine": LightMatchingEngine,
    "matching-engine": MatchingEngine,
    "edumatcher": Edumatcher,
    "order-matching": OrderMatching,
}
"""Each peer by the name that its figures bear."""
