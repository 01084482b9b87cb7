"""What an analyst sees of the past: tables in yuan or hao, why there is nothing, pictures of any course."""

from __future__ import annotations

import builtins
import json
import re
import sys
from contextlib import nullcontext
from datetime import datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from random import Random
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from rich.console import Console

from exchange.cli import analyst, pasts
from exchange.cli.base import bourse
from exchange.cli.candle_chart import CANDLES_MAX, candle_chart
from exchange.cli.candle_png import write_png
from exchange.cli.candles import candle_plot, line_plot
from exchange.cli.courses import Candle, Course, spaced, ticks
from exchange.cli.history_page import history_page
from exchange.client.answers import unknown_name
from exchange.client.errors import MissingLibrary, UnknownName
from tests.settlement.tape import a_day, founded, settle
from tests.settlement.test_statement import a_client

TEN = datetime.fromisoformat("2026-11-05T10:00:00")


def course(bars: int, *, flat: bool = False, gaps: bool = False, subsidised: bool = True) -> Course:
    """Return a course of one-minute bars that went somewhere by chance."""
    chance, price, at, candles = Random(bars), 3_110, TEN, []
    for _ in range(bars):
        close = price if flat else max(50, price + chance.randint(-12, 12))
        tail = 0 if flat else chance.randint(0, 8)
        volume = chance.randint(1, 500)
        paid_for = chance.randint(0, volume) if subsidised else 0
        low, high = min(price, close) - tail, max(price, close) + tail
        candles.append(Candle(at, price, high, low, close, volume, paid_for))
        price = close
        at += timedelta(minutes=chance.choice((1, 5, 700)) if gaps else 1)
    return Course("QWEN-TURBO", "1m", tuple(candles), 20_417)


COURSES = {
    "one": course(1),
    "few": course(3),
    "forty": course(40),
    "flat": course(30, flat=True),
    "gaps": course(20, gaps=True),
    "thousand": course(1_000),
    "unsubsidised": course(30, subsidised=False),
}
any_course = pytest.mark.parametrize("drawn", COURSES.values(), ids=COURSES)


# --- the terminal --------------------------------------------------------------------------------


@any_course
@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 16), (132, 40)])
def test_a_plot_fits_the_terminal_that_it_is_drawn_for(drawn, width, height):
    lines = candle_plot(drawn, width, height).plain.splitlines()
    assert len(lines) <= height - 1
    assert max(len(line) for line in lines[2:-2]) <= width


def test_a_plot_needs_no_colour_to_tell_rises_from_falls():
    up = Course("A", "1m", (Candle(TEN, 100, 110, 90, 105, 1, 0),), 1)
    down = Course("A", "1m", (Candle(TEN, 105, 110, 90, 100, 1, 0),), 1)
    assert "┃" in "".join(candle_plot(up).plain.splitlines()[2:-4])
    assert "┃" not in "".join(candle_plot(down).plain.splitlines()[2:-4])


def test_colours_are_there_where_a_terminal_has_them_and_nowhere_else():
    def printed(**terminal):
        console = Console(width=100, **terminal)
        with console.capture() as captured:
            console.print(candle_plot(COURSES["forty"]), soft_wrap=True)
        return captured.get()

    assert "\x1b[" in printed(force_terminal=True, color_system="truecolor")
    assert "\x1b[" not in printed(force_terminal=False)


def test_one_candle_line_by_line():
    one = Course("A", "1m", (Candle(TEN, 30, 40, 10, 30, 8, 4),), 7, "hao")
    assert candle_plot(one, 80, 19).plain == "\n".join(
        (
            "A, 1m bars, hao a lot, as of sequence 7",
            "last 30, +0.00% since 30; 8 lots, 50.0% of them subsidised",
            "        40 ┤│",
            "           ││",
            "        30 ┤╽",
            "           ││",
            "           ││",
            "        20 ┤│",
            "           ││",
            "        10 ┤│",
            "    8 lots ┤█",
            "           │█",
            "           │█",
            "subsidised ┤",
            "           │█",
            "           10:00",
            "2026-11-05 10:00 UTC",
            "┃ rises, █ falls",
        )
    )


def test_of_a_thousand_bars_neighbours_are_one_candle_and_nothing_is_lost():
    whole = COURSES["thousand"]
    drawn, each = whole.fitted(68)
    assert (each, len(drawn.candles)) == (15, 67)
    assert sum(one.volume for one in drawn.candles) == sum(one.volume for one in whole.candles)
    assert max(one.high for one in drawn.candles) == max(one.high for one in whole.candles)
    assert (drawn.candles[0].open, drawn.candles[-1].close) == (
        whole.candles[0].open,
        whole.candles[-1].close,
    )
    assert "15 bars each" in candle_plot(whole).plain


def test_what_is_left_out_is_said():
    assert "without trades left out" in COURSES["gaps"].span
    assert "left out" not in COURSES["forty"].span


