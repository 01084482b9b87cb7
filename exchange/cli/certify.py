"""`bourse certify`: a firm proves that its client keeps the rules of sessions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from exchange.cli.base import bourse, fail, print_json, with_json

if TYPE_CHECKING:
    from exchange.certify.case import Result

SYMBOL_DEFAULT = "QWEN3-MAX"


@bourse.command(epilog="Example: bourse certify --case disconnect --case recovery")
@click.option("--case", "names", multiple=True, help="Play these cases or groups alone; --list names them.")
@click.option("--list", "is_list", is_flag=True, help="List the cases instead, each with its rule.")
@click.option(
    "--as",
    "profile",
    help="Play on the test venue of this profile instead of one founded for it; what works on the venue's "
    "processes is not played then.",
)
@click.option(
    "--symbol", default=SYMBOL_DEFAULT, show_default=True, help="What is bought, at next to nothing."
)
@click.option("--program", help="Certify a program of your own: it is run, and judged by --tasks.")
@click.option("--tasks", "is_tasks", is_flag=True, help="Print what such a program is to do.")
@with_json
def certify(
    names: tuple[str, ...],
    profile: str | None,
    symbol: str,
    program: str | None,
    *,
    is_list: bool,
    is_tasks: bool,
    as_json: bool,
) -> None:
    """Play every rule of sessions through the client, on a test venue; exit code 0 only if all are kept.

    Never name a profile of a venue that trades in earnest: what is open of its member is cancelled.
    """
    from exchange.certify import playing
    from exchange.certify import program as programs
    from exchange.profiles import load_profile
    from exchange.server.supervisor import VenueFailed
    from exchange.terminal import ended_in_good_order, warm_with_progress

    if is_tasks:
        click.echo(programs.TASKS)
        return
    try:
        cases = playing.chosen(names)
    except KeyError as unknown:
        raise click.BadParameter(f"{unknown.args[0]!r} is no case; see --list", param_hint="--case") from None
    if is_list:
        list_cases(as_json=as_json)
        return
    told = (lambda _: None) if as_json else tell
    try:
        if profile is not None:
            results = playing.certify_on(load_profile(profile), cases, symbol, told)
        else:
            warm_with_progress()
            with ended_in_good_order():
                results = programs.certify(program, told) if program else playing.certify(cases, told)
    except VenueFailed as failure:
        fail(str(failure), 1)
    finish(results, as_json=as_json)


def tell(result: Result) -> None:
    """Print one case as it is done."""
    mark = {"passed": "pass", "failed": "FAIL", "not played": "----"}[result.outcome]
    click.echo(f"{mark}  {result.case.group:10} {result.case.name:22} {result.case.required}")
    if result.why:
        click.echo(f"      {result.why}")


def list_cases(*, as_json: bool) -> None:
    """Print all cases, each with the line of the manual that it rests on."""
    from exchange.certify.case import RULES
    from exchange.certify.playing import CASES

    facts = [
        {"case": one.name, "group": one.group, "required": one.required, "rule": f"{RULES}: {one.rule}"}
        for one in CASES
    ]
    if as_json:
        print_json({"cases": facts})
        return
    for one in facts:
        click.echo(f"{one['group']:10} {one['case']:22} {one['required']}\n{'':34}{one['rule']}")


def finish(results: list[Result], *, as_json: bool) -> None:
    """Print the sum, and leave with 1 unless all that was played was kept."""
    passed = sum(one.outcome == "passed" for one in results)
    failed = sum(one.outcome == "failed" for one in results)
    if as_json:
        cases = [
            {
                "case": one.case.name,
                "group": one.case.group,
                "required": one.case.required,
                "rule": one.case.rule,
                "outcome": one.outcome,
                "why": one.why,
            }
            for one in results
        ]
        print_json({"passed": passed, "failed": failed, "cases": cases})
    else:
        click.echo(f"{passed} of {len(results)} cases passed, {failed} failed")
    if failed or not passed:
        sys.exit(1)
