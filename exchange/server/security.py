"""The security log: who came in from where, who was kept out, and what operators decided; never an order.

It lies apart from the program's logs, a file a month: `security/2026-11.jsonl` of the venue's folder, a line
of JSON an event. Each line names the SHA-256 of the line before it, over all files, so that one that was cut
out, changed or put elsewhere is found. It is only ever added to, by the sequencer's process alone.

Trading does not wait for it. What is decided stands in the journal, which does stop the venue when it cannot
be written; of what does not, at most `WAITING_MAX` lines wait in memory until there is room again.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

FOLDER_MODE, FILE_MODE = 0o700, 0o600
FIRST_PREVIOUS = "0" * 64
"""What the first line of all follows."""

COUNTED_LINES_MAX = 20
"""Most lines at a time for what anybody can bring about from outside; the rest is one line with their sum."""

COUNTED_KINDS_MAX = 1_000
"""Of how many senders refusals are counted apart at a time."""

COUNTED_SECONDS_MAX = 60
"""How long is counted at most before it is told: twice as long each time that there were too many senders."""

WAITING_MAX = 10_000
"""Most lines that wait while the log cannot be written; what comes then is only counted."""

LETTERS_MAX = 200
"""Longest text of what an act names that is repeated here; a reason is told whole."""

TORN, OTHERS, LOST = "torn_line_closed", "others", "lines_lost"

SECOND_NS = 10**9
_ASIDE = ("public_key", "calendar", "terms", "instruments", "records")

_log = logging.getLogger("bourse.security")


class SecurityLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line. `key` is the fingerprint of a public key, `address` that of the peer as TCP has it.

    `rules_version` is the engine's and `sequence` its last command, or the act's own. `previous` is the
    SHA-256 of the line before, without its end. What does not apply is blank.
    """

    number: int
    time: str
    event: str
    member: str = ""
    key: str = ""
    address: str = ""
    rules_version: int
    sequence: int
    facts: dict[str, str | int] = {}
    previous: str


class Watchful:
    """What hears of events, and forgets them; `SecurityLog` writes them down."""

    def note(
        self,
        event: str,
        member: str = "",
        key: str = "",
        address: str = "",
        sequence: int | None = None,
        facts: Mapping[str, str | int] | None = None,
    ) -> None:
        """Keep one event for the next `write`; `key` is a public key."""

    def count(self, event: str, member: str = "", key: str = "", address: str = "", reason: str = "") -> None:
        """Count what may come in floods: it is told once a second for each sender."""


NOBODY = Watchful()
"""Who hears nothing: for venues without a folder."""


def fingerprint(public_key: str) -> str:
    """Return what names a public key here: the first 16 hexadecimal digits of its text's SHA-256."""
    return sha256(public_key.encode()).hexdigest()[:16] if public_key else ""


