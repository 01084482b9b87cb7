from __future__ import annotations

import json
from contextlib import contextmanager

import click.testing
import pytest

from exchange.client.errors import BadInput, ConnectionLost, UnknownName
from exchange.watching import readers
from exchange.watching.lines import read_market, read_tops, read_whole, top_line
from exchange.watching.market_screen import MarketScreen
from exchange.watching.overview import Overview
from exchange.watching.paint_market import COLUMN_NAMES, COLUMNS, Choice, column_at, fit
from exchange.watching.readers import find_definition, find_place
from exchange.watching.screens import BookScreen, WatchApp
from exchange.watching.words import Trust
from feeds.messages import DEFINITIONS, EVERY_INSTRUMENT, LEVELS_REFRESH, SLOW_VIEW, read
from matching.vocabulary import Side
from tests.ops.fake_feed import CARD, QWEN, SECOND, definition, market

# --- the overview, folded --------------------------------------------------------------------------


class Watcher:
    """Reads an overview by hand, message by message."""

    def __init__(self, feed):
        self.feed = feed
        self.reader = feed.open()
        self.reader.listen(SLOW_VIEW)
        self.reader.listen(DEFINITIONS)
        self.overview = Overview()

    def read(self):
        """Take what was said, ask for what is wanted, take the answers."""
        self.overview.take(self.reader.poll(0), self.feed.now)
        asks = self.overview.asks(self.feed.now)
        for kind, instrument in asks:
            self.reader.ask(kind, instrument)
        self.overview.take(self.reader.poll(0), self.feed.now)
        return asks

    def row(self, index):
        return self.overview.rows()[index]

    def trust(self) -> object:
        return self.overview.health(self.feed.now).trust


def joined(feed):
    watcher = Watcher(feed)
    feed.beat()
    watcher.read()  # the definitions
    watcher.read()  # the books
    return watcher


def test_who_joins_asks_for_what_is_traded_and_for_each_book():
    watcher = Watcher(market())
    assert watcher.trust() is Trust.WAITING
    assert watcher.read() == [(DEFINITIONS, EVERY_INSTRUMENT)]
    watcher.feed.beat()
    assert [instrument for kind, instrument in watcher.read() if kind == LEVELS_REFRESH] == [0, 1, 2]
    assert watcher.trust() is Trust.LIVE
    row = watcher.row(QWEN)
    assert (row.bid.price, row.bid.quantity, row.ask.price) == (59_900, 50, 60_100)
    assert row.last is None
    assert row.change is None


def test_a_view_brings_prices_and_totals():
    watcher = joined(market())
    watcher.feed.trade(QWEN, 60_600, 4, Side.BUY, paid=24_240)
    watcher.feed.view(QWEN)
    watcher.read()
    row = watcher.row(QWEN)
    assert (row.last, row.change, row.totals) == (60_600, 100, (1, 4, 242_400, 24_240))


def test_a_view_that_was_missed_is_found_by_the_second_heartbeat_and_asked_for():
    watcher = joined(market())
    feed = watcher.feed
    feed.place(QWEN, Side.BUY, 60_000, 5)  # its view is lost
    feed.beat()
    assert watcher.read() == []  # it may still come
    assert watcher.row(QWEN).bid.price == 59_900
    feed.beat()
    assert watcher.read() == [(LEVELS_REFRESH, QWEN)]
    assert watcher.row(QWEN).bid.price == 60_000
    assert (watcher.trust(), watcher.overview.resyncs) == (Trust.LIVE, 1)


def test_until_the_answer_comes_the_row_is_marked_and_asked_for_each_second():
    watcher = joined(market())
    feed = watcher.feed
    watcher.reader.ask = lambda kind, instrument: None
    feed.place(QWEN, Side.BUY, 60_000, 5)
    feed.beat()
    feed.beat()
    assert watcher.read() == [(LEVELS_REFRESH, QWEN)]
    assert watcher.row(QWEN).is_old
    assert watcher.overview.health(feed.now).text == "GAPPED: asking for 1 book"
    assert watcher.read() == []
    feed.now += SECOND
    assert watcher.read() == [(LEVELS_REFRESH, QWEN)]
    feed.view(QWEN)  # a view heals it as well
    watcher.read()
    assert not watcher.row(QWEN).is_old


