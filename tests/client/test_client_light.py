"""The client is light: what it loads, and the public names that it has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import exchange
from exchange.client import errors

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"numba", "duckdb", "numpy", "pyarrow", "polars", "pandas"}
LOADED = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"


def loaded_by(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LOADED}"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return set(run.stdout.split())


def test_to_import_the_exchange_loads_nothing_that_is_not_needed():
    loaded = loaded_by("import exchange")
    assert loaded & (HEAVY | {"zmq", "msgspec"}) == set()


@pytest.mark.parametrize(
    "code",
    [
        "import exchange; [getattr(exchange, name) for name in exchange.__all__]",
        "from exchange import connect_sync",
        "import exchange.profiles",
    ],
)
def test_no_compiler_array_or_database_is_loaded_by_the_client(code):
    loaded = loaded_by(code)
    assert "exchange" in loaded
    assert loaded & HEAVY == set()


def test_the_check_sees_what_is_heavy():
    assert "numpy" in loaded_by("import exchange, numpy")


def test_every_public_name_is_there():
    for name in exchange.__all__:
        assert getattr(exchange, name).__name__ == name
    assert sorted(exchange.__all__) == exchange.__all__ == dir(exchange)
    with pytest.raises(AttributeError, match="no attribute 'connekt'"):
        _ = exchange.connekt


def test_the_tree_that_is_drawn_is_the_tree_that_grows():
    """Every exception of the client stands in the drawing, below its own parent."""
    drawn = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        word = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        if not word.startswith("    ") or not word.strip():
            continue
        depth = (len(word) - len(word.lstrip())) // 4
        name = word.split()[0]
        path = [*path[: depth - 1], name]
        drawn[name] = path[-2] if depth > 1 else None
    grown = {
        name: kind.__bases__[0].__name__ if kind is not errors.ExchangeError else None
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert drawn == grown
    assert set(grown) <= set(exchange.__all__)


def test_each_error_has_its_own_code():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = [kind.code for kind in kinds if issubclass(kind, errors.ExchangeError)]
    assert len(set(codes)) == len(codes)