class SecurityLog(Watchful):
    """Adds lines to the log of a folder. `now` is the time in ns, `stands` rules version and sequence now."""

    def __init__(self, folder: Path, now: Callable[[], int], stands: Callable[[], tuple[int, int]]) -> None:
        self._folder = folder
        self._now = now
        self._stands = stands
        self._waiting: list[tuple[str, bytes]] = []
        self._counted: Counter[tuple[str, str, str, str, str]] = Counter()
        self._count_until = 0
        self._count_seconds = 1
        self._again = 0
        self._handle, self._month = -1, ""
        self._latest = ""
        self._rest = b""
        self.lost = 0
        """Events that could not be kept, and that no line tells of yet."""
        self._number, self._previous = 0, FIRST_PREVIOUS
        self._is_open = False
        self.failed = ""
        """Why the last write failed; blank if it did not."""
        self._go_on()

    @property
    def waiting(self) -> int:
        """How many lines are not written yet."""
        return len(self._waiting)

    def note(
        self,
        event: str,
        member: str = "",
        key: str = "",
        address: str = "",
        sequence: int | None = None,
        facts: Mapping[str, str | int] | None = None,
    ) -> None:
        """Keep one event for the next `write`; `key` is a public key."""
        self._keep((event, member, fingerprint(key), address), sequence, dict(facts or {}))

    def _keep(
        self, what: tuple[str, str, str, str], sequence: int | None, facts: dict[str, str | int]
    ) -> None:
        """Make a line of an event, its member, its key's fingerprint and its address; let it wait."""
        if len(self._waiting) >= WAITING_MAX:
            self.lost += 1
            return
        if self.lost:
            lost, self.lost = self.lost, 0
            self._keep((LOST, "", "", ""), None, {"count": lost})
        event, member, key, address = what
        rules_version, last = self._stands()
        self._number += 1
        time = datetime.fromtimestamp(self._now() / SECOND_NS, UTC)
        line = SecurityLine(
            number=self._number,
            time=time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            event=event,
            member=member,
            key=key,
            address=address,
            rules_version=rules_version,
            sequence=last if sequence is None else sequence,
            facts=facts,
            previous=self._previous,
        )
        written = msgspec.json.encode(line)
        self._previous = sha256(written).hexdigest()
        self._latest = max(self._latest, f"{time:%Y-%m}")  # a clock that was set back begins no older file
        self._waiting.append((self._latest, written))

    def count(self, event: str, member: str = "", key: str = "", address: str = "", reason: str = "") -> None:
        """Count what may come in floods: it is told once a second for each sender."""
        if not self._counted:
            self._count_until = self._now() + self._count_seconds * SECOND_NS
        sender = (event, member, fingerprint(key), address, reason)
        if sender not in self._counted and len(self._counted) >= COUNTED_KINDS_MAX:
            sender = (event, "", "", OTHERS, "")
        self._counted[sender] += 1

    def write(self, *, is_last: bool = False) -> None:
        """Write what was kept, and sync it: once a turn, and only if there is something.

        A failure is logged once, and tried again a second later; nothing waits for it.
        """
        if self._counted and (is_last or self._now() >= self._count_until):
            self._tell_counted()
        if not self._waiting or (self.failed and self._now() < self._again and not is_last):
            return
        try:
            while self._waiting:
                self._write_month()
        except OSError as error:
            if not self.failed:
                _log.critical("security log cannot be written", extra={"why": str(error)})
            self.failed, self._again = str(error), self._now() + SECOND_NS
            return
        if self.failed:
            _log.error("security log is written again", extra={"lost": self.lost})
            self.failed = ""

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self.write(is_last=True)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _tell_counted(self) -> None:
        """Tell what was counted, the most frequent first, and what is too many for lines in one."""
        told = self._counted.most_common()
        self._counted.clear()
        for (event, member, key, address, reason), count in told[:COUNTED_LINES_MAX]:
            facts: dict[str, str | int] = {"count": count}
            self._keep((event, member, key, address), None, facts | ({"reason": reason} if reason else {}))
        rest = told[COUNTED_LINES_MAX:]
        self._count_seconds = min(2 * self._count_seconds, COUNTED_SECONDS_MAX) if rest else 1
        if rest:
            facts = {"count": sum(count for _, count in rest), "senders": len(rest)}
            self.note("refused_others", address=OTHERS, facts=facts)

    def _write_month(self) -> None:
        """Write the lines of the month that waits first, with one write and one sync."""
        month = self._waiting[0][0]
        lines = [line for its, line in self._waiting if its == month]
        self._open(month)
        data = self._rest or b"".join(line + b"\n" for line in lines)
        count = data.count(b"\n")
        done = os.write(self._handle, data)
        self._rest = data[done:]
        del self._waiting[: count - self._rest.count(b"\n")]
        if self._rest:  # the disk is full: what follows goes on where this line was cut
            raise OSError(f"{done} of {len(data)} bytes could be written")
        os.fdatasync(self._handle)

    def _open(self, month: str) -> None:
        """Open the file of a month to add to."""
        if month == self._month and self._handle >= 0:
            return
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        path = self._folder / f"{month}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
        self._month = month
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _go_on(self) -> None:
        """Go on behind the last line; close one that a crash has torn, and say so."""
        try:
            written = [path for path in files_of(self._folder) if path.stat().st_size]
            data = written[-1].read_bytes() if written else b""
        except OSError as error:
            _log.critical("security log cannot be read", extra={"why": str(error)})
            self.failed = str(error)
            return
        if not data:
            return
        self._latest = written[-1].stem
        *lines, torn = data.split(b"\n")
        if torn:
            lines.append(torn)
            handle = os.open(written[-1], os.O_WRONLY | os.O_APPEND)
            try:
                os.write(handle, b"\n")
            finally:
                os.close(handle)
        self._previous = sha256(lines[-1]).hexdigest()
        self._number = next(filter(None, map(_number_of, reversed(lines))), 0)
        if not _number_of(lines[-1]):
            self.note(TORN, facts={"bytes": len(lines[-1])})


