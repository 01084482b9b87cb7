"""Which tables the history's files hold: their columns, their order, and when a day of them has changed."""

from __future__ import annotations

from typing import NamedTuple


class Table(NamedTuple):
    """A table of the history: where its files lie, what is in them, and when.

    `moment` says of which day a row is; rows are sorted by `key`, then by `order`. `changes`
    is a query for days and the commands that have changed them, after the command $since.
    """

    place: str
    view: str
    columns: tuple[str, ...]
    moment: str
    key: str
    order: str
    changes: str

    @property
    def is_full(self) -> bool:
        """Whether it tells of members and orders, and so is for the venue alone."""
        return self.place.startswith("full/")


_DAY = "(time + interval 8 hours)::date as day"

_TRADES_CHANGES = f"""
select {_DAY}, max(sequence) as sequence from base.trades where sequence > $since group by day
union all
select (t.time + interval 8 hours)::date as day, z.sequence
from base.busts as z inner join base.trades as t on t.trade = z.trade
where z.sequence > $since
"""  # noqa: S608

_PUBLIC_TRADES = (
    *("trade", "sequence", "time", "instrument", "price", "quantity", "amount", "taker_side", "subsidy"),
    *("phase", "programme", "terms_version", "busted"),
)
_BARS = (
    *("instrument", "start", "open", "high", "low", "close", "volume", "amount", "trades"),
    *("subsidised_volume", "subsidy", "vwap", "subsidised_share"),
)
_FIXINGS = (
    *("instrument", "sequence", "time", "price", "rung", "stale", "auction_quantity", "trades", "quantity"),
    *("outliers", "median", "bid", "ask", "carried_from"),
)
_ALL_TRADES = (
    *_PUBLIC_TRADES,
    *("buy_order", "sell_order", "buyer", "seller", "buyer_fee", "seller_fee", "entry"),
)
_POSTINGS = ("entry", "sequence", "time", "member", "account", "asset", "amount", "reason", "trade")
_LEGS = (
    *("trade", '"order"', "programme", "terms_version", "fiscal_year", "member", "amount", "reason"),
    *("sequence", "time"),
)


def _by_time(table: str) -> str:
    """Return the changes of a table to which rows are only ever added."""
    return f"select {_DAY}, max(sequence) as sequence from {table} where sequence > $since group by day"  # noqa: S608


TABLES = (
    Table(
        "public/trades",
        "trades",
        _PUBLIC_TRADES,
        "time",
        "instrument",
        "instrument, time, trade",
        _TRADES_CHANGES,
    ),
    Table("public/bars_1m", "bars_1m", _BARS, "start", "instrument", "instrument, start", _TRADES_CHANGES),
    Table(
        "public/quotes_1m",
        "quotes_1m",
        ("instrument", "start", "bid", "bid_quantity", "ask", "ask_quantity", "sequence"),
        "start",
        "instrument",
        "instrument, start",
        # A minute's quotes are written with the command after the one that they bear.
        """
        select (start + interval 8 hours)::date as day, max(sequence) + 1 as sequence
        from base.quotes
        where sequence >= $since
        group by day
        """,
    ),
    Table(
        "public/fixings",
        "fixings",
        _FIXINGS,
        "day",
        "instrument",
        "instrument",
        "select day, max(sequence) as sequence from base.fixings where sequence > $since group by day",
    ),
    Table(
        "public/instrument_events",
        "instrument_events",
        ("sequence", "time", "instrument", "event", "factor"),
        "time",
        "instrument",
        "instrument, sequence, event",
        _by_time("base.events"),
    ),
    Table(
        "full/trades", "trades", _ALL_TRADES, "time", "instrument", "instrument, time, trade", _TRADES_CHANGES
    ),
    Table(
        "full/postings",
        "postings",
        _POSTINGS,
        "time",
        "asset",
        "asset, time, entry, member, account, amount",
        _by_time("base.postings"),
    ),
    Table(
        "full/subsidy_legs",
        "subsidy_legs",
        _LEGS,
        "time",
        "programme",
        'programme, time, trade, "order", member, amount',
        _by_time("base.subsidy_legs"),
    ),
)
"""All tables of the history. Who decided what, and why, may name members: no public one has it."""
