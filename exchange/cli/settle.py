"""`bourse settle`: the settlement store of a stopped venue, brought up to its journal or made anew."""

from __future__ import annotations

import sys

import click
from rich.progress import Progress

from exchange.cli.base import EXIT_DAMAGED, bourse, fail, print_json, venue_folder, with_json


@bourse.command(epilog="Example: bourse settle data/venue --rebuild --check")
@click.argument("folder", required=False)
@click.option("--rebuild", is_flag=True, help="Make the store anew, compare the old one, and swap it in.")
@click.option("--check", is_flag=True, help="Also draw the trial balance, and compare with the ledger.")
@with_json
def settle(folder: str | None, *, rebuild: bool, check: bool, as_json: bool) -> None:
    """Bring the settlement store of a stopped venue to the end of its journal.

    A store that cannot be read is set aside, and made anew. With --rebuild it is made anew in any
    case; an old store that differs is kept beside the new one.
    """
    from exchange.server.folder import Folder
    from exchange.server.journal import JournalDamaged
    from exchange.server.rebuild import settle as bring_up
    from exchange.server.replay import ReplayParted
    from exchange.terminal import warm_with_progress
    from settlement.store import StoreDamaged, StoreInUse

    place = Folder(venue_folder(folder))
    if not place.exists():
        fail(f"{place.root}: no venue has been founded here; name the folder of one", 2)
    warm_with_progress()
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("settling", total=None)
        try:
            settled = bring_up(
                place,
                lambda done: progress.update(task, completed=done),
                is_anew=rebuild,
                is_checked=check,
            )
        except StoreInUse as error:
            fail(str(error), 2)
        except (StoreDamaged, JournalDamaged, ReplayParted) as error:
            fail(str(error), EXIT_DAMAGED)
    if as_json:
        print_json(
            {
                "ok": not settled.differences,
                "commands": settled.commands,
                "frames": settled.frames,
                "differences": settled.differences,
                "told": settled.told,
            }
        )
    else:
        for line in (*settled.told, *settled.differences):
            click.echo(line)
        end = "; everything agrees" if check and not settled.differences else ""
        click.echo(f"settled {settled.commands} commands in {settled.frames} frames{end}")
    if settled.differences:
        sys.exit(EXIT_DAMAGED)
