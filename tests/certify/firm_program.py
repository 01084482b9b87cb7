"""A firm's program that does what `bourse certify --tasks` asks; with an argument it makes that mistake."""

from __future__ import annotations

import os
import sys

from exchange import connect_sync

SYMBOL = "QWEN3-MAX"
PATIENCE_SECONDS = 120


def main(mistake: str) -> int:
    with connect_sync(os.environ["BOURSE_PROFILE"], timeout=PATIENCE_SECONDS) as exchange:
        instrument = exchange.instruments[SYMBOL]

        def place(name: str, lots: int):
            return exchange.place(instrument.buy(lots, limit="0.02"), name, timeout=PATIENCE_SECONDS)

        first = place("CERT-1", 10)
        if mistake != "forgets-a-cancel":
            exchange.cancel(first)
        second = place("CERT-2", 10)
        if mistake == "gives-up":
            return 1
        for number in range(3, 23):
            place(f"CERT-{number}", 1)
        if mistake == "says-it-under-another-id":
            place("CERT-8-again", 1)
        if mistake != "forgets-a-reduce":
            exchange.reduce(second, 4, timeout=PATIENCE_SECONDS)
        place("CERT-2", 10)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or [""]))
