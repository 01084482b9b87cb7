"""Both differentials played small: a mutant meets them within seconds though kernels are plain Python.

Pytest collects this file only where it is named. `make test` plays the same flows a hundred times as long.
"""

from __future__ import annotations

from itertools import repeat

import pytest

from tests.engine import differential as of_the_engine
from tests.engine.flow import Flow, MoneyFlow
from tests.matching import differential as of_the_book
from tests.matching.crowd import crowded


def book() -> None:
    """Play kernels and reference for half a second."""
    of_the_book.play_seed(1, 150, inspect=True)
    of_the_book.play(*crowded(1, 100), repeat(50), inspect=True)


def engine() -> None:
    """Play engine and twin for a second."""
    of_the_engine.play_seed(1, 200)
    of_the_engine.play_seed(1, 200, flow=MoneyFlow)


@pytest.mark.parametrize("number", [2])
def test_kernels_equal_the_reference(number):
    assert of_the_book.play_seed(number, 600, inspect=True).total() > 600


@pytest.mark.parametrize("number", [2, 3, 4])
def test_kernels_equal_the_reference_in_crowded_calls(number):
    tape, markets = crowded(number, 150)
    assert of_the_book.play(tape, markets, repeat(50), inspect=True).total() > 150


@pytest.mark.parametrize("flow", [Flow, MoneyFlow])
@pytest.mark.parametrize("number", [2])
def test_engine_equals_its_twin(number, flow):
    assert of_the_engine.play_seed(number, 700, flow=flow).outcomes.total() > 700
