"""What an operator does about members: admit them, list them, block them, and stop one at once."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
import msgspec

from exchange.cli.base import (
    bourse,
    connected,
    count,
    do_act,
    fail,
    print_done,
    print_json,
    print_table,
    with_dry_run,
    with_json,
    with_profile,
    with_why,
)
from exchange.cli.consequences import tell_rehearsal
from exchange.cli.keys import approvers
from exchange.client.errors import RequestRefused
from exchange.client.money import yuan
from exchange.protocol.acts import Admit, BlockMember, CancelOrders, Propose, RoleName, SizeName
from exchange.protocol.messages import KeyHolder

COLUMNS = ("member", "role", "group", "owner", "size", "region", "keys", "blocked", "notional max")


@bourse.command(
    epilog="Example: bourse admit --member ACME --role firm --size small --region HANGZHOU --why 'contract 7'"
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--member", help="The name that it has at the venue.")
@click.option("--role", type=click.Choice(get_args(RoleName)), help="What it is here.")
@click.option("--group", help="Members of one group are related parties; without one it is its own.")
@click.option("--owner", help="The member whose second account it is.")
@click.option("--size", type=click.Choice(get_args(SizeName)), help="By which programmes judge it.")
@click.option("--region", help="Where it has its seat.")
@click.option("--district", "districts", multiple=True, help="More regions that it belongs to.")
@click.option("--domestic-only/--not-domestic-only", default=None, help="It may buy domestic credits alone.")
@click.option("--open-orders-max", type=int, help="Most orders that it may have open.")
@click.option("--quantity-max", type=int, help="Most lots of an order.")
@click.option("--notional-max", type=int, help="Most that an order may come to, in hao.")
@click.option("--turnover-max", type=int, help="Most that it may trade a day, in hao.")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def admit(
    file: Path | None, why: str, profile: str, *, dry_run: bool, as_json: bool, **options: object
) -> None:
    """Admit a member, as FILE (TOML, with the options' names) and the options say; these come first.

    An operator is only proposed, once the venue has two: another approves it. Then: bourse key new.
    """
    act = admission(file, {name: value for name, value in options.items() if value not in (None, ())})
    with connected(profile) as exchange:
        if dry_run:
            tell_rehearsal(exchange.rehearse(act, why), as_json=as_json)
            return
        try:
            sequence = exchange.act(act, why)
        except RequestRefused as refused:
            if refused.code != "two_persons_needed":
                raise
            sequence = exchange.act(Propose(act), why)
            others = approvers(exchange)
            if as_json:
                print_json({"sequence": sequence, "proposal": sequence, "approvers": others})
            else:
                click.echo(
                    f"{act.member} is proposed as {sequence}; {' or '.join(others) or 'another operator'}"
                )
                click.echo(f"does it: bourse approve {sequence} --why ...")
            return
    print_done(f"{act.member}: admitted", sequence, as_json=as_json, member=act.member)


def admission(file: Path | None, options: dict[str, object]) -> Admit:
    """Return what is to be admitted; what is missing or wrong is wrong usage, and is named."""
    written: dict[str, object] = {}
    if file is not None:
        try:
            written = msgspec.toml.decode(file.read_bytes(), type=dict[str, object])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            fail(f"{file}: {error}", 2)
    try:
        return msgspec.convert({"role": "firm", **written, **options, "type": "Admit"}, Admit)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"{error}; see bourse admit --help") from error


@bourse.command(epilog="Example: bourse members --as auditor --json")
@with_profile("operator")
@with_json
def members(profile: str, *, as_json: bool) -> None:
    """List the members: who they are, how many keys live, who is blocked. Limits in yuan; --json has all."""
    with connected(profile) as exchange:
        holders = exchange.keys()
    if as_json:
        print_json({"members": [facts_of(one) for one in holders]})
    else:
        print_table(count(holders, "member"), COLUMNS, map(row_of, holders))


def facts_of(one: KeyHolder) -> dict[str, object]:
    """Return a member as JSON: limits in lots, hao, hao a day."""
    admitted = msgspec.to_builtins(one.admitted)
    del admitted["type"]
    return {**admitted, "group": one.group, "is_blocked": one.is_blocked, "public_keys": one.public_keys}


def row_of(one: KeyHolder) -> tuple[object, ...]:
    """Return a member as a line of the table."""
    admitted = one.admitted
    blocked = "blocked" if one.is_blocked else ""
    return (
        admitted.member,
        admitted.role,
        one.group,
        admitted.owner,
        admitted.size,
        admitted.region,
        len(one.public_keys),
        blocked,
        yuan(admitted.notional_max),
    )


@bourse.command(epilog="Example: bourse block SANDBOX --why 'its limits are under review'")
@click.argument("member")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def block(member: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Refuse new orders of MEMBER. What is open stays; its cancels stay free."""
    act = BlockMember(member, True)
    do_act(profile, act, why, f"{member}: blocked", dry_run=dry_run, as_json=as_json)


@bourse.command(epilog="Example: bourse unblock SANDBOX --why 'review is over'")
@click.argument("member")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def unblock(member: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Take orders of MEMBER again."""
    act = BlockMember(member, False)
    do_act(profile, act, why, f"{member}: takes part again", dry_run=dry_run, as_json=as_json)


@bourse.command(epilog="Example: bourse kill SANDBOX --why 'its program has gone wild'")
@click.argument("member")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def kill(member: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Stop MEMBER at once: new orders are refused, and all that it has open is cancelled.

    What stands in a phase that lets nothing go stays open: run it again when the phase is over.
    """
    block, cancel = BlockMember(member, True), CancelOrders(member)  # so nothing comes behind the cancel
    with connected(profile) as exchange:
        if dry_run:
            tell_rehearsal(exchange.rehearse((block, cancel), why), as_json=as_json)
            return
        blocked = exchange.act(block, why)
        done = exchange.decide(cancel, why)
    print_done(
        f"{member}: blocked, and {count(range(done.orders_cancelled), 'open order')} cancelled,",
        done.sequence,
        as_json=as_json,
        blocked=blocked,
        orders_cancelled=done.orders_cancelled,
    )
