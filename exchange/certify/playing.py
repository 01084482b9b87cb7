"""All cases, and how they are played: one after the other, each told as it is done."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

import msgspec

from exchange.certify import disconnect, flood, logon, orders, recovery
from exchange.certify.case import Case, Result
from exchange.certify.failed import Failed
from exchange.certify.scene import Scene
from exchange.certify.venue import FIRM, SYMBOL, ThrowAwayVenue
from exchange.client.errors import ExchangeError
from exchange.profiles import Profile

CASES: tuple[Case, ...] = (
    *logon.CASES,
    *orders.CASES,
    *disconnect.CASES,
    *flood.CASES,
    *recovery.CASES,
)

Told = Callable[[Result], None]


def chosen(names: Sequence[str]) -> tuple[Case, ...]:
    """Return the cases and groups of these names, all if none is named. Raises `KeyError`."""
    for name in names:
        if not any(name in (case.name, case.group) for case in CASES):
            raise KeyError(name)
    return tuple(case for case in CASES if not names or {case.name, case.group} & {*names})


def certify(cases: Sequence[Case], told: Told) -> list[Result]:
    """Play cases on a venue that is founded for them and thrown away. Raises `VenueFailed`."""
    with ThrowAwayVenue() as venue:
        return [*played(cases, venue.profile(FIRM), SYMBOL, venue, told)]


def certify_on(profile: Profile, cases: Sequence[Case], symbol: str, told: Told) -> list[Result]:
    """Play what cases can be played on a test venue that runs already."""
    return [*played(cases, profile, symbol, None, told)]


def played(
    cases: Sequence[Case], firm: Profile, symbol: str, venue: ThrowAwayVenue | None, told: Told
) -> Iterator[Result]:
    """Play cases one after the other."""
    for case in cases:
        if case.needs_venue and venue is None:
            result = Result(case, "not played", "it needs a venue of its own: leave out --as")
        else:
            result = outcome_of(case, Scene(case.name, firm, symbol, venue))
        told(result)
        yield result


def outcome_of(case: Case, scene: Scene) -> Result:
    """Play one case, and tell how it ended. It begins and ends without open orders."""
    try:
        scene.tidy()
        try:
            case.play(scene)
        finally:
            scene.tidy()
    except (Failed, ExchangeError, OSError, msgspec.MsgspecError, struct.error) as error:
        return Result(case, "failed", f"{error}" or type(error).__name__)
    return Result(case, "passed")