def test_an_old_picture_changes_nothing():
    watcher = joined(market())
    old = read(watcher.feed.picture(LEVELS_REFRESH, QWEN))
    watcher.feed.place(QWEN, Side.BUY, 60_000, 5)
    watcher.feed.view(QWEN)
    watcher.read()
    watcher.overview.take([old], watcher.feed.now)
    assert watcher.row(QWEN).bid.price == 60_000


def test_a_publisher_that_starts_anew_is_asked_for_everything():
    watcher = joined(market())
    watcher.feed.run += 1
    watcher.feed.beat()
    asks = watcher.read()
    assert (DEFINITIONS, EVERY_INSTRUMENT) in asks
    assert len(asks) == 4
    assert watcher.overview.is_whole
    assert watcher.overview.resyncs == 1


def test_an_answer_of_another_run_is_not_taken():
    watcher = joined(market())
    watcher.feed.run += 1
    watcher.feed.place(QWEN, Side.BUY, 60_000, 5)
    watcher.overview.take([read(watcher.feed.picture(LEVELS_REFRESH, QWEN))], watcher.feed.now)
    assert watcher.row(QWEN).bid.price == 59_900


def test_silence_is_told_with_its_length():
    watcher = joined(market())
    watcher.feed.now += 4 * SECOND
    assert watcher.overview.health(watcher.feed.now).text == "STALE for 4 s"
    watcher.feed.beat()
    watcher.read()
    assert watcher.trust() is Trust.LIVE


def test_a_definition_that_was_missed_is_asked_for():
    watcher = joined(market())
    feed = watcher.feed
    feed.definitions = (*feed.definitions[:2], definition(CARD, "H100-HOUR", state="suspended"))
    feed.defined = 2
    feed.beat()
    assert (DEFINITIONS, EVERY_INSTRUMENT) in watcher.read()
    assert watcher.row(CARD).definition.state == "suspended"
    assert watcher.overview.is_whole


# --- what is chosen, and how it fits ---------------------------------------------------------------


def rows_of(feed):
    feed.trade(QWEN, 60_600, 4, Side.BUY, paid=24_240)
    feed.trade(CARD, 59_000, 9, Side.SELL)
    return joined(feed).overview.rows()


@pytest.mark.parametrize(
    ("choice", "symbols"),
    [
        (Choice(), ["H100-HOUR", "QWEN3-MAX", "AGENT-LAW"]),
        (Choice(is_reversed=True), ["AGENT-LAW", "QWEN3-MAX", "H100-HOUR"]),
        (Choice(sort="symbol"), ["AGENT-LAW", "H100-HOUR", "QWEN3-MAX"]),
        (Choice(sort="change"), ["QWEN3-MAX", "H100-HOUR", "AGENT-LAW"]),
        (Choice(sort="paid"), ["QWEN3-MAX", "H100-HOUR", "AGENT-LAW"]),
        (Choice(kinds=frozenset({"agent"})), ["AGENT-LAW"]),
        (Choice(region="ningbo"), ["AGENT-LAW"]),
        (Choice(tier="frontier", domestic=True), ["QWEN3-MAX"]),
        (Choice(domestic=False), ["H100-HOUR"]),
        (Choice(text="volt hour"), ["H100-HOUR"]),
        (Choice(text="nothing"), []),
    ],
)
def test_rows_are_chosen_and_sorted(choice, symbols):
    assert [row.definition.symbol for row in choice.chosen(rows_of(market()))] == symbols


