"""What operators do about what is listed and who may do how much: list, retire, reweight, limit, enrol."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click
import msgspec

from exchange.cli.base import (
    bourse,
    connected,
    do_act,
    fail,
    grouped,
    print_done,
    print_json,
    print_table,
    with_dry_run,
    with_json,
    with_profile,
    with_why,
)
from exchange.cli.consequences import tell_rehearsal
from exchange.cli.phases import read_why_if_given
from exchange.cli.venue_money import propose
from exchange.client.money import hao_of
from exchange.client.sync import SyncExchange as Client
from exchange.instruments import Instrument, State
from exchange.protocol.acts import Enrol, ListInstruments, Reweight, SetLimits, SetState

WEIGHT = click.IntRange(min=0)


# --- what is listed ----------------------------------------------------------------------------


def read_instruments(_context: click.Context, _parameter: click.Parameter, file: Path) -> list[Instrument]:
    """Return the instruments of a TOML file; a fault in one is wrong usage that names it and the field."""
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{file}: {error}; write `field = value` below [[instruments]]"
        raise click.BadParameter(message) from error
    rows = raw.get("instruments", [raw] if raw else [])
    if not rows or not isinstance(rows, list) or (len(raw) > 1 and "instruments" in raw):
        message = (
            f"{file}: give one instrument's fields, or each one's below [[instruments]], and nothing else"
        )
        raise click.BadParameter(message)
    found = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(msgspec.convert(row, Instrument))
        except msgspec.ValidationError as error:
            symbol = row.get("symbol", "no symbol") if isinstance(row, dict) else "no table"
            message = f"{file}: instrument {number} ({symbol}): {error}; mend it, for none is listed"
            raise click.BadParameter(message) from error
    return found


@bourse.command(
    "list", epilog="Example: bourse list newcomers.toml --why 'the contract of December' --dry-run"
)
@click.argument(
    "instruments",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=read_instruments,
)
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def list_instruments(
    instruments: list[Instrument], why: str, profile: str, *, dry_run: bool, as_json: bool
) -> None:
    """List the instruments of FILE: all of them, or none.

    FILE is TOML with the catalogue's fields, of one instrument, or of several below [[instruments]] each.
    Prices in hao per lot, weights per mille. Without a calendar those of mode continuous trade at once;
    the others are closed until they are called.
    """
    act = ListInstruments(tuple(instruments))
    with connected(profile) as exchange:
        if dry_run:
            tell_rehearsal(exchange.rehearse(act, why), as_json=as_json)
            return
        sequence = exchange.act(act, why)
        exchange.refresh()
        listed = [exchange.instruments[one.symbol] for one in instruments]
    if as_json:
        told = [{"instrument": one.symbol, "number": one.index, "phase": one.phase} for one in listed]
        print_json({"sequence": sequence, "instruments": told})
        return
    for one in listed:
        print_done(f"{one.symbol}: listed as number {one.index}, {one.phase},", sequence, as_json=False)


@bourse.command(epilog="Example: bourse suspend QWEN3-MAX --why 'its provider is under review'")
@click.argument("instrument")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def suspend(instrument: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Suspend INSTRUMENT: no trading, whatever the calendar says, until `bourse state INSTRUMENT listed`.

    Its market is halted. Orders stay in the book and may be cancelled; credits may be issued and redeemed.
    """

    def suspending(exchange: Client) -> SetState:
        return SetState(exchange.instruments[instrument].symbol, "suspended")

    told = f"{instrument}: suspended (its market is halted; its orders stay, and may be cancelled)"
    do_act(
        profile,
        suspending,
        why,
        told,
        dry_run=dry_run,
        as_json=as_json,
        instrument=instrument,
        state="suspended",
    )


TO_RETIRE: dict[State, tuple[State, ...]] = {
    "proposed": ("retired",),
    "listed": ("cancel_only", "retired"),
    "suspended": ("cancel_only", "retired"),
    "cancel_only": ("retired",),
}
"""Through which states an instrument comes to its end."""


