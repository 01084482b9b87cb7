"""What the venue remembers of client order ids, so that an id sent twice is one order.

Each member's last ids are kept with the order that they named and how it ended. A command that was
sent before the oldest id remembered is refused as too old: it is never taken twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from matching.kernel import kernel, lowest_bit, scrambled, wide
from matching.layout import zeros
from matching.vocabulary import NO_SLOT

IDS_PER_MEMBER = 65_536
"""How many ids of each member are remembered."""

MEMO = np.dtype(
    [
        ("client_id", "<i8", (3,)),
        ("sent_at", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("member", "<i4"),
        ("newer", "<i4"),
        ("instrument", "<i4"),
        ("programme", "<i4"),
        ("order", "<i8"),
        ("filled", "<i8"),
        ("gross", "<i8"),
        ("paid", "<i8"),
        ("fees", "<i8"),
        ("detail", "<i8"),
        ("slot", "<i4"),
        ("state", "u1"),
        ("reason", "u1"),
        ("side", "u1"),
        ("time_in_force", "u1"),
        ("unused", "<i8"),
    ]
)
"""One client id, two cache lines: what it named, and how that ended, which its end writes.

`slot` is its order's while it is open; `newer` is the next id of the same member."""

MARK = np.dtype([("tag", "<u4"), ("slot", "<i4")])
"""One place of the table from an id to its memo, eight bytes: half of what a whole key would take, and so
more of the table is in the processor's caches. A tag is the low word of an id's key; its place follows
from it. Two ids may share one: the memo tells them apart. A slot of `NO_SLOT` marks an empty place."""

_TAG = 2**32 - 1

RECALL = np.dtype(
    [("horizon", "<i8"), ("oldest", "<i4"), ("newest", "<i4"), ("count", "<i4"), ("unused", "<i4")]
)
"""One member's ids, oldest to newest. Nothing sent at or before `horizon` is taken any more."""

USED = np.dtype([("memos", "<i4"), ("ids_max", "<i4")])


SENT_AHEAD_NS_MAX = 60 * 10**9
"""How far ahead of the venue's a member's clock may be. What it sends is dated by it, and an id dated
far ahead would, once forgotten, make everything that follows too old."""

_HIGH_BITS = 0x8080808080808080 - 2**64
_LOW_BITS = 0x0101010101010101
"""Of each byte of a word: a byte is zero where subtracting one borrows from it."""


class Memory(NamedTuple):
    """The client ids of all members."""

    memos: np.ndarray
    marks: np.ndarray
    recalls: np.ndarray
    used: np.ndarray


def empty_marks(size: int) -> np.ndarray:
    """Return an empty table; `size` is a power of two, and twice what will stand in it."""
    marks = zeros(size, MARK)
    marks.view(np.uint8)[:] = 0xFF  # a slot of NO_SLOT; in one sweep, not a place at a time
    return marks


def empty_memory(ids_max: int = IDS_PER_MEMBER) -> Memory:
    """Return a memory without ids, which will keep `ids_max` of each member."""
    used = np.zeros(1, USED)
    used["ids_max"] = ids_max
    return Memory(
        memos=zeros(1024, MEMO),
        marks=empty_marks(2048),
        recalls=np.zeros(16, RECALL),
        used=used,
    )


@kernel
def is_text(words: np.ndarray) -> bool:
    """Tell whether a client id is 1 to 24 ASCII characters, and nothing but zeros behind them."""
    ended = False
    for at in range(3):
        word = words[at]
        if word & _HIGH_BITS != 0 or (ended and word != 0):
            return False
        gaps = (word - _LOW_BITS) & ~word & _HIGH_BITS
        if gaps != 0:
            ended = True
            if word >> (lowest_bit(gaps) - 7) != 0:
                return False
    return words[0] & 0xFF != 0


@kernel
def key_of_id(member: int, words: np.ndarray) -> int:
    """Return the id under which a member's client id is noted."""
    return scrambled(words[0] ^ scrambled(words[1] ^ scrambled(words[2] ^ scrambled(member))))


@kernel
def recall(memory: Memory, member: int, words: np.ndarray, key: int) -> int:
    """Return the memo of a member's client id, or `NO_SLOT`. O(1) expected."""
    marks = memory.marks
    mask = len(marks) - 1
    tag = key & _TAG
    at = tag & mask
    while marks[at].slot != NO_SLOT:
        if marks[at].tag == tag:
            memo = memory.memos[marks[at].slot]
            known = memo.client_id
            same = known[0] == words[0] and known[1] == words[1] and known[2] == words[2]
            if same and memo.member == member:
                return wide(marks[at].slot)
        at = (at + 1) & mask
    return NO_SLOT


@kernel
def mark(marks: np.ndarray, tag: int, slot: int) -> None:
    """Note the memo of an id that is not in the table yet."""
    mask = len(marks) - 1
    at = tag & mask
    while marks[at].slot != NO_SLOT:
        at = (at + 1) & mask
    marks[at].tag = tag
    marks[at].slot = slot


@kernel
def unmark(marks: np.ndarray, tag: int, slot: int) -> None:
    """Take an id out of the table, and move those behind it forward, so that no gap hides one."""
    mask = len(marks) - 1
    gap = tag & mask
    while marks[gap].slot != slot:
        gap = (gap + 1) & mask
    at = gap
    while True:
        at = (at + 1) & mask
        if marks[at].slot == NO_SLOT:
            break
        if (at - int(marks[at].tag)) & mask >= (at - gap) & mask:
            marks[gap].tag = marks[at].tag
            marks[gap].slot = marks[at].slot
            gap = at
    marks[gap].slot = NO_SLOT


@kernel
def note(memory: Memory, member: int, words: np.ndarray, key: int, sent_at: int) -> int:
    """Remember a new client id; the member's oldest is forgotten if there are too many. Returns its memo."""
    used = memory.used[0]
    ids = memory.recalls[member]
    if ids.count < used.ids_max:
        slot = used.memos
        used.memos = slot + 1
        ids.count += 1
        if ids.count == 1:
            ids.oldest = slot
    else:
        slot = ids.oldest
        gone = memory.memos[slot]
        ids.horizon = max(ids.horizon, gone.sent_at)
        ids.oldest = slot if gone.newer == NO_SLOT else gone.newer
        unmark(memory.marks, key_of_id(member, gone.client_id) & _TAG, slot)
    if ids.count > 1 and ids.newest != slot:
        memory.memos[ids.newest].newer = slot
    ids.newest = slot
    memo = memory.memos[slot]
    memo.client_id[0] = words[0]
    memo.client_id[1] = words[1]
    memo.client_id[2] = words[2]
    memo.member = member
    memo.sent_at = sent_at
    memo.newer = NO_SLOT
    memo.slot = NO_SLOT
    mark(memory.marks, key & _TAG, slot)
    return slot


@kernel
def note_all(marks: np.ndarray, more: np.ndarray) -> None:
    """Fill a larger table with what stands in a smaller one; place by place, both are walked along."""
    for at in range(len(marks)):
        if marks[at].slot != NO_SLOT:
            mark(more, int(marks[at].tag), marks[at].slot)


def note_memos(memory: Memory) -> Memory:
    """Return the memory with a table twice as large from client id to memo."""
    marks = empty_marks(2 * len(memory.marks))
    note_all(memory.marks, marks)
    return memory._replace(marks=marks)
