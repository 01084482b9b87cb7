"""How much of something each of many may be given at a time: a token bucket each, refilled evenly."""

from __future__ import annotations


class Allowance:
    """What each key has left. Who has anything left is given all he asks for, and may then owe.

    `now`, wherever it is asked for, is any clock that only rises, in seconds.
    """

    def __init__(self, per_second: int, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left: dict[str, tuple[float, float]] = {}

    def has_left(self, key: str, now: float) -> bool:
        """Tell whether a key may be given anything now."""
        return self._level(key, now) > 0

    def take(self, key: str, size: int, now: float) -> None:
        """Note that a key was given so much."""
        self._left[key] = self._level(key, now) - size, now

    def _level(self, key: str, now: float) -> float:
        level, since = self._left.get(key, (self._burst, now))
        return min(self._burst, level + (now - since) * self._per_second)