def _number_of(line: bytes) -> int:
    """Return a line's number, 0 if it is none that can be read."""
    try:
        return msgspec.json.decode(line, type=SecurityLine).number
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0


def files_of(folder: Path) -> list[Path]:
    """Return the log's files, oldest first."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"))


# --- what is told --------------------------------------------------------------------------------


def facts_of(act: msgspec.Struct) -> dict[str, str | int]:
    """Return what an act is and names, in short: no lists, no secrets, a key by its fingerprint."""
    facts: dict[str, str | int] = {"act": type(act).__name__}
    for name in act.__struct_fields__:
        value = getattr(act, name)
        if name == "public_key":
            facts["fingerprint"] = fingerprint(value)
        elif name == "act" and isinstance(value, msgspec.Struct):
            inner = facts_of(value)
            facts |= {"proposed": inner.pop("act"), **inner}
        elif isinstance(value, bool):
            facts[name] = "yes" if value else "no"
        elif name not in _ASIDE and isinstance(value, str | int) and value != "":
            facts[name] = value[:LETTERS_MAX] if isinstance(value, str) else value
    return facts


UNREADABLE = "it cannot be read, and no line behind it tells that it was torn"


# --- reading -------------------------------------------------------------------------------------


class ChainBroken(Exception):
    """A line is not what was written, or does not stand where it was. `number` is the line's, from 1."""

    def __init__(self, path: Path, row: int, number: int, what: str) -> None:
        self.number = number
        super().__init__(f"the security log does not hold at line {number} ({path.name}, row {row}): {what}")


def read(folder: Path, told: list[str]) -> Iterator[SecurityLine]:
    """Yield the lines of a log, each held against the one before it. Raises `ChainBroken`.

    A last line that is not whole is told, not an error: its writer may be about to go on.
    """
    previous, number, torn = FIRST_PREVIOUS, 0, 0
    paths = files_of(folder)
    for path in paths:
        *lines, rest = path.read_bytes().split(b"\n")
        for row, data in enumerate(lines, start=1):
            try:
                line = msgspec.json.decode(data, type=SecurityLine)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                if torn:
                    raise ChainBroken(path, row, number + 1, f"it cannot be read: {error}") from error
                torn, previous = row, sha256(data).hexdigest()
                continue
            if torn and line.event != TORN:
                raise ChainBroken(path, torn, number + 1, UNREADABLE)
            fault = _fault(line, previous, number, is_behind_torn=bool(torn))
            if fault:
                raise ChainBroken(path, row, number + 1, fault)
            previous, number, torn = sha256(data).hexdigest(), line.number, 0
            yield line
        if torn and path == paths[-1]:
            raise ChainBroken(path, torn, number + 1, UNREADABLE)
        if rest and path == paths[-1]:
            told.append(f"{path.name} ends in a line that is not whole: {len(rest)} bytes")
        elif rest:
            raise ChainBroken(path, len(lines) + 1, number + 1, "it is not whole, and a later file follows")


def _fault(line: SecurityLine, previous: str, number: int, *, is_behind_torn: bool) -> str:
    """Return why a line cannot stand behind the one before it, blank if it can."""
    if line.previous != previous:
        return "it does not follow the line before it"
    if line.number != number + 1:
        return f"its number is {line.number}"
    return "" if is_behind_torn or line.event != TORN else "it tells of a torn line, and there is none"