def test_lines_leave_a_hole_where_there_is_no_value():
    drawn = line_plot("bids", ["a", "b", "c"], {"bid": [10, None, 30]}, str, (20, 9)).plain
    assert drawn.count("•") == 2 + 1  # two values, and the legend
    flat = line_plot("flat", ["a"], {"bid": [10]}, str, (20, 9)).plain
    assert "10 ┤•" in flat


def test_ticks_are_round_and_labels_do_not_touch():
    for low, high in ((98, 102), (3_001, 3_299), (0, 7), (5, 1_000_000)):
        marked = ticks(low, high)
        assert 2 <= len(marked) <= 5
        assert low <= marked[0]
        assert marked[-1] <= high
    kept = spaced([(float(at), "10:00") for at in range(100)], 1, 2)
    assert all(after - before >= 7 for (before, _), (after, _) in pairwise(kept))


# --- files ---------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Notes what a page would load, and that each tag it opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [(tag, value) for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@any_course
def test_a_page_loads_nothing_and_has_every_bar(drawn):
    rows = [(one.start, drawn.words(one.close)) for one in drawn.candles]
    text = history_page(drawn, ("start", "close"), rows)
    page = Page()
    page.feed(re.sub(r"<(rect|path)[^>]*/>", "", text))
    assert page.loads == []
    assert page.open == []
    assert "<script" not in text
    assert "@import" not in text
    assert text.count("<tr>") == len(drawn.candles) + 1
    assert "sequence 20417" in text


@any_course
def test_everything_drawn_lies_within_the_picture(drawn):
    svg = ElementTree.fromstring(candle_chart(drawn))  # noqa: S314  our own
    _, _, width, height = map(float, svg.get("viewBox", "").split())
    rects = [one for one in svg.iter() if one.tag.endswith("rect")]
    assert 0 < len(rects) <= 3 * CANDLES_MAX
    for one in rects:
        x, y, wide, tall = (float(one.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert -0.1 <= y <= y + tall <= height + 0.1


def test_names_are_escaped():
    drawn = COURSES["few"]._replace(symbol="<b>&")
    assert "&lt;b&gt;&amp;, 1m bars" in history_page(drawn, ("start",), [("<i>",)])
    assert "<i>" not in history_page(drawn, ("start",), [("<i>",)])


@any_course
def test_a_png_is_a_png(drawn, tmp_path):
    pytest.importorskip("matplotlib")
    write_png(drawn, tmp_path / "bars.png")
    head = (tmp_path / "bars.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (1440, 900)


def test_without_matplotlib_the_remedy_is_said(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingLibrary, match="matplotlib is not installed") as missing:
        write_png(COURSES["few"], tmp_path / "bars.png")
    assert "tokenbourse[analyst]" in str(missing.value)
    assert "--html" in str(missing.value)
    assert not (tmp_path / "bars.png").exists()


# --- commands ------------------------------------------------------------------------------------


class Instruments(dict):
    """What is listed, by symbol."""

    def __missing__(self, symbol):
        raise unknown_name("instrument", symbol, self)


@pytest.fixture(scope="module")
def store():
    store, tape = founded()
    settle(store, a_day(tape))
    return store


@pytest.fixture
def run(store, monkeypatch):
    """Return how a command ends, asked by who may see everything."""

    def connected(_profile):
        client = a_client(store, "ann")
        symbols = ("QWEN3-MAX", "GLM-5")
        listed = {symbol: type("Listed", (), {"symbol": symbol}) for symbol in symbols}
        client.instruments = Instruments(listed)
        return nullcontext(client)

    for module in (analyst, pasts):
        monkeypatch.setattr(module, "connected", connected)
    return lambda *words: CliRunner().invoke(bourse, [*map(str, words)])


def facts(ended):
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.output)


def test_trades_are_in_yuan_for_people_and_in_hao_for_programs(run):
    assert "11.0000" in run("trades", "QWEN3-MAX").output
    told = facts(run("trades", "QWEN3-MAX", "--json"))
    assert (told["rows"][0]["price"], told["prices"]) == (110_000, "hao")
    assert told["found"] == len(told["rows"])
    assert facts(run("trades", "QWEN3-MAX", "--json", "--prices", "yuan"))["rows"][0]["price"] == "11.0000"
    assert "110,000" in run("trades", "QWEN3-MAX", "--prices", "hao").output


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h", "1d"])
def test_bars_of_each_interval_have_the_same_lots(run, interval):
    told = facts(run("bars", "QWEN3-MAX", "--interval", interval, "--json"))
    trades = facts(run("trades", "QWEN3-MAX", "--json"))["rows"]
    assert sum(row["volume"] for row in told["rows"]) == sum(row["quantity"] for row in trades)
    assert sum(row["subsidy"] for row in told["rows"]) == sum(row["subsidy"] for row in trades)


def test_a_day_is_named_by_the_venues_date(run):
    assert "2026-11-05" in run("bars", "QWEN3-MAX", "--interval", "1d").output
    assert facts(run("bars", "QWEN3-MAX", "--interval", "1d", "--json"))["rows"][0]["start"].startswith(
        "2026-11-04 16:00"
    )


def test_the_newest_are_told_and_of_how_many(run):
    every = facts(run("trades", "QWEN3-MAX", "--json"))["rows"]
    newest = facts(run("trades", "QWEN3-MAX", "--limit", 2, "--json"))
    assert newest["rows"] == every[-2:]
    assert newest["found"] == len(every)
    assert f"the newest of {len(every)}" in run("trades", "QWEN3-MAX", "--limit", 2).output


def test_start_is_told_and_end_is_not(run):
    first = facts(run("bars", "QWEN3-MAX", "--json"))["rows"][0]["start"]
    within = facts(run("bars", "QWEN3-MAX", "--start", first, "--json"))
    assert within["rows"][0]["start"] == first
    assert facts(run("bars", "QWEN3-MAX", "--end", first, "--json"))["rows"] == []


def test_nothing_says_why(run):
    assert (
        "there are no trades of GLM-5 before 2020-01-01 00:00:00; there are some from 2026-11-05"
        in run("trades", "GLM-5", "--end", "2020-01-01").output
    )
    assert "no levels of any tier yet" in run("index").output


def test_an_empty_market_says_so(run, monkeypatch):
    empty, _ = founded()
    client = a_client(empty, "ann")
    client.instruments = {"GLM-5": type("Listed", (), {"symbol": "GLM-5"})}
    monkeypatch.setattr(pasts, "connected", lambda _: nullcontext(client))
    for command in ("trades", "bars", "quotes"):
        ended = run(command, "GLM-5")
        assert re.match(rf"there are no {command} of GLM-5 yet, as of sequence \d+", ended.output)
    assert "there are no bars of GLM-5 yet" in run("bars", "GLM-5", "--plot", "--html", "none.html").output


@pytest.mark.parametrize("command", ["trades", "bars", "quotes", "events"])
def test_an_unknown_symbol_is_an_error_with_near_names(run, command):
    error = run(command, "QWEN3-MIN").exception
    assert isinstance(error, UnknownName)
    assert "did you mean QWEN3-MAX" in str(error)


def test_an_unknown_tier_is_an_error_with_near_names(run):
    error = run("index", "flagshop").exception
    assert isinstance(error, UnknownName)
    assert "did you mean flagship" in str(error)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("bars", "GLM-5", "--start", "yesterday"), "write it as 2026-11-01"),
        (("bars", "GLM-5", "--start", "2026-11-02", "--end", "2026-11-01"), "is not after --start"),
        (("bars", "GLM-5", "--interval", "2m"), "'1s', '1m', '5m', '1h', '1d'"),
        (("bars", "GLM-5", "--plot", "--json"), "leave one of --plot and --json out"),
        (("trades", "GLM-5", "--limit", "0"), "0 is not in the range"),
        (("sql", "select 1 as one", "--plot", "one", "two"), "no such column; choose from one"),
        (("sql", "select 'a' as a", "--plot", "a", "a"), "it holds no numbers"),
    ],
)
def test_what_cannot_be_done_is_wrong_usage_and_says_the_remedy(run, words, told):
    ended = run(*words)
    assert ended.exit_code == 2, ended.output
    assert told in ended.output


