"""A firm's program in a process of its own: it trades without a pause, and keeps a ledger of what it hears.

`python -m tests.server.trader PROFILE LEDGER SIDE SEED` goes on until its standard input is closed. Each line
of the ledger was written when it was heard: an answered order, a fill, or a wait that was in vain.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path
from random import Random

from exchange import ExchangeError, OrderRejected, connect_sync

BATCH = 20
PATIENCE = 0.5
SYMBOL = "QWEN3-MAX"
LAST_FILLS_SECONDS = 2.0


def main() -> None:
    """Trade, and insist."""
    profile, path, side, seed = sys.argv[1:]
    with Path(path).open("a", buffering=1) as ledger:
        trader = Trader(profile, ledger, side, Random(int(seed)))
        while not select.select([sys.stdin], [], [], 0)[0]:
            trader.trade()
        trader.finish()


class Trader:
    """One session for as long as it lives; the client connects it anew by itself."""

    def __init__(self, profile, ledger, side, chance) -> None:
        self._ledger = ledger
        self._side = side
        self._chance = chance
        self._batches = 0
        self._client = self._insist(lambda: connect_sync(profile, timeout=PATIENCE))
        self._since = self._client.sequence + 1

    def trade(self) -> None:
        """Place one batch under ids of its own, again and again until all of it is answered."""
        instrument = self._client.instruments[SYMBOL]
        price = instrument.listing.list_price
        tick = instrument.listing.tick
        tickets = [
            getattr(instrument, self._side)(
                self._chance.randint(1, 5),
                limit=price + self._chance.randint(-2, 2) * tick,
                time_in_force=self._chance.choice(("day", "ioc")),
            )
            for _ in range(BATCH)
        ]
        ids = [f"{self._side}-{self._batches}-{at}" for at in range(BATCH)]
        self._batches += 1
        for outcome in self._insist(
            lambda: self._client.place_all(tickets, client_ids=ids, timeout=PATIENCE)
        ):
            assert not isinstance(outcome, OrderRejected), outcome
            self._write("order", outcome.id, outcome.client_id)
        self._take_fills(0.0)
        if self._batches % 5 == 0:
            self._insist(lambda: self._client.cancel_all(timeout=PATIENCE))

    def finish(self) -> None:
        """Hear what is still to be heard, and end in good order."""
        self._insist(lambda: self._client.cancel_all(timeout=PATIENCE))
        self._take_fills(LAST_FILLS_SECONDS)
        self._client.close()

    def _take_fills(self, timeout: float) -> None:
        for fill in self._insist(lambda: [*self._client.fills(since=self._since, timeout=timeout)]):
            self._write("fill", fill.order, fill.trade, fill.quantity)
            self._since = max(self._since, fill.sequence + 1)

    def _insist(self, call):
        while True:
            try:
                return call()
            except ExchangeError as error:
                self._write("waited", error.code)

    def _write(self, *words) -> None:
        self._ledger.write(" ".join(map(str, words)) + "\n")


if __name__ == "__main__":
    main()
