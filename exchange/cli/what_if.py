"""A what-if on the terminal, as JSON and as one HTML page; `bourse replay --what-if` calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec
from rich.progress import Progress

from exchange.cli.base import EXIT_DAMAGED, count, fail, grouped, print_json, print_table

if TYPE_CHECKING:
    from exchange.server.folder import Folder
    from exchange.server.what_if_report import (
        ActsApart,
        FiguresPair,
        FirmPair,
        Moment,
        ProgrammePair,
        WhatIf,
    )
    from settlement.terms import ProgrammeTerms

BEFORE, AFTER = "as it was", "other terms"
INSTRUMENTS_MAX = 12
"""Most instruments of other prices that are shown: those of the most trade."""


class Sheet(NamedTuple):
    """One table for people: its title, its columns, its rows as text."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def report_what_if(place: Folder, programmes: Sequence[Path], html: Path | None, *, as_json: bool) -> None:
    """Play a venue's journal under other terms, and tell how that differs from what it led to.

    `programmes` are files of terms; `html` is a page to write beside. What cannot be done ends the program
    with a line that says why.
    """
    from exchange.server.journal import JournalDamaged
    from exchange.server.replay import ReplayParted
    from exchange.server.warm import warm_up
    from exchange.server.what_if_acts import TermsUnfit
    from exchange.server.what_if_worlds import what_if

    if not place.journal.is_dir():
        fail(f"{place.root}: no journal lies here; name the folder of a venue", 2)
    if not programmes:
        fail("--what-if: it needs other terms; name a file of them with --programmes", 2)
    terms = [_read(path) for path in programmes]
    warm_up()
    try:
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("playing it twice", total=None)
            report = what_if(
                place, terms, lambda done, last: progress.update(task, completed=done, total=last)
            )
    except TermsUnfit as unfit:
        fail(str(unfit), 2)
    except (JournalDamaged, ReplayParted) as damage:
        fail(str(damage), EXIT_DAMAGED)
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        print_what_if(report)
    if html is not None:
        from exchange.cli.what_if_page import page

        try:
            html.write_text(page(report, place.root.name), "utf-8")
        except OSError as error:
            fail(f"--html {html}: {error.strerror}; name a file that can be written", 2)
        click.echo(f"written {html}", err=True)


def _read(path: Path) -> ProgrammeTerms:
    """Return the terms of a file; one that holds none is wrong usage."""
    from settlement.terms_file import read_terms

    try:
        return read_terms(path.read_text("utf-8"))
    except OSError as error:
        fail(f"--programmes {path}: {error.strerror}; name a file of terms", 2)
    except ValueError as error:
        fail(f"--programmes {path}: {error}", 2)


def print_what_if(report: WhatIf) -> None:
    """Print what was found, table by table, then what was taken as unchanged."""
    for line in (*report.told, headline(report)):
        click.echo(line)
    for sheet in sheets(report):
        print_table(sheet.title, sheet.columns, sheet.rows)
    for line in remarks(report):
        click.echo(line)


def headline(report: WhatIf) -> str:
    """Return in one line what was played, and whether anything has changed."""
    span = f"{moment_text(report.begins)} to {moment_text(report.ends)}"
    end = (
        "the same state, bit for bit"
        if report.identity
        else f"state {report.history_state} as it was, {report.other_state} under the other terms"
    )
    return f"{report.commands:,} commands, {span}: {end}"


def remarks(report: WhatIf) -> list[str]:
    """Return in words what was left out, what is taken as unchanged, and what to keep in mind."""
    left_out = [
        f"Left out: version {version} of the terms of {code}, for the other terms stand in its place."
        for code, version in report.revisions_left_out
    ]
    collars = report.history_calls_by_collar, report.other_calls_by_collar
    if collars[0] != collars[1]:
        left_out.append(f"Calls that a collar began: {collars[0]} as it was, {collars[1]} under other terms.")
    return [*left_out, "Taken as unchanged:", *(f"- {line}" for line in report.assumed)]


