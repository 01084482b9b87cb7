from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager

import pytest
from rich.console import Console
from textual.widgets import Input

from exchange.terminal import Screen
from exchange.watching.market_screen import MarketScreen, MarketTable
from exchange.watching.paint_market import Choice
from exchange.watching.screens import BookScreen, HelpScreen, Painted, WatchApp
from feeds.messages import PROGRAMMES
from matching.vocabulary import Phase, RejectReason, Side
from tests.ops.fake_feed import AGENT, CARD, QWEN, SECOND, market

# --- screens ---------------------------------------------------------------------------------------


@asynccontextmanager
async def shown(feed, first, size=(80, 24)):
    app = WatchApp(first)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


async def catch_up(app, pilot, feed):
    """Read and draw what was said by now, without waiting for a timer."""
    for _ in range(4):
        app.screen.read()
    app.screen.draw()
    await pilot.pause()


def text_of(app, selector):
    widget = app.screen.query_one(selector)
    return widget.render().plain


def book_screen(feed, index=QWEN):
    return lambda: BookScreen(feed.open, feed.clock, feed.definitions[index], 15)


def market_screen(feed):
    return lambda: MarketScreen(feed.open, feed.clock, Choice())


def test_the_book_shows_levels_around_the_spread():
    async def story():
        feed = market()
        async with shown(feed, book_screen(feed)) as (app, pilot):
            await catch_up(app, pilot, feed)
            feed.beat()
            await catch_up(app, pilot, feed)
            ladder = text_of(app, "#ladder")
            prices = [word for word in ladder.split() if word[0] in "56" and "." in word]
            assert prices == ["6.0300", "6.0100", "5.9900", "5.9800"]
            assert "spread 0.02" in ladder
            assert any({"2", "50", "5.9900"} <= set(line.split()) for line in ladder.splitlines())
            header = text_of(app, "#header")
            assert "QWEN3-MAX" in header
            assert "CONTINUOUS" in header
            assert "● LIVE  resyncs 0" in header

    asyncio.run(story())


def test_ctrl_c_leaves_from_wherever_one_is():
    async def story():
        feed = market()
        for first in (book_screen(feed), market_screen(feed)):
            async with shown(feed, first) as (app, pilot):
                await pilot.press("question_mark")
                await pilot.press("ctrl+c")
                await pilot.pause()
                assert not app.is_running

    asyncio.run(story())


@pytest.mark.parametrize("size", [(80, 24), (160, 40)])
def test_the_tape_tells_net_prices_of_what_programmes_paid(size):
    async def story():
        feed = market()
        async with shown(feed, book_screen(feed), size) as (app, pilot):
            feed.trade(QWEN, 60_000, 3, Side.BUY, paid=90_000, subsidised=1)
            feed.trade(QWEN, 60_100, 2, Side.SELL)
            feed.trade(QWEN, 60_200, 1, 2, subsidised=1)
            await catch_up(app, pilot, feed)
            assert [line.split() for line in text_of(app, "#tape").splitlines()[1:]] == [
                ["12:00:00", "6.0200", "1", "auction", "later"],
                ["12:00:00", "6.0100", "2", "sell"],
                ["12:00:00", "6.0000", "3", "buy", "3.0000"],
            ]

    asyncio.run(story())


def test_a_gap_and_silence_stand_in_the_header():
    async def story():
        feed = market()
        async with shown(feed, book_screen(feed)) as (app, pilot):
            await catch_up(app, pilot, feed)
            feed.readers[0].ask = lambda kind, instrument: None
            feed.lose_one(QWEN)
            feed.beat()
            await catch_up(app, pilot, feed)
            assert "▲ GAPPED: asking  resyncs 1" in text_of(app, "#header")
            del feed.readers[0].ask
            feed.now += 4 * SECOND
            await catch_up(app, pilot, feed)
            assert "■ STALE for 4 s  resyncs 1" in text_of(app, "#header")
            feed.beat()
            await catch_up(app, pilot, feed)
            assert "● LIVE  resyncs 1" in text_of(app, "#header")

    asyncio.run(story())


