"""The members of a simulated venue: callers, each of a temper that says what it does and how often."""

from __future__ import annotations

from random import Random

from exchange.simulation.callers import PATIENCE_SECONDS, Caller
from exchange.simulation.plan import SECOND_NS
from exchange.simulation.seats import Seat
from exchange.simulation.tempers import deeds_of


class Member(Caller):
    """One seat's program."""

    def __init__(self, seat: Seat, temper: str) -> None:
        super().__init__(seat)
        self.temper = temper
        self._deeds, self._weights = deeds_of(temper)

    def deed(self, chance: Random, now: int) -> str:
        """Do one thing that this temper does; return its name, blank where there was nothing to be done.

        Nothing is done before the venue has welcomed the session for the first time.
        """
        self.look(now)
        if not self.session.logons:
            return ""
        self.begin_deed(chance.choice(PATIENCE_SECONDS) * SECOND_NS)
        (deed,) = chance.choices(self._deeds, self._weights)
        return deed(self, chance)
