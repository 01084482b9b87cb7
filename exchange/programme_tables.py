"""The ledger's tables by which kernels find whom and what a programme pays for, or not.

Instruments that terms name and programmes that they rule out are noted anew from all terms whenever terms
or instruments are new: that is seldom.
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
    size = len(ledger.included)
    while size < 2 * len(pairs) + 2:
        size *= 2
    included = empty_places(size)
    for instrument, programme in pairs:
        remember(included, inclusion_key(instrument, programme), programme)
    return ledger._replace(included=included)


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
