"""How prices, lots, phases and the state of the feed are told to a person, in words that need no colour."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from exchange.instruments import HAO_PER_YUAN, yuan
from feeds.records import NO_TAKER, TradePrint
from matching.vocabulary import Phase, RejectReason, Side

NS_PER_SECOND = 1_000_000_000

BUYS = "#7fc97f"
SELLS = "#f27d72"
PUBLIC = "#c39be8"
CAUTION = "#e8b84a"
ALARM = "bold #ff5f52"
"""What colours there are: buys and rises, sells and falls, public money, what needs an eye, what is wrong."""

PHASES = {
    Phase.CLOSED: ("closed", "dim"),
    Phase.PRE_OPEN: ("pre-open", CAUTION),
    Phase.NO_CANCEL: ("no-cancel", CAUTION),
    Phase.AUCTION: ("auction", CAUTION),
    Phase.CONTINUOUS: ("continuous", BUYS),
    Phase.HALTED: ("halted", ALARM),
}
"""Each phase's word, and how it is coloured where there are colours."""

TAKERS: dict[int, tuple[str, str]] = {
    Side.BUY: ("buy", BUYS),
    Side.SELL: ("sell", SELLS),
    NO_TAKER: ("auction", ""),
}
"""How the tape names a trade's taker."""


class Trust(Enum):
    """How far what is shown can be trusted: the word, the sign before it, and its colour."""

    WAITING = ("WAITING", "…", CAUTION)
    LIVE = ("LIVE", "●", BUYS)
    GAPPED = ("GAPPED", "▲", ALARM)
    STALE = ("STALE", "■", ALARM)


class Health(NamedTuple):
    """The state of the feed: how far to trust it, and what there is to add."""

    trust: Trust
    detail: str = ""

    @property
    def text(self) -> str:
        """Return it in words, for instance `STALE for 4 s`."""
        return f"{self.trust.value[0]}{self.detail}"

    @property
    def sign(self) -> str:
        """Return it in words behind its sign."""
        return f"{self.trust.value[1]} {self.text}"

    @property
    def style(self) -> str:
        """Return how it is coloured."""
        return self.trust.value[2]


def price_text(hao: int | None) -> str:
    """Return a price in yuan with all four decimals, so that columns line up; blank for none.

    >>> price_text(61_100), price_text(None)
    ('6.1100', '')
    """
    return "" if hao is None else f"{hao // HAO_PER_YUAN}.{hao % HAO_PER_YUAN:04}"


def whole_yuan(hao: int) -> str:
    """Return an amount in yuan without its decimals, which are cut off, its digits in groups of three.

    >>> whole_yuan(12_345_678_901)
    '1,234,567'
    """
    return f"{hao // HAO_PER_YUAN:,}"


def change_basis(last: int | None, reference: int) -> int | None:
    """Return how far a price is from the reference price, in basis points, rounded towards it; None without.

    >>> change_basis(61_100, 60_000), change_basis(59_999, 60_000), change_basis(None, 60_000)
    (183, 0, None)
    """
    if last is None or not reference:
        return None
    basis = abs(last - reference) * 10_000 // reference
    return basis if last >= reference else -basis


def change_style(basis: int | None) -> str:
    """Return how a change is coloured."""
    return BUYS if (basis or 0) > 0 else SELLS if (basis or 0) < 0 else ""


def basis_text(basis: int | None) -> str:
    """Return basis points as per cent with their sign; blank for none.

    >>> basis_text(183), basis_text(-5), basis_text(0), basis_text(None)
    ('+1.83 %', '-0.05 %', '0.00 %', '')
    """
    if basis is None:
        return ""
    sign = "+" if basis > 0 else "-" if basis < 0 else ""
    return f"{sign}{abs(basis) // 100}.{abs(basis) % 100:02} %"


def share_text(part: int, whole: int) -> str:
    """Return a part as per cent of a whole, one decimal, rounded down; blank where there is no whole.

    >>> share_text(1, 3), share_text(0, 0)
    ('33.3 %', '')
    """
    if not whole:
        return ""
    mille = part * 1000 // whole
    return f"{mille // 10}.{mille % 10} %"


def phase_words(phase: int, cause: int) -> str:
    """Return what a market is doing, and the collar that caused it.

    >>> phase_words(Phase.CONTINUOUS, 0), phase_words(Phase.HALTED, RejectReason.NOT_IN_PHASE)
    ('continuous', 'halted: not in phase')
    """
    word = PHASES[Phase(phase)][0]
    return f"{word}: {RejectReason(cause).name.lower().replace('_', ' ')}" if cause else word


def clock_text(time_ns: int) -> str:
    """Return the time of day of a moment, UTC, to the second.

    >>> clock_text(1_795_358_247 * NS_PER_SECOND)
    '14:37:27'
    """
    return datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime("%H:%M:%S")


def net_price(trade: TradePrint) -> int | None:
    """Return what a lot cost the buyer himself, in hao, rounded down; None where no programme paid.

    >>> net_price(TradePrint(1, 1, 60_000, 3, 90_000, 0, 1))
    30000
    """
    return (trade.price * trade.quantity - trade.paid) // trade.quantity if trade.paid else None


def indicative_words(price: int, volume: int, surplus: int, side: int) -> str:
    """Return what an auction would find now, in words.

    >>> indicative_words(123_500, 40, 5, 0)
    'auction now: 40 lots at 12.35, 5 more to buy'
    >>> indicative_words(0, 0, 0, 0)
    'auction now: no price'
    """
    if not price:
        return "auction now: no price"
    more = f", {surplus} more to {Side(side).name.lower()}" if surplus else ""
    return f"auction now: {volume} lots at {yuan(price)}{more}"
