"""What a programme paid for one fill, reckoned anew from its terms and the order's fills before."""

from __future__ import annotations

from typing import Any

import msgspec

from exchange.explaining.rows import OrderRows, Row
from matching.vocabulary import Size
from settlement.reference_orders import Listing, Member, rate_for, share
from settlement.terms import ProgrammeTerms, Rate
from settlement.terms_file import read_terms

NOT_KEPT = "the store does not keep what an order's programme had reserved after it was replaced"


class Subsidy(msgspec.Struct, frozen=True):
    """A programme's part at one fill. Money in hao, rates in basis points, cover in lots.

    E is what the order has earned: share(gross, rate), of which the programme pays at most S (`most`). Only
    lots within cover count, each at most at the ceiling C. Where not all is known, `is_reckoned` is false and
    `unknown` says why.
    """

    programme: str
    terms_version: int
    payout: str
    rate: int
    rate_row: dict[str, Any]
    list_price: int
    ceiling: int
    ceiling_price: int
    order_cap: int
    group_cap: int
    order_lots: int
    group_lots: int
    most: int | None
    counted_price: int
    covered: int
    gross_before: int
    gross_after: int
    earned_before: int
    earned_after: int
    paid: int
    is_reckoned: bool
    unknown: tuple[str, ...]


def reckon_subsidy(rows: OrderRows, trade: int) -> Subsidy:
    """Reckon what a buyer's programme pays at one of its order's trades."""
    order, unknown = rows.order, _unknown(rows, trade)
    terms = None if rows.terms is None else read_terms(rows.terms["terms"])
    if terms is None:
        return _untold(order, (*unknown, "the terms by which it paid are not in the store"))
    row = _rate_row(terms, rows)
    rate = (
        0 if rows.member is None else rate_for(terms, _member(rows.member, terms), _listing(rows.instrument))
    )
    list_price = int(rows.instrument["list_price"])
    ceiling_price = list_price + share(list_price, terms.ceiling)
    most = None if terms.exhaustion == "pro_rata" else int(order["subsidy_reserved"])
    if most is None:
        unknown.append("a pro-rata programme reserves nothing: what its caps left the order is not stored")
    cover = _cover(rows, terms, rate, ceiling_price, most)
    before, after, covered = _gross(rows.fills, trade, ceiling_price, cover)
    cap = terms.order_cap if most is None else most
    earned_before, earned_after = min(share(before, rate), cap), min(share(after, rate), cap)
    fill = next(one for one in rows.fills if one["trade"] == trade)
    return Subsidy(
        programme=terms.code,
        terms_version=terms.version,
        payout=terms.payout,
        rate=rate,
        rate_row={} if row is None else msgspec.to_builtins(row),
        list_price=list_price,
        ceiling=terms.ceiling,
        ceiling_price=ceiling_price,
        order_cap=terms.order_cap,
        group_cap=terms.group_cap,
        order_lots=terms.order_lots,
        group_lots=terms.group_lots,
        most=most,
        counted_price=min(int(fill["price"]), ceiling_price),
        covered=covered,
        gross_before=before,
        gross_after=after,
        earned_before=earned_before,
        earned_after=earned_after,
        paid=earned_after - earned_before if terms.payout == "deduct" else 0,
        is_reckoned=not unknown,
        unknown=tuple(unknown),
    )


def _unknown(rows: OrderRows, trade: int) -> list[str]:
    """Return why what the terms promised this order cannot be known from the store, one reason a line."""
    order, entered = rows.order, rows.order["sequence"]
    fill = next(one for one in rows.fills if one["trade"] == trade)
    unknown = []
    if order["replaced"]:
        unknown.append(NOT_KEPT)
    if any(bust["sequence"] < fill["sequence"] for bust in rows.busts):
        unknown.append("one of its trades had been busted before: what was reserved then is not stored")
    if rows.instrument["sequence"] > entered:
        unknown.append(
            "the instrument has changed since the order was entered: its list price then is not kept"
        )
    if rows.member is None or rows.member["sequence"] > entered:
        unknown.append("the firm has changed since the order was entered: its size then is not kept")
    return unknown


def _untold(order: Row, unknown: tuple[str, ...]) -> Subsidy:
    """Return a part of which nothing but the programme is known."""
    nothing = dict.fromkeys(Subsidy.__struct_fields__, 0)
    about = {"programme": order["programme"], "payout": "", "rate_row": {}, "most": None}
    return Subsidy(**{**nothing, **about, "is_reckoned": False, "unknown": unknown})


def _member(member: Row, terms: ProgrammeTerms) -> Member:
    """Return a firm as the terms see it; its districts are not stored, but it was found to be of a region."""
    region = terms.regions[0] if terms.regions else member["region"]
    return Member(group=member["group_name"], size=Size[member["size"].upper()], region=region)


def _listing(instrument: Row) -> Listing:
    """Return an instrument as the terms see it."""
    return Listing(
        kind=instrument["kind"],
        provider=0,
        list_price=instrument["list_price"],
        domestic=instrument["domestic"],
        filed=instrument["filed"],
        symbol=instrument["instrument"],
    )


def _rate_row(terms: ProgrammeTerms, rows: OrderRows) -> Rate | None:
    """Return the first of a programme's rates that fits the firm and the instrument: the one that rules."""
    if rows.member is None:
        return None
    member, listing = _member(rows.member, terms), _listing(rows.instrument)
    for row in terms.rates:
        alone = msgspec.structs.replace(terms, rates=(msgspec.structs.replace(row, rate=1),))
        if rate_for(alone, member, listing):
            return row
    return None


def _cover(rows: OrderRows, terms: ProgrammeTerms, rate: int, ceiling_price: int, most: int | None) -> int:
    """Return how many lots the caps in lots let the programme pay for.

    What a group's cap in lots left is not stored. It follows from S where that is less than the order's own.
    """
    cover = terms.order_lots or 2**62
    price = min(int(rows.order["price"]), ceiling_price)
    if not terms.group_lots or most is None or not rate or most >= terms.order_cap:
        return cover
    near = most * 10_000 // (rate * price)
    allowed = [lots for lots in (near + 1, near) if share(price * lots, rate) == most]
    return min([cover, *allowed])


def _gross(fills: list[Row], trade: int, ceiling_price: int, cover: int) -> tuple[int, int, int]:
    """Return the amount that counts before a trade and after it, and how many of its lots do."""
    gross = 0
    for fill in fills:
        before, part = gross, min(fill["quantity"], cover)
        cover -= part
        gross += min(fill["price"], ceiling_price) * part
        if fill["trade"] == trade:
            return before, gross, part
    raise AssertionError(f"trade {trade} is none of the order's")
