"""What an operator decides about trading: phases, states, collars, and the calendar that sets phases else."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path
from time import time_ns
from typing import get_args

import click
import msgspec

from exchange.calendar import SECOND_NS, Calendar, Step, read_calendar
from exchange.cli.base import (
    bourse,
    connected,
    do_act,
    fail,
    print_done,
    print_json,
    print_table,
    read_why,
    with_dry_run,
    with_json,
    with_profile,
    with_why,
)
from exchange.cli.consequences import tell_rehearsal
from exchange.client.money import hao_of
from exchange.client.sync import SyncExchange as Client
from exchange.client.tickets import Instrument
from exchange.instruments import Kind, State
from exchange.protocol.acts import PhaseName, SetCalendar, SetCollars, SetPhase, SetState
from settlement.terms import VENUE_ZONE

ALL = "all"
"""What stands for every instrument that may take a phase now."""

STEPS_SHOWN = 8

CALENDAR_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


PER_MILLE = click.IntRange(0, 1_000)


def read_file(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Calendar | None:
    """Return the calendar of a file, where one is given; what is wrong in it is wrong usage."""
    try:
        return None if file is None else read_calendar(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"calendar {file}: {error}"
        raise click.BadParameter(message) from error


def read_why_if_given(context: click.Context, parameter: click.Parameter, why: str | None) -> str | None:
    """Return the reason, if one is given; a blank one is none."""
    return None if why is None else read_why(context, parameter, why)


@bourse.command(epilog="Example: bourse phase QWEN3-MAX pre_open --why 'a call on demand'")
@click.argument("instrument")
@click.argument("phase", type=click.Choice(get_args(PhaseName)))
@click.option("--reference", metavar="YUAN", help="The reference price from now on.")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def phase(
    instrument: str,
    phase: PhaseName,
    reference: str | None,
    why: str,
    profile: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set the phase of INSTRUMENT, or of `all` that may take it now.

    The calendar takes over again with the next call that opens, or at the close.
    """
    if reference is not None and instrument == ALL:
        raise click.UsageError("one reference fits no two instruments; name one, or leave it out")
    price = 0 if reference is None else hao_of(reference, "reference")

    def setting(exchange: Client) -> SetPhase:
        return SetPhase(symbol_of(exchange, instrument), phase, price)

    told = f"{instrument}: {phase}"
    do_act(profile, setting, why, told, dry_run=dry_run, as_json=as_json, instrument=instrument, phase=phase)


