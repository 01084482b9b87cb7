"""A table from an int64 id to a slot: open addressing, no tombstones, at most half full.

For tables whose rows cannot bear the chain of their own finding, as an order's does (`matching.ids`):
accounts, programmes' usage, client ids.
"""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel
from matching.vocabulary import NO_SLOT

PLACE = np.dtype([("id", "<i8"), ("slot", "<i4"), ("unused", "u1", (4,))])
"""One place of a table. A slot of `NO_SLOT` marks an empty place."""


_LOW_31 = 2**31 - 1
_GOLDEN = 0x9E3779B1
"""An odd number near 2**32 / golden ratio (Knuth, volume 3, 6.4)."""


def empty_places(size: int) -> np.ndarray:
    """Return an empty table; `size` is a power of two, and twice what will stand in it."""
    places = np.zeros(size, PLACE)
    places["slot"] = NO_SLOT
    return places


@kernel
def home_of(key: int, mask: int) -> int:
    """Return where an id is looked for first: four neighbouring ids share a line of the cache.

    Without the scattering, new ids that came round to a dense run of old ones cost 25 µs a command;
    with it but without the lines, a large book costs a cache miss an id. No product leaves int64.
    """
    line = key >> 2
    product = ((line ^ (line >> 31)) & _LOW_31) * _GOLDEN
    return (((product ^ (product >> 31)) << 2) | (key & 3)) & mask


@kernel
def find(places: np.ndarray, key: int) -> int:
    """Return the slot noted for this id, or `NO_SLOT`. O(1) expected."""
    mask = len(places) - 1
    at = home_of(key, mask)
    while places[at].slot != NO_SLOT:
        if places[at].id == key:
            return places[at].slot
        at = (at + 1) & mask
    return NO_SLOT


@kernel
def remember(places: np.ndarray, key: int, slot: int) -> None:
    """Note the slot of an id that is not in the table yet."""
    mask = len(places) - 1
    at = home_of(key, mask)
    while places[at].slot != NO_SLOT:
        at = (at + 1) & mask
    places[at].id = key
    places[at].slot = slot


@kernel
def forget(places: np.ndarray, key: int, slot: int) -> None:
    """Take an id out of the table, and move those behind it forward, so that no gap hides one."""
    mask = len(places) - 1
    gap = home_of(key, mask)
    while places[gap].slot != slot:
        gap = (gap + 1) & mask
    at = gap
    while True:
        at = (at + 1) & mask
        if places[at].slot == NO_SLOT:
            break
        home = home_of(places[at].id, mask)
        if (at - home) & mask >= (at - gap) & mask:
            places[gap].id = places[at].id
            places[gap].slot = places[at].slot
            gap = at
    places[gap].slot = NO_SLOT
