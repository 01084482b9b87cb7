"""A venue as it was then: `bourse inspect`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from exchange.cli.base import bourse, fail, grouped, print_json, print_table, with_json
from exchange.cli.firm_money import PROGRAMME_COLUMNS, account_facts, lots, moment, programme_row
from exchange.cli.replaying import damage_told, with_journal
from exchange.client.answers import account_of
from exchange.client.errors import UnknownName
from exchange.client.money import yuan
from exchange.protocol.messages import ProgrammeLeft

if TYPE_CHECKING:
    from exchange.server.folder import Folder

WHAT = ("book", "account", "order", "before", "programme", "member")
DEPTH = 10

_MONEY = (
    "budget",
    "uncommitted",
    "reserved",
    "paid",
    "vested",
    "gross",
    "fees",
    "subsidy",
    "turnover",
    "notional_max",
    "turnover_max",
    "price",
    "stop_price",
)
"""Facts that are in hao, and are shown in yuan."""

_MOMENTS = ("time", "sent_at", "expires_at")

_EVENT_COLUMNS = ("sequence", "what", "price", "lots", "leaves", "fee", "subsidy", "state", "reason")


HELP = """
Show a venue as it was after one command: all of it, or one thing in it.

\b
book SYMBOL       levels and phase; with --seen-by what a member could see
account MEMBER    balances, and what programmes leave
order NUMBER      its state then, and all that it was told
before NUMBER     what its member had before it when it came, and what it did
programme CODE    budget and terms
member CODE       limits, keys, open orders

An order's NUMBER is the sequence that it came with; `last` is the newest.
"""


@bourse.command(help=HELP, epilog="Example: bourse inspect data/venue --at 5000 book QWEN3-MAX --depth 5")
@click.argument("folder")
@click.argument("what", type=click.Choice(WHAT), required=False)
@click.argument("name", required=False)
@click.option(
    "--at", "sequence", type=click.IntRange(1), help="As it was after this sequence; else at the end."
)
@click.option(
    "--depth", type=click.IntRange(1), default=DEPTH, show_default=True, help="Levels a side of a book."
)
@click.option("--orders", "with_orders", is_flag=True, help="With book: each order, in its order.")
@click.option("--seen-by", metavar="MEMBER", default="", help="With book: what this member could see.")
@with_json
def inspect(
    folder: str,
    what: str | None,
    name: str | None,
    sequence: int | None,
    depth: int,
    seen_by: str,
    *,
    with_orders: bool,
    as_json: bool,
) -> None:
    """Show a venue as it was after one command: all of it, or one thing in it."""
    if what is not None and name is None:
        raise click.UsageError(f"{what} of what? Say `bourse inspect {folder} {what} NAME`")
    if (with_orders or seen_by) and what != "book":
        raise click.UsageError("--orders and --seen-by go with book")
    if what == "before" and sequence is not None:
        raise click.UsageError("before an order is a point of its own; leave --at out")
    from exchange.server.inspecting import NotThere
    from exchange.server.order_lives import order_at

    place = with_journal(folder)
    with damage_told():
        try:
            if what == "order":
                facts = order_at(place, _number(place, name or "", sequence), sequence)
            elif what == "before":
                facts = _before(place, _number(place, name or "", None), depth)
            else:
                facts = _state(place, what, name or "", sequence, depth, seen_by, with_orders=with_orders)
        except (NotThere, UnknownName) as error:
            fail(str(error), 2)
    if as_json:
        print_json(facts)
    else:
        _SHOWN[what](facts)


def _number(place: Folder, name: str, sequence: int | None) -> int:
    """Return an order's number; `last` is the newest up to a sequence."""
    from exchange.server.order_lives import last_order

    if name == "last":
        return last_order(place, sequence)
    if not name.isdecimal() or not int(name):
        raise click.UsageError(
            f"order {name!r}: an order's number is the sequence that it came with, as 5000"
        )
    return int(name)


