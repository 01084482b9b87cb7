"""The package `matching` as a library: its names, and what they cost who does not use them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import matching
from matching.batch import match
from matching.layout import COMMAND, EVENT, empty_book


def test_every_public_name_is_the_one_that_is_meant():
    assert dir(matching) == sorted(matching.__all__) == matching.__all__
    assert (matching.match, matching.empty_book) == (match, empty_book)
    assert (matching.COMMAND, matching.EVENT) == (COMMAND, EVENT)
    with pytest.raises(AttributeError, match="module 'matching' has no attribute 'macth'"):
        _ = matching.macth


def test_the_words_cost_no_compiler():
    code = "import sys, matching.vocabulary; print({'numba', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_arrays_go_in_and_arrays_come_out():
    book, events = matching.match(matching.empty_book(1), np.zeros(1, matching.COMMAND))
    assert (events.dtype, len(events)) == (EVENT, 1)
    assert len(book.markets) == 1
