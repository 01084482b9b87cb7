"""The public tool `tracebook-conformance` plays its FIFO profiles against our matching, and finds nothing.

Each profile is a handful of fixed traces and a campaign of random ones, each event of which is played by
the tool's own engine too: outcome, trades and the whole book in its priority must be equal after every one.
`pytest -s` prints a line for each; `adapter.py` tells the command that writes the tool's whole report.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tracebook.conformance import (
    BUNDLED_SUITE_VERSIONS,
    QualificationResult,
    campaign_profile_names,
    copy_bundled_conformance_suite,
    run_campaign,
    run_conformance_suite,
    run_qualification,
)

from matching.view import orders_of
from matching.vocabulary import EVERY, CommandKind
from tests.conformance.adapter import TokenbourseAdapter, command, lots_in

HERE = Path(__file__).parent
PROFILES = ("fifo-full-v1", "fifo-limit-v1", "fifo-partial-fill-v1")
TRACES = 5
EVENTS_A_TRACE = 200
"""The tool sets a trap for each trace's priority among its first 175 events."""


def test_the_tool_has_no_other_profile():
    assert set(campaign_profile_names()) == set(PROFILES)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_fifo_profile_passes(profile, seed, scale):
    result = run_qualification(
        TokenbourseAdapter, profile, seed=seed, traces=TRACES * scale, events_per_trace=EVENTS_A_TRACE
    )
    print(f"\n{line_of(result)}")  # noqa: T201  shown by `pytest -s`
    assert result.qualified, difference_of(result)


@pytest.mark.parametrize("version", BUNDLED_SUITE_VERSIONS)
def test_every_fixed_trace_that_is_not_pro_rata_passes(version, tmp_path):
    """Self-trade prevention is among them, which no profile asks for."""
    suite = copy_bundled_conformance_suite(tmp_path / version, suite_version=version)
    fifo = replace(
        suite, cases=tuple(case for case in suite.cases if case.config.matching_algorithm == "fifo")
    )
    report = run_conformance_suite(fifo, TokenbourseAdapter)
    assert len(fifo.cases) == len(suite.cases) - 1
    assert report["conformant"], json.dumps(report["cases"], indent=2)


def test_the_tool_drives_us_as_a_process_of_our_own(tmp_path):
    suite = copy_bundled_conformance_suite(tmp_path / "suite")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tracebook.conformance.cli"),
            *("run", str(suite.root / "fifo-lifecycle.jsonl"), "--timeout", "60"),
            *("--candidate", sys.executable, str(HERE / "adapter.py")),
        ],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["candidate_engine"]["name"], report["compared_events"]) == ("tokenbourse", 10)


# --- canaries: an engine that does something else is found out ---------------------------------


class LastComeFirstServed(TokenbourseAdapter):
    """Who comes last at a price stands first: all who were there enter again, behind him."""

    def commands_for(self, event):
        commands = super().commands_for(event)
        if event.op != "new":
            return commands
        new = commands[0]
        instrument, side = new["instrument"], new["side"]
        older = orders_of(self.book, instrument, side)
        older = older[older["price"] == new["price"]]
        again = [self.entered_again(order, instrument, side, order["leaves"]) for order in older]
        return np.concatenate([commands, *again])


class ReplacedKeepsItsPlace(TokenbourseAdapter):
    """A replaced order keeps its place at its price if it does not grow: our own rule, and not the tool's."""

    def entered_again(self, standing, instrument, side, leaves):
        filled = standing["quantity"] - standing["leaves"]
        return command(CommandKind.REPLACE, order=standing["id"], member=EVERY, quantity=filled + leaves)


class ReducedLosesItsPlace(TokenbourseAdapter):
    """A reduced order goes to the back of its queue."""

    def commands_for(self, event):
        commands = super().commands_for(event)
        instrument = self.instrument_of(event.symbol)
        found = self.find(commands[0]["order"], instrument)
        if event.op != "reduce" or found is None:
            return commands
        side, standing = found
        leaves = standing["leaves"] - lots_in(event.quantity)
        return self.entered_again(standing, instrument, side, leaves) if leaves > 0 else commands


class TakersPrice(TokenbourseAdapter):
    """A trade is made at the taker's price."""

    def apply(self, event, index):
        observation = super().apply(event, index)
        if event.op != "new" or event.price == 0:
            return observation
        price = self.price_text(self.ticks_in(event.price))
        return replace(observation, trades=tuple(replace(trade, price=price) for trade in observation.trades))


class ClearsEverything(TokenbourseAdapter):
    """What is to clear one instrument clears all."""

    def commands_for(self, event):
        commands = super().commands_for(event)
        if event.op == "clear":
            commands["instrument"] = EVERY
        return commands


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "wrong",
    [LastComeFirstServed, ReplacedKeepsItsPlace, ReducedLosesItsPlace, TakersPrice, ClearsEverything],
)
def test_an_engine_with_another_rule_is_found_out(wrong, profile, seed):
    result = run_campaign(
        wrong, profile, seed=seed, traces=TRACES, events_per_trace=EVENTS_A_TRACE, max_minimize_runs=1
    )
    assert result.failure is not None
    divergence = result.failure.original_report.divergence
    assert divergence is not None
    assert divergence.category in ("trades", "book_state")


# --- telling -----------------------------------------------------------------------------------


def line_of(result: QualificationResult) -> str:
    """Return the tool's verdict on one profile as a line."""
    campaign, coverage = result.campaign, result.campaign.semantic_coverage
    return (
        f"{result.profile.name}: {'PASS' if result.qualified else 'FAIL'}, seed {campaign.seed}, fixed traces"
        f" {result.fixed_cases_passed}/{len(result.selected_cases)}, random traces"
        f" {sum(trace.report.conformant for trace in campaign.traces)}/{campaign.requested_traces}"
        f" ({coverage.compared_events:,} events, {coverage.trades:,} trades), capabilities"
        f" {len(coverage.covered_capabilities)}/{len(coverage.expected_capabilities)}"
    )


def difference_of(result: QualificationResult) -> str:
    """Return where our engine and the tool's first differ, and the shortest trace that shows it."""
    cases = [case for case in result.suite_report["cases"] if not case["report"]["conformant"]]
    told = [line_of(result), *(json.dumps(case, indent=2) for case in cases)]
    failure = result.campaign.failure
    if failure is not None and failure.minimization.report.divergence is not None:
        told.append(json.dumps(failure.minimization.report.divergence.to_dict(), indent=2))
        told += [json.dumps(event.to_dict()) for event in failure.minimization.events]
    return "\n".join(told)
