"""`bourse simulate`: a whole venue under every fault, on a clock, a network and a disk of its own."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click
from rich.progress import Progress

from exchange.cli.base import EXIT_DAMAGED, bourse, print_json, with_json

if TYPE_CHECKING:
    from exchange.simulation.campaign import Campaign, Failure
    from exchange.simulation.world import Result

SEEDS_DEFAULT = 20


@bourse.command(epilog="Example: bourse simulate --seeds 200 --jobs 2")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    help=f"How many seeds to play; {SEEDS_DEFAULT} if nothing else is said.",
)
@click.option("--seed", type=click.IntRange(0), help="The first seed; given alone, the only one.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Play seeds for so long instead.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="How many processes play."
)
@click.option("--keep", metavar="NUMBERS", help="Of one seed's plan only these items, as 1-3,7.")
@click.option("--plan", "tells_plan", is_flag=True, help="Of one seed, tell the plan's faults first.")
@click.option(
    "--shrink/--no-shrink", default=True, show_default=True, help="Make the first failing seed small."
)
@with_json
def simulate(
    seeds: int | None,
    seed: int | None,
    seconds: float | None,
    jobs: int,
    keep: str | None,
    *,
    tells_plan: bool,
    shrink: bool,
    as_json: bool,
) -> None:
    """Play a whole venue, its members and every fault from seeds; check the laws after every command.

    What a failing seed did is repeated by the command that is printed.
    """
    from exchange.server.warm import warm_up
    from exchange.simulation.campaign import Campaign, keep_quiet, made_small, run
    from exchange.simulation.plan import drawn, numbers_of
    from exchange.simulation.world import World

    warm_up()
    count = seeds or (None if seconds else 1 if seed is not None else SEEDS_DEFAULT)
    first = seed or 0
    if tells_plan and not as_json:
        _tell_plan(first)
    began = time.monotonic()
    if keep is not None:
        try:
            numbers = numbers_of(keep)
        except ValueError as error:
            message = f"{keep!r} names no items ({error}); give numbers and spans, as 1-3,7"
            raise click.BadParameter(message, param_hint="--keep") from error
        keep_quiet()
        campaign = Campaign()
        campaign.add(World(drawn(first).keeping(numbers)).run())
        shrink = False
    else:
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("seeds", total=count)

            def tell(result: Result) -> None:
                progress.advance(task)
                if result.failure:  # at once: whoever ends a long campaign has its seeds
                    click.echo(f"seed {result.seed}: {result.failure}", err=True)

            campaign = run(first, count, seconds, jobs, tell)
    taken = time.monotonic() - began
    failures = list(campaign.failures)
    if failures and shrink:
        again = World(drawn(failures[0].seed)).run()
        what = f"{failures[0].what} (it held when it was played again)"
        failures[0] = made_small(again) if again.failure else failures[0]._replace(what=what)
    _tell(campaign, failures, taken, as_json=as_json)
    if not campaign.holds:
        sys.exit(EXIT_DAMAGED)


def _tell(campaign: Campaign, failures: list[Failure], seconds: float, *, as_json: bool) -> None:
    """Print what a campaign came to."""
    hours = campaign.simulated_seconds / 3_600
    if as_json:
        print_json(
            {
                "seeds": campaign.seeds,
                "commands": campaign.commands,
                "failures": [failure._asdict() for failure in failures],
                "missing": campaign.missing,
                "deeds": campaign.deeds,
                "frames": campaign.frames,
                "simulated_hours": round(hours, 3),
                "seconds": round(seconds, 3),
                "simulated_seconds_per_second": round(campaign.simulated_seconds / max(seconds, 1e-9)),
                "faults": dict(sorted(campaign.faults.items())),
                "shapes": dict(sorted(campaign.shapes.items())),
            }
        )
        return
    for failure in failures:
        click.echo(f"seed {failure.seed}: {failure.what}")
        click.echo(f"  to repeat it: {failure.repeat}")
    for shape in campaign.missing:
        click.echo(f"never seen: {shape}")
    click.echo(
        f"{campaign.seeds} seeds, {campaign.commands:,} commands, {sum(campaign.faults.values()):,} faults, "
        f"{hours:,.1f} hours in {seconds:,.1f} s: {len(failures)} failed"
    )


def _tell_plan(seed: int) -> None:
    """Print what goes wrong in a seed, and when."""
    from datetime import datetime

    from exchange.simulation.plan import DEED, SECOND_NS, drawn
    from settlement.terms import VENUE_ZONE

    for item in drawn(seed).items:
        if item.kind != DEED:
            moment = datetime.fromtimestamp(item.time / SECOND_NS, VENUE_ZONE)
            click.echo(f"{item.number:4}  {moment:%m-%d %H:%M:%S}  {item.kind} ({item.seconds:.1f} s)")
