"""Reports tell a day, a programme, a provider; as tables, as files, and as one page that loads nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from exchange.cli.charts import bar_chart, course_chart, line_chart
from exchange.cli.courses import tick_step
from exchange.cli.report_page import page
from settlement.queries import Answer, QueryService
from settlement.reports import SECTIONS, Report, make_report
from settlement.rows import BustRow, LegRow, ObligationRow, RedemptionRow, TermsRow
from settlement.store import Store
from tests.settlement.tape import ANN, BOB, BUDGET, CAT, GLM, NINE, QWEN, VOUCHER, a_day, founded, settle
from tests.settlement.test_acts import act

AS_OF = "2026-11-05 17:00:00"


@pytest.fixture(scope="module")
def store():
    """A day of trading; then terms, an award, a redemption, and a bust of the last trade."""
    store, tape = founded()
    settle(store, a_day(tape))
    at = tape.sequence + 1
    act(
        store,
        tape,
        terms=(TermsRow(at, NINE, 0, 1, 'code = "HZ-VOUCHER-2026"'),),
        legs=(LegRow(at, NINE + 86_400 * 10**9, 0, 0, 0, 1, CAT, 90_000, "award"),),
        obligations=(
            ObligationRow(at, NINE, BOB, QWEN, 1_000_000, 12, 0),
            ObligationRow(at, NINE, BOB, GLM, 1_000_000, 0, 0),
        ),
        redemptions=(
            RedemptionRow(at, NINE, at, 0, ANN, QWEN, 12, 12, "confirmed", "job-1", 0, 9, 0),
            RedemptionRow(at, NINE, at, 1, ANN, QWEN, 3, 0, "requested", "job-2", 0, 0, 0),
        ),
        busts=(BustRow(at, NINE, 5, "OPS", "a slip"),),
    )
    return store


def reported(store: Store, kind: str, subject: str, viewer: str | None = None) -> Report:
    service = QueryService(store)

    def ask(sql: str, parameters: tuple[str]) -> tuple[pa.Table, int]:
        answer = service.answer(sql, parameters, viewer)
        assert isinstance(answer, Answer), answer
        return pa.ipc.open_stream(answer.arrow_ipc_stream).read_all(), answer.sequence

    return make_report(kind, subject, ask)  # type: ignore[arg-type]


def section(report: Report, name: str) -> list[dict[str, object]]:
    (part,) = [part for part in report.parts if part.section.name == name]
    rows: list[dict[str, object]] = part.rows.to_pylist()
    return rows


def test_a_day_is_told_instrument_by_instrument_without_what_was_busted(store):
    report = reported(store, "daily", "2026-11-05")
    assert section(report, "instruments") == [
        {
            "instrument": "QWEN3-MAX",
            "trades": 4,
            "volume": 65,
            "amount": 7_145_000,
            "open": 110_000,
            "high": 110_000,
            "low": 109_000,
            "close": 109_000,
            "fixing": None,
            "spread": None,
            "subsidy": 1_320_000,
            "subsidised_basis_points": 6153,
            "fees": 1650 + 660 + 550 + 220 + 1100 + 440 + 272 + 109,
        }
    ]
    (quarter,) = section(report, "course")
    assert (quarter["instrument"], quarter["quarter"].strftime("%H:%M")) == ("QWEN3-MAX", "17:00")  # type: ignore[attr-defined]
    assert (quarter["open"], quarter["close"], quarter["volume"]) == (110_000, 109_000, 65)


def test_a_day_is_the_venues_own(store):
    assert section(reported(store, "daily", "2026-11-04"), "instruments") == []
    assert section(reported(store, "daily", "2026-11-06"), "course") == []


def test_a_programme_is_told_by_state_day_size_firm_and_reason(store):
    report = reported(store, "programme", VOUCHER)
    (budget,) = section(report, "budget")
    assert (budget["budget"], budget["paid"], budget["owed"]) == (BUDGET, 1_320_000, 0)
    assert [tuple(row.values())[1:] for row in section(report, "days")] == [
        (1_320_000, 1_320_000, BUDGET - 1_320_000),
        (90_000, 1_410_000, BUDGET - 1_410_000),
    ]
    assert section(report, "sizes") == [
        {"size": "micro", "firms": 1, "orders": 0, "subsidy": 90_000, "basis_points": 638},
        {"size": "small", "firms": 1, "orders": 1, "subsidy": 1_320_000, "basis_points": 9361},
    ]
    assert [(row["member"], row["provider"], row["subsidy"]) for row in section(report, "firms")] == [
        ("ann", "bob", 1_320_000),
        ("cat", None, 90_000),
    ]
    assert [(row["reason"], row["legs"]) for row in section(report, "reasons")] == [
        ("trade", 2),
        ("award", 1),
    ]
    assert [row["terms_version"] for row in section(report, "terms")] == [1]


def test_a_provider_is_told_by_what_it_owes_sold_and_delivers(store):
    report = reported(store, "provider", "bob")
    assert [(row["instrument"], row["redeemed"], row["open"]) for row in section(report, "obligations")] == [
        ("GLM-5", 0, 1_000_000),
        ("QWEN3-MAX", 12, 999_988),
    ]
    (sales,) = section(report, "sales")
    assert (sales["volume"], sales["fees"], sales["average_price"]) == (65, 660 + 220 + 440 + 272, 109_923)
    assert [(row["state"], row["lots"]) for row in section(report, "redemptions")] == [
        ("confirmed", 12),
        ("requested", 3),
    ]


def test_a_provider_sees_its_own_sales_and_a_firm_does_not(store):
    assert len(section(reported(store, "provider", "bob", viewer="bob"), "sales")) == 1
    assert section(reported(store, "provider", "bob", viewer="cat"), "sales") == []
    assert section(reported(store, "programme", VOUCHER, viewer="ann"), "reasons") == [
        {"reason": "trade", "legs": 2, "amount": 1_320_000}
    ]


@pytest.mark.parametrize("kind", SECTIONS)
def test_every_column_that_a_section_names_is_there(store, kind):
    for part in reported(store, kind, "2026-11-05").parts:
        chart = part.section.chart
        named = {chart.label, chart.value, chart.volume} - {""} if chart else set()
        assert named <= set(part.rows.schema.names), part.section.name
        unused = set(part.section.money) - set(part.rows.schema.names)
        assert unused <= {"open", "high", "low", "close", "fixing", "spread", "average_price"}


# --- the page ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subject", "plots"),
    [("daily", "2026-11-05", 2), ("programme", VOUCHER, 2), ("provider", "bob", 2)],
)
def test_a_page_is_well_formed_and_loads_nothing(store, kind, subject, plots):
    text = page(reported(store, kind, subject), AS_OF)
    assert re.findall(r"(?:src|href|url)\s*[=(]", text) == []
    assert "<script" not in text
    whole = text.removeprefix("<!doctype html>\n").replace('<meta charset="utf-8">', "")
    root = ElementTree.fromstring(re.sub(r"<meta [^>]*>", "", whole))  # noqa: S314  our own page
    pictures = root.findall(".//{http://www.w3.org/2000/svg}svg")
    assert len(pictures) == plots
    for picture in pictures:
        assert picture.get("role") == "img"
        assert picture[0].text
        assert picture[1].text
    assert len(root.findall(".//h1")) == 1


def test_a_page_shows_money_in_yuan_and_shares_in_per_cent(store):
    text = page(reported(store, "programme", VOUCHER), AS_OF)
    assert '<td class="number">132.00</td>' in text
    assert '<td class="number">93.61 %</td>' in text
    assert f"as of {AS_OF} (sequence" in text


def test_a_page_groups_digits_but_not_those_of_a_year(store):
    text = page(reported(store, "programme", VOUCHER), AS_OF)
    assert '<td class="number">2026</td>' in text
    assert "2,026" not in text
    assert re.search(r">\d{1,3}(,\d{3})+\.\d{2,4}<", text)


def test_a_page_tells_when_terms_came_by_the_venues_clock(store):
    report = reported(store, "programme", VOUCHER)
    (version,) = section(report, "terms")
    told: Any = version["time"]
    assert f"{told + timedelta(hours=8):%Y-%m-%d %H:%M:%S}" in page(report, AS_OF)


def test_what_members_are_called_is_text_and_nothing_else():
    assert "<b>" not in bar_chart("<b>", ["<b>"], [1], str)


def test_a_page_of_nothing_says_so(store):
    assert page(reported(store, "provider", "nobody"), AS_OF).count("<p>Nothing.</p>") == 3


# --- the plots ---------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[0], [5], [0, 0, 0], [1, 2, 10**15], [7] * 100, [-3, 4]])
def test_plots_stay_within_their_picture(values):
    labels = [str(at) for at in range(len(values))]
    for picture in (
        bar_chart("bars", labels, values, str),
        line_chart("line", labels, values, str),
        course_chart(
            "course", labels, [abs(value) for value in values], [abs(value) for value in values], str
        ),
    ):
        root = ElementTree.fromstring(picture)  # noqa: S314  our own
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for mark in root.iter():
            x, y = float(mark.get("x", 0)), float(mark.get("y", 0))
            assert 0 <= x <= width
            assert 0 <= y <= height
            assert x + float(mark.get("width", 0)) <= width + 1


@pytest.mark.parametrize("span", [1, 3, 4, 5, 19, 20, 100, 12_345, 10**15])
def test_an_axis_has_few_round_steps(span):
    step = tick_step(span)
    assert str(step).rstrip("0") in {"1", "2", "5"}
    assert span / step <= 4
    assert step == 1 or span / (step / 2.5) > 4
