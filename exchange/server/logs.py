"""What the venue's processes write of their work: one line of JSON an event, `logs/PROCESS.log` each.

Who has something to say says it as everywhere in Python, and never once an order:

    logging.getLogger("bourse.sessions").info("logged on", extra={"member": "ACME", "session": 7})

The text is the event's name, always the same words; what differs from time to time goes into `extra`.
"""

from __future__ import annotations

import datetime
import logging
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

import msgspec

from exchange.config import LogSettings
from exchange.protocol.acts import Act, Approve, RegisterKey, RevokeKey

ROOT = "bourse"
"""The logger below which all of the venue's loggers stand."""

QUIET_SECONDS = 10.0
"""A member that was not refused for so long is told of as no longer throttled."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What a record always has; the rest came with `extra`."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a log."""

    time: str
    """UTC, to the microsecond: `2026-11-22T09:30:00.000000Z`."""

    level: str
    process: str
    logger: str
    event: str
    fields: dict[str, object] = {}
    error: str = ""
    """The exception and where it came from, in one text of several lines."""


class JsonFormatter(logging.Formatter):
    """Writes a record as one `LogLine`; what JSON has no form for is written as its text."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = LogLine(
            time=at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            level=record.levelname.lower(),
            process=self._process,
            logger=record.name,
            event=record.getMessage(),
            fields={name: value for name, value in vars(record).items() if name not in _OWN},
            error=self.formatException(record.exc_info) if record.exc_info else "",
        )
        return msgspec.json.encode(line, enc_hook=str).decode()


class Log:
    """A process's log, from its making until `close`. Its files are made when they are first written to."""

    def __init__(self, path: Path, process: str, settings: LogSettings) -> None:
        logging.raiseExceptions = False  # a log that cannot be written to must not end a venue
        self._handler = RotatingFileHandler(
            path, maxBytes=settings.bytes_max, backupCount=settings.keep, encoding="utf-8", delay=True
        )
        self._handler.setFormatter(JsonFormatter(process))
        self._logger = logging.getLogger(ROOT)
        self._logger.setLevel(settings.level.upper())
        self._logger.addHandler(self._handler)

    def close(self) -> None:
        """Write no more. Closing twice is no harm."""
        self._logger.removeHandler(self._handler)
        self._handler.close()


def log_exceptions() -> None:
    """Have whatever ends the process, or one of its threads, logged as one record beforehand."""
    logger = logging.getLogger(f"{ROOT}.process")

    def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.critical("failed", exc_info=(kind, error, trace))
        sys.__excepthook__(kind, error, trace)

    def thread_ended(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            told = (args.exc_type, args.exc_value, args.exc_traceback)
            logger.critical("thread failed", exc_info=told)
        threading.__excepthook__(args)

    sys.excepthook = ended
    threading.excepthook = thread_ended


class ThrottleLog:
    """Says once that a member begins to be throttled, and once, with the count, that it no longer is.

    `now` is a clock that only rises, in seconds.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(f"{ROOT}.throttle")
        self._refused: dict[str, tuple[int, float]] = {}

    def hear(self, member: str, count: int, now: float) -> None:
        """Note that so many of a member's messages were refused."""
        if member not in self._refused:
            self._logger.warning("throttling begun", extra={"member": member})
        before, _ = self._refused.get(member, (0, now))
        self._refused[member] = (before + count, now)

    def look(self, now: float) -> None:
        """Tell of the members that have been within their allowance for a while."""
        over = [who for who, (_, at) in self._refused.items() if now - at >= QUIET_SECONDS]
        for member in over:
            count, _ = self._refused.pop(member)
            self._logger.warning("throttling ended", extra={"member": member, "refused": count})


def note_act(who: str, act: Act, sequence: int) -> None:
    """Have the log say which keys were changed, by whom; the journal has these acts and all others."""
    log = logging.getLogger(f"{ROOT}.sessions")
    match act:
        case RegisterKey() | RevokeKey():
            told = {"who": who, "act": type(act).__name__, "key": act.public_key, "sequence": sequence}
            log.info("key changed", extra=told)
        case Approve():
            log.info("approved", extra={"who": who, "proposal": act.proposal, "sequence": sequence})