@bourse.command(epilog="Example: bourse halt QWEN3-MAX --why 'the provider is down'")
@click.argument("instrument")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def halt(instrument: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Halt INSTRUMENT, or `all` that are not closed: orders may be taken back, nothing else.

    The calendar ends a halt with the next call that opens; one that is to last is a state, `suspended`.
    """

    def halting(exchange: Client) -> SetPhase:
        return SetPhase(symbol_of(exchange, instrument), "halted")

    told = f"{instrument}: halted"
    do_act(
        profile, halting, why, told, dry_run=dry_run, as_json=as_json, instrument=instrument, phase="halted"
    )


@bourse.command(epilog="Example: bourse resume QWEN3-MAX --why 'the provider is back'")
@click.argument("instrument")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def resume(instrument: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Let INSTRUMENT, or `all`, go on after a halt: with trading, or with a call where it trades in calls.

    Where the calendar has no trading now, nothing is resumed: `bourse phase` overrides it.
    """
    with connected(profile) as exchange:
        acts = [SetPhase(one.symbol, to) for one, to in resumable(exchange, instrument)]
        if dry_run:
            tell_rehearsal(exchange.rehearse(acts, why), as_json=as_json)
            return
        resumed = []
        for act in acts:
            sequence = exchange.act(act, why)
            resumed.append({"instrument": act.instrument, "phase": act.phase, "sequence": sequence})
            if not as_json:
                print_done(f"{act.instrument}: {act.phase}", sequence, as_json=False)
    if as_json:
        print_json({"resumed": resumed})


def resumable(exchange: Client, instrument: str) -> list[tuple[Instrument, PhaseName]]:
    """Return what is halted of an instrument or of `all`, and what it goes on with; none is wrong usage."""
    meant = exchange.instruments.values() if instrument == ALL else [exchange.instruments[instrument]]
    halted = [one for one in meant if one.phase == "halted" and one.listing.state == "listed"]
    if not halted:
        fail(f"{instrument}: nothing that is listed is halted; see `bourse book`, or set a phase", 2)
    days = exchange.status().calendar
    if days is not None:
        halted = [one for one in halted if days.phase_at(time_ns(), one.listing.mode) == "continuous"]
    if not halted:
        fail(f"{instrument}: by the calendar nothing trades now; wait, or override it: `bourse phase`", 2)
    return [(one, "pre_open" if one.listing.mode == "call" else "continuous") for one in halted]


@bourse.command(epilog="Example: bourse state QWEN3-MAX suspended --why 'its filing is examined'")
@click.argument("instrument")
@click.argument("state", type=click.Choice(get_args(State)))
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def state(instrument: str, state: State, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Set the listing state of INSTRUMENT; its phase follows, and a retired one's orders are cancelled."""

    def setting(exchange: Client) -> SetState:
        return SetState(exchange.instruments[instrument].symbol, state)

    told = f"{instrument}: {state}"
    do_act(profile, setting, why, told, dry_run=dry_run, as_json=as_json, instrument=instrument, state=state)


@bourse.command(
    epilog="Example: bourse collars model --market 50 --static 100 --dynamic 30 --why 'first day of trading'"
)
@click.argument("kind", required=False, type=click.Choice(get_args(Kind)))
@click.option("--market", type=PER_MILLE, help="Bounds protection prices.")
@click.option("--static", type=PER_MILLE, help="Bounds trades about the reference price.")
@click.option("--dynamic", type=PER_MILLE, help="Bounds trades about the last price.")
@click.option("--why", callback=read_why_if_given, help="The reason, for the journal to keep.")
@with_dry_run
@with_profile("operator")
@with_json
def collars(
    kind: Kind | None,
    market: int | None,
    static: int | None,
    dynamic: int | None,
    why: str | None,
    profile: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set the collars of all instruments of KIND, per mille; 0: none. Without options, show them."""
    given = {"market": market, "static": static, "dynamic": dynamic, "why": why}
    if all(value is None for value in given.values()) and not dry_run:
        show_collars(profile, kind, as_json=as_json)
        return
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if kind is None or market is None or static is None or dynamic is None or why is None:
        named = " ".join([*(["KIND"] if kind is None else []), *missing])
        message = f"to set collars give {named}, too; without any option they are shown"
        raise click.UsageError(message)
    act = SetCollars(kind, market, static, dynamic)
    do_act(profile, act, why, f"{kind}: collars set", dry_run=dry_run, as_json=as_json, kind=kind)


def show_collars(profile: str, kind: Kind | None, *, as_json: bool) -> None:
    """Print the collars of a kind of instrument, or of all kinds, per mille."""
    with connected(profile) as exchange:
        told = exchange.status()
    found = {one.kind: one for one in told.collars}
    kinds: tuple[Kind, ...] = get_args(Kind) if kind is None else (kind,)
    rows = [found.get(one, SetCollars(one, 0, 0, 0)) for one in kinds]
    if as_json:
        names = ("kind", "market", "static", "dynamic")
        listed = [{name: getattr(row, name) for name in names} for row in rows]
        print_json({"sequence": told.sequence, "collars": listed})
    else:
        print_table(
            "collars, per mille; 0: none",
            ("kind", "market", "static", "dynamic"),
            [(row.kind, row.market, row.static, row.dynamic) for row in rows],
        )


@bourse.command(epilog="Example: bourse calendar trading-days.toml --why 'the holidays of 2027'")
@click.argument("file", required=False, type=CALENDAR_FILE, callback=read_file)
@click.option("--why", callback=read_why_if_given, help="With FILE: the reason, for the journal to keep.")
@with_dry_run
@with_profile("operator")
@with_json
def calendar(file: Calendar | None, why: str | None, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Set the trading calendar of FILE; without one, show the next steps of the venue's.

    The file is written as `exchange/catalogue/calendar.toml` is. It holds from now on: where it has no
    trading now, the venue closes at once.
    """
    if file is None and dry_run:
        raise click.UsageError("there is nothing to try; give the FILE of a calendar")
    if file is not None and not why:
        raise click.UsageError("a new calendar needs a reason; give --why")
    with connected(profile) as exchange:
        if file is None:
            show_calendar(exchange, as_json=as_json)
            return
        act, reason = SetCalendar(file), why or ""
        if dry_run:
            tell_rehearsal(exchange.rehearse(act, reason), as_json=as_json)
            return
        sequence = exchange.act(act, reason)
        print_done("calendar set", sequence, as_json=as_json)
        if not as_json:
            show_calendar(exchange, as_json=False)


def symbol_of(exchange: Client, instrument: str) -> str:
    """Return the symbol that an act names: blank for all. Raises `UnknownName`."""
    return "" if instrument == ALL else exchange.instruments[instrument].symbol


def show_calendar(exchange: Client, *, as_json: bool) -> None:
    """Print a venue's calendar: the next steps, or that there is none."""
    told = exchange.status()
    chosen = told.calendar
    steps = [] if chosen is None else list(islice(chosen.steps_after(told.time), STEPS_SHOWN))
    if as_json:
        print_json(
            {
                "sequence": told.sequence,
                "calendar": msgspec.to_builtins(chosen),
                "steps": [{"time": step.time, "kind": step.kind, "call": step.call.name} for step in steps],
            }
        )
    elif chosen is None:
        click.echo("no calendar is set: what is listed trades round the clock")
    else:
        print_table("next steps (the venue's time)", ("day", "time", "step"), map(step_row, steps))


def step_row(step: Step) -> tuple[str, str, str]:
    """Return a step as a line of a table."""
    moment = datetime.fromtimestamp(step.time // SECOND_NS, VENUE_ZONE)
    told = {
        "fixing_begins": "trades are noted for the fixing from now on",
        "opens": f"the {step.call.name} call opens",
        "no_cancel": f"nothing leaves the {step.call.name} call any more",
        "ends": f"the {step.call.name} call ends, within its random end",
        "closes": "the venue closes",
    }
    return f"{moment:%a %Y-%m-%d}", f"{moment:%H:%M:%S}", told[step.kind]
