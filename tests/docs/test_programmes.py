"""The worked examples of programmes come out as they are reckoned by hand."""

import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "manual" / "programmes.md"


def test_every_example_comes_out_as_reckoned():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert tried > 30
    assert failed == 0
