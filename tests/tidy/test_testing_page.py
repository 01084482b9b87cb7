"""The page about tests names what is there, and its counts are those of the tests."""

from __future__ import annotations

import re

from tests.engine import test_engine_differential as engine
from tests.fuzz import test_fuzz
from tests.journal import test_faults, test_mutations
from tests.matching import test_auction_oracle as auctions
from tests.matching import test_differential as matching
from tests.side_by_side import ROOT
from tests.simulation import test_simulate

PAGE = ROOT.joinpath("docs", "testing.md").read_text("utf-8")


def row_of(file: str, word: str) -> list[str]:
    """Return the cells of the one row that promises something, names a file and says a word."""
    promised = PAGE.split("## What is promised")[1].split("## ")[0].splitlines()
    (row,) = (line for line in promised if file in line and word in line and line.startswith("|"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def numbers(cells: list[str]) -> list[int]:
    """Return the first number of each cell that has one."""
    found = (re.search(r"\d[\d,]*", cell) for cell in cells)
    return [int(match[0].replace(",", "")) for match in found if match]


def test_every_file_and_folder_that_is_named_is_there():
    named = re.findall(r"tests/[\w/.]+\w", PAGE)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
    table = PAGE.split("## What stands where")[1].split("## ")[0]
    folders = re.findall(
        r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line)
    )
    assert len(folders) > 10
    assert [folder for folder in folders if not (ROOT / "tests" / folder).is_dir()] == []


def test_counts_are_those_of_the_tests():
    book = matching.SEEDS_AT_SCALE_1 * matching.COMMANDS_A_SEED
    assert numbers(row_of("test_differential.py", "matching kernels")[1:4]) == [10**6, book, 10 * book]
    twin = engine.FLOWS * engine.COMMANDS
    assert numbers(row_of("test_engine_differential.py", "twin")[1:3]) == [10**6, twin]
    assert twin + 52 * engine.COMMANDS > 10**6
    damaged = test_mutations.MUTATIONS
    assert numbers(row_of("test_mutations.py", "records")[1:4]) == [10**5, damaged // 10, damaged]
    books = [auctions.BOOKS, auctions.BOOKS_SLOW]
    assert numbers(row_of("test_auction_oracle.py", "auctions")[2:4]) == books
    assert numbers(row_of("test_faults.py", "rename")[2:3]) == [len(test_faults.CALLS)]
    seeds = [test_simulate.ALL_SEEDS, test_simulate.SEEDS, test_simulate.ALL_SEEDS]
    assert numbers(row_of("test_simulate.py", "simulated")[1:4]) == seeds
    frames = [test_fuzz.FLOOD, test_fuzz.FLOOD_QUICK, test_fuzz.FLOOD]
    assert numbers(row_of("test_fuzz.py", "decoder")[1:4]) == frames
