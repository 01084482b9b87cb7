"""What a firm does with its money and credits: see, redeem, withdraw, transfer, and what is subsidised."""

from __future__ import annotations

from datetime import datetime

import click
import msgspec

from exchange.cli.base import (
    bourse,
    connected,
    count,
    grouped,
    print_done,
    print_json,
    print_table,
    why_else,
    with_json,
    with_profile,
    with_reference,
    with_why,
)
from exchange.cli.statement import print_statement, statement_facts
from exchange.client.answers import Account
from exchange.client.money import hao_of
from exchange.client.subsidy import Preview
from exchange.protocol.acts import SettleDebt
from exchange.protocol.messages import OpenRedemption, ProgrammeLeft
from exchange.protocol.reasons import MEANINGS
from matching.vocabulary import RejectReason
from settlement.terms import VENUE_ZONE

DAY = click.DateTime(["%Y-%m-%d"])

PROGRAMME_COLUMNS = ("programme", "used", "cap left", "lots left", "budget left", "measured", "remark")


@bourse.command(epilog="Example: bourse account --statement --from 2026-11-01 --through 2026-11-30")
@click.option("--statement", "is_statement", is_flag=True, help="Every movement, between two balances.")
@click.option("--from", "first", type=DAY, help="Of a statement: its first day; else from the beginning.")
@click.option("--through", "last", type=DAY, help="Of a statement: its last day; else until now.")
@with_profile("sandbox")
@with_json
def account(
    first: datetime | None, last: datetime | None, profile: str, *, is_statement: bool, as_json: bool
) -> None:
    """Show money, credits, debt and obligations, and what programmes still pay; or a statement of them."""
    if not is_statement and (first or last):
        raise click.UsageError("--from and --through go with --statement")
    with connected(profile) as exchange:
        if is_statement:
            made = exchange.statement(first and first.date(), last and last.date())
            if as_json:
                print_json(statement_facts(made))
            else:
                print_statement(made)
            return
        owned = exchange.account()
    if as_json:
        print_json({"member": exchange.member, **account_facts(owned)})
        return
    money = owned.money
    rows: list[tuple[object, ...]] = [("money (yuan)", grouped(money.available), grouped(money.held), "", "")]
    rows += [
        (symbol, *lots(credit.available, credit.held, credit.restricted, credit.redeeming))
        for symbol, credit in owned.credits.items()
    ]
    print_table(exchange.member, ("asset", "available", "held", "restricted", "redeeming"), rows)
    if owned.debt:
        click.echo(
            f"owed to programmes: {grouped(owned.debt)} yuan; "
            "nothing is withdrawn or subsidised until that is settled"
        )
    if owned.obligations:
        print_table(
            "obligations (lots)",
            ("instrument", "issued", "redeemed", "expired", "left"),
            [
                (one.instrument, *lots(one.issued, one.redeemed, one.expired, one.left))
                for one in owned.obligations
            ],
        )
    print_table("programmes (yuan)", PROGRAMME_COLUMNS, map(programme_row, owned.programmes))


def account_facts(owned: Account) -> dict[str, object]:
    """Return an account as JSON: money in hao, credits in lots."""
    return {
        "sequence": owned.sequence,
        "money": {"available": owned.money.available, "held": owned.money.held},
        "debt": owned.debt,
        "credits": {symbol: msgspec.structs.asdict(credit) for symbol, credit in owned.credits.items()},
        "obligations": [{**msgspec.structs.asdict(one), "left": one.left} for one in owned.obligations],
        "programmes": list(map(programme_facts, owned.programmes)),
    }


def programme_facts(left: ProgrammeLeft) -> dict[str, object]:
    """Return what a programme leaves as JSON: amounts in hao."""
    return {
        "programme": left.code,
        "fiscal_year": left.fiscal_year,
        "used": left.used,
        "cap_left": left.cap_left,
        "lots_left": left.lots_left,
        "uncommitted": left.uncommitted,
        "measured": left.measured,
        "barred": left.barred,
    }


def programme_row(left: ProgrammeLeft) -> tuple[object, ...]:
    """Return what a programme leaves as a line of a table: amounts in yuan."""
    return (
        left.code,
        grouped(left.used),
        grouped(left.cap_left),
        "no cap" if left.lots_left is None else f"{left.lots_left:,}",
        grouped(left.uncommitted),
        grouped(left.measured) if left.measured else "",
        left.barred,
    )


