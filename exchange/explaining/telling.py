"""An explanation as a person reads it who was not there: sections of sentences."""

from __future__ import annotations

from collections.abc import Iterator

from exchange.client.money import yuan
from exchange.explaining.fees import Fee
from exchange.explaining.reckoning import OrderExplanation, TradeExplanation
from exchange.explaining.rows import Row
from exchange.explaining.subsidies import Subsidy
from exchange.protocol.reasons import remedy_of
from matching.vocabulary import RejectReason

BEFORE_MAX = 3
"""Of how many orders it is told that they stood before."""

POINTS = 100
"""Basis points of one per cent."""


def trade_words(told: TradeExplanation) -> Iterator[str]:
    """Yield the lines that explain a trade."""
    trade = told.trade
    yield (
        f"Trade {trade['trade']}: {trade['quantity']:,} lots of {trade['instrument']} at "
        f"{yuan(trade['price'])} yuan, under sequence {trade['sequence']}, {trade['time']} UTC"
    )
    for side in ("buy", "sell"):
        who = trade[f"{side}er"]
        whose = "another member's, not shown to you" if who is None else f"of {who}"
        number = trade[f"{side}_order"]
        yield f"  {side}: order {number} {whose}" if number is not None else f"  {side}: {whose}"
    if told.bust is not None:
        yield f"  It was UNDONE by sequence {told.bust['sequence']}: {told.bust['why'] or 'why is not shown'}"
    yield "Why this price"
    yield from _price(told)
    yield "Why this quantity"
    yield from _quantity(told)
    yield from _turn(told)
    for fee in told.fees:
        yield f"Fee of the {fee.side}er"
        yield from _fee(fee)
    if told.subsidy is not None:
        yield f"Subsidy by {told.subsidy.programme}"
        yield from _subsidy(told.subsidy)
    yield from _posted(told)
    if told.later:
        yield "What became of it"
    for leg in told.later:
        amount = yuan(leg["amount"])
        yield f"  sequence {leg['sequence']}: {leg['reason']} {amount} yuan by {leg['programme']}"
    yield from _end(told.unknown, told.differences, len(told.checks))


def order_words(told: OrderExplanation) -> Iterator[str]:
    """Yield the lines that explain an order."""
    order = told.order
    part = f", for {order['programme']}" if order["programme"] else ""
    yield (
        f"Order {order['order']} ({order['client_id']}) of {order['member']}: {order['side']} "
        f"{order['quantity']:,} {order['instrument']} at {yuan(order['price'])}, {order['type']}, "
        f"{order['time_in_force']}{part}: {order['state']}"
    )
    yield "At its entry"
    if told.held is not None and order["side"] == "buy":
        yield (
            f"  held {yuan(told.held)} yuan: its limit x its lots and a fee of {told.rate} basis points"
            f"{', less what its programme reserved' if order['subsidy_reserved'] else ''}"
        )
    elif told.held is not None:
        yield f"  held its {told.held:,} lots"
    else:
        yield f"  what it held then is not told: {_why_not_held(told)}"
    if order["subsidy_reserved"]:
        yield f"  {order['programme']} reserved {yuan(order['subsidy_reserved'])} yuan for it"
    yield "Its life"
    yield from map(_moment, told.life)
    for subsidy in told.subsidies[-1:]:
        yield f"Subsidy by {subsidy.programme}, at the last fill"
        yield from _subsidy(subsidy)
    if told.refusals:
        yield "What was refused"
    for row in told.refusals:
        yield refusal_words(row)
    yield from _end(told.unknown, told.differences, len(told.checks))


def _why_not_held(told: OrderExplanation) -> str:
    order = told.order
    if order["replaced"]:
        return "its price or its total was changed since"
    if order["type"] != "limit":
        return f"a {order['type']} order holds by the book of its moment"
    if order["programme"] and not told.subsidies:
        return "whether its programme pays at once shows at its first fill"
    return "the fees in force are known to a running venue alone"


def refusal_words(row: Row) -> str:
    """Return one refusal as a line."""
    reason = RejectReason[row["reason"].upper()]
    told = f"  sequence {row['sequence']} ({row['client_id']}) for {row['instrument']}: {row['reason']}"
    return f"{told}; {remedy_of(reason, row['detail'])}"


def _price(told: TradeExplanation) -> Iterator[str]:
    price = told.price
    if price.rule == "auction":
        yield (
            f"  An auction: all of it trades at the one price that brings the most lots. "
            f"{price.trades} trades and {price.volume:,} lots at {yuan(price.price)}."
        )
        if price.reference is not None:
            yield f"  Of prices that bring as many, the reference price {yuan(price.reference)} decides last."
    else:
        maker = "An order" if price.maker is None else f"Order {price.maker}"
        taker = "another" if price.taker is None else f"order {price.taker}"
        yield f"  {maker} rested, {taker} arrived: who rests has named the price, {yuan(price.price)}."
    if price.buy_limit is not None:
        yield f"  The buyer would have paid up to {yuan(price.buy_limit)}."
    if price.sell_limit is not None:
        yield f"  The seller would have taken {yuan(price.sell_limit)} or more."


