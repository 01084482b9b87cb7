"""What operators do about members' money and credits: book, undo, find out, decide; two for the gravest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import assert_never

import click
import msgspec

from exchange.cli.base import (
    bourse,
    connected,
    count,
    do_act,
    grouped,
    print_json,
    print_table,
    with_dry_run,
    with_json,
    with_profile,
    with_why,
)
from exchange.cli.consequences import tell_rehearsal
from exchange.client.money import hao_of
from exchange.client.sync import SyncExchange as Client
from exchange.protocol.acts import (
    Adjust,
    AdjustmentLine,
    Admit,
    Approve,
    Bust,
    Deposit,
    ExpireCredits,
    FindIneligible,
    FindRelated,
    GrantAward,
    Propose,
    RegisterKey,
    Resolve,
    ReviseProgramme,
    Reweight,
    TwoPersonsAct,
)

MONEY = "money"
"""What stands for money where an instrument's symbol would stand for its credits."""


def propose(
    exchange: Client, act: TwoPersonsAct, why: str, what: str, *, dry_run: bool = False, as_json: bool
) -> None:
    """Propose an act that needs two operators, and tell how it is approved; or tell what it would do then."""
    if dry_run:
        tell_rehearsal(exchange.rehearse(act, why), as_json=as_json)
        return
    number = exchange.act(Propose(act), why)
    if as_json:
        print_json({"sequence": number, "proposal": number})
    else:
        click.echo(
            f"{what} is proposed as {number}; another operator does it: bourse approve {number} --why ..."
        )


@bourse.command(epilog="Example: bourse deposit SANDBOX 100000 --reference BANK-77 --why 'paid in'")
@click.argument("member")
@click.argument("amount")
@click.option("--reference", default="", help="The payment's own; sent twice, it is one deposit.")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def deposit(
    member: str, amount: str, reference: str, why: str, profile: str, *, dry_run: bool, as_json: bool
) -> None:
    """Book AMOUNT, in yuan, that MEMBER has paid in."""
    act = Deposit(member, hao_of(amount, "amount"), reference)
    told = f"{amount} yuan deposited for {member}"
    do_act(profile, act, why, told, dry_run=dry_run, as_json=as_json)


# --- two persons -------------------------------------------------------------------------------


