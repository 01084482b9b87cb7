"""What is done with a venue's log: verify it, replay it."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import click
from rich.progress import Progress

from exchange.cli.base import EXIT_DAMAGED, bourse, fail, print_json, venue_folder, with_json


@bourse.command(epilog="Example: bourse verify data/venue --answers data/venue/answers.csv")
@click.argument("folder", required=False)
@click.option(
    "--answers",
    type=click.Path(exists=True, path_type=Path),
    help="CSV of answered orders (order, client_id, member), each of which must be in the journal.",
)
@with_json
def verify(folder: str | None, answers: Path | None, *, as_json: bool) -> None:
    """Prove a venue's folder: chain, replay, trial balance, budgets, store against journal."""
    from exchange.server.audit import verify as audit
    from exchange.server.folder import Folder

    place = Folder(venue_folder(folder))
    if not place.exists():
        fail(f"{place.root}: no venue has been founded here; name the folder of one", 2)
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("verifying", total=None)
        verdict = audit(place, lambda done: progress.update(task, completed=done))
    wrong = list(verdict.differences)
    if answers is not None:
        wrong += _unanswered(place.root, answers)
    if as_json:
        print_json(
            {
                "ok": not wrong,
                "commands": verdict.commands,
                "frames": verdict.frames,
                "head": verdict.head,
                "state_hash": f"{verdict.state_hash:016x}",
                "differences": wrong,
                "told": verdict.told,
            }
        )
    else:
        for line in (*verdict.told, *wrong):
            click.echo(line)
        end = "holds" if not wrong else f"does NOT hold: {len(wrong)} differences"
        click.echo(f"{verdict.commands} commands in {verdict.frames} frames: the log {end}")
    if wrong:
        sys.exit(EXIT_DAMAGED)


def _unanswered(root: Path, answers: Path) -> list[str]:
    """Return every answered order that the journal does not hold, or holds otherwise."""
    from exchange.server.folder import Folder
    from exchange.server.replay import entered_orders

    entered = entered_orders(Folder(root).journal)
    wrong = []
    count = 0
    with answers.open(newline="") as file:
        for row in csv.DictReader(file):
            count += 1
            found = entered.get(int(row["order"]))
            if found != row["client_id"]:
                wrong.append(
                    f"order {row['order']} ({row['client_id']}) was answered, the journal has {found}"
                )
    click.echo(f"{count} answered orders looked up, {len(wrong)} not found", err=True)
    return wrong


@bourse.command(epilog="Example: bourse replay data/venue --json")
@click.argument("folder", required=False)
@with_json
def replay(folder: str | None, *, as_json: bool) -> None:
    """Run a venue's log again from its beginning, and tell the state that it leads to."""
    from exchange.server.folder import Folder
    from exchange.server.replay import replay as run_again
    from exchange.server.warm import warm_up

    warm_up()
    began = time.perf_counter()
    engine = run_again(Folder(venue_folder(folder)).journal)
    seconds = time.perf_counter() - began
    facts: dict[str, object] = {
        "commands": engine.sequence,
        "seconds": round(seconds, 3),
        "state_hash": f"{engine.state_hash():016x}",
    }
    if as_json:
        print_json(facts)
    else:
        click.echo(f"{engine.sequence} commands in {seconds:.2f} s, state {facts['state_hash']}")