@pytest.mark.parametrize("width", [20, 80, 120, 200])
def test_columns_fit_the_width_and_the_symbol_stays(width):
    rows = rows_of(market())
    fitted = fit(rows, width)
    assert fitted[0].column.name == "symbol"
    assert fitted[-1].start + fitted[-1].width <= width
    assert (len(fitted) == len(COLUMNS)) == (width >= 160)
    assert column_at(fitted, fitted[-1].start) == fitted[-1].column.name
    assert column_at(fitted, 10_000) is None


def test_every_column_has_a_width_of_its_own_on_a_narrow_terminal():
    names = {one.column.name for one in fit(rows_of(market()), 80)}
    assert {"symbol", "bid", "ask", "last", "change", "volume", "phase", "paid"} <= names


# --- lines -----------------------------------------------------------------------------------------


def test_a_line_for_each_change_of_the_top_and_of_the_state():
    feed = market()
    reader = feed.open()
    tops = read_tops(reader, feed.clock, feed.definitions[QWEN], feed.now + 20 * SECOND)
    assert top_line(next(tops)).endswith("WAITING for the book")
    assert top_line(next(tops)) == (
        "12:00:00  QWEN3-MAX  continuous  bid 50 x 5.9900 (2)  ask 1,500 x 6.0100 (1)  last none  LIVE"
    )
    feed.place(QWEN, Side.BUY, 59_700, 8)  # below the top
    feed.place(QWEN, Side.BUY, 60_000, 8)
    assert "bid 8 x 6.0000" in top_line(next(tops))
    feed.trade(QWEN, 60_000, 8, Side.SELL)
    assert "last 8 x 6.0000" in top_line(next(tops))
    assert top_line(next(tops)).endswith("STALE for 3 s")
    assert list(tops) == []


def test_a_market_is_read_until_it_is_whole():
    feed = market()
    feed.beat()
    reader = feed.open()
    seen = read_market(reader, feed.clock, Choice(sort="symbol"), None)
    assert [row.definition.symbol for row in seen.rows] == ["AGENT-LAW", "H100-HOUR", "QWEN3-MAX"]
    assert seen.overview.is_whole


def test_a_feed_that_says_nothing_is_given_up():
    feed = market()
    started = feed.now
    reader = feed.open()
    reader.is_deaf = True
    assert read_market(reader, feed.clock, Choice(), None).rows == []
    assert feed.now - started == 5 * SECOND


@contextmanager
def at(feed):
    yield feed.open


@pytest.fixture
def bourse_at(monkeypatch):
    """Run `bourse` against a fake feed, on the fake feed's clock."""

    def run(feed, *words):
        from exchange.cli import bourse

        monkeypatch.setattr(readers, "opener", lambda place: at(feed))
        monkeypatch.setattr("time.monotonic_ns", feed.clock)
        places = ("--feed", "tcp://127.0.0.1:9", "--refresh", "tcp://127.0.0.1:9")
        return click.testing.CliRunner().invoke(bourse, [*words, *places])

    return run


def test_bourse_watch_prints_one_table_in_a_pipe(bourse_at):
    feed = market()
    told = bourse_at(feed, "watch", "--kind", "model")
    assert told.exit_code == 0, told.output
    assert "1 of 3 instruments" in told.output
    assert "QWEN3-MAX" in told.output
    assert "AGENT-LAW" not in told.output
    assert "6.0100" in told.output


def test_bourse_watch_json_is_a_line_an_instrument(bourse_at):
    told = bourse_at(market(), "watch", "--json", "--seconds", "2")
    lines = [json.loads(line) for line in told.output.splitlines()]
    rows = [line for line in lines if "feed" not in line]
    assert sorted(row["instrument"] for row in rows) == ["AGENT-LAW", "H100-HOUR", "QWEN3-MAX"]
    assert next(row for row in rows if row["instrument"] == "QWEN3-MAX")["bid"] == 59_900