def _quantity(told: TradeExplanation) -> Iterator[str]:
    quantity = told.quantity
    known = [lots for lots in (quantity.buy_open, quantity.sell_open) if lots is not None]
    buy, sell = (
        "not known here" if lots is None else f"{lots:,}" for lots in (quantity.buy_open, quantity.sell_open)
    )
    yield f"  Open just before: buy {buy}, sell {sell}."
    if quantity.quantity in known:
        yield f"  {quantity.quantity:,} is all that one of the two had open: the smaller of both."
    elif len(known) > 1:
        yield "  Less than both: an iceberg's shown slice, a total reduced since, or an auction's allotment."


def _turn(told: TradeExplanation) -> Iterator[str]:
    turn = told.turn
    if told.price.rule == "auction":
        return
    yield "Whose turn it was"
    if turn.entered is not None:
        yield f"  Best price first, then who came first: the order that rested came under {turn.entered}."
    if turn.earlier:
        lots = sum(row["quantity"] for row in turn.earlier)
        yield f"  The order that arrived had met {len(turn.earlier)} before it, for {lots:,} lots."
    for row in turn.before[:BEFORE_MAX]:
        since = "was replaced since" if row["replaced"] else "may have been waiting or hidden then"
        yield f"  Order {row['order']} stands before it as last told, at {yuan(row['price'])}; it {since}."
    if len(turn.before) > BEFORE_MAX:
        yield f"  and {len(turn.before) - BEFORE_MAX} more"


def _fee(fee: Fee) -> Iterator[str]:
    if fee.rate < 0:
        yield "  No rate agrees with what this order was charged over its fills."
        return
    rate = f"{fee.rate} basis points"
    if fee.rate_most > fee.rate:
        rate += f" (its fills would agree with up to {fee.rate_most})"
    if fee.in_force not in (None, fee.rate):
        rate += f" (as at its entry; the rate in force now is {fee.in_force})"
    yield f"  As {fee.role}: {rate} of all that its order has traded so, rounded down."
    yield (
        f"  {yuan(fee.amount_before)} before and {yuan(fee.amount_after)} after: {yuan(fee.due_before)} "
        f"to {yuan(fee.due_after)}, so {yuan(fee.due_after - fee.due_before)} yuan."
    )


def _subsidy(one: Subsidy) -> Iterator[str]:
    if not one.rate:
        yield "  Its terms are not known here."
        return
    fits = ", ".join(
        f"{name} {_list(value)}" for name, value in one.rate_row.items() if _is_said(name, value)
    )
    fits = fits or "for all"
    yield f"  Terms version {one.terms_version}, the first rate that fits: {one.rate} bp ({fits})."
    yield (
        f"  Ceiling C = {yuan(one.list_price)} + {one.ceiling} bp = {yuan(one.ceiling_price)}: "
        f"{one.covered:,} lots count, each {yuan(one.counted_price)}."
    )
    caps = f"order {yuan(one.order_cap)}, group {yuan(one.group_cap)}"
    caps += "".join(
        f", {name} {lots:,} lots"
        for name, lots in (("order", one.order_lots), ("group", one.group_lots))
        if lots
    )
    most = "is not stored" if one.most is None else f"= {yuan(one.most)}"
    yield f"  Caps: {caps}. What caps and budget left it at its entry, S, {most}."
    yield (
        f"  E = min(share(gross, rate), S): gross {yuan(one.gross_before)} to {yuan(one.gross_after)}, "
        f"E {yuan(one.earned_before)} to {yuan(one.earned_after)}."
    )
    later = "nothing at the trade: it pays as the credits are redeemed"
    yield f"  Paid: {later if one.payout != 'deduct' else f'{yuan(one.paid)} yuan'}."


def _is_said(name: str, value: object) -> bool:
    return name != "rate" and value not in (None, [], ())


def _list(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _posted(told: TradeExplanation) -> Iterator[str]:
    posted = told.posted
    if posted is None:
        return
    yield f"Postings of entry {posted.entry}"
    for line in posted.lines:
        is_money = line["asset"] == "money"
        amount = f"{yuan(line['amount'])} yuan" if is_money else f"{line['amount']:,} {line['asset']}"
        yield f"  {line['member']} {line['account']}: {amount}"
    if posted.is_whole:
        yield "  Sums: " + ", ".join(f"{asset} {total}" for asset, total in posted.sums.items())
    else:
        yield "  These are your own lines; the other side's are not shown to you."


def _moment(moment: dict[str, object]) -> str:
    words = f"  sequence {moment['sequence']}: {moment['what']}"
    if moment["what"] == "fill":
        role = "as maker" if moment["maker"] else "as taker"
        words += (
            f" {moment['quantity']} at {yuan(int(str(moment['price'])))}, trade {moment['trade']}, {role}"
        )
        words += f", fee {yuan(int(str(moment['fee'])))}, subsidy {yuan(int(str(moment['subsidy'])))}"
    elif "amount" in moment:
        words += f" {yuan(int(str(moment['amount'])))} yuan by {moment['programme']}"
    elif "trade" in moment:
        words += f", trade {moment['trade']}"
    return words


def _end(unknown: tuple[str, ...], differences: list[str], checks: int) -> Iterator[str]:
    if unknown:
        yield "Not known here"
    for line in unknown:
        yield f"  {line}"
    if differences:
        yield f"DOES NOT AGREE: {len(differences)} of {checks} numbers reckoned anew"
        for line in differences:
            yield f"  {line}"
    else:
        yield f"{checks} numbers were reckoned anew; all agree with what is stored."