def _before(place: Folder, order: int, depth: int) -> dict[str, Any]:
    from exchange.server.order_lives import before

    found = before(place, order, depth)
    return {
        "member": found.member,
        "order": found.order,
        "book": found.book,
        "account": account_facts(account_of(found.account, {})),
        "events": found.events,
        "others": found.others,
    }


def _state(
    place: Folder,
    what: str | None,
    name: str,
    sequence: int | None,
    depth: int,
    seen_by: str,
    *,
    with_orders: bool,
) -> dict[str, Any]:
    """Return one thing of a venue as it was, or all of it at a glance."""
    from exchange.server.inspecting import stand_at

    then = stand_at(place, sequence)
    for line in then.told:
        click.echo(line, err=True)
    match what:
        case "book":
            return then.book(name, depth, with_orders=with_orders, seen_by=seen_by)
        case "account":
            return {
                "member": name,
                "time": then.engine.time,
                **account_facts(account_of(then.account(name), {})),
            }
        case "programme":
            return then.programme(name)
        case "member":
            return then.member_facts(name)
        case _:
            return then.summary()


# --- on the screen -------------------------------------------------------------------------------------


def _when(facts: dict[str, Any]) -> str:
    """Return where in the journal this is."""
    return f"after sequence {facts['sequence']}, {moment(facts['time'])} UTC+8"


def _plainly(facts: dict[str, Any]) -> list[tuple[object, object]]:
    """Return facts as lines: amounts in yuan, times by the venue's clock, nothing that is blank."""
    rows: list[tuple[object, object]] = []
    for name, value in facts.items():
        if value in (None, "", [], ()) or isinstance(value, dict):
            continue
        shown: object = value
        if name in _MOMENTS:
            shown = f"{moment(value)} UTC+8"
        elif name in _MONEY:
            shown = grouped(value)
        elif isinstance(value, bool):
            shown = "yes" if value else "no"
        elif isinstance(value, list):
            shown = ", ".join(map(str, value))
        rows.append((name.replace("_", " "), shown))
    return rows


def _show_summary(facts: dict[str, Any]) -> None:
    phases = ", ".join(f"{count} {phase}" for phase, count in facts["phases"].items())
    plain = {name: value for name, value in facts.items() if name not in ("phases", "programmes")}
    print_table(f"the venue {_when(facts)}", ("what", "then"), [*_plainly(plain), ("phases", phases)])
    _show_budgets(facts["programmes"])


def _show_budgets(programmes: list[dict[str, Any]]) -> None:
    states = ("budget", "uncommitted", "reserved", "paid", "vested")
    rows = [(one["code"], *(grouped(one[state]) for state in states)) for one in programmes]
    print_table("programmes (yuan)", ("programme", *states), rows)


def _show_book(facts: dict[str, Any]) -> None:
    whose = f" as {facts['seen_by']} saw it" if facts["seen_by"] else ""
    rows = [
        (
            *((bid["orders"], bid["quantity"], yuan(bid["price"])) if bid else ("", "", "")),
            *((yuan(ask["price"]), ask["quantity"], ask["orders"]) if ask else ("", "", "")),
        )
        for bid, ask in zip_longest(facts["bids"], facts["asks"])
    ]
    title = f"{facts['instrument']}, {facts['phase']}{whose}, {_when(facts)} (yuan a lot, lots)"
    print_table(title, ("orders", "lots", "bid", "ask", "lots ", "orders "), rows)
    prices = {name: facts[name] for name in ("last", "reference") if facts[name]}
    if prices:
        click.echo(", ".join(f"{name} {yuan(price)}" for name, price in prices.items()))
    for name in ("bid_orders", "ask_orders", "parked_buys", "parked_sells", "waiting_buys", "waiting_sells"):
        if facts.get(name):
            _show_orders(name.replace("_", " "), facts[name])


def _show_orders(title: str, orders: list[dict[str, Any]]) -> None:
    """Print open orders; of somebody else's only what is shown."""
    rows = [
        (
            one["order"],
            yuan(one["price"]),
            yuan(one["stop_price"]) if "stop_price" in one else "",
            one["quantity"],
            one.get("leaves", ""),
            one.get("member", ""),
        )
        for one in orders
    ]
    print_table(title, ("order", "price", "stop price", "shown", "leaves", "member"), rows)