def sheets(report: WhatIf) -> Iterator[Sheet]:
    """Yield all tables; money in yuan. What is the same in both worlds is left out of most."""
    for programme in shown_programmes(report):
        yield Sheet(programme.programme, ("", BEFORE, AFTER, "change"), _programme_rows(programme))
    yield _classes("By size of firm", report.sizes)
    yield _classes("By kind of instrument", report.kinds)
    yield from _firm_sheets(report)
    yield Sheet("The market", ("", BEFORE, AFTER, "change"), _market_rows(report))
    refusals = [
        (one.reason, f"{one.history:,}", f"{one.other:,}", signed(one.other - one.history))
        for one in report.orders.refusals
        if one.history != one.other
    ]
    if refusals:
        yield Sheet("Orders refused, by reason", ("reason", BEFORE, AFTER, "change"), refusals)
    if report.instruments:
        yield _instruments(report)
    for title, acts in (
        ("Acts that no longer apply", report.lost_acts),
        ("Acts that were refused, and apply now", report.gained_acts),
    ):
        if acts:
            yield _acts(title, acts)


def shown_programmes(report: WhatIf) -> list[ProgrammePair]:
    """Return the programmes whose terms are other, and those that have come to another end."""
    return [one for one in report.programmes if one.is_replaced or one.history != one.other]


def _programme_rows(pair: ProgrammePair) -> list[tuple[str, ...]]:
    one, two = pair.history, pair.other
    money = [
        ("budget", one.budget, two.budget),
        ("uncommitted at the end", one.uncommitted, two.uncommitted),
        ("reserved", one.reserved, two.reserved),
        ("paid", one.paid, two.paid),
        ("vested", one.vested, two.vested),
        ("granted", one.granted.subsidy, two.granted.subsidy),
        ("of it still to be paid", one.to_come, two.to_come),
        ("owed back by firms", one.owed, two.owed),
        ("open claims", one.claims, two.claims),
        ("subsidised amount", one.granted.amount, two.granted.amount),
    ]
    counts = [
        ("subsidised lots", one.granted.lots, two.granted.lots),
        ("firms helped", one.granted.firms, two.granted.firms),
        ("orders helped", one.granted.orders, two.granted.orders),
        ("orders that name it", one.orders, two.orders),
        ("refused as exhausted", one.orders_refused, two.orders_refused),
        ("refused otherwise", one.refused_otherwise, two.refused_otherwise),
    ]
    rarely = {"of it still to be paid", "owed back by firms", "open claims"}
    return [
        *(_row(*line, grouped) for line in money if line[0] not in rarely or line[1] or line[2]),
        *(_row(*line, "{:,}".format) for line in counts),
        ("first refused as exhausted", at_text(one.exhausted), at_text(two.exhausted), ""),
        ("first nothing uncommitted", at_text(one.emptied), at_text(two.emptied), ""),
    ]


def _row(name: str, one: int, two: int, words: Callable[[int], str]) -> tuple[str, ...]:
    return name, words(one), words(two), signed(two - one, words)


def signed(change: int, words: Callable[[int], str] = "{:,}".format) -> str:
    """Return a change with its sign; blank for none.

    >>> signed(12_500, grouped), signed(-3), signed(0)
    ('+1.25', '-3', '')
    """
    return "" if change == 0 else f"{'+' if change > 0 else ''}{words(change)}"


def _classes(title: str, pairs: Sequence[FiguresPair]) -> Sheet:
    columns = ("", f"subsidy {BEFORE}", AFTER, "change", "firms", AFTER, "lots", AFTER, "amount", AFTER)
    rows = [
        (
            pair.name,
            grouped(one.subsidy),
            grouped(two.subsidy),
            signed(two.subsidy - one.subsidy, grouped),
            *(f"{one.firms:,}", f"{two.firms:,}", f"{one.lots:,}", f"{two.lots:,}"),
            *(grouped(one.amount), grouped(two.amount)),
        )
        for pair in pairs
        for one, two in [(pair.history, pair.other)]
        if one.subsidy or two.subsidy
    ]
    return Sheet(title, columns, rows)


