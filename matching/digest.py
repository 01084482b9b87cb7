"""A fast hash of rows, so that two replicas can tell whether they hold the same state."""

from __future__ import annotations

import numpy as np

from matching.kernel import kernel, scrambled

_LANES = 4


@kernel
def digest_rows(words: np.ndarray, seed: int) -> int:
    """Return a 64-bit hash of int64 words, begun from `seed`.

    It is not meant against forgery: the journal's chain is.
    """
    one = scrambled(seed ^ len(words))
    two, three, four = one ^ 1, one ^ 2, one ^ 3
    whole = len(words) // _LANES * _LANES
    for at in range(0, whole, _LANES):
        one = scrambled(one ^ words[at])
        two = scrambled(two ^ words[at + 1])
        three = scrambled(three ^ words[at + 2])
        four = scrambled(four ^ words[at + 3])
    for at in range(whole, len(words)):
        one = scrambled(one ^ words[at])
    return scrambled(one ^ scrambled(two ^ scrambled(three ^ scrambled(four))))
