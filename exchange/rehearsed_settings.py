"""What a dry run compares beside money: phases, states, limits, keys, groups, collars, fees, the calendar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import cast

from exchange.engine import Engine
from exchange.instruments import Kind
from exchange.protocol.rehearsals import Change
from matching.vocabulary import Phase
from settlement.classes import KINDS

MEMBER_LIMITS = ("open_orders_max", "quantity_max", "notional_max", "turnover_max")

LISTING_NUMBERS = ("list_price", "capacity", "issued", "redeemed", "expired")

WEIGHTS = ("weight_input", "weight_cached", "weight_output")


def phases_of(engine: Engine) -> dict[str, str]:
    """Return what each market is doing, by symbol."""
    phases = engine.core.book.markets["phase"].tolist()
    return {
        one.symbol: Phase(phase).name.lower()
        for one, phase in zip(engine.registry.instruments, phases, strict=False)
    }


def states_of(engine: Engine) -> dict[str, str]:
    """Return the listing state of each instrument, by symbol."""
    return {one.symbol: one.state for one in engine.registry.instruments}


def listings_changed(before: dict[str, str], after: dict[str, str], field: str) -> Iterator[Change]:
    """Yield what is another one than before; of a new instrument nothing was before."""
    for symbol, now in after.items():
        was = before.get(symbol, "")
        if was != now:
            yield Change(symbol, field, was, now)


def settings_of(engine: Engine) -> dict[tuple[str, str], int | str]:
    """Return what is set, by whom or what it is set of and by its name."""
    found: dict[tuple[str, str], int | str] = {}
    for subject, field, value in (
        *_of_members(engine),
        *_of_instruments(engine),
        *_of_programmes(engine),
        *_of_the_venue(engine),
    ):
        found[subject, field] = value
    return found


def settings_changed(
    before: dict[tuple[str, str], int | str], after: dict[tuple[str, str], int | str]
) -> Iterator[Change]:
    """Yield what is set anew; of what is new only what tells something."""
    for at in {**before, **after}:
        was, now = before.get(at, ""), after.get(at, "")
        if was != now and (at in before or now not in ("", 0)):
            yield Change(*at, was, now)


Setting = tuple[str, str, int | str]


def _of_members(engine: Engine) -> Iterator[Setting]:
    registry, rows = engine.registry, engine.core.ledger.members
    keys = Counter(registry.keys.values())
    for number, admitted in enumerate(registry.members):
        row, name = rows[number], admitted.member
        yield name, "group", registry.group_names[int(row["group"])]
        yield name, "blocked", "yes" if row["blocked"] else "no"
        yield name, "keys", keys[number]
        for field in MEMBER_LIMITS:
            yield name, field, int(row[field])
    for member, programme in engine.core.ledger.barred[
        : int(engine.core.ledger.totals[0]["barred"])
    ].tolist():
        yield registry.members[member].member, f"barred from {registry.programmes[programme].code}", "yes"


def _of_instruments(engine: Engine) -> Iterator[Setting]:
    listings, markets = engine.core.ledger.listings, engine.core.book.markets
    for index, listed in enumerate(engine.registry.instruments):
        for field in LISTING_NUMBERS:
            yield listed.symbol, field, int(listings[index][field])
        yield listed.symbol, "reference", int(markets[index]["reference"])
        for field in WEIGHTS:
            yield listed.symbol, field, getattr(listed, field)


def _of_programmes(engine: Engine) -> Iterator[Setting]:
    rows = engine.core.ledger.programmes
    for index, terms in enumerate(engine.registry.programmes):
        yield terms.code, "terms_version", int(rows[index]["terms_version"])
        yield terms.code, "closed", "yes" if rows[index]["closed"] else "no"
        for member in engine.registry.enrolled.get(index, ()):
            yield engine.registry.members[member].member, f"enrolled in {terms.code}", "yes"


def _of_the_venue(engine: Engine) -> Iterator[Setting]:
    registry = engine.registry
    for kind, fees in zip(KINDS, engine.core.ledger.fees, strict=True):
        for field in ("maker", "taker"):
            yield kind, f"{field}_fee", int(fees[field])
    for kind in KINDS:
        collars = registry.collars.get(cast("Kind", kind))
        for field in ("market", "static", "dynamic"):
            yield kind, f"{field}_collar", getattr(collars, field) if collars is not None else 0
    calendar = registry.calendar
    if calendar is not None:
        calls = ", ".join(f"{one.name} {one.opens:%H:%M} to {one.ends:%H:%M}" for one in calendar.calls)
        yield "calendar", "days", " ".join(calendar.weekdays)
        yield "calendar", "calls", calls
        yield "calendar", "closes", f"{calendar.closes:%H:%M}"
        yield "calendar", "holidays", len(calendar.holidays)
    for number, proposal in registry.proposals.items():
        yield "proposals", str(number), type(proposal.act).__name__
    for number, redemption in registry.redemptions.items():
        yield f"redemption {number}", "state", redemption.state