def _firm_sheets(report: WhatIf) -> Iterator[Sheet]:
    firms = report.firms
    for verb, number, pairs in (("gain", firms.gain, firms.gainers), ("lose", firms.lose, firms.losers)):
        if pairs:
            most = f", the {len(pairs)} that {verb} most" if number > len(pairs) else ""
            title = (
                f"{number:,} {'firm' if number == 1 else 'firms'} {verb}{'s' if number == 1 else ''}{most}"
            )
            yield Sheet(title, ("firm", "size", BEFORE, AFTER, "change"), [_firm_row(pair) for pair in pairs])


def _firm_row(pair: FirmPair) -> tuple[str, ...]:
    return (
        pair.firm,
        pair.size,
        grouped(pair.history),
        grouped(pair.other),
        signed(pair.change, grouped),
    )


def _market_rows(report: WhatIf) -> list[tuple[str, ...]]:
    trades, orders, firms = report.trades, report.orders, report.firms
    shares = firms.history_top_ten_basis_points, firms.other_top_ten_basis_points
    return [
        ("trades of the same two orders", f"{trades.in_both:,}", f"{trades.in_both:,}", ""),
        ("of them at another price or size", "", f"{trades.altered:,}", ""),
        ("trades here alone", f"{trades.only_history:,}", f"{trades.only_other:,}", ""),
        _row("lots traded", trades.history_lots, trades.other_lots, "{:,}".format),
        _row("amount traded", trades.history_amount, trades.other_amount, grouped),
        (
            "orders refused here alone",
            f"{orders.refused_only_history:,}",
            f"{orders.refused_only_other:,}",
            "",
        ),
        (
            "other commands refused here alone",
            f"{orders.others_only_history:,}",
            f"{orders.others_only_other:,}",
            "",
        ),
        _row("share of the ten largest firms, basis points", *shares, "{:,}".format),
        ("firms with the same subsidy", f"{firms.same:,}", f"{firms.same:,}", ""),
    ]


def _instruments(report: WhatIf) -> Sheet:
    pairs = report.instruments[:INSTRUMENTS_MAX]
    few = f", the {len(pairs)} of the most trade" if len(pairs) < len(report.instruments) else ""
    return Sheet(
        f"Mean prices that are other: {count(report.instruments, 'instrument')}{few}",
        ("instrument", f"price {BEFORE}", AFTER, "change", f"lots {BEFORE}", AFTER),
        [
            (
                pair.instrument,
                *(
                    "" if price is None else grouped(price)
                    for price in (pair.history_price, pair.other_price)
                ),
                "" if pair.change is None else signed(pair.change, grouped),
                f"{pair.history_lots:,}",
                f"{pair.other_lots:,}",
            )
            for pair in pairs
        ],
    )


def _acts(title: str, acts: Sequence[ActsApart]) -> Sheet:
    rows = [(one.act, one.why, f"{one.count:,}", str(one.first)) for one in acts]
    return Sheet(title, ("act", "why", "how many", "first at sequence"), rows)


def at_text(moment: Moment | None) -> str:
    """Return when something happened, by the venue's clock, and at which command."""
    return "never" if moment is None else f"{moment_text(moment.time)} (sequence {moment.sequence})"


def moment_text(time: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time in ns since 1970 as the venue's clock shows it.

    >>> moment_text(1_767_576_600_000_000_000)
    '2026-01-05 09:30:00'
    """
    from settlement.terms import VENUE_ZONE

    return f"{datetime.fromtimestamp(time // 10**9, VENUE_ZONE):{form}}"
