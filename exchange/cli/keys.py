"""`bourse key`: hand out, show, list, rotate and revoke members' keys."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from exchange.cli.base import (
    bourse,
    connected,
    count,
    do_act,
    fail,
    print_done,
    print_json,
    print_table,
    why_else,
    with_dry_run,
    with_json,
    with_profile,
)
from exchange.cli.rotation import Rotation
from exchange.client.errors import RequestRefused
from exchange.client.sync import SyncExchange as Client
from exchange.profiles import (
    SECRET_MODE,
    VENUE_DEFAULT,
    VENUE_VARIABLE,
    Endpoints,
    Profile,
    find_profile,
    load_profile,
    write_profile,
)
from exchange.protocol.acts import Propose, RegisterKey, RevokeKey
from exchange.protocol.curve import is_key
from exchange.protocol.messages import KeyHolder

OPERATOR = "operator"

NAMES_TRIED_MAX = 1_000
"""Most names that are tried for a new profile's file."""


@bourse.group(epilog="Example: bourse key new SANDBOX")
def key() -> None:
    """Hand out, show, list, rotate and revoke members' keys."""


@key.command("new", epilog="Example: bourse key new SANDBOX --as operator")
@click.argument("member")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write the profile, a new file; else into keys/ of the venue's folder if it is here, "
    "or into the working folder.",
)
@click.option("--orders", default="", help="The endpoint that MEMBER connects to, if it is not yours.")
@why_else("bourse key new")
@with_profile("operator")
@with_json
def key_new(member: str, out: Path | None, orders: str, why: str, profile: str, *, as_json: bool) -> None:
    """Make a key pair for MEMBER, have the venue register it, and write its profile.

    An operator's key is only proposed, once the venue has two operators: another approves it.
    """
    from exchange.server.folder import new_key_pair

    own = load_profile(profile)
    with connected(profile) as exchange:
        (holder,) = exchange.keys(member)
        listens = replace(own.endpoints, orders=orders or orders_of(own, exchange.role, holder))
        path = reserved(out, member)
        pair = new_key_pair(member)
        fresh = replace(
            own,
            member=member,
            public_key=pair.public_key,
            secret_key=pair.secret_key,
            endpoints=listens,
        )
        write_profile(
            path, fresh
        )  # before the venue knows it: a key whose secret is lost is good for nothing
        try:
            sequence, is_proposed = registered(exchange, RegisterKey(member, pair.public_key), why)
        except RequestRefused:
            path.unlink()
            raise
        others = approvers(exchange) if is_proposed else []
    facts = {
        "member": member,
        "public_key": pair.public_key,
        "profile": str(path),
        "registered": not is_proposed,
    }
    if not is_proposed:
        print_done(f"{member}: profile {path}, key registered", sequence, as_json=as_json, **facts)
    elif as_json:
        print_json({"sequence": sequence, "proposal": sequence, "approvers": others, **facts})
    else:
        click.echo(f"{member}: profile {path}; its key is proposed as {sequence}, and opens nothing yet")
        click.echo(
            f"{' or '.join(others) or 'another operator'} does it: bourse approve {sequence} --why ..."
        )


def registered(exchange: Client, act: RegisterKey, why: str) -> tuple[int, bool]:
    """Have a key registered, or proposed where that needs two operators; tell under which sequence."""
    try:
        return exchange.act(act, why), False
    except RequestRefused as refused:
        if refused.code != "two_persons_needed":
            raise
    return exchange.act(Propose(act), why), True


def approvers(exchange: Client) -> list[str]:
    """Return the operators who may approve what one has proposed: those with keys that are somebody else."""
    holders = exchange.keys()
    owners = {one.admitted.member: one.admitted.owner or one.admitted.member for one in holders}
    return [
        one.admitted.member
        for one in holders
        if one.admitted.role == OPERATOR
        and one.public_keys
        and owners[one.admitted.member] != owners[exchange.member]
    ]


def orders_of(own: Profile, role: str, holder: KeyHolder) -> str:
    """Return the endpoint that a member connects to: operators have one of their own.

    Where it is not that of one's own profile it is read in the venue's folder.
    """
    is_theirs = holder.admitted.role == OPERATOR
    if is_theirs == (role == OPERATOR):
        return own.endpoints.orders
    try:
        listens = msgspec.json.decode((folder_of_venue() / "venue.json").read_bytes(), type=dict[str, str])
        if own.endpoints.orders in listens.values():
            return listens["operators" if is_theirs else "orders"]
    except (OSError, msgspec.MsgspecError, KeyError):
        pass
    return fail("the venue's folder is not here; say by --orders where this member is to connect", 2)


