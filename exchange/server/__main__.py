"""One process of a venue: `python -m exchange.server ROLE FOLDER SETTINGS`; the supervisor begins it."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec

from exchange.config import Settings
from exchange.engine import RULES_VERSION
from exchange.server.folder import Folder
from exchange.server.logs import Log, log_exceptions
from exchange.server.process import FEED, SEQUENCER, SETTLEMENT, Stop
from exchange.server.taking import SNAPSHOT
from exchange.settings_file import differing

FOLLOWER_NICENESS = 10
"""Followers give way to the sequencer."""

SNAPSHOT_NICENESS = 19
"""A snapshot gives way to everything."""


def main() -> None:
    """Run the process that the arguments name."""
    role, root, given = sys.argv[1:]
    stop = Stop()
    folder = Folder(Path(root))
    settings = msgspec.json.decode(given, type=Settings)
    log = Log(folder.logs / f"{role}.log", role, settings.logs)
    log_exceptions()
    logger = logging.getLogger("bourse.process")
    about = {
        "version": version("tokenbourse"),
        "rules_version": RULES_VERSION,
        "python": sys.version.split()[0],
        "pid": os.getpid(),
        "settings": differing(settings),
    }
    logger.info("start", extra=about)
    run_role(role, folder, settings, stop)
    logger.info("stop")
    log.close()


def run_role(role: str, folder: Folder, settings: Settings, stop: Stop) -> None:
    """Run one role until it is told to stop."""
    if role == SEQUENCER:
        from exchange.server.run_sequencer import run
    elif role == SETTLEMENT:
        from exchange.server.run_settlement import run

        os.nice(FOLLOWER_NICENESS)
    elif role == FEED:
        from exchange.server.run_feed import run

        os.nice(FOLLOWER_NICENESS)
    elif role == SNAPSHOT:
        from exchange.server.run_snapshot import run

        os.nice(SNAPSHOT_NICENESS)
    else:
        message = f"role {role!r} is none of sequencer, settlement, feed, snapshot"
        raise SystemExit(message)
    run(folder, settings, stop)


if __name__ == "__main__":
    main()