def test_events_tell_who_and_why(run):
    assert "operator" in run("events", "QWEN3-MAX").output
    rows = facts(run("events", "--json"))["rows"]
    assert {row["instrument"] for row in rows} == {"QWEN3-MAX", "GLM-5"}
    assert rows[0]["event"] == "listed"


def test_a_course_is_drawn_wherever_it_is_wanted(run, tmp_path):
    pytest.importorskip("matplotlib")
    page, picture = tmp_path / "bars.html", tmp_path / "bars.png"
    ended = run("bars", "QWEN3-MAX", "--html", page, "--png", picture, "--plot")
    assert ended.exit_code == 0, ended.output
    assert "QWEN3-MAX, 1m bars, yuan a lot" in ended.output
    assert "11.0000" in page.read_text("utf-8")
    assert picture.stat().st_size > 1_000
    told = facts(run("bars", "QWEN3-MAX", "--html", page, "--json"))
    assert told["rows"]


def test_sql_binds_values_and_draws_columns(run):
    told = facts(run("sql", "select ? as a, ? as b", "--param", "7", "--param", "GLM-5", "--json"))
    assert told["rows"] == [{"a": 7, "b": "GLM-5"}]
    drawn = run("sql", "select range as x, range * 2 as y from range(5)", "--plot", "x", "y").output
    assert "y over x, 5 rows" in drawn
    assert drawn.count("•") == 5 + 1
    assert "0 rows" in run("sql", "select 1 as one where false").output


def test_the_plot_alone_imports_no_matplotlib(run, monkeypatch):
    imported = builtins.__import__

    def refuse(name, *rest):
        assert not name.startswith("matplotlib")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert run("bars", "QWEN3-MAX", "--plot").exit_code == 0