def folder_of_venue() -> Path:
    """Return the venue's folder, if there is one here."""
    return Path(os.environ.get(VENUE_VARIABLE) or VENUE_DEFAULT)


def reserved(out: Path | None, member: str) -> Path:
    """Make an empty file that only its owner may read, and return its path; none is ever overwritten."""
    if out is not None:
        choices: Sequence[Path] = [out]
    else:
        keys = folder_of_venue() / "keys"
        stem = re.sub(r"[^a-z0-9_-]+", "-", member.lower()).strip("-") or "member"
        names = (stem, *(f"{stem}-{number}" for number in range(2, NAMES_TRIED_MAX)))
        choices = [(keys if keys.is_dir() else Path()) / f"{name}.toml" for name in names]
    for path in choices:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE))
        except FileExistsError:
            continue
        except OSError as error:
            fail(f"{path}: {error.strerror}", 2)
        return path
    return fail(f"--out {choices[-1]}: the file exists; name a new one", 2)


@key.command("show", epilog="Example: bourse key show --as sandbox")
@with_profile("sandbox")
@with_json
def key_show(profile: str, *, as_json: bool) -> None:
    """Show whose key a profile holds, and where it connects; never the secret."""
    own = load_profile(profile)
    facts: dict[str, object] = {
        "member": own.member,
        "public_key": own.public_key,
        "server_key": own.server_key,
        "endpoints": msgspec.to_builtins(own.endpoints),
    }
    if as_json:
        print_json(facts)
        return
    for name in ("member", "public_key", "server_key"):
        click.echo(f"{name:12} {facts[name]}")
    for name in Endpoints.__struct_fields__:
        click.echo(f"{name:12} {getattr(own.endpoints, name)}")


@key.command("list", epilog="Example: bourse key list SANDBOX --as operator")
@click.argument("member", default="")
@with_profile("sandbox")
@with_json
def key_list(member: str, profile: str, *, as_json: bool) -> None:
    """List the keys that the venue knows: one's own, an operator's and an auditor's list holds all."""
    with connected(profile) as exchange:
        holders = exchange.keys(member)
    rows = [(one.admitted.member, one.admitted.role, public) for one in holders for public in one.public_keys]
    if as_json:
        names = ("member", "role", "public_key")
        print_json({"keys": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        print_table(count(rows, "live key"), ("member", "role", "public key"), rows)


@key.command("rotate", epilog="Example: bourse key rotate --as sandbox")
@why_else("bourse key rotate")
@with_profile()
@with_json
def key_rotate(why: str, profile: str, *, as_json: bool) -> None:
    """Let a new key take the place of the profile's: register it, try it, write it, revoke the old one.

    Whatever breaks on the way, run it again: it goes on from there. Until the old key is revoked, the
    profile with it lies beside the new one, as FILE.old.
    """
    done = Rotation(find_profile(profile), why).run()
    if as_json:
        print_json({"member": done.member, "public_key": done.public_key, "revoked": done.revoked})
        return
    click.echo(f"{done.member}: {done.path} holds its new key {done.public_key}; {done.revoked} is revoked")
    click.echo("sessions that are open under the old key are at an end: let them connect anew")


class _OfPublicKey(click.Command):
    """A command on a public key, which one time in 85 begins with a dash and is no option for that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, such keys behind all options."""
        if "--" in args:
            return super().parse_args(ctx, args)
        keys = [one for one in args if one.startswith("-") and not one.startswith("--why=") and is_key(one)]
        return super().parse_args(ctx, [*(one for one in args if one not in keys), "--", *keys])


@key.command(
    "revoke", cls=_OfPublicKey, epilog="Example: bourse key revoke 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID'"
)
@click.argument("public_key")
@why_else("bourse key revoke")
@with_dry_run
@with_profile("operator")
@with_json
def key_revoke(public_key: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Let a public key speak for nobody from now on: orders, queries and refreshes are refused at once.

    A feed that is open already goes on until it connects again.
    """
    told = f"{public_key}: revoked"
    act = RevokeKey(public_key)
    do_act(profile, act, why, told, dry_run=dry_run, as_json=as_json, public_key=public_key)
