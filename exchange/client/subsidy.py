"""What a programme would pay for an order, reckoned before it is placed, by the rule of the manual."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from exchange.client.errors import BadInput
from exchange.client.tickets import Instrument, OrderTicket
from exchange.protocol.messages import ListedProgramme, ProgrammeLeft
from matching.vocabulary import Side, Size, TimeInForce
from settlement.classes import KINDS, rate_index
from settlement.terms import ProgrammeTerms

BASIS_POINTS = 10_000


class Standing(NamedTuple):
    """By what programmes judge a firm: its size, and the regions of its seat and its districts."""

    size: str
    regions: tuple[str, ...]


class Preview(msgspec.Struct, frozen=True):
    """What an order would come to if all of it traded at its price. Money in hao, `cover` in lots.

    `you_hold` is what is set aside for it; `you_pay` what it costs the firm at most in the end: of a
    programme that reimburses, what it pays back as the credits are redeemed is taken off. `full` is the
    programme's share of all lots, `programme_pays` what is left of that by caps and budget; `cap_left` and
    `lots_left` are what the group's caps then leave (no cap in lots: None). `barred` is the reject reason
    that the venue would give, blank if none is foreseen. What a pro-rata programme pays is not known before
    its year is closed: then `programme_pays` is the most.
    """

    programme: str
    rate: int
    cover: int
    full: int
    programme_pays: int
    amount: int
    fee: int
    you_hold: int
    you_pay: int
    cap_left: int
    lots_left: int | None
    uncommitted: int
    barred: str


def share(amount: int, rate: int) -> int:
    """Return floor(amount x rate / 10,000)."""
    return amount * rate // BASIS_POINTS


def rate_of(terms: ProgrammeTerms, instrument: Instrument, firm: Standing) -> int:
    """Return a programme's rate for a firm and an instrument, in basis points; 0: not eligible."""
    listing = instrument.listing
    if terms.regions and not set(terms.regions) & set(firm.regions):
        return 0
    if terms.instruments and listing.symbol not in terms.instruments:
        return 0
    size, kind = Size[firm.size.upper()], KINDS.index(listing.kind)
    return terms.rate_table()[rate_index(size, kind, listing.domestic, listing.filed)]


def preview(
    ticket: OrderTicket,
    instrument: Instrument,
    listed: ListedProgramme,
    left: ProgrammeLeft,
    firm: Standing,
    now: int,
) -> Preview:
    """Reckon what `ticket` would hold and what a programme would pay for it; `now` is ns since 1970.

    Raises `BadInput` for an order whose price the venue is to find.
    """
    if not ticket.price:
        raise BadInput(
            "the order has no price, and what it holds depends on the one that the venue finds",
            field="limit",
            remedy="give the worst price that you would take",
        )
    terms, price, quantity = listed.terms, ticket.price, ticket.quantity
    list_price = instrument.listing.list_price
    covered_price = min(price, list_price + share(list_price, terms.ceiling))
    rate = rate_of(terms, instrument, firm)
    lots = (terms.order_lots or quantity, quantity if left.lots_left is None else left.lots_left)
    cover = max(min(quantity, *lots), 0)
    full = share(covered_price * cover, rate)
    budget = full if terms.exhaustion == "pro_rata" else left.uncommitted
    most = max(min(full, terms.order_cap, left.cap_left, budget), 0)
    barred = _barred(ticket, listed, left, rate, now) or ("" if most else "programme_exhausted")
    if barred:
        cover = most = 0
    amount = price * quantity
    fee = share(amount, max(instrument.maker_fee, instrument.taker_fee))
    return Preview(
        programme=terms.code,
        rate=rate,
        cover=cover,
        full=full,
        programme_pays=most,
        amount=amount,
        fee=fee,
        you_hold=amount + fee - (most if terms.payout == "deduct" else 0),
        you_pay=amount + fee - (0 if terms.exhaustion == "pro_rata" else most),
        cap_left=left.cap_left - most,
        lots_left=None if left.lots_left is None else left.lots_left - cover,
        uncommitted=left.uncommitted - (0 if terms.exhaustion == "pro_rata" else most),
        barred=barred,
    )


def _barred(ticket: OrderTicket, listed: ListedProgramme, left: ProgrammeLeft, rate: int, now: int) -> str:
    """Return why the venue would not let the programme pay for an order, in the venue's order, or nothing.

    Who is of the firm's group the venue alone knows: that its provider may be is not foreseen here.
    """
    valid_from, valid_until = listed.terms.valid_ns()
    if ticket.side is not Side.BUY:
        return "programme_sell"
    if ticket.time_in_force in (TimeInForce.GTC, TimeInForce.GTD):
        return "programme_outlasts_day"
    if listed.is_closed or listed.terms.payout == "award":
        return "programme_closed"
    if not valid_from <= now < valid_until:
        return "programme_not_valid_now"
    if rate == 0:
        return "programme_not_eligible"
    return left.barred
