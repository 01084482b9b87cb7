"""What a refusal means in plain words: the field at fault, and what to do. One row a reason."""

from __future__ import annotations

from typing import NamedTuple

from exchange.instruments import yuan
from exchange.protocol.messages import Refused
from matching.permissions import TAKEN, Ask
from matching.vocabulary import Phase, RejectReason


class Meaning(NamedTuple):
    """Which field a refusal speaks of, and the remedy.

    `{detail}` is the report's number, `{yuan}` that number of hao in yuan; of a refusal for the phase that is
    a phase, `{phase}` is its name and `{taken}` what it takes.
    """

    field: str
    remedy: str


MEANINGS: dict[RejectReason, Meaning] = {
    RejectReason.NONE: Meaning("", ""),
    RejectReason.UNKNOWN_KIND: Meaning(
        "kind", "send a new order, a cancel, a reduce, a replace or a mass cancel"
    ),
    RejectReason.UNKNOWN_SIDE: Meaning("side", "use buy or sell"),
    RejectReason.UNKNOWN_TYPE: Meaning("type", "use limit, market, stop, stop_limit or trailing_stop"),
    RejectReason.UNKNOWN_TIME_IN_FORCE: Meaning("time_in_force", "use gtc, gtd, day, ioc or fok"),
    RejectReason.PRICE_NOT_POSITIVE: Meaning("price", "give a price above 0"),
    RejectReason.PRICE_TOO_LARGE: Meaning("price", "give at most {yuan} yuan a lot"),
    RejectReason.PRICE_OFF_TICK: Meaning("price", "give a multiple of the tick, {yuan} yuan"),
    RejectReason.QUANTITY_NOT_POSITIVE: Meaning("quantity", "give at least 1 lot"),
    RejectReason.NOTIONAL_TOO_LARGE: Meaning("quantity", "give at most {detail} lots at this price"),
    RejectReason.CLIENT_ID_INVALID: Meaning(
        "client_id", "give 1 to 24 ASCII characters; a reference may have 128"
    ),
    RejectReason.FIELD_NOT_SUPPORTED: Meaning("command", "leave out what this kind of order does not know"),
    RejectReason.DUPLICATE_ORDER: Meaning("order", "use an id that does not rest"),
    RejectReason.QUANTITY_TOO_LARGE: Meaning("quantity", "give at most {detail} lots an order"),
    RejectReason.ORDER_NOT_POSITIVE: Meaning("order", "use an id above 0"),
    RejectReason.STOP_PRICE_INVALID: Meaning("stop_price", "give a price above 0, on the tick grid"),
    RejectReason.TRAIL_INVALID: Meaning("trail", "give a distance above 0, on the tick grid"),
    RejectReason.EXPIRY_INVALID: Meaning("expires_at", "give a time that is still to come"),
    RejectReason.DISPLAY_QUANTITY_INVALID: Meaning(
        "display_quantity", "show at least {detail} lots, a thousandth of the quantity"
    ),
    RejectReason.MINIMUM_QUANTITY_INVALID: Meaning("minimum_quantity", "give at most the quantity"),
    RejectReason.UNKNOWN_INSTRUMENT: Meaning("instrument", "choose one that is listed; of usage, a model"),
    RejectReason.UNKNOWN_MEMBER: Meaning("member", "ask the operator to admit the member"),
    RejectReason.UNKNOWN_ORDER: Meaning("order", "it has ended or was never yours; ask for your orders"),
    RejectReason.UNKNOWN_PROGRAMME: Meaning("programme", "choose one that the venue runs"),
    RejectReason.INSTRUMENT_NOT_OPEN: Meaning(
        "instrument", "wait until it is open; while it is {phase} it takes {taken}"
    ),
    RejectReason.MEMBER_BLOCKED: Meaning("member", "ask the operator; cancels still work"),
    RejectReason.ROLE_NOT_PERMITTED: Meaning(
        "member", "that is not this member's to do; use the key of one who may"
    ),
    RejectReason.DOMESTIC_ONLY: Meaning("instrument", "choose a domestic one, as your mandate says"),
    RejectReason.QUANTITY_ABOVE_LIMIT: Meaning("quantity", "give at most {detail} lots an order"),
    RejectReason.NOTIONAL_ABOVE_LIMIT: Meaning("quantity", "stay within {yuan} yuan an order"),
    RejectReason.OPEN_ORDERS_AT_LIMIT: Meaning("member", "cancel some of your {detail} open orders"),
    RejectReason.CAPACITY_EXCEEDED: Meaning("lots", "issue at most {detail} lots more"),
    RejectReason.ALREADY_EXISTS: Meaning("name", "choose another name"),
    RejectReason.TURNOVER_AT_LIMIT: Meaning("quantity", "stay within {yuan} yuan for the rest of today"),
    RejectReason.AMOUNT_OUT_OF_RANGE: Meaning(
        "amount", "give an amount above 0, within what is owed, that the ledger can hold beside the rest"
    ),
    RejectReason.TERMS_INVALID: Meaning(
        "terms", "keep rates within 0 and 10000, collars within 0 and 1000, and amounts above 0"
    ),
    RejectReason.KEY_INVALID: Meaning("public_key", "give 40 Z85 characters of a key not in use"),
    RejectReason.PHASE_NOT_ALLOWED: Meaning(
        "phase", "choose a phase that may follow, and that mode, state and venue allow"
    ),
    RejectReason.CALENDAR_INVALID: Meaning(
        "calendar", "mend the calendar, or fix the day whose fixing is begun"
    ),
    RejectReason.STATE_NOT_ALLOWED: Meaning("state", "choose what the instrument's state now allows"),
    RejectReason.CREDITS_NOT_AVAILABLE: Meaning(
        "quantity", "stay within the {detail} lots that are available"
    ),
    RejectReason.MONEY_NOT_AVAILABLE: Meaning("quantity", "deposit, or stay within {yuan} yuan"),
    RejectReason.PROGRAMME_NOT_ELIGIBLE: Meaning("programme", "its terms leave out firm or instrument"),
    RejectReason.PROGRAMME_EXHAUSTED: Meaning(
        "programme", "do without it, or stay within the {yuan} yuan that are left"
    ),
    RejectReason.PROGRAMME_OWN_PROVIDER: Meaning("programme", "your group provides this instrument"),
    RejectReason.PROGRAMME_SELL: Meaning("programme", "name a programme on a buy only"),
    RejectReason.PROGRAMME_OUTLASTS_DAY: Meaning("time_in_force", "use day, ioc or fok with it"),
    RejectReason.PROGRAMME_NOT_VALID_NOW: Meaning("programme", "its terms do not hold today"),
    RejectReason.RELATED_PARTY: Meaning("order", "a subsidised buy met its own group, and was ended"),
    RejectReason.PROGRAMME_DEBT: Meaning(
        "programme", "your group owes {yuan} yuan to programmes; settle that first"
    ),
    RejectReason.PROGRAMME_EXCLUDED: Meaning(
        "programme", "your group uses a programme that rules this one out for the year"
    ),
    RejectReason.PROGRAMME_CLOSED: Meaning("programme", "its year is closed, or orders do not draw on it"),
    RejectReason.REFERENCE_USED: Meaning(
        "reference", "it named something else before; give each movement a reference of its own"
    ),
    RejectReason.TWO_PERSONS_NEEDED: Meaning("act", "one operator proposes it, another approves"),
    RejectReason.UNKNOWN_PROPOSAL: Meaning("proposal", "name the sequence of a proposal that still stands"),
    RejectReason.UNKNOWN_REDEMPTION: Meaning("redemption", "name one that is open; ask for your redemptions"),
    RejectReason.REDEMPTION_STATE: Meaning(
        "redemption",
        "recall or deliver it while requested, accept or dispute it when delivered, resolve a dispute",
    ),
    RejectReason.UNKNOWN_TRADE: Meaning(
        "trade", "name one of the venue's latest trades that is not busted; adjust older ones"
    ),
    RejectReason.USAGE_INVALID: Meaning(
        "usage", "send counts of tokens, 0 or more, cached ones within the prompt's, and a time not ahead"
    ),
    RejectReason.NOT_DUE: Meaning("time", "wait until it is due"),
    RejectReason.TOO_OLD: Meaning(
        "client_id",
        "it is older than what the venue remembers; ask what became of it before you send it anew",
    ),
    RejectReason.CLOCK_AHEAD: Meaning("sent_at", "set your clock: it is {detail} ns ahead of the venue's"),
    RejectReason.REPORTS_DROPPED: Meaning(
        "session", "you did not read, and reports were dropped: open a new session, ask for orders and fills"
    ),
    RejectReason.NOT_LOGGED_ON: Meaning("session", "log on first: nothing of this was done"),
    RejectReason.SESSION_REPLACED: Meaning(
        "session", "this key opened more sessions than it may have, and the oldest was ended"
    ),
    RejectReason.SESSION_LOST: Meaning(
        "session", "a session that asked for cancel on disconnect was lost; place again what is still wanted"
    ),
    RejectReason.DEAD_MAN: Meaning(
        "session", "cancel_all_after was not put off in time; place again what is still wanted"
    ),
    RejectReason.THROTTLED: Meaning(
        "rate", "wait {detail} ms, then send it again; cancels of open orders are never throttled"
    ),
    RejectReason.BUSY: Meaning("request", "too many are waiting; ask again in a moment"),
    RejectReason.KEYS_AT_LIMIT: Meaning("public_key", "revoke one of the member's {detail} live keys first"),
    RejectReason.WRONG_DOOR: Meaning(
        "endpoint", "operators connect to the operators' endpoint, all others to the members'"
    ),
    RejectReason.VENUE_STOPPING: Meaning("session", "the venue stops; connect again when it is back"),
    RejectReason.CANCELLED_BY_OPERATOR: Meaning("order", "an operator cancelled all of your orders; ask why"),
    RejectReason.MALFORMED: Meaning("message", "send whole records of the protocol's layout"),
    RejectReason.NOT_AUTHENTICATED: Meaning("key", "connect with a key that the venue knows"),
    RejectReason.NO_PROTECTION_PRICE: Meaning("price", "give the worst price that you would take"),
    RejectReason.POST_ONLY_WOULD_CROSS: Meaning("price", "give a price that nobody would trade at now"),
    RejectReason.INSTRUCTIONS_CONFLICT: Meaning(
        "instructions", "leave out post-only, or ioc, fok and the minimum quantity"
    ),
    RejectReason.UNKNOWN_SELF_TRADE: Meaning(
        "self_trade", "use none, cancel_taker, cancel_maker, cancel_both or decrement"
    ),
    RejectReason.UNKNOWN_PHASE: Meaning(
        "phase", "use closed, pre_open, no_cancel, auction, continuous or halted"
    ),
    RejectReason.SELF_TRADE: Meaning("order", "it met an order of its own group, and its mode ended it"),
    RejectReason.NOT_FILLABLE: Meaning("quantity", "what it demands at once is not there; ask for less"),
    RejectReason.BOOK_FULL: Meaning(
        "display_quantity", "too many icebergs are open; show more of the order, or try again later"
    ),
    RejectReason.NOT_IN_PHASE: Meaning(
        "instrument", "wait for another phase; while it is {phase} it takes {taken}"
    ),
    RejectReason.STATIC_COLLAR: Meaning(
        "price", "it would have traded too far from the reference price; a call auction has begun"
    ),
    RejectReason.DYNAMIC_COLLAR: Meaning(
        "price", "it would have traded too far from the last price; a call auction has begun"
    ),
}

