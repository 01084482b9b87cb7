"""`bourse report` writes what is asked for, where it is asked for, and says what is missing."""

from __future__ import annotations

import json
from contextlib import nullcontext

import polars
import pytest
from click.testing import CliRunner

from exchange.cli import report as command
from exchange.cli.base import bourse
from tests.settlement.tape import VOUCHER, a_day, founded, settle
from tests.settlement.test_statement import a_client


@pytest.fixture(scope="module")
def store():
    store, tape = founded()
    settle(store, a_day(tape))
    return store


@pytest.fixture
def run(store, monkeypatch):
    """Return how `bourse report` ends, asked by a provider who may see everything."""
    monkeypatch.setattr(command, "connected", lambda profile: nullcontext(a_client(store, "bob")))
    return lambda *arguments: CliRunner().invoke(bourse, ["report", *map(str, arguments)])


def test_a_daily_report_is_of_the_last_day_if_none_is_named(run):
    ended = run("daily")
    assert ended.exit_code == 0, ended.output
    assert "Instruments: 2026-11-05, as of sequence 14" in ended.output
    assert "QWEN3-MAX" in ended.output
    assert "QWEN3-MAX" not in run("daily", "--date", "2026-11-06").output


def test_as_json_it_is_one_object_with_a_list_a_section(run):
    told = json.loads(run("programme", "--json").output)
    assert (told["report"], told["subject"]) == ("programme", VOUCHER)
    assert told["sizes"][0]["subsidy"] == 1_320_000
    assert set(told) == {"report", "subject", "budget", "days", "sizes", "firms", "reasons", "terms"}


def test_a_page_is_written_by_the_name_of_its_file(run, tmp_path):
    ended = run("provider", "--out", tmp_path / "bob.html")
    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "bob.html").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_each_table_has_a_file_of_its_own(run, tmp_path, suffix):
    assert run("daily", "--out", tmp_path / f"day.{suffix}").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"day-course.{suffix}",
        f"day-instruments.{suffix}",
    ]
    read = polars.read_csv if suffix == "csv" else polars.read_parquet
    assert read(tmp_path / f"day-instruments.{suffix}")["amount"].to_list() == [7_145_000, 640_000]


def test_csv_without_a_file_is_written_table_by_table(run):
    told = run("provider", "--format", "csv").output
    assert told.startswith("# obligations\n")
    assert '"QWEN3-MAX",4,65,7145000' in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("daily", "--format", "parquet"), "name a file with --out"),
        (("daily", "--out", "day.xls"), "ends in none of .csv, .parquet, .html"),
        (("programme", "--programme", "NONE"), f"name one of {VOUCHER}"),
        (("provider", "--provider", "NOBODY"), "--provider NOBODY: name one of"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_remedy(run, arguments, told):
    ended = run(*arguments)
    assert ended.exit_code == 2
    assert told in ended.output
