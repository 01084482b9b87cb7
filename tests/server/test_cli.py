"""`bourse` as a person calls it: against a running venue, and on its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.cli.base import EXIT_DAMAGED, EXIT_REFUSED, EXIT_UNREACHABLE, SECTIONS
from exchange.config import Settings
from exchange.server.folder import Folder
from exchange.server.standard import found_standard
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up

BOURSE = [sys.executable, "-c", "from exchange.cli import main; main()"]


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """Yield the folder of a running standard venue."""
    warm_up()
    folder = Folder(tmp_path_factory.mktemp("cli") / "venue")
    found_standard(folder)
    supervisor = Supervisor(folder, Settings(), print)
    try:
        supervisor.start()
        yield folder.root
    finally:
        supervisor.stop()


def call(venue, *arguments, code=0):
    """Run `bourse` in a process of its own; return what it prints."""
    environment = {**os.environ, "BOURSE_VENUE": str(venue), "COLUMNS": "160"}
    done = subprocess.run(
        [*BOURSE, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def facts(venue, *arguments):
    """Run `bourse ... --json`; return the one object that it prints."""
    return json.loads(call(venue, *arguments, "--json"))


def bids_as_of(venue, sequence):
    """Return the bids once the feed has come to a sequence, which it does in its own time."""
    for _ in range(20):
        told = facts(venue, "book", "QWEN3-MAX")
        if told["sequence"] >= sequence:
            return told["bids"]
    pytest.fail(f"the feed has not come to {sequence}")


def test_a_firms_day(venue):
    assert facts(venue, "account")["money"] == {"available": 10**11, "held": 0}
    sold = facts(venue, "place", "sell", "QWEN3-MAX", "100", "6.11", "--as", "alibaba")
    assert (sold["state"], sold["leaves"]) == ("open", 100)
    year = next(iter(facts(venue, "account")["programmes"]))["programme"]
    bought = facts(venue, "place", "buy", "QWEN3-MAX", "250", "6.11", "--programme", year, "--id", "rebal-1")
    assert (bought["filled"], bought["subsidy"]) == (100, 100 * 61_100 * 3 // 10)
    assert [order["order"] for order in facts(venue, "orders")["orders"]] == [bought["order"]]
    assert bids_as_of(venue, bought["sequence"])[0][:2] == [61_100, 150]
    assert facts(venue, "cancel", str(bought["order"]))["state"] == "cancelled"
    assert "QWEN3-MAX" in call(venue, "account")
    assert facts(venue, "status")["trades"] == 1


def test_orders_with_instructions_are_placed_reduced_and_cancelled_together(venue):
    place = ("place", "buy", "QWEN3-MAX", "20", "0.02")
    until = ("--expires-at", "2099-12-31 15:00:00")
    slices = ("--display-quantity", "5", "--post-only", "--self-trade", "cancel_taker")
    iceberg = facts(venue, *place, *until, *slices)
    assert (iceberg["state"], iceberg["leaves"]) == ("open", 20)
    assert bids_as_of(venue, iceberg["sequence"])[-1][:2] == [200, 5]
    assert facts(venue, "reduce", str(iceberg["order"]), "4")["quantity"] == 16
    assert facts(venue, *place, "--tif", "fok")["state"] == "cancelled"
    assert facts(venue, *place, "--minimum-quantity", "20")["state"] == "cancelled"
    ended = facts(venue, "cancel", "--all", "--instrument", "QWEN3-MAX", "--side", "buy")["orders"]
    assert [(one["order"], one["quantity"]) for one in ended] == [(iceberg["order"], 16)]
    assert facts(venue, "cancel", "--all")["orders"] == []


def test_orders_of_every_type_are_placed_and_replaced(venue):
    facts(venue, "place", "sell", "QWEN3-MAX", "10", "6.30", "--as", "alibaba")
    market = facts(venue, "place", "buy", "QWEN3-MAX", "4", "6.30", "--type", "market")
    assert (market["type"], market["state"], market["filled"]) == ("market", "filled", 4)
    stop = ("place", "buy", "QWEN3-MAX", "2", "6.40", "--type", "stop_limit", "--stop-price", "6.35")
    parked = facts(venue, *stop)
    assert (parked["state"], parked["stop_price"]) == ("open", 63_500)
    number = str(parked["order"])
    moved = facts(venue, "replace", number, "--stop-price", "6.36", "--quantity", "3")
    assert (moved["stop_price"], moved["price"], moved["quantity"]) == (63_600, 64_000, 3)
    assert "6.36" in call(venue, "orders")
    trailing = ("place", "sell", "QWEN3-MAX", "1", "6.00", "--type", "trailing_stop", "--trail", "0.20")
    assert facts(venue, *trailing)["stop_price"] == 63_000 - 2_000
    assert "give --price, --quantity or --stop-price" in call(venue, "replace", number, code=2)
    assert len(facts(venue, "cancel", "--all")["orders"]) == 2


def test_a_firm_redeems_withdraws_and_reads_its_statement(venue):
    facts(venue, "place", "sell", "QWEN3-MAX", "5", "6.20", "--as", "alibaba")
    facts(venue, "place", "buy", "QWEN3-MAX", "5", "6.20")
    number = str(facts(venue, "redeem", "QWEN3-MAX", "2", "--reference", "REQ-1")["redemption"])
    assert number in call(venue, "redemptions")
    facts(venue, "deliver", number, "--as", "alibaba")
    facts(venue, "withdraw", "1.00", "--reference", "W-1")
    told = facts(venue, "account", "--statement")
    reasons = {movement["reason"] for one in told["accounts"] for movement in one["movements"]}
    assert {"deposit", "trade", "redeem", "burn", "withdrawal"} <= reasons
    assert "withdrawal" in call(venue, "account", "--statement", "--from", "2020-01-01")
    assert "go with --statement" in call(venue, "account", "--from", "2020-01-01", code=2)


def test_an_analysts_questions(venue):
    rows = facts(venue, "sql", "select instrument, count(*) as n from instruments group by 1 limit 3")["rows"]
    assert len(rows) == 3
    for command in ("trades", "bars"):
        assert isinstance(facts(venue, command, "QWEN3-MAX")["rows"], list)
    assert isinstance(facts(venue, "fills")["fills"], list)
    assert len(facts(venue, "instruments", "--kind", "agent")["instruments"]) == 44


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("place", "buy", "QWEN3-MIN", "1", "6.11"), "QWEN3-MAX"),
        (("place", "buy", "QWEN3-MAX", "1", "6.115"), "multiple of the tick"),
        (("place", "buy", "QWEN3-MAX", "0", "6.11"), "at least 1"),
        (("place", "buy", "QWEN3-MAX", "-5", "6.11"), "No such option"),
        (("place", "sell", "QWEN3-MAX", "1000", "6.11"), "lots that are available"),
        (("place", "buy", "QWEN3-MAX", "99999999", "6.11"), "deposit"),
        (("place", "buy", "QWEN3-MAX", "1", "6.11", "--programme", "NONE"), "choose one"),
        (("cancel", "12345678"), "unknown_order"),
        (("cancel",), "give the number of an order, or --all"),
        (("cancel", "12345678", "--all"), "give the number of an order, or --all"),
        (("cancel", "12345678", "--side", "buy"), "go with --all"),
        (("reduce", "12345678", "1"), "unknown_order"),
        (("place", "buy", "QWEN3-MAX", "1", "6.11", "--tif", "gtd"), "give expires_at with gtd"),
        (("sql", "drop table trades"), "send a query"),
        (("account", "--as", "nobody"), "there is no profile"),
    ],
)
def test_bad_input_is_told_with_its_remedy(venue, arguments, told):
    done = subprocess.run(
        [*BOURSE, *arguments],
        env={**os.environ, "BOURSE_VENUE": str(venue)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (2, EXIT_REFUSED)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_venue_that_is_not_there_is_told_so(tmp_path, venue):
    import msgspec

    from exchange.profiles import load_profile, write_profile

    profile = load_profile(venue / "keys" / "sandbox.toml")
    nowhere = msgspec.structs.replace(profile.endpoints, orders="tcp://127.0.0.1:1")
    write_profile(tmp_path / "gone.toml", msgspec.structs.replace(profile, endpoints=nowhere))
    told = call(venue, "account", "--as", str(tmp_path / "gone.toml"), code=EXIT_UNREACHABLE)
    assert "nothing answers" in told


def test_verify_and_replay_a_folder(tmp_path):
    runner = CliRunner()
    done = runner.invoke(
        bourse, ["demo", "--orders", "1500", "--seed", "3", "--json", "--data", str(tmp_path / "v")]
    )
    assert done.exit_code == 0, done.output
    demo = json.loads(done.stdout.splitlines()[-1])
    verified = json.loads(runner.invoke(bourse, ["verify", str(tmp_path / "v"), "--json"]).stdout)
    assert (verified["ok"], verified["state_hash"]) == (True, demo["state_hash"])
    replayed = json.loads(runner.invoke(bourse, ["replay", str(tmp_path / "v"), "--json"]).stdout)
    assert (replayed["commands"], replayed["state_hash"]) == (demo["commands"], demo["state_hash"])
    answers = tmp_path / "answers.csv"
    answers.write_text("order,client_id,member\n999999,nobody-1,ANN\n")
    told = runner.invoke(bourse, ["verify", str(tmp_path / "v"), "--answers", str(answers), "--json"])
    assert told.exit_code == EXIT_DAMAGED
    segment = next((tmp_path / "v" / "journal").glob("*.journal"))
    data = bytearray(segment.read_bytes())
    data[600] ^= 1
    segment.write_bytes(data)
    broken = runner.invoke(bourse, ["verify", str(tmp_path / "v")])
    assert broken.exit_code == EXIT_DAMAGED
    assert "byte" in broken.stdout


@pytest.mark.slow
def test_the_demo_depends_on_its_seed_alone():
    runner = CliRunner()
    told = [
        json.loads(
            runner.invoke(bourse, ["demo", "--orders", "2000", "--seed", seed, "--json"]).stdout.splitlines()[
                -1
            ]
        )
        for seed in ("7", "7", "8")
    ]
    assert told[0]["state_hash"] == told[1]["state_hash"] != told[2]["state_hash"]
    assert told[0]["balanced"]
    assert told[0]["rebuilt_equal"]
    assert told[0]["subsidised_trades"] > 10


def test_every_command_shows_an_example():
    for name, command in bourse.commands.items():
        assert (command.epilog or "").lstrip("\b\n").startswith("Example"), name


def test_the_help_lists_every_command_once():
    named = [name for names in SECTIONS.values() for name in names.split()]
    assert sorted(named) == sorted(bourse.commands)
    told = CliRunner().invoke(bourse, ["--help"]).output
    assert "Run a venue:\n  serve " in told
    assert all(f"\n  {name} " in told for name in named)


def test_every_command_answers_in_json_but_the_one_that_runs_for_good():
    commands = dict(bourse.commands)
    for name, group in bourse.commands.items():
        if isinstance(group, click.Group):
            commands |= {f"{name} {part}": one for part, one in group.commands.items()}
            del commands[name]
    without = {
        name for name, one in commands.items() if not any("--json" in option.opts for option in one.params)
    }
    assert without == {"serve"}
