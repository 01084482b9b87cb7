"""The lines between members and venue, and between publisher and readers: late, cut, deaf, or worse.

A member's line keeps the order of what it carries, as a connection does: what is lost is all that would have
come behind some point. The feed and the announcements of commits lose, double and swap single messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from exchange.simulation.plan import SECOND_NS
from exchange.simulation.seats import Seat
from matching.vocabulary import RejectReason

LATENCY_NS = 200_000
NOTICED_NS = 5 * SECOND_NS
"""How long until the venue notices that a line is dead, if it says nothing."""

WAITING_MAX = 64
"""How many messages wait for a seat that does not read before the venue gives it up."""

READER_WAITING_MAX = 40
"""How many wait for a slow reader of the feed; more are dropped."""

At = Callable[[int, Callable[[], object]], object]
"""Has something happen at a time."""


class Line:
    """One connection of a seat. After `cut_at` nothing that is sent arrives; 0: it stands."""

    def __init__(self, number: int, seat: Seat) -> None:
        self.id = number.to_bytes(5, "big")
        self.number = number
        self.seat = seat
        self.cut_at = 0
        self.out_until = self.back_until = 1 << 62
        self.out_at = self.back_at = 0
        self.in_flight = 0


class Weather(NamedTuple):
    """What befalls single messages, each with a chance in a hundred."""

    lose: int = 0
    double: int = 0
    swap: int = 0


class Network:
    """All lines. `hear` takes what a seat has said, `told` what the venue said to one, `lost` a cut line."""

    def __init__(
        self,
        chance: Random,
        clock: Callable[[], int],
        at: At,
        hear: Callable[[Line, bytes], None],
        told: Callable[[Line, bytes], None],
        lost: Callable[[Line], None],
    ) -> None:
        self.lines: dict[bytes, Line] = {}
        self.stalled: dict[str, int] = {}
        self.late_ns: dict[str, int] = {}
        self.weather: dict[str, Weather] = {}
        self._count = 0
        self._chance, self._clock, self._at = chance, clock, at
        self._hear, self._told, self._lost = hear, told, lost

    # --- members' lines ------------------------------------------------------------------------

    def connect(self, seat: Seat) -> Line:
        """Give a seat a new line."""
        self._count += 1
        line = Line(self._count, seat)
        self.lines[line.id] = line
        seat.connection = line.number
        return line

    def line_of(self, seat: Seat) -> Line | None:
        """Return the line that a seat has, as far as it knows."""
        return self.lines.get(seat.connection.to_bytes(5, "big")) if seat.connection else None

    def carry_out(self, line: Line, frame: bytes) -> None:
        """Carry what a seat says to the venue."""
        line.out_at = self._arrival(line, line.out_at)
        if line.out_at <= line.out_until:
            self._at(line.out_at, partial(self._arrive_out, line, frame))

    def carry_back(self, session: bytes, frame: bytes) -> RejectReason:
        """Carry what the venue says to a seat; tell it if the line is gone, or nobody reads."""
        line = self.lines.get(session)
        if line is None or (line.cut_at and self._clock() >= line.cut_at + NOTICED_NS):
            return RejectReason.SESSION_LOST
        if line.in_flight + len(line.seat.unread) >= WAITING_MAX and line.seat.is_deaf:
            return RejectReason.REPORTS_DROPPED
        line.back_at = self._arrival(line, line.back_at)
        if line.back_at <= line.back_until:
            line.in_flight += 1
            self._at(line.back_at, partial(self._arrive_back, line, frame))
        return RejectReason.NONE

    def cut(self, line: Line, *, at_once: bool = False) -> None:
        """Break a line: of what is under way some arrives, and nothing that is said later."""
        if line.cut_at:
            return
        now = self._clock()
        line.cut_at = now or 1
        line.out_until = now if at_once else now + self._chance.randrange(2 * LATENCY_NS)
        line.back_until = now + self._chance.randrange(2 * LATENCY_NS)
        self._at(now + self._chance.randrange(1, SECOND_NS), partial(self._lost, line))

    def cut_all(self) -> None:
        """Break every line: the venue is gone."""
        for line in tuple(self.lines.values()):
            self.cut(line, at_once=True)
        self.lines.clear()

    def _arrival(self, line: Line, last: int) -> int:
        name = line.seat.name
        late = self.late_ns.get(name, 0)
        wait = self._chance.randrange(LATENCY_NS // 4, LATENCY_NS) + (
            self._chance.randrange(late) if late else 0
        )
        return max(self._clock() + wait, self.stalled.get(name, 0), last + 1)

    def _arrive_out(self, line: Line, frame: bytes) -> None:
        if self._clock() <= line.out_until:
            self._hear(line, frame)

    def _arrive_back(self, line: Line, frame: bytes) -> None:
        line.in_flight -= 1
        if self._clock() <= line.back_until:
            self._told(line, frame)

    # --- single messages -----------------------------------------------------------------------

    def scatter(self, name: str, arrive: Callable[[], object]) -> None:
        """Carry a message to who listens by this name: perhaps not, twice, or behind the next ones."""
        weather = self.weather.get(name, Weather())
        if weather.lose and self._chance.randrange(100) < weather.lose:
            return
        times = 2 if weather.double and self._chance.randrange(100) < weather.double else 1
        for _ in range(times):
            wait = LATENCY_NS
            if weather.swap and self._chance.randrange(100) < weather.swap:
                wait += self._chance.randrange(SECOND_NS // 2)
            self._at(max(self._clock() + wait, self.stalled.get(name, 0)), arrive)


class Mailbox(deque[bytes]):
    """What waits for a reader of the feed; what comes to a full one is dropped."""

    def put(self, frame: bytes) -> bool:
        """Keep a message, if there is room; tell whether there was."""
        has_room = len(self) < READER_WAITING_MAX
        if has_room:
            self.append(frame)
        return has_room
