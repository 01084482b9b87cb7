"""The table from an order's id to its slot: how long its chains become, and that it equals a dict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.batch import roomier
from matching.ids import find, forget, head_of, note_ids, remember
from matching.layout import Book, empty_book, empty_heads
from matching.vocabulary import NO_SLOT

ID_MAX = 2**63 - 1
SIZES = [64, 4_096]
CHAIN_MAX = 8
"""Chance alone makes chains of 4 to 6 in a table of 4,096 heads for half as many ids."""
A_MORNING = 1_764_000_000 * 10**9
"""A time in ns since 1970."""


def longest_chain(ids: Iterable[int], size: int) -> int:
    """Return how many of the ids, as many as a table of this size takes, come to one head at most."""
    few = [order for order, _ in zip(ids, range(size // 2), strict=False)]
    return max(Counter(int(head_of(order, size - 1)) for order in few).values())


def ids_apart(first: int, step: int) -> list[int]:
    """Return as many ids as any table here takes, all so far apart, up to the largest."""
    ids = (first + number * step for number in range(max(SIZES) // 2))
    return list(takewhile(lambda order: order <= ID_MAX, ids))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", [1, 12_345, 2**31 - 100, 2**40 + 1, 2**62])
def test_ids_in_sequence_hardly_ever_share_a_head(first, size):
    assert longest_chain(ids_apart(first, 1), size) <= 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("power", range(1, 62))
def test_ids_with_equal_low_bits_spread(power, size):
    assert longest_chain(ids_apart(2**power, 2**power), size) <= CHAIN_MAX
    assert longest_chain(ids_apart(2**power + 3, 2**power), size) <= CHAIN_MAX


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [100, 250, 1_000, 10**4, 10**5, 10**6, 10**9, 60 * 10**9])
def test_times_spread(step, size, seed):
    assert longest_chain(ids_apart(A_MORNING, step), size) <= CHAIN_MAX
    gaps = np.random.default_rng([seed, step]).integers(1, 2 * step, max(SIZES) // 2)
    assert longest_chain(accumulate(gaps.tolist(), initial=A_MORNING), size) <= CHAIN_MAX


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [16, 24, 32, 40, 48])
def test_ids_of_many_members_each_in_sequence_spread(shift, size):
    ids = [(member << shift) + number for number in range(1, 129) for member in range(1, 17)]
    assert longest_chain(ids, size) <= CHAIN_MAX


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("highest", [2**31, ID_MAX])
def test_random_ids_spread(highest, size, seed):
    ids = np.random.default_rng(seed).integers(1, highest, max(SIZES) // 2)
    assert longest_chain(ids.tolist(), size) <= CHAIN_MAX


@given(st.integers(1, ID_MAX), st.integers(0, 31))
def test_a_head_is_in_the_table(order, bits):
    mask = 2**bits - 1
    assert 0 <= head_of(order, mask) <= mask


# --- against a dict ----------------------------------------------------------------------------


ROOM = 40


def table(heads: int) -> Book:
    """Return a book with an empty table of ids of this size."""
    return roomier(empty_book(), ROOM)._replace(heads=empty_heads(heads))


def chain_slots(book: Book) -> list[int]:
    """Return the slots that the chains hold, each as often as they do."""
    slots = []
    for head in book.heads.tolist():
        slot = head
        while slot != NO_SLOT:
            slots.append(slot)
            slot = int(book.orders["chain"][slot])
    return slots


IDS = [1, 2, 3, 16, 17, 4_096, 2 * 4_096, 2**31, 2**31 + 1, 2**40, 3 * 2**40, 2**62, ID_MAX]


@given(st.sampled_from([2, 4, 64]), st.lists(st.sampled_from(IDS), max_size=60))
def test_the_table_finds_what_a_dict_finds(heads, changes):
    book = table(heads)
    slots: dict[int, int] = {}
    for order in changes:
        if order in slots:
            slot = slots.pop(order)
            forget(book, slot)
        else:
            slot = slots[order] = min(set(range(len(IDS))) - set(slots.values()))
            book.orders["id"][slot] = order
            remember(book, slot)
        assert {known: find(book, known) for known in IDS} == {
            known: slots.get(known, NO_SLOT) for known in IDS
        }
        assert sorted(chain_slots(book)) == sorted(slots.values())


@given(st.sets(st.integers(1, ID_MAX), max_size=ROOM), st.sampled_from([2, 64]))
def test_a_larger_table_is_filled_from_the_orders_that_are_open(ids, heads):
    book = table(heads)
    open_ids = sorted(ids)[::2]
    for slot, order in enumerate(sorted(ids)):
        book.orders[["id", "leaves"]][slot] = (order, order in open_ids)
    book.counts["orders_used"] = len(ids)
    note_ids(book)
    assert len(chain_slots(book)) == len(open_ids)
    assert [book.orders["id"][find(book, order)] for order in open_ids] == open_ids
    assert all(find(book, order) == NO_SLOT for order in ids.difference(open_ids))


def test_an_empty_table_holds_nothing():
    assert [find(table(8), order) for order in (*IDS, 0, -1, -(2**63))] == [NO_SLOT] * (len(IDS) + 3)
