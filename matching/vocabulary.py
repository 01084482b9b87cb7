"""The words that every part of the house speaks: sides, kinds, states and reasons, as small integers.

Imports nothing of ours, so that the client may speak them without loading a kernel. Numbers are
written to the journal and to the wire: they are never reused and never renumbered.
"""

from __future__ import annotations

from enum import IntEnum

NO_SLOT = -1
"""The link that leads nowhere: in every table of the house, a slot that is not there."""

PRICE_MAX = 10**15
"""Largest price, in hao per lot: 100 billion yuan for one lot. Keeps tick arithmetic far from int64's end."""

QUANTITY_MAX = 2**41
"""Largest quantity of one order, in lots: two thousand billion, above the 10**12 lots of a grant of
10**18 tokens. Four million such orders at one price still sum within int64."""

SLICES_MAX = 1_000
"""Most slices that an iceberg may be shown in: its display quantity is at least a thousandth of it."""

SLICES_OPEN_MAX = 2**20
"""Most slices of all open icebergs: one command could use them all up, and room for it is always kept."""

DECREMENTS_MAX = 1_000
"""Most pairs that one command decrements in auctions: there is room for the events of so many. From then
on both orders of such a pair are cancelled."""

ROUNDS_MAX = 32
"""Most times that an auction finds its price anew because own groups would meet. Afterwards such a group
loses its orders at that price: else one member's thousand orders could be met one by one, each a search."""

EVERY = NO_SLOT
"""The instrument or the member of a command that means all of them, or whoever owns the order."""

BOTH_SIDES = 255
"""The side of a mass cancel that means both."""

NOTIONAL_MAX = 2**61
"""Largest price x quantity of one order, in hao. Leaves two bits of int64 for fees and for sums of a hold."""


class Side(IntEnum):
    """Which half of the book an order stands in."""

    BUY = 0
    SELL = 1


class OrderType(IntEnum):
    """How an order finds its price."""

    LIMIT = 0
    MARKET = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING_STOP = 4


class TimeInForce(IntEnum):
    """How long an order may rest.

    GTD ends at its own time, DAY with the trading day. IOC trades at once what it can and never
    rests; FOK trades all at once or nothing.
    """

    GTC = 0
    GTD = 1
    DAY = 2
    IOC = 3
    FOK = 4


class SelfTrade(IntEnum):
    """What is done where a taker would meet an order of its own group; the taker's mode rules."""

    NONE = 0
    CANCEL_TAKER = 1
    CANCEL_MAKER = 2
    CANCEL_BOTH = 3
    DECREMENT = 4


class CommandKind(IntEnum):
    """What is asked.

    CLOCK tells nothing but the time, so that what is due expires in a quiet market too. ACT stands
    for an act of an operator or of the venue, carried beside the batch.
    """

    NEW = 0
    CANCEL = 1
    REDUCE = 2
    REPLACE = 3
    MASS_CANCEL = 4
    PHASE = 5
    CLOCK = 6
    ACT = 7
    END_DAY = 8


class EventKind(IntEnum):
    """What the engine says has happened."""

    ACCEPTED = 0
    REJECTED = 1
    TRADED = 2
    CANCELLED = 3
    REDUCED = 4
    REPLACED = 5
    TRIGGERED = 6
    EXPIRED = 7
    PHASE_CHANGED = 8
    INDICATIVE = 9
    """What an instrument's auction would find now: the price, its volume, and the side that has more."""
    KNOWN = 10
    """The client order id is known: nothing was done, and the order's state now is told again."""
    MASS_CANCELLED = 11
    """A member's mass cancel is done; its `quantity` is how many orders it cancelled. The venue's only."""


class QueueChange(IntEnum):
    """What is done to an order that rests in the book, as order-by-order market data tells it.

    PLACED: it stands last in the queue at its price, wherever it stood before. FILLED and TAKEN_OFF: it
    keeps its place with fewer lots shown, or leaves it with none; FILLED by a trade, TAKEN_OFF otherwise.
    """

    PLACED = 0
    FILLED = 1
    TAKEN_OFF = 2


class OrderState(IntEnum):
    """Where an order stands, as its member is told."""

    OPEN = 0
    FILLED = 1
    CANCELLED = 2
    EXPIRED = 3
    REJECTED = 4


class Phase(IntEnum):
    """What an instrument's market is doing; `matching.permissions` says what each takes."""

    CLOSED = 0
    PRE_OPEN = 1
    NO_CANCEL = 2
    AUCTION = 3
    CONTINUOUS = 4
    HALTED = 5