@bourse.command(epilog="Example: bourse retire GLM-5.2 --why 'its provider withdraws it' --dry-run")
@click.argument("instrument")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def retire(instrument: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Retire INSTRUMENT for good, over `cancel_only` where it is listed or suspended. There is no way back.

    Its market closes and all of its open orders are cancelled. No more credits are issued; those that
    members hold stay and may be redeemed.
    """

    def retiring(exchange: Client) -> list[SetState]:
        one = exchange.instruments[instrument]
        states = TO_RETIRE.get(one.listing.state)
        if states is None:
            fail(f"{instrument}: it is retired already; nothing is left to do", 2)
        return [SetState(one.symbol, state) for state in states]

    told = f"{instrument}: retired (its market is closed; what is held stays)"
    do_act(
        profile,
        retiring,
        why,
        told,
        dry_run=dry_run,
        as_json=as_json,
        instrument=instrument,
        state="retired",
    )


@bourse.command(epilog="Example: bourse reweight GLM-5.2 --cached 200 --output 3500 --why 'its new tariff'")
@click.argument("instrument")
@click.option("--input", "of_input", type=WEIGHT, help="Weight of an input token; else as it is.")
@click.option("--cached", "of_cached", type=WEIGHT, help="Weight of a cached one; else as it is.")
@click.option("--output", "of_output", type=WEIGHT, help="Weight of an output token; else as it is.")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def reweight(
    instrument: str,
    of_input: int | None,
    of_cached: int | None,
    of_output: int | None,
    why: str,
    profile: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Propose new weights, per mille of an input token, for INSTRUMENT: a model that is suspended.

    Another operator approves it. Usage that is recorded from then on burns by them; credits, prices and
    open orders stay as they are.
    """
    if of_input is of_cached is of_output is None:
        raise click.UsageError("say which weight changes: --input, --cached or --output")
    with connected(profile) as exchange:
        one = exchange.instruments[instrument].listing
        act = Reweight(
            one.symbol,
            one.weight_input if of_input is None else of_input,
            one.weight_cached if of_cached is None else of_cached,
            one.weight_output if of_output is None else of_output,
        )
        what = f"weighing {instrument} {act.weight_input}, {act.weight_cached}, {act.weight_output} per mille"
        propose(exchange, act, why, what, dry_run=dry_run, as_json=as_json)


# --- who may do how much -----------------------------------------------------------------------


def read_amount(_context: click.Context, _parameter: click.Parameter, amount: str | None) -> int | None:
    """Return an amount of yuan in hao; one that is none is wrong usage."""
    try:
        return None if amount is None else hao_of(amount, "amount")
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@bourse.command(epilog="Example: bourse limits SANDBOX --notional 500000 --why 'its new credit line'")
@click.argument("member")
@click.option("--open-orders", "open_orders_max", type=click.IntRange(min=0), help="Most orders open.")
@click.option("--quantity", "quantity_max", type=click.IntRange(min=0), help="Most lots of an order.")
@click.option("--notional", "notional_max", callback=read_amount, help="Most of an order, in yuan.")
@click.option(
    "--turnover", "turnover_max", callback=read_amount, help="Most that it may trade a day, in yuan."
)
@click.option("--why", callback=read_why_if_given, help="With a limit: the reason, for the journal to keep.")
@with_dry_run
@with_profile("operator")
@with_json
def limits(
    member: str, why: str | None, profile: str, *, dry_run: bool, as_json: bool, **given: int | None
) -> None:
    """Set limits of MEMBER, for orders from now on; without one, show those in force and what is used.

    A limit may be below what is open now: what rests stays, and new orders are refused by it.
    """
    if all(limit is None for limit in given.values()):
        if why is not None or dry_run:
            message = "say which limit changes: --open-orders, --quantity, --notional, --turnover"
            raise click.UsageError(message)
        show_limits(profile, member, as_json=as_json)
        return
    if why is None:
        raise click.UsageError("a new limit needs a reason; give --why")
    told = f"{member}: limits set"
    act = SetLimits(member=member, **given)
    do_act(profile, act, why, told, dry_run=dry_run, as_json=as_json, member=member)


def show_limits(profile: str, member: str, *, as_json: bool) -> None:
    """Print a member's limits, and what of them is used now."""
    with connected(profile) as exchange:
        (holder,) = exchange.keys(member)
    admitted = holder.admitted
    if as_json:
        print_json(
            {
                "member": admitted.member,
                "open_orders_max": admitted.open_orders_max,
                "quantity_max": admitted.quantity_max,
                "notional_max": admitted.notional_max,
                "turnover_max": admitted.turnover_max,
                "open_orders": holder.open_orders,
                "turnover": holder.turnover,
            }
        )
        return
    print_table(
        f"limits of {admitted.member}",
        ("limit", "in force", "used"),
        [
            ("open orders", f"{admitted.open_orders_max:,}", f"{holder.open_orders:,}"),
            ("quantity of an order, lots", f"{admitted.quantity_max:,}", ""),
            ("notional of an order, yuan", grouped(admitted.notional_max), ""),
            ("turnover of a day, yuan", grouped(admitted.turnover_max), grouped(holder.turnover)),
        ],
    )


@bourse.command(epilog="Example: bourse enrol HZ-VOUCHER-2026 SANDBOX --why 'its application of May'")
@click.argument("programme")
@click.argument("members", nargs=-1, metavar="[MEMBER]...")
@click.option("--withdraw", is_flag=True, help="End their enrolment instead.")
@click.option("--why", callback=read_why_if_given, help="With a member: the reason, for the journal to keep.")
@with_dry_run
@with_profile("operator")
@with_json
def enrol(
    programme: str,
    members: tuple[str, ...],
    why: str | None,
    profile: str,
    *,
    withdraw: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Enrol each MEMBER in PROGRAMME, or withdraw that; without a member, list who is enrolled.

    Terms with `enrolment = "listed"` pay for orders of enrolled members only, each account by its own name.
    Who is withdrawn enters no more orders under the programme; what is reserved for open ones stays. A
    programme office may do it, too.
    """
    if not members:
        if withdraw or dry_run or why is not None:
            raise click.UsageError("say who: PROGRAMME MEMBER...")
        show_enrolled(profile, programme, as_json=as_json)
        return
    if why is None:
        raise click.UsageError("an enrolment needs a reason; give --why")

    def enrolling(exchange: Client) -> Enrol:
        return Enrol(exchange.programmes[programme].code, members, not withdraw)

    told = f"{', '.join(members)}: {'no longer enrolled' if withdraw else 'enrolled'} in {programme}"
    facts = {"programme": programme, "members": members, "enrolled": not withdraw}
    do_act(profile, enrolling, why, told, dry_run=dry_run, as_json=as_json, **facts)


def show_enrolled(profile: str, programme: str, *, as_json: bool) -> None:
    """Print who is enrolled in a programme, in the order of admission."""
    with connected(profile) as exchange:
        code = exchange.programmes[programme].code
        holders = exchange.keys()
    enrolled = [one.admitted.member for one in holders if code in one.enrolled]
    if as_json:
        print_json({"programme": code, "members": enrolled})
    else:
        print_table(f"enrolled in {code}", ("member",), [(name,) for name in enrolled])
