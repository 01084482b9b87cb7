"""The twenty orders of `docs/manual/what-if.md`: its tables read, and its market played."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from exchange.client.errors import OrderRejected
from exchange.protocol import acts
from exchange.server.folder import Folder
from exchange.testing import Exchange
from settlement.terms import ProgrammeTerms, Rate
from tests.engine.market import instrument

PAGE = Path(__file__).resolve().parents[2] / "docs" / "manual" / "what-if.md"

MODEL = instrument("QWEN", "model", "CLOUD", 100_000, 100, domestic=True, filed=True)
FIRMS = {"ANN": "micro", "BEN": "small", "DAN": "medium", "LEO": "large"}
RATE = Rate(rate=3_000, sizes=("micro", "small", "medium"))
AS_IT_WAS = ProgrammeTerms(
    code="P",
    version=1,
    fiscal_year=2026,
    budget=6_000_000,
    rates=(RATE,),
    ceiling=0,
    order_cap=10**12,
    group_cap=10**12,
    valid_from=date(2026, 1, 1),
    valid_through=date(2026, 12, 31),
)
OTHER = replace(AS_IT_WAS, rates=(replace(RATE, rate=2_000),))

Row = dict[str, str]


def tables() -> list[list[Row]]:
    """Return the page's tables, a row a dict by the column's heading."""
    found: list[list[Row]] = []
    head: list[str] | None = None
    for line in PAGE.read_text("utf-8").splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head is None:
            head = cells
            found.append([])
        elif not set(line) <= set("|-"):
            found[-1].append(dict(zip(head, cells, strict=True)))
    return found


def hao(yuan: str) -> int:
    """Return yuan with two or four decimals as hao."""
    whole, _, decimals = yuan.partition(".")
    return int(whole) * 10_000 + int(decimals.ljust(4, "0"))


class Done(NamedTuple):
    """What became of one order: what it was paid, what the budget then had left, its sequence, its fills."""

    is_refused: bool
    paid: int
    left: int
    sequence: int
    trades: str


def played(folder: Folder, terms: ProgrammeTerms, orders: list[Row]) -> tuple[Exchange, dict[str, Done]]:
    """Play the page's orders in a venue of its own, with its journal in a folder."""
    founding: tuple[acts.Act, ...] = (
        acts.Admit(member="OPERATOR", role="operator"),
        acts.Admit(member="CLOUD", role="provider"),
        *(acts.Admit(member=name, role="firm", size=size) for name, size in FIRMS.items()),  # type: ignore[arg-type]
        *(acts.Deposit(name, 10**9) for name in FIRMS),
        acts.ListInstruments((MODEL,)),
        acts.SetCapacity("QWEN", 1_000),
        acts.Issue("QWEN", 1_000),
        acts.DefineProgramme(terms),
    )
    venue = Exchange(
        tuple(acts.SignedAct("OPERATOR", "a test", act) for act in founding), folder=folder.journal
    )
    clients = {name: venue.connect(name) for name in ("CLOUD", *FIRMS)}
    done = {}
    for order in orders:
        done[order["order"]] = placed(venue, clients[order["member"].split()[0]], order)
    venue.journal.close()
    return venue, done


def placed(venue: Exchange, client, order: Row) -> Done:
    """Place one order, and return what became of it."""
    qwen = client.instruments["QWEN"]
    make = qwen.buy if order["side"] == "buy" else qwen.sell
    named = {"programme": order["programme"]} if order["programme"] else {}
    client_id = f"order-{order['order']}"
    before = venue.engine.sequence
    try:
        made = client.place(make(int(order["lots"]), limit=order["limit"], **named), client_id=client_id)
    except OrderRejected:
        made = None
    left = venue.engine.programmes()[0].uncommitted
    if made is None:
        return Done(True, 0, left, before + 1, "refused")
    fills = client.fills(since=made.sequence - 1, limit=10) if made.filled else []
    trades = ", ".join(f"{fill.quantity} at {fill.price / 10_000:.2f}" for fill in fills)
    return Done(False, made.subsidy, left, made.sequence, trades)