def test_bourse_watch_json_without_an_end_is_in_the_order_asked_for(bourse_at):
    for words, symbols in (
        (["--sort", "symbol"], ["AGENT-LAW", "H100-HOUR", "QWEN3-MAX"]),
        (["--sort", "symbol", "--reverse"], ["QWEN3-MAX", "H100-HOUR", "AGENT-LAW"]),
    ):
        told = bourse_at(market(), "watch", "--json", *words)
        assert [json.loads(line)["instrument"] for line in told.output.splitlines()] == symbols


def test_bourse_watch_json_tells_what_becomes_of_the_feed(bourse_at):
    told = bourse_at(market(), "watch", "--json", "--seconds", "6")
    lines = [json.loads(line) for line in told.output.splitlines()]
    assert [line["feed"] for line in lines if "feed" in line] == ["waiting", "live", "stale"]


def test_bourse_book_once_shows_orders_and_lots(bourse_at):
    told = bourse_at(market(), "book", "QWEN3-MAX", "--depth", "1")
    assert told.exit_code == 0, told.output
    row = next(line for line in told.output.splitlines() if "5.99" in line)
    assert [word for word in row.split() if word[0].isdigit()] == ["2", "50", "5.99", "6.01", "1500", "1"]


def test_bourse_book_json_lists_levels(bourse_at):
    facts = json.loads(bourse_at(market(), "book", "QWEN3-MAX", "--json").output)
    assert facts["bids"] == [[59_900, 50, 2], [59_800, 200, 1]]
    assert facts["phase"] == "continuous"


def test_bourse_book_watch_ends_after_its_seconds(bourse_at):
    feed = market()
    started = feed.now
    told = bourse_at(feed, "book", "QWEN3-MAX", "--watch", "--json", "--seconds", "4")
    states = [json.loads(line)["state"] for line in told.output.splitlines()]
    assert states == ["waiting", "live", "stale"]
    assert 4 * SECOND <= feed.now - started < 5 * SECOND


def test_an_unknown_instrument_names_those_written_alike():
    with pytest.raises(UnknownName, match="QWEN3-MAX"):
        find_definition(market().open, "qwen-max", market().clock)


def test_a_feed_without_definitions_is_told():
    feed = market()
    reader = feed.open()
    reader.is_deaf = True
    with pytest.raises(ConnectionLost, match="does not tell what is traded"):
        find_definition(lambda: reader, "QWEN3-MAX", feed.clock)
    assert reader.is_closed


def test_a_book_that_does_not_come_is_told():
    feed = market()
    reader = feed.open()
    reader.is_deaf = True
    with pytest.raises(ConnectionLost, match="QWEN3-MAX: it is waiting"):
        read_whole(lambda: reader, feed.clock, feed.definitions[QWEN], 5)


def test_both_endpoints_are_needed():
    with pytest.raises(BadInput, match="belong together"):
        find_place("sandbox", "tcp://127.0.0.1:9", None)
    assert find_place("nobody", "tcp://127.0.0.1:9", "tcp://127.0.0.1:8").keys is None


def test_seconds_without_watch_are_wrong_usage(bourse_at):
    told = bourse_at(market(), "book", "QWEN3-MAX", "--seconds", "4")
    assert told.exit_code == 2
    assert "belongs to --watch" in told.output


def test_the_command_sorts_by_every_column():
    from exchange.cli.watching import SORTS

    assert SORTS == COLUMN_NAMES


@pytest.mark.parametrize(
    ("words", "screen"), [(["watch"], MarketScreen), (["book", "QWEN3-MAX", "--watch"], BookScreen)]
)
def test_on_a_terminal_the_screen_is_opened(bourse_at, monkeypatch, words, screen):
    opened = []

    def run(app):
        opened.append(app)

    monkeypatch.setattr("exchange.cli.watching.is_watched", lambda: True)
    monkeypatch.setattr(WatchApp, "run", run)
    told = bourse_at(market(), *words, "--seconds", "4")
    assert told.exit_code == 0, told.output
    assert [type(app._first()) for app in opened] == [screen]
