"""One process of a venue: `python -m exchange.server ROLE FOLDER ENDPOINTS`; the supervisor begins it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from exchange.config import Endpoints
from exchange.server.folder import Folder
from exchange.server.process import Stop
from exchange.server.supervisor import FEED, SEQUENCER, SETTLEMENT

FOLLOWER_NICENESS = 5
"""Followers give way to the sequencer."""


def main() -> None:
    """Run the process that the arguments name."""
    role, root, endpoints = sys.argv[1:]
    stop = Stop()
    folder = Folder(Path(root))
    bound = msgspec.json.decode(endpoints, type=Endpoints)
    if role == SEQUENCER:
        from exchange.server.run_sequencer import run
    elif role == SETTLEMENT:
        from exchange.server.run_settlement import run

        os.nice(FOLLOWER_NICENESS)
    elif role == FEED:
        from exchange.server.run_feed import run

        os.nice(FOLLOWER_NICENESS)
    else:
        message = f"role {role!r} is none of sequencer, settlement, feed"
        raise SystemExit(message)
    run(folder, bound, stop)


if __name__ == "__main__":
    main()
