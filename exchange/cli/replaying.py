"""The log run again, and two logs laid side by side: `bourse replay`, `bourse diff`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click
from rich.progress import BarColumn, Progress, TextColumn

from exchange.cli.base import EXIT_DAMAGED, bourse, fail, print_json, print_table, venue_folder, with_json

if TYPE_CHECKING:
    from exchange.server.folder import Folder
    from exchange.server.parting import Parting
    from exchange.server.rerun import Rerun, Wish


def read_hash(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """Return a state hash as a number; it is written as 16 hexadecimal digits."""
    if text is None:
        return None
    try:
        number = int(text.removeprefix("0x"), 16)
    except ValueError:
        number = -1
    if not 0 < number < 2**64:
        raise click.BadParameter(
            f"{text!r} is no state hash; it has 16 hexadecimal digits, as a replay tells it"
        )
    return number


class _Wishes(TypedDict):
    """What a replay is asked for beside its folder."""

    first: int | None
    last: int | None
    speed: float | None
    until_hash: int | None
    wanted: int | None


@bourse.command(epilog="Example: bourse replay data/venue --from 5000 --speed 60")
@click.argument("folder", required=False)
@click.option("--from", "first", type=click.IntRange(1), help="Tell, and keep pace, from this sequence on.")
@click.option("--to", "last", type=click.IntRange(1), help="Stop behind this sequence.")
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), help="1: in the journal's own time. Else flat out."
)
@click.option(
    "--until-hash", callback=read_hash, help="Stop at the first point at which the state has this hash."
)
@click.option(
    "--assert", "wanted", callback=read_hash, help="Exit 4 if the state has another hash at the end."
)
@click.option(
    "--what-if",
    "is_what_if",
    is_flag=True,
    help="Settle the same orders under other terms; see --programmes.",
)
@click.option(
    "--programmes",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --what-if: a file of a programme's other terms.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="With --what-if: write a page, too."
)
@with_json
def replay(
    folder: str | None,
    programmes: tuple[Path, ...],
    html: Path | None,
    *,
    is_what_if: bool,
    as_json: bool,
    **wishes: Unpack[_Wishes],
) -> None:
    """Run a venue's log again through the engine, and tell the state that it leads to.

    Flat out, or with --speed in the journal's own time: 60 is sixty times as fast. Ctrl-C ends it in order.
    """
    from exchange.server.rerun import Wish

    place = with_journal(folder)
    if is_what_if:
        if any(wish is not None for wish in wishes.values()):
            raise click.UsageError(
                "--what-if plays the whole log, twice; leave --from, --to, --speed and hashes out"
            )
        _what_if(place, programmes, html, as_json=as_json)
        return
    if programmes or html:
        raise click.UsageError("--programmes and --html go with --what-if")
    first, last, wanted = wishes["first"], wishes["last"], wishes["wanted"]
    if first is not None and last is not None and last < first:
        raise click.UsageError(f"--to {last} lies before --from {first}; name one behind it")
    began = time.perf_counter()
    made = _run(place, Wish(first, last, wishes["until_hash"], wishes["speed"]))
    seconds = time.perf_counter() - began
    wrong = _wrong(made, last, wanted)
    if as_json:
        print_json(
            {
                "commands": made.commands,
                "seconds": round(seconds, 3),
                "state_hash": f"{made.state_hash:016x}",
                "since": made.since,
                "time": made.time,
                "events": made.events,
                "found": made.found,
                "interrupted": made.interrupted,
                "wrong": wrong,
                "told": made.told,
            }
        )
    else:
        _tell(made, seconds, place.root)
    for line in wrong:
        click.echo(f"bourse: {line}", err=True)
    if wrong:
        sys.exit(EXIT_DAMAGED)


def _what_if(place: Folder, programmes: tuple[Path, ...], html: Path | None, *, as_json: bool) -> None:
    """Hand over to what settles the same orders under other terms."""
    from exchange.cli.what_if import report_what_if

    if not programmes:
        raise click.UsageError("--what-if needs --programmes FILE: a programme's other terms")
    report_what_if(place, programmes, html, as_json=as_json)


def with_journal(folder: str | None) -> Folder:
    """Return the folder of a venue whose journal can be read, its kernels loaded."""
    from exchange.server.folder import Folder

    place = Folder(venue_folder(folder))
    if not place.journal.is_dir():
        fail(f"{place.root}: no venue's journal lies here; name the folder of one", 2)
    load_kernels()
    return place


def load_kernels() -> None:
    """Make the kernels ready; a line tells how far it is if they have to be compiled first."""
    from exchange.server.warm import warm_up
    from exchange.terminal import warm_with_progress
    from matching.kernel import COMPILED, is_cached

    if COMPILED and not is_cached("core.run"):
        warm_with_progress()
    else:
        warm_up()


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn a log that does not hold into one line and its exit code."""
    from exchange.server.journal import JournalDamaged
    from exchange.server.replay import ReplayParted

    try:
        yield
    except (JournalDamaged, ReplayParted) as damage:
        fail(str(damage), EXIT_DAMAGED)


