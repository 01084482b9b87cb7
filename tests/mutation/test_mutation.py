"""What decides about mutants: they are planted, explained by name, and met by tests that exist."""

from __future__ import annotations

import ast
import importlib
import sys
import tomllib
from pathlib import Path

import pytest

from tests.mutation import planting
from tests.mutation.scope import SCOPE

ROOT = Path(__file__).resolve().parents[2]
EXPLAINED = tomllib.loads(Path(__file__).with_name("explained.toml").read_text("utf-8"))["mutant"]
SOURCE = """
FEE = 5

def fee(amount):
    return amount * FEE

class Book:
    def best(self):
        return 1
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    path = tmp_path / "some_rules.py"
    path.write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(planting, "PROJECT", ("some_rules",))
    yield importlib.import_module("some_rules")
    sys.modules.pop("some_rules", None)


@pytest.mark.parametrize(
    ("line", "instead", "fee", "best"),
    [
        ("amount * FEE", "amount + FEE", 12, 1),
        ("return 1", "return 2", 35, 2),
        ("FEE = 5", "FEE = 6", 42, 1),
        ("(amount)", "(amount, FEE=4)", 28, 1),
    ],
)
def test_a_planted_change_is_what_runs(module, line, instead, fee, best):
    path = module.__file__
    changed = SOURCE.replace(line, instead)
    Path(path).write_text(changed + "\n")
    planting.plant(path, SOURCE, changed, "some_rules")
    now = sys.modules["some_rules"]
    assert (now.fee(7), now.Book().best()) == (fee, best)


def test_every_module_and_every_test_of_the_scope_is_there():
    for module, gate in SCOPE.items():
        assert (ROOT / module).is_file(), module
        assert gate.tests, module
        for test in gate.tests:
            path, _, name = test.partition("::")
            functions = {
                one.name
                for one in ast.parse((ROOT / path).read_text("utf-8")).body
                if isinstance(one, ast.FunctionDef)
            }
            assert not name or name in functions, test


@pytest.mark.parametrize("one", EXPLAINED, ids=lambda one: f"{one['module']}: {one['after']}")
def test_what_is_explained_still_stands_in_the_code(one):
    assert one["module"] in SCOPE
    assert one["before"] != one["after"]
    assert len(one["why"]) > 20
    assert one["before"] in [line.strip() for line in (ROOT / one["module"]).read_text("utf-8").splitlines()]