def lots(*counts: int) -> list[str]:
    """Return counts of lots as people read them."""
    return [f"{count:,}" for count in counts]


# --- subsidies ---------------------------------------------------------------------------------


@bourse.command(epilog="Example: bourse subsidy QWEN3-MAX 12.35 250 --programme HZ-VOUCHER-2026")
@click.argument("instrument", required=False)
@click.argument("limit", required=False)
@click.argument("quantity", type=int, required=False)
@click.option("--programme", help="Only this programme; needed before an order if there are several.")
@with_profile("sandbox")
@with_json
def subsidy(
    instrument: str | None,
    limit: str | None,
    quantity: int | None,
    programme: str | None,
    profile: str,
    *,
    as_json: bool,
) -> None:
    """Show what programmes leave to your group; or, before a buy, what you would pay and what a programme.

    Give INSTRUMENT, LIMIT in yuan a lot and QUANTITY in lots to have a buy reckoned. Nothing is placed.
    """
    with connected(profile) as exchange:
        known = [exchange.programmes[programme].code] if programme else [*exchange.programmes]
        if instrument is None:
            left = [one for one in exchange.account().programmes if one.code in known]
            if as_json:
                print_json({"programmes": [programme_facts(one) for one in left]})
            else:
                print_table("programmes (yuan)", PROGRAMME_COLUMNS, map(programme_row, left))
            return
        if limit is None or quantity is None:
            raise click.UsageError("give INSTRUMENT, LIMIT and QUANTITY, or none of them")
        if len(known) != 1:
            raise click.UsageError(f"name one by --programme: {', '.join(known) or 'the venue runs none'}")
        ticket = exchange.instruments[instrument].buy(quantity, limit=limit, programme=known[0])
        told = exchange.preview(ticket)
    if as_json:
        print_json(msgspec.structs.asdict(told))
    else:
        show_preview(told)


def show_preview(told: Preview) -> None:
    """Print what an order would come to."""
    rows: list[tuple[str, object]] = [
        ("price x quantity", grouped(told.amount)),
        ("fee at most", grouped(told.fee)),
        ("the programme pays at most", grouped(told.programme_pays)),
        ("you pay at most", grouped(told.you_pay)),
        ("held meanwhile", grouped(told.you_hold)),
        ("lots subsidised", f"{told.cover:,}"),
        ("cap left then", grouped(told.cap_left)),
        ("budget left then", grouped(told.uncommitted)),
    ]
    print_table(f"{told.programme}, {told.rate / 100:g} % (yuan)", ("", "amount"), rows)
    counted = told.amount * told.rate // 10_000
    if told.barred:
        remedy = MEANINGS[RejectReason[told.barred.upper()]].remedy
        click.echo(f"the venue would refuse it: {told.barred}{'' if '{' in remedy else f'; {remedy}'}")
    elif told.programme_pays < told.full:
        click.echo(f"caps and budget leave less than its full share, {grouped(told.full)} yuan")
    elif told.full < counted:
        click.echo("it counts its cap in lots at most, and of a price no more than list price and ceiling")


# --- redemption --------------------------------------------------------------------------------


@bourse.command(epilog="Example: bourse redeem QWEN3-MAX 20 --reference REQ-0001")
@click.argument("instrument")
@click.argument("lots", type=int)
@with_reference("redemption")
@why_else("bourse redeem")
@with_profile("sandbox")
@with_json
def redeem(instrument: str, lots: int, reference: str, why: str, profile: str, *, as_json: bool) -> None:
    """Ask the provider of INSTRUMENT for what LOTS of it stand for; they are set aside until it delivers."""
    with connected(profile) as exchange:
        number = exchange.redeem(instrument, lots, reference, why)
    print_done(
        f"redemption {number}: {lots} lots of {instrument}", number, as_json=as_json, redemption=number
    )


@bourse.command(epilog="Example: bourse redemptions --as sandbox")
@with_profile("sandbox")
@with_json
def redemptions(profile: str, *, as_json: bool) -> None:
    """List open redemptions: your own, and as a provider those that you may deliver."""
    with connected(profile) as exchange:
        open_ones = exchange.redemptions()
    if as_json:
        print_json({"redemptions": [msgspec.structs.asdict(one) for one in open_ones]})
        return
    print_table(
        f"{count(open_ones, 'open redemption')}, times UTC+8",
        ("redemption", "member", "instrument", "lots", "state", "reference", "asked", "accept until"),
        map(redemption_row, open_ones),
    )