def _run(place: Folder, wish: Wish) -> Rerun:
    """Replay beside a progress bar; Ctrl-C ends it between two frames."""
    from exchange.cli.firm_money import moment
    from exchange.server.rerun import rerun

    known = wish.last or place.passed() or None
    columns = ("{task.description}", BarColumn(), "{task.fields[rate]}", "{task.fields[at]}")
    bar = Progress(
        *(TextColumn(one) if isinstance(one, str) else one for one in columns),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    began = time.monotonic()
    origin: list[int] = []
    with until_told() as is_told, damage_told(), bar:
        task = bar.add_task("replaying", total=known, rate="", at="")

        def progress(sequence: int, at: int) -> None:
            if bar.disable:
                return
            origin.append(sequence) if not origin else None
            rate = (sequence - origin[0]) / max(time.monotonic() - began, 1e-3)
            bar.update(task, completed=sequence, rate=f"{rate:,.0f} commands/s", at=moment(at))

        return rerun(place, wish, progress, is_told)


@contextmanager
def until_told() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether Ctrl-C has come: what runs then ends in order."""
    told: list[int] = []
    before = signal.signal(signal.SIGINT, lambda sort, _: told.append(sort))
    try:
        yield lambda: bool(told)
    finally:
        signal.signal(signal.SIGINT, before)


def _wrong(made: Rerun, last: int | None, wanted: int | None) -> list[str]:
    """Return what was asked of a replay and did not come true."""
    wrong = []
    if made.found is False:
        wrong.append(f"no state with that hash up to sequence {made.commands}: {made.told[-1]}")
    elif last is not None and made.found is None and made.commands < last and not made.interrupted:
        wrong.append(f"the journal ends at sequence {made.commands}, before {last}")
    if wanted is not None and made.state_hash != wanted:
        wrong.append(f"state {made.state_hash:016x} after sequence {made.commands}, not {wanted:016x}")
    return wrong


def _tell(made: Rerun, seconds: float, root: Path) -> None:
    """Print how a replay went, and what to do next."""
    for line in made.told:
        click.echo(line)
    if made.interrupted:
        click.echo(f"ended by Ctrl-C behind sequence {made.commands}")
    if made.events:
        told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in made.events.items())
        click.echo(f"events: {told}")
    if made.found:
        click.echo(f"the state has that hash behind sequence {made.commands}")
    ran = made.commands - made.since
    click.echo(f"{ran:,} commands in {seconds:.2f} s, state {made.state_hash:016x}")
    click.echo(f"next: bourse inspect {root} --at {made.commands}")


# --- two logs --------------------------------------------------------------------------------------


@bourse.command(epilog="Example: bourse diff data/venue /mnt/backup/venue")
@click.argument("a", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("b", type=click.Path(exists=True, file_okay=False, path_type=Path))
@with_json
def diff(a: Path, b: Path, *, as_json: bool) -> None:
    """Find the first command in which two logs part, and tell what differs in it.

    A and B are folders of venues, or of journals alone. How commands were cut into frames does not matter.
    Exit code 0: they are equal; 4: they part.
    """
    from exchange.server.parting import NoJournal, part

    load_kernels()
    with damage_told(), Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("comparing", total=None)
        try:
            found = part(a, b, lambda done: progress.update(task, completed=done))
        except NoJournal as error:
            fail(str(error), 2)
    if as_json:
        print_json(_facts_of(found))
    else:
        _tell_parting(found)
    if not found.is_equal:
        sys.exit(EXIT_DAMAGED)


def _facts_of(found: Parting) -> dict[str, object]:
    return {
        "equal": found.is_equal,
        "first": found.first,
        "sequence": found.sequence,
        "what": found.what,
        "differences": [one._asdict() for one in found.differences],
        "ends": found.ends,
        "hashes_compared": found.hashes,
        "state_hashes": [None if state is None else f"{state:016x}" for state in found.states],
        "told": found.told,
    }


def _tell_parting(found: Parting) -> None:
    for line in found.told:
        click.echo(line)
    if found.is_equal:
        state = next((f", state {one:016x}" for one in found.states if one is not None), "")
        click.echo(
            f"equal up to sequence {found.ends[0]}, with {found.hashes} state hashes on the way{state}"
        )
        return
    if found.differences:
        rows = [(one.field, _shown(one.a), _shown(one.b)) for one in found.differences]
        print_table(f"sequence {found.sequence}", ("field", "A", "B"), rows)
    click.echo(found.what)


def _shown(value: object) -> str:
    """Return one side of a difference as text; an act as JSON."""
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
