"""One process of a venue: `python -m exchange.server ROLE FOLDER SETTINGS PARENT`. Begun by a supervisor."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec

from exchange.config import Settings
from exchange.engine import RULES_VERSION
from exchange.server.folder import Folder
from exchange.server.kernel_cache import guard_cache
from exchange.server.logs import Log, log_exceptions
from exchange.server.process import FEED, SEQUENCER, SETTLEMENT, Stop, report_failed
from exchange.server.taking import SNAPSHOT
from exchange.settings_file import differing

FOLLOWER_NICENESS = 10
"""Followers give way to the sequencer."""

FEED_NICENESS = 4
"""The feed gives way less: all wait for it. At 10 a print came 3.2 ms after its order, at 4 after 2.4,
at 0 after 2.2, and then the orders' own answers took half as long again (20,000 a second, two cores)."""

SNAPSHOT_NICENESS = 19
"""A snapshot gives way to everything."""

OOM_SCORE = 500
"""Of what can be begun anew without a loss, and may take much memory: a query that the settlement cannot
stop in the middle of one step. Where there is none left, Linux ends these first, and not the sequencer."""


def main() -> None:
    """Run the process that the arguments name."""
    role, root, given, parent = sys.argv[1:]
    stop = Stop(int(parent))
    folder = Folder(Path(root))
    settings = msgspec.json.decode(given, type=Settings)
    log = Log(folder.logs / f"{role}.log", role, settings.logs)
    log_exceptions()
    guard_cache()
    logger = logging.getLogger("bourse.process")
    about = {
        "version": version("tokenbourse"),
        "rules_version": RULES_VERSION,
        "python": sys.version.split()[0],
        "pid": os.getpid(),
        "settings": differing(settings),
    }
    logger.info("start", extra=about)
    try:
        run_role(role, folder, settings, stop)
    except Exception as error:
        report_failed(error)
        raise
    logger.info("stop")
    log.close()


def run_role(role: str, folder: Folder, settings: Settings, stop: Stop) -> None:
    """Run one role until it is told to stop."""
    if role == SEQUENCER:
        from exchange.server.run_sequencer import run
    elif role == SETTLEMENT:
        from exchange.server.run_settlement import run

        os.nice(FOLLOWER_NICENESS)
        go_first()
    elif role == FEED:
        from exchange.server.run_feed import run

        os.nice(FEED_NICENESS)
    elif role == SNAPSHOT:
        from exchange.server.run_snapshot import run

        os.nice(SNAPSHOT_NICENESS)
        go_first()
    else:
        message = f"role {role!r} is none of sequencer, settlement, feed, snapshot"
        raise SystemExit(message)
    run(folder, settings, stop)


def go_first() -> None:
    """Let this process be ended before others where memory runs out; only Linux knows of it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), "ascii")


if __name__ == "__main__":
    main()
