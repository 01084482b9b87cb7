"""`bourse audit`: Merkle roots of the venue's days, proofs of single commands, and the security log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.progress import Progress

from exchange.cli.base import (
    EXIT_DAMAGED,
    bourse,
    count,
    fail,
    print_json,
    print_table,
    venue_folder,
    with_json,
)

if TYPE_CHECKING:
    from exchange.server.folder import Folder
    from exchange.server.merkle import DayRoot
    from exchange.server.security import SecurityLine

NOT_FINAL = "not final: the day may still grow"
NOT_WHOLE = "not whole: the journal's beginning was let go"


@bourse.group(epilog="Example: bourse audit root data/venue")
def audit() -> None:
    """Prove what the journal holds, command by command, and read the security log."""


@audit.command("root", epilog="Example: bourse audit root data/venue --day 2026-11-22")
@click.argument("folder", required=False)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="One day of the venue, UTC+8; else all.")
@with_json
def audit_root(folder: str | None, day: datetime | None, *, as_json: bool) -> None:
    """Print each day's sequences, the chain's head and the Merkle root of its commands.

    It works beside a running venue, on whole frames. A root is final once the journal has a command of a
    later day: note it down then, where the venue cannot change it.
    """
    from exchange.server.merkle import roots

    place, told = _venue(folder), list[str]()
    with _reading("hashing") as progress:
        found = roots(place.journal, told, None if day is None else day.date(), progress)
    if as_json:
        print_json({"days": [msgspec.to_builtins(one) for one in found], "told": told})
        return
    for line in told:
        click.echo(line, err=True)
    for one in found:
        click.echo(f"{one.day}  sequence {one.first} to {one.last}, {one.frames} frames{_marks(one)}")
        click.echo(f"  head {one.head}")
        click.echo(f"  root {one.root}")


def _marks(day: DayRoot) -> str:
    """Return what is to be said of a day's root, with what stands before it."""
    marks = (*(() if day.is_final else (NOT_FINAL,)), *(() if day.is_whole else (NOT_WHOLE,)))
    return "".join(f"; {mark}" for mark in marks)


@audit.command("prove", epilog="Example: bourse audit prove data/venue 20417 --out proof.json")
@click.argument("folder")
@click.argument("sequence", type=click.IntRange(1))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write the proof.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@with_json
def audit_prove(folder: str, sequence: int, out: Path, *, force: bool, as_json: bool) -> None:
    """Write the proof that a command stands in its day: its bytes, and the path to the day's root."""
    from exchange.server.merkle import prove

    if out.exists() and not force:
        raise click.UsageError(f"--out {out} is there already; add --force to overwrite it")
    place, told = _venue(folder), list[str]()
    with _reading("hashing") as progress:
        proof = prove(place.journal, sequence, told, progress)
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n")
    except OSError as error:
        fail(f"--out {out}: {error.strerror}; name a file that can be written", 2)
    if as_json:
        print_json({**msgspec.to_builtins(proof), "out": str(out), "told": told})
        return
    for line in told:
        click.echo(line, err=True)
    note = "" if proof.is_final else f" ({NOT_FINAL})"
    click.echo(f"sequence {sequence} is command {proof.index + 1} of {proof.leaves} of {proof.day}{note}")
    click.echo(f"  root {proof.root}")
    click.echo(f"  proof {out}: {count(proof.path, 'digest')} from the leaf to the root")


@audit.command("check", epilog="Example: bourse audit check proof.json --root ROOT")
@click.argument("proof", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--root", required=True, help="The day's root, in hex, as it was had otherwise.")
@with_json
def audit_check(proof: Path, root: str, *, as_json: bool) -> None:
    """Check a proof against a day's root; it needs no venue and no journal."""
    from exchange.protocol.messages import UNREADABLE
    from exchange.server.merkle import Proof, faults_of

    try:
        read = msgspec.json.decode(proof.read_bytes(), type=Proof)
    except UNREADABLE as error:
        fail(f"{proof}: {error}; give a file that `bourse audit prove` wrote", EXIT_DAMAGED)
    wrong = faults_of(read, root.strip().lower())
    if as_json:
        print_json({"ok": not wrong, "sequence": read.sequence, "day": str(read.day), "differences": wrong})
    else:
        for line in wrong:
            click.echo(line)
        if not wrong:
            click.echo(msgspec.json.format(msgspec.json.encode(read.entry), indent=2).decode())
        verdict = "does NOT hold" if wrong else "holds"
        click.echo(f"sequence {read.sequence} of {read.day}: the proof {verdict}")
    if wrong:
        sys.exit(EXIT_DAMAGED)


@audit.command("security", epilog="Example: bourse audit security data/venue --event act_done")
@click.argument("folder", required=False)
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="From then on, UTC.")
@click.option("--member", help="Only of this member.")
@click.option("--event", help="Only of this sort: session_begun, act_done, handshake_refused ...")
@with_json
def audit_security(
    folder: str | None, since: datetime | None, member: str | None, event: str | None, *, as_json: bool
) -> None:
    """Verify the security log from its first line, and show it, or what is asked of it.

    Who came in from where, who was kept out, what operators decided. Exit code 4, and the number of the line,
    where one was changed, cut out or put elsewhere.
    """
    from exchange.server.security import ChainBroken, read

    place, told = _venue(folder), list[str]()
    begin = "" if since is None else since.isoformat()
    shown, last, broken = list["SecurityLine"](), None, ""
    try:
        for last in read(place.security, told):
            is_asked = last.time >= begin and member in (None, last.member) and event in (None, last.event)
            if is_asked:
                shown.append(last)
    except ChainBroken as fault:
        broken = str(fault)
    except OSError as error:
        fail(f"{place.security}: {error.strerror}; run this as who runs the venue", 2)
    if as_json:
        _print_lines(shown, last, broken, told)
    else:
        for note in told:
            click.echo(note, err=True)
        print_table(
            count(shown, "line"),
            ("number", "time (UTC)", "event", "member", "key", "address", "sequence", "facts"),
            [_row(line) for line in shown],
        )
        if not broken:
            click.echo("the security log is empty" if last is None else f"it holds up to line {last.number}")
    if broken:
        fail(broken, EXIT_DAMAGED)


def _print_lines(shown: list[SecurityLine], last: SecurityLine | None, broken: str, told: list[str]) -> None:
    print_json(
        {
            "ok": not broken,
            "lines": msgspec.to_builtins(shown),
            "last": None if last is None else last.number,
            "differences": [broken] if broken else [],
            "told": told,
        }
    )


def _row(line: SecurityLine) -> tuple[object, ...]:
    """Return a line as a row of a table."""
    facts = ", ".join(f"{name}: {value}" for name, value in line.facts.items())
    place = (line.number, line.time, line.event, line.member, line.key, line.address, line.sequence)
    return (*place, facts)


def _venue(folder: str | None) -> Folder:
    """Return the venue of a folder, or say that there is none, and leave."""
    from exchange.server.folder import Folder

    place = Folder(venue_folder(folder))
    if not place.exists() and not place.journal.is_dir():
        fail(f"{place.root}: no venue has been founded here; name the folder of one", 2)
    return place


@contextmanager
def _reading(what: str) -> Iterator[Callable[[int], object]]:
    """Show how far the journal is read; say what is wrong with it, or with what was asked, and leave."""
    from exchange.server.journal import JournalDamaged
    from exchange.server.merkle import NotInJournal

    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=None)
        try:
            yield lambda done: progress.update(task, completed=done)
        except NotInJournal as error:
            fail(str(error), 2)
        except JournalDamaged as damage:
            fail(str(damage), EXIT_DAMAGED)
