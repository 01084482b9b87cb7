"""What operators do about programmes: define them, revise their terms, close their years, grant awards."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.cli.base import bourse, connected, do_act, with_dry_run, with_json, with_profile, with_why
from exchange.cli.venue_money import propose
from exchange.client.money import hao_of
from exchange.client.sync import SyncExchange as Client
from exchange.protocol.acts import CloseYear, DefineProgramme, GrantAward, ReviseProgramme
from settlement.terms import ProgrammeTerms
from settlement.terms_file import read_terms


def read_file(_context: click.Context, _parameter: click.Parameter, file: Path) -> ProgrammeTerms:
    """Return the terms of a file; what is wrong in it is wrong usage."""
    try:
        return read_terms(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"{file}: {error}"
        raise click.BadParameter(message) from error


with_terms = click.argument(
    "terms",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=read_file,
)


@bourse.group(epilog="Example: bourse programme close HZ-VOUCHER-2026 --why 'the year is over'")
def programme() -> None:
    """Define programmes, revise them, close their years, grant awards."""


@programme.command("define", epilog="Example: bourse fund voucher.toml --why 'the city has paid in'")
@with_terms
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def define(terms: ProgrammeTerms, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Open a programme by the terms of FILE (TOML), and fund it with its whole budget.

    Money in hao, rates in basis points; docs/reference/terms.md tells every field.
    """
    told = f"{terms.code} defined"
    act = DefineProgramme(terms)
    do_act(profile, act, why, told, dry_run=dry_run, as_json=as_json, programme=terms.code)


bourse.add_command(define, "fund")


@programme.command("revise", epilog="Example: bourse programme revise voucher.toml --why 'caps are raised'")
@with_terms
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def revise(terms: ProgrammeTerms, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Propose the next version of a programme's terms, as FILE tells them, for orders from then on."""
    with connected(profile) as exchange:
        what = f"version {terms.version} of {terms.code}"
        propose(exchange, ReviseProgramme(terms), why, what, dry_run=dry_run, as_json=as_json)


@programme.command("close", epilog="Example: bourse programme close HZ-VOUCHER-2026 --why 'the year is over'")
@click.argument("code")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def close(code: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Close the year of programme CODE, which is no longer in force: claims on a pro-rata one are paid."""

    def closing(exchange: Client) -> CloseYear:
        return CloseYear(exchange.programmes[code].code)

    do_act(profile, closing, why, f"{code} closed", dry_run=dry_run, as_json=as_json)


@programme.command(
    "award", epilog="Example: bourse programme award FJ-AWARD-2026 SANDBOX 12000 --why 'as measured'"
)
@click.argument("code")
@click.argument("member")
@click.argument("amount")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def award(
    code: str, member: str, amount: str, why: str, profile: str, *, dry_run: bool, as_json: bool
) -> None:
    """Propose that programme CODE pays MEMBER an award of AMOUNT, in yuan, for its measured use."""
    with connected(profile) as exchange:
        act = GrantAward(exchange.programmes[code].code, member, hao_of(amount, "amount"))
        what = f"an award of {amount} yuan to {member}"
        propose(exchange, act, why, what, dry_run=dry_run, as_json=as_json)