@bourse.command(epilog="Example: bourse bust 8841 --why 'a mistyped price, as both firms say'")
@click.argument("trade", type=int)
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def bust(trade: int, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Propose to undo TRADE, one of the latest 65,536."""
    with connected(profile) as exchange:
        propose(exchange, Bust(trade), why, f"the bust of trade {trade}", dry_run=dry_run, as_json=as_json)


@bourse.command(
    epilog="Example: bourse adjust --take ALIBABA money 12.50 --give SANDBOX money 12.50 --why 'trade 91'"
)
@click.option("--give", "given", nargs=3, multiple=True, metavar="MEMBER ASSET AMOUNT", help="What is given.")
@click.option("--take", "taken", nargs=3, multiple=True, metavar="MEMBER ASSET AMOUNT", help="What is taken.")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def adjust(
    given: tuple[tuple[str, str, str], ...],
    taken: tuple[tuple[str, str, str], ...],
    why: str,
    profile: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Propose to book free money or credits from members to others; as much is given as taken.

    ASSET is `money`, AMOUNT then in yuan, or an instrument, AMOUNT then in lots.
    """
    with connected(profile) as exchange:
        lines = [line_of(exchange, *line, sign=1) for line in given]
        lines += [line_of(exchange, *line, sign=-1) for line in taken]
        check_sums(lines)
        what = f"an adjustment of {len(lines)} lines"
        propose(exchange, Adjust(tuple(lines)), why, what, dry_run=dry_run, as_json=as_json)


def check_sums(lines: Sequence[AdjustmentLine]) -> None:
    """Raise wrong usage if nothing is given, or not as much of an asset as is taken."""
    if not lines:
        raise click.UsageError("say what is given by --give, and what is taken by --take")
    sums: Counter[str] = Counter()
    for line in lines:
        sums[line.instrument] += line.amount
    for instrument, left in sums.items():
        if left:
            amount = f"{abs(left):,} lots of {instrument}" if instrument else f"{grouped(abs(left))} yuan"
            message = f"{amount} {'given' if left > 0 else 'taken'} too much; give as much as is taken"
            raise click.UsageError(message)


def line_of(exchange: Client, member: str, asset: str, amount: str, *, sign: int) -> AdjustmentLine:
    """Return a line of an adjustment. Raises `UnknownName`, `BadInput`, or wrong usage."""
    if asset == MONEY:
        return AdjustmentLine(member, "", sign * hao_of(amount, "amount"))
    if not amount.isdecimal():
        message = f"{member} {asset} {amount}: give a whole number of lots"
        raise click.UsageError(message)
    return AdjustmentLine(member, exchange.instruments[asset].symbol, sign * int(amount))


@bourse.command(epilog="Example: bourse approve 20417 --why 'seen and agreed' --as operator-2")
@click.argument("proposal", type=int)
@click.option("--drop", is_flag=True, help="Drop it instead; whoever has proposed it may do so as well.")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def approve(proposal: int, why: str, profile: str, *, drop: bool, dry_run: bool, as_json: bool) -> None:
    """Approve what another operator has proposed; it is done now."""
    done = "dropped" if drop else "approved and done"
    act = Approve(proposal, not drop)
    do_act(profile, act, why, f"proposal {proposal} {done}", dry_run=dry_run, as_json=as_json)


@bourse.command(epilog="Example: bourse proposals --as operator-2")
@with_profile("operator")
@with_json
def proposals(profile: str, *, as_json: bool) -> None:
    """List what was proposed and is not approved."""
    with connected(profile) as exchange:
        standing = exchange.proposals()
    if as_json:
        print_json({"proposals": msgspec.to_builtins(standing)})
        return
    print_table(
        count(standing, "proposal"),
        ("proposal", "who", "what", "why"),
        [(one.number, one.who, words_of(one.act), one.why) for one in standing],
    )


def words_of(act: TwoPersonsAct) -> str:
    """Return what is proposed, as one operator would tell another."""
    match act:
        case Bust(trade):
            return f"undo trade {trade}"
        case Adjust(lines):
            return "; ".join(map(_words_of_line, lines)) or "an adjustment of nothing"
        case GrantAward(programme, member, amount):
            return f"{programme} awards {member} {grouped(amount)} yuan"
        case ReviseProgramme(terms):
            return f"version {terms.version} of {terms.code}: budget {grouped(terms.budget)} yuan; see --json"
        case Admit():
            return f"admit {act.role} {act.member}"
        case RegisterKey(member, public_key):
            return f"let key {public_key} speak for {member}"
        case Reweight(instrument, of_input, of_cached, of_output):
            return f"weigh {instrument} {of_input}, {of_cached}, {of_output} per mille"
        case _:
            assert_never(act)


def _words_of_line(line: AdjustmentLine) -> str:
    amount = abs(line.amount)
    what = f"{amount:,} lots of {line.instrument}" if line.instrument else f"{grouped(amount)} yuan"
    return f"{'give' if line.amount > 0 else 'take'} {line.member} {what}"


# --- one person --------------------------------------------------------------------------------


@bourse.command(epilog="Example: bourse related ANN BOB --why 'one owner, says the register of companies'")
@click.argument("member")
@click.argument("other")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def related(member: str, other: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Find MEMBER and OTHER related: one group from now on, and no subsidy for what they traded."""
    told = f"{member} and {other} are one group"
    do_act(profile, FindRelated(member, other), why, told, dry_run=dry_run, as_json=as_json)


@bourse.command(epilog="Example: bourse ineligible HZ-VOUCHER-2026 ANN --why 'its size was misstated'")
@click.argument("programme")
@click.argument("member")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def ineligible(programme: str, member: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Find that PROGRAMME was not for MEMBER: what it was paid is its debt."""

    def finding(exchange: Client) -> FindIneligible:
        return FindIneligible(member, exchange.programmes[programme].code)

    told = f"{member} is not eligible for {programme}"
    do_act(profile, finding, why, told, dry_run=dry_run, as_json=as_json)


@bourse.command(epilog="Example: bourse resolve 20417 --return --why 'the task was not done'")
@click.argument("redemption", type=int)
@click.option("--accept/--return", "is_accepted", default=None, help="Burn its credits, or give them back.")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def resolve(
    redemption: int, why: str, profile: str, *, is_accepted: bool | None, dry_run: bool, as_json: bool
) -> None:
    """Decide a disputed task."""
    if is_accepted is None:
        raise click.UsageError("say --accept or --return")
    told = f"redemption {redemption}: {'accepted' if is_accepted else 'returned'}"
    do_act(profile, Resolve(redemption, is_accepted), why, told, dry_run=dry_run, as_json=as_json)


@bourse.command(epilog="Example: bourse expire A910B-HAIKOU-2606 --why 'its last day is over'")
@click.argument("instrument")
@with_why
@with_dry_run
@with_profile("operator")
@with_json
def expire(instrument: str, why: str, profile: str, *, dry_run: bool, as_json: bool) -> None:
    """Burn what is left of the credits of INSTRUMENT, whose last day is over."""

    def expiring(exchange: Client) -> ExpireCredits:
        return ExpireCredits(exchange.instruments[instrument].symbol)

    do_act(profile, expiring, why, f"{instrument}: expired", dry_run=dry_run, as_json=as_json)