def test_o_shows_each_order_of_a_level_who_comes_first_nearest_to_the_price():
    async def story():
        feed = market()
        async with shown(feed, book_screen(feed)) as (app, pilot):
            await catch_up(app, pilot, feed)
            await pilot.press("o")
            await catch_up(app, pilot, feed)
            ladder = text_of(app, "#ladder")
            assert "▏7▏5▏3" in ladder
            assert "10▕40▕" in ladder
            await pilot.press("o")
            await catch_up(app, pilot, feed)
            assert "▏7" not in text_of(app, "#ladder")

    asyncio.run(story())


def test_a_pause_holds_the_picture_and_not_the_state():
    async def story():
        feed = market()
        async with shown(feed, book_screen(feed)) as (app, pilot):
            await catch_up(app, pilot, feed)
            await pilot.press("p")
            feed.place(QWEN, Side.BUY, 60_000, 5)
            await catch_up(app, pilot, feed)
            assert "6.0000" not in text_of(app, "#ladder")
            feed.now += 4 * SECOND
            await catch_up(app, pilot, feed)
            assert "PAUSED  ■ STALE for 4 s" in text_of(app, "#header")
            await pilot.press("p")
            assert "6.0000" in text_of(app, "#ladder")

    asyncio.run(story())


def test_the_ladder_is_made_deeper_and_scrolled_to_its_end():
    async def story():
        feed = market()
        for step in range(30):
            feed.place(QWEN, Side.SELL, 61_000 + step * 100, 1)
        async with shown(feed, book_screen(feed)) as (app, pilot):
            await catch_up(app, pilot, feed)
            assert "6.2900" not in text_of(app, "#ladder")
            await pilot.press("plus", "plus", "plus", "plus", *["pageup"] * 6)
            await catch_up(app, pilot, feed)
            assert "6.3900" in text_of(app, "#ladder")  # the highest of 32
            await pilot.press("home", *["minus"] * 10)
            await catch_up(app, pilot, feed)
            assert [word for word in text_of(app, "#ladder").split() if word.startswith("6.0")] == ["6.0100"]

    asyncio.run(story())


def test_a_call_tells_what_the_auction_would_find_and_may_cross():
    async def story():
        feed = market()
        feed.change_phase(QWEN, Phase.PRE_OPEN, RejectReason.NOT_IN_PHASE)
        feed.place(QWEN, Side.BUY, 60_200, 5)
        feed.indicate(QWEN, 60_100, 5, 1_495, Side.SELL)
        async with shown(feed, book_screen(feed)) as (app, pilot):
            await catch_up(app, pilot, feed)
            header = text_of(app, "#header")
            assert "PRE-OPEN: NOT IN PHASE" in header
            assert "auction now: 5 lots at 6.01, 1495 more to sell" in header
            assert "crossed by 0.01" in text_of(app, "#ladder")

    asyncio.run(story())


def test_the_market_is_sorted_filtered_and_a_book_is_opened_and_left():
    async def story():
        feed = market()
        feed.trade(CARD, 59_000, 9, Side.SELL)
        feed.trade(AGENT, 61_000, 5, Side.SELL)
        async with shown(feed, market_screen(feed)) as (app, pilot):
            feed.beat()
            await catch_up(app, pilot, feed)

            def symbols():
                return [line.split()[0] for line in text_of(app, "#market").splitlines()[1:]]

            assert symbols() == ["H100-HOUR", "AGENT-LAW", "QWEN3-MAX"]
            assert "● LIVE" in text_of(app, "#title")
            await pilot.press("r")
            assert symbols() == ["QWEN3-MAX", "AGENT-LAW", "H100-HOUR"]
            await pilot.press("a")
            assert symbols() == ["AGENT-LAW"]
            assert "1 of 3 instruments  only agent" in text_of(app, "#title")
            await pilot.press("a", "slash", *"max")
            assert symbols() == ["QWEN3-MAX"]
            await pilot.press("enter")  # the words are typed
            assert not app.screen.query_one("#filter", Input).has_class("-open")
            await pilot.press("enter")
            assert isinstance(app.screen, BookScreen)
            await catch_up(app, pilot, feed)
            assert "5.9900" in text_of(app, "#ladder")
            await pilot.press("q")
            assert isinstance(app.screen, MarketScreen)
            assert [reader.is_closed for reader in feed.readers] == [False, True]
            await pilot.press("escape")
            assert len(symbols()) == 3

    asyncio.run(story())