class Role(IntEnum):
    """What a member is to the venue."""

    HOUSE = 0
    FIRM = 1
    PROVIDER = 2
    PROGRAMME_OFFICE = 3
    OPERATOR = 4
    AUDITOR = 5


class Size(IntEnum):
    """A firm's size, by the national classification of small and medium enterprises."""

    MICRO = 0
    SMALL = 1
    MEDIUM = 2
    LARGE = 3


class RejectReason(IntEnum):
    """Why a command was refused. A value, never an exception; the name is the message.

    1 to 19: the command as it is written. 20 to 39: who asks, and for what. 40 to 59: money and
    programmes. 60 to 79: the session. 80 to 99: the book, as it stands. `NONE` stands where nothing
    was refused.
    """

    NONE = 0
    UNKNOWN_KIND = 1
    UNKNOWN_SIDE = 2
    UNKNOWN_TYPE = 3
    UNKNOWN_TIME_IN_FORCE = 4
    PRICE_NOT_POSITIVE = 5
    PRICE_TOO_LARGE = 6
    PRICE_OFF_TICK = 7
    QUANTITY_NOT_POSITIVE = 8
    NOTIONAL_TOO_LARGE = 9
    CLIENT_ID_INVALID = 10
    FIELD_NOT_SUPPORTED = 11
    DUPLICATE_ORDER = 12
    QUANTITY_TOO_LARGE = 13
    ORDER_NOT_POSITIVE = 14
    STOP_PRICE_INVALID = 15
    TRAIL_INVALID = 16
    EXPIRY_INVALID = 17
    DISPLAY_QUANTITY_INVALID = 18
    MINIMUM_QUANTITY_INVALID = 19
    UNKNOWN_INSTRUMENT = 20
    UNKNOWN_MEMBER = 21
    UNKNOWN_ORDER = 22
    UNKNOWN_PROGRAMME = 23
    INSTRUMENT_NOT_OPEN = 24
    MEMBER_BLOCKED = 25
    ROLE_NOT_PERMITTED = 26
    DOMESTIC_ONLY = 27
    QUANTITY_ABOVE_LIMIT = 28
    NOTIONAL_ABOVE_LIMIT = 29
    OPEN_ORDERS_AT_LIMIT = 30
    CAPACITY_EXCEEDED = 31
    ALREADY_EXISTS = 32
    TURNOVER_AT_LIMIT = 33
    AMOUNT_OUT_OF_RANGE = 34
    TERMS_INVALID = 35
    KEY_INVALID = 36
    PHASE_NOT_ALLOWED = 37
    CALENDAR_INVALID = 38
    STATE_NOT_ALLOWED = 39
    CREDITS_NOT_AVAILABLE = 40
    MONEY_NOT_AVAILABLE = 41
    PROGRAMME_NOT_ELIGIBLE = 42
    PROGRAMME_EXHAUSTED = 43
    PROGRAMME_OWN_PROVIDER = 44
    PROGRAMME_SELL = 45
    PROGRAMME_OUTLASTS_DAY = 46
    PROGRAMME_NOT_VALID_NOW = 47
    RELATED_PARTY = 48
    PROGRAMME_DEBT = 49
    PROGRAMME_EXCLUDED = 50
    PROGRAMME_CLOSED = 51
    REFERENCE_USED = 52
    TWO_PERSONS_NEEDED = 53
    UNKNOWN_PROPOSAL = 54
    UNKNOWN_REDEMPTION = 55
    REDEMPTION_STATE = 56
    UNKNOWN_TRADE = 57
    USAGE_INVALID = 58
    NOT_DUE = 59
    TOO_OLD = 60
    MALFORMED = 61
    NOT_AUTHENTICATED = 62
    CLOCK_AHEAD = 63
    REPORTS_DROPPED = 64
    NOT_LOGGED_ON = 65
    SESSION_REPLACED = 66
    SESSION_LOST = 67
    DEAD_MAN = 68
    THROTTLED = 69
    BUSY = 70
    KEYS_AT_LIMIT = 71
    WRONG_DOOR = 72
    VENUE_STOPPING = 73
    CANCELLED_BY_OPERATOR = 74
    NO_PROTECTION_PRICE = 80
    POST_ONLY_WOULD_CROSS = 81
    INSTRUCTIONS_CONFLICT = 82
    UNKNOWN_SELF_TRADE = 83
    UNKNOWN_PHASE = 84
    SELF_TRADE = 85
    NOT_FILLABLE = 86
    BOOK_FULL = 87
    NOT_IN_PHASE = 88
    STATIC_COLLAR = 89
    DYNAMIC_COLLAR = 90
