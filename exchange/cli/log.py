"""What is done with a venue's log where it lies: prove it, and write down the state that it leads to."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import Progress

from exchange.cli.base import EXIT_DAMAGED, bourse, fail, print_json, venue_folder, with_json

if TYPE_CHECKING:
    from exchange.server.folder import Folder
    from exchange.server.run_snapshot import Taken


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
    from exchange.server.replay import earliest, entered_orders

    place = Folder(root)
    begun = earliest(place.journal, place.snapshots)
    last_before = begun.mark.sequence
    entered = entered_orders(place.journal, begun)
    wrong = []
    count = earlier = 0
    with answers.open(newline="") as file:
        for row in csv.DictReader(file):
            if int(row["order"]) <= last_before:
                earlier += 1
                continue
            count += 1
            found = entered.get(int(row["order"]))
            if found != row["client_id"]:
                wrong.append(
                    f"order {row['order']} ({row['client_id']}) was answered, the journal has {found}"
                )
    if earlier:
        click.echo(f"{earlier} answered orders are older than what is left of the journal", err=True)
    click.echo(f"{count} answered orders looked up, {len(wrong)} not found", err=True)
    return wrong


@bourse.command(epilog="Example: bourse snapshot data/venue")
@click.argument("folder", required=False)
@with_json
def snapshot(folder: str | None, *, as_json: bool) -> None:
    """Write down the whole state of a stopped venue: its next start replays nothing that came before."""
    from exchange.server.folder import Folder
    from exchange.server.warm import warm_up

    place = Folder(venue_folder(folder))
    if not place.exists():
        fail(f"{place.root}: no venue has been founded here; name the folder of one", 2)
    warm_up()
    began = time.perf_counter()
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("replaying", total=None)
        taken = _snapshot_of(place, lambda frames: progress.update(task, completed=frames))
    facts: dict[str, object] = {
        "sequence": taken.sequence,
        "state_hash": f"{taken.state_hash:016x}",
        "bytes": taken.bytes_written,
        "seconds": round(time.perf_counter() - began, 3),
        "snapshots_taken_away": taken.snapshots_taken_away,
        "segments_let_go": taken.segments_let_go,
        "told": taken.told,
    }
    if as_json:
        print_json(facts)
        return
    for line in taken.told:
        click.echo(line)
    click.echo(f"sequence {taken.sequence}, {taken.bytes_written:,} bytes, state {facts['state_hash']}")
    if taken.segments_let_go:
        click.echo(f"{len(taken.segments_let_go)} segments of the journal were let go")


def _snapshot_of(place: Folder, progress: Callable[[int], object]) -> Taken:
    """Take a snapshot of a venue that is stopped, or say why not and leave."""
    from exchange.server.journal import JournalDamaged, JournalFailed, JournalLocked
    from exchange.server.replay import ReplayParted
    from exchange.server.run_snapshot import take_of_stopped
    from exchange.server.snapshots import SnapshotDamaged
    from exchange.settings_file import SettingsError, load

    try:
        return take_of_stopped(place, load(place.root).settings, progress)
    except SettingsError as error:
        fail(str(error), 2)
    except JournalLocked:
        fail(f"{place.root}: the venue runs, and takes snapshots by itself; stop it to take one now", 2)
    except (JournalDamaged, ReplayParted, SnapshotDamaged) as damage:
        fail(str(damage), EXIT_DAMAGED)
    except (JournalFailed, OSError) as error:
        fail(f"no snapshot was taken: {error}", 1)