def redemption_row(one: OpenRedemption) -> tuple[object, ...]:
    """Return a redemption as a line of a table."""
    return (
        one.number,
        one.member,
        one.instrument,
        one.lots,
        one.state,
        one.reference,
        moment(one.time),
        moment(one.until) if one.until else "",
    )


def moment(time: int) -> str:
    """Return a time, in ns since 1970, as the venue's clock shows it."""
    return f"{datetime.fromtimestamp(time // 10**9, VENUE_ZONE):%Y-%m-%d %H:%M:%S}"


@bourse.command(epilog="Example: bourse accept 20417")
@click.argument("redemption", type=int)
@why_else("bourse accept")
@with_profile("sandbox")
@with_json
def accept(redemption: int, why: str, profile: str, *, as_json: bool) -> None:
    """Accept an agent's task that was delivered."""
    with connected(profile) as exchange:
        print_done(f"redemption {redemption}: accepted", exchange.accept(redemption, why), as_json=as_json)


@bourse.command(epilog="Example: bourse dispute 20417 --why 'the report lacks its second half'")
@click.argument("redemption", type=int)
@with_why
@with_profile("sandbox")
@with_json
def dispute(redemption: int, why: str, profile: str, *, as_json: bool) -> None:
    """Dispute an agent's task that was delivered, within seven days; an operator decides."""
    with connected(profile) as exchange:
        print_done(f"redemption {redemption}: disputed", exchange.dispute(redemption, why), as_json=as_json)


@bourse.command(epilog="Example: bourse recall 20417")
@click.argument("redemption", type=int)
@why_else("bourse recall")
@with_profile("sandbox")
@with_json
def recall(redemption: int, why: str, profile: str, *, as_json: bool) -> None:
    """Take a redemption back that is not delivered."""
    with connected(profile) as exchange:
        print_done(f"redemption {redemption}: recalled", exchange.recall(redemption, why), as_json=as_json)


# --- money -------------------------------------------------------------------------------------


@bourse.command(epilog="Example: bourse withdraw 1500.00 --reference W-0007")
@click.argument("amount")
@with_reference("withdrawal")
@why_else("bourse withdraw")
@with_profile("sandbox")
@with_json
def withdraw(amount: str, reference: str, why: str, profile: str, *, as_json: bool) -> None:
    """Have AMOUNT, in yuan, of your free money paid out; not while you owe to a programme."""
    with connected(profile) as exchange:
        sequence = exchange.withdraw(amount, reference, why)
    print_done(f"{amount} yuan withdrawn", sequence, as_json=as_json, reference=reference)


@bourse.command(epilog="Example: bourse transfer SANDBOX-2 500.00 --reference T-0001")
@click.argument("member")
@click.argument("amount")
@click.option("--instrument", default="", help="Move so many lots of its free credits instead of money.")
@with_reference("transfer")
@why_else("bourse transfer")
@with_profile("sandbox")
@with_json
def transfer(
    member: str, amount: str, instrument: str, reference: str, why: str, profile: str, *, as_json: bool
) -> None:
    """Move AMOUNT, in yuan or with --instrument in lots, to MEMBER: an account of the same owner."""
    if instrument and not amount.isdecimal():
        raise click.UsageError("AMOUNT: give a whole number of lots")
    moved = int(amount) if instrument else amount
    with connected(profile) as exchange:
        sequence = exchange.transfer(member, moved, reference, instrument=instrument, why=why)
    unit = f"lots of {instrument}" if instrument else "yuan"
    print_done(f"{amount} {unit} moved to {member}", sequence, as_json=as_json, reference=reference)


@bourse.command("settle-debt", epilog="Example: bourse settle-debt HZ-VOUCHER-2026 120.00 --why 'as agreed'")
@click.argument("programme")
@click.argument("amount")
@click.option("--member", help="Whose debt, for an operator; yourself unless named.")
@with_why
@with_profile("sandbox")
@with_json
def settle_debt(
    programme: str, amount: str, member: str | None, why: str, profile: str, *, as_json: bool
) -> None:
    """Pay AMOUNT, in yuan, of a debt to PROGRAMME out of free money."""
    with connected(profile) as exchange:
        code, paid = exchange.programmes[programme].code, hao_of(amount, "amount")
        sequence = exchange.act(SettleDebt(member or exchange.member, code, paid), why)
    print_done(f"{amount} yuan settled with {programme}", sequence, as_json=as_json)