def test_a_click_on_a_heading_sorts_and_one_on_a_row_marks_it():
    async def story():
        feed = market()
        async with shown(feed, market_screen(feed)) as (app, pilot):
            feed.beat()
            await catch_up(app, pilot, feed)
            await pilot.click(MarketTable, offset=(1, 0))
            heading = text_of(app, "#market").splitlines()[0]
            assert heading.startswith("symbol▲")
            await pilot.click(MarketTable, offset=(1, 0))
            assert text_of(app, "#market").splitlines()[0].startswith("symbol▼")
            assert app.screen.query_one(MarketTable).marked.definition.symbol == "QWEN3-MAX"
            await pilot.click(MarketTable, offset=(4, 3))
            assert app.screen.query_one(MarketTable).marked.definition.symbol == "AGENT-LAW"
            assert "NINGBO" in text_of(app, "#detail")
            await pilot.press("up")
            assert app.screen.query_one(MarketTable).marked.definition.symbol == "H100-HOUR"

    asyncio.run(story())


def test_s_goes_through_the_columns_that_are_shown():
    async def story():
        feed = market()
        async with shown(feed, market_screen(feed)) as (app, pilot):
            feed.beat()
            await catch_up(app, pilot, feed)
            names = [one.column.name for one in app.screen.query_one(MarketTable).fitted]
            seen = []
            for _ in names:
                await pilot.press("s")
                seen.append(app.screen.query_one(MarketTable).choice.sort)
            assert sorted(seen) == sorted(names)

    asyncio.run(story())


def test_budgets_stand_at_the_bottom():
    async def story():
        feed = market()
        async with shown(feed, market_screen(feed), (120, 30)) as (app, pilot):
            assert "no programme" in text_of(app, "#budgets")
            feed.tell_budget(10_000_000_0000, 6_000_000_0000, 3_000_000_0000)
            await catch_up(app, pilot, feed)
            told = text_of(app, "#budgets")
            assert "HZ-VOUCHER-2026 2026" in told
            assert "60.0 % left · paid 3,000,000 · reserved 1,000,000 of 10,000,000 yuan" in told

    asyncio.run(story())


@pytest.mark.parametrize("first", [book_screen, market_screen])
def test_help_is_opened_and_closed_and_q_ends_the_program(first):
    async def story():
        feed = market()
        async with shown(feed, first(feed)) as (app, pilot):
            await pilot.press("question_mark")
            assert isinstance(app.screen, HelpScreen)
            await pilot.press("escape")
            assert not isinstance(app.screen, HelpScreen)
            await pilot.press("q")
            await pilot.pause()
            assert not app.is_running
        assert all(reader.is_closed for reader in feed.readers)

    asyncio.run(story())


def test_without_colours_nothing_is_lost(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def story():
        feed = market()
        async with shown(feed, book_screen(feed), (120, 30)) as (app, pilot):
            await catch_up(app, pilot, feed)
            svg = app.export_screenshot()
            for word in ("LIVE", "CONTINUOUS", "QWEN3-MAX"):
                assert word in svg
            assert all(painted.size.width for painted in app.screen.query(Painted))

    asyncio.run(story())


@pytest.mark.parametrize("first", [book_screen, market_screen])
def test_the_program_ends_by_itself_after_its_seconds(first):
    feed = market()
    app = WatchApp(first(feed), 0.01)
    asyncio.run(asyncio.wait_for(app.run_async(headless=True), 30))
    assert feed.readers
    assert all(reader.is_closed for reader in feed.readers)


def test_the_demos_screen_hears_what_programmes_pay():
    feed = market()
    reader = feed.open()
    reader.follow(QWEN)
    reader.listen(PROGRAMMES)
    feed.trade(QWEN, 60_000, 3, Side.BUY, paid=90_000, subsidised=1)
    feed.tell_budget(1_000_000, 910_000, 90_000)
    screen = Screen(["QWEN3-MAX"], "a market")
    screen.hear(reader.poll(0))
    reader.poll(0)  # the refresh
    assert screen.line() == "0 orders, 1 trades, programme paid 9.00, left 91.00 yuan"
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(screen.draw(reader.books, 5.0))
    row = next(line for line in console.export_text().splitlines() if " buy " in line)
    assert row.split()[1:-1] == ["QWEN3-MAX", "buy", "6.0000", "3", "3.0000"]