def _show_account(facts: dict[str, Any]) -> None:
    money = facts["money"]
    rows: list[tuple[object, ...]] = [
        ("money (yuan)", grouped(money["available"]), grouped(money["held"]), "", "")
    ]
    columns = ("available", "held", "restricted", "redeeming")
    rows += [
        (symbol, *lots(*(credit[column] for column in columns)))
        for symbol, credit in facts["credits"].items()
    ]
    title = f"{facts['member']} {_when(facts)}" if "time" in facts else facts["member"]
    print_table(title, ("asset", *columns), rows)
    if facts["debt"]:
        click.echo(f"owed to programmes: {grouped(facts['debt'])} yuan")
    if facts["obligations"]:
        names = ("instrument", "issued", "redeemed", "expired", "left")
        rows = [tuple(one[name] for name in names) for one in facts["obligations"]]
        print_table("obligations (lots)", names, rows)
    if facts["programmes"]:
        left = [_left(one) for one in facts["programmes"]]
        print_table("programmes (yuan)", PROGRAMME_COLUMNS, map(programme_row, left))


def _left(facts: dict[str, Any]) -> ProgrammeLeft:
    named = {name: value for name, value in facts.items() if name != "programme"}
    return ProgrammeLeft(code=facts["programme"], **named)


def _show_order(facts: dict[str, Any]) -> None:
    plain = {name: value for name, value in facts.items() if name not in ("sequence", "time", "events")}
    print_table(f"order {facts['order']} {_when(facts)}", ("what", "then"), _plainly(plain))
    _show_events(facts["events"])


def _show_events(events: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["sequence"],
            one["kind"].replace("_", " "),
            yuan(one["price"]) if one["price"] else "",
            one["quantity"],
            one["leaves"],
            yuan(one["fee"]) if one["fee"] else "",
            yuan(one["subsidy"]) if one["subsidy"] else "",
            one["state"],
            one["reason"],
        )
        for one in events
    ]
    print_table("what it was told", _EVENT_COLUMNS, rows)


def _show_before(facts: dict[str, Any]) -> None:
    """Print the order, then what stood before it, then what it did."""
    print_table(
        f"{facts['member']}: order {facts['order']['order']}", ("what", "asked"), _plainly(facts["order"])
    )
    late = (facts["order"]["time"] - facts["order"]["sent_at"]) / 1e6
    click.echo(
        f"taken {late:,.3f} ms after it was sent, by two clocks; what follows is as it was just before"
    )
    _show_book(facts["book"])
    account = facts["account"]
    wanted = facts["order"]["programme"]
    symbol = facts["order"]["instrument"]
    account |= {
        "member": facts["member"],
        "credits": {name: credit for name, credit in account["credits"].items() if name == symbol},
        "programmes": [one for one in account["programmes"] if wanted in (None, one["programme"])],
    }
    _show_account(account)
    _show_events(facts["events"])
    if facts["others"]:
        click.echo(f"other members were told of {facts['others']} events")


def _show_programme(facts: dict[str, Any]) -> None:
    plain = {name: value for name, value in facts.items() if name not in ("sequence", "time", "terms")}
    print_table(f"{facts['code']} {_when(facts)}", ("what", "then"), _plainly(plain))
    click.echo("its terms: with --json")


def _show_member(facts: dict[str, Any]) -> None:
    plain = {name: value for name, value in facts.items() if name not in ("sequence", "time")}
    print_table(f"{facts['member']} {_when(facts)}", ("what", "then"), _plainly(plain))


_SHOWN: dict[str | None, Callable[[dict[str, Any]], None]] = {
    None: _show_summary,
    "book": _show_book,
    "account": _show_account,
    "order": _show_order,
    "before": _show_before,
    "programme": _show_programme,
    "member": _show_member,
}
