"""The ledger's tables by which kernels find whom and what a programme pays for, or not.

Instruments that terms name, programmes that they rule out and members that are enrolled are noted anew
whenever there are new ones: that is seldom.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from exchange.registry import Registry
from matching.layout import grown
from matching.places import empty_places, remember
from settlement.layout import EXCLUSION, Ledger
from settlement.programmes import inclusion_key
from settlement.terms import ProgrammeTerms


def with_inclusions(ledger: Ledger, registry: Registry) -> Ledger:
    """Return the ledger with a table of the listed instruments that programmes name."""
    pairs = [
        (registry.instrument_numbers[symbol], programme)
        for programme, terms in enumerate(registry.programmes)
        for symbol in dict.fromkeys(terms.instruments)
        if symbol in registry.instrument_numbers
    ]
    return ledger._replace(included=places_of(pairs, len(ledger.included)))


def with_enrolled(ledger: Ledger, registry: Registry) -> Ledger:
    """Return the ledger with a table of the members that are enrolled in programmes."""
    pairs = [
        (member, programme) for programme, members in registry.enrolled.items() for member in sorted(members)
    ]
    return ledger._replace(enrolled=places_of(pairs, len(ledger.enrolled)))


def places_of(pairs: list[tuple[int, int]], size: int) -> np.ndarray:
    """Return a table, of this size or larger, that finds pairs of an instrument or member and a programme."""
    while size < 2 * len(pairs) + 2:
        size *= 2
    places = empty_places(size)
    for number, programme in pairs:
        remember(places, inclusion_key(number, programme), programme)
    return places


def with_exclusions(ledger: Ledger, registry: Registry) -> Ledger:
    """Return the ledger with every pair of programmes that cannot go together, both ways."""
    pairs = [
        (one, other)
        for (one, terms), (other, others) in permutations(enumerate(registry.programmes), 2)
        if exclude_each_other(terms, others)
    ]
    exclusions = grown(np.zeros(len(ledger.exclusions), EXCLUSION), len(pairs))
    for row, pair in enumerate(pairs):
        exclusions[row] = pair
    ledger.totals["exclusions"] = len(pairs)
    ledger.programmes["excludes"] = 0
    for one, _ in pairs:
        ledger.programmes[one]["excludes"] = 1
    return ledger._replace(exclusions=exclusions)


def with_barred(ledger: Ledger, programme: int, member: int) -> Ledger:
    """Return the ledger with one more member that was found ineligible for a programme."""
    row = int(ledger.totals[0]["barred"])
    barred = grown(ledger.barred, row + 1)
    barred[row] = member, programme
    ledger.totals["barred"] = row + 1
    ledger.members[member]["is_barred"] = 1
    return ledger._replace(barred=barred)


def exclude_each_other(terms: ProgrammeTerms, others: ProgrammeTerms) -> bool:
    """Tell whether one group may not use both of two programmes in their year."""
    is_named = terms.code in others.excludes or others.code in terms.excludes
    return is_named and terms.fiscal_year == others.fiscal_year