_ASKS = {
    Ask.ORDER: "new orders",
    Ask.AT_ONCE: "orders that must trade at once",
    Ask.REPLACE: "replaces",
    Ask.REDUCE: "reduces",
    Ask.CANCEL: "cancels",
}

_PATIENT = "new orders that need not trade at once (no ioc, fok or minimum quantity)"
"""What a call takes for new orders."""


def refused(reason: RejectReason, value: str, request: int = 0, detail: int = 0) -> Refused:
    """Return the answer to what cannot be read, or may not be asked; `value` is what was at fault."""
    field, remedy = MEANINGS[reason].field, remedy_of(reason, detail)
    wait_ms = detail if reason == RejectReason.THROTTLED else 0
    return Refused(request, reason.name.lower(), field, value, remedy, wait_ms)


def remedy_of(reason: RejectReason, detail: int) -> str:
    """Return what to do about a refusal."""
    remedy = MEANINGS[reason].remedy
    if reason not in (RejectReason.INSTRUMENT_NOT_OPEN, RejectReason.NOT_IN_PHASE):
        return remedy.format(detail=detail, yuan=yuan(detail))
    try:
        phase = Phase(detail)
    except ValueError:  # a newer venue's
        return "wait for another phase; bring this client up to date, to know the one that is"
    asks = {**_ASKS, Ask.ORDER: _PATIENT} if Ask.AT_ONCE not in TAKEN[phase] else _ASKS
    return remedy.format(phase=phase.name.lower(), taken=", ".join(asks[ask] for ask in TAKEN[phase]))
