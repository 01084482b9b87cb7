"""A what-if: reckoned by hand on twenty orders, and over random flows that keep every law."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from exchange.cli import bourse
from exchange.cli.what_if import headline, print_what_if, report_what_if, sheets
from exchange.cli.what_if_page import page
from exchange.engine import Engine, Outcome
from exchange.protocol import acts
from exchange.protocol.acts import Approve, Bust, DefineProgramme, Propose, ReviseProgramme
from exchange.server.audit import laws_broken
from exchange.server.folder import Folder
from exchange.server.journal import read_frames
from exchange.server.replay import ReplayParted, earliest
from exchange.server.what_if_acts import TermsUnfit
from exchange.server.what_if_report import WhatIf
from exchange.server.what_if_tally import ExactSums, numbered
from exchange.server.what_if_worlds import Worlds, survey_of, what_if
from matching.vocabulary import RejectReason
from settlement.terms import AMOUNT_MAX, ProgrammeTerms
from settlement.terms_file import terms_text
from tests.desk.twenty_orders import AS_IT_WAS, FIRMS, OTHER, hao, played, tables
from tests.desk.worlds import journalled
from tests.engine.flow import Flow, MoneyFlow
from tests.engine.market import Step, act_step, founding
from tests.engine.money_market import MORE, MoneyVenue, terms

COMMANDS = 600
FLOWS = 2
LAWS_EVERY = 11
"""After how many frames the laws are looked at again; and at the end."""


# --- twenty orders, reckoned by hand -----------------------------------------------------------


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    """The page's market played twice, under either terms: (journal, venue, what became of each order)."""
    orders = tables()[0]
    return {
        name: (folder, *played(folder, under, orders))
        for name, under in (("as it was", AS_IT_WAS), ("other terms", OTHER))
        for folder in [new_folder(tmp_path_factory.mktemp("twenty"))]
    }


def new_folder(root: Path) -> Folder:
    folder = Folder(root)
    folder.journal.mkdir(parents=True)
    folder.complete()
    return folder


def test_the_page_has_twenty_orders():
    assert [row["order"] for row in tables()[0]] == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize(("which", "name", "rate"), [(1, "as it was", 30), (2, "other terms", 20)])
def test_each_line_of_the_reckoning_is_what_the_venue_does(twenty, which, name, rate):
    _, _, done = twenty[name]
    lines = tables()[which]
    assert len(lines) == 16
    for line in lines:
        one = done[line["order"]]
        assert one.trades == line["trades"], line
        assert one.left == hao(line["left"]), line
        assert one.paid == hao(line["paid"] or "0"), line
        if line["counted"]:
            assert hao(line["counted"]) * rate == hao(line["share"]) * 100, line


def test_every_number_of_the_pages_report_is_the_reports(twenty):
    folder, venue, done = twenty["as it was"]
    made = what_if(folder, [OTHER])
    (programme,) = made.programmes
    worlds = {"as it was": programme.history, "other terms": programme.other}
    orders_of = {one.sequence: number for number, one in done.items()}
    firms = {pair.firm: pair for pair in (*made.firms.gainers, *made.firms.losers)}
    (qwen,) = made.instruments
    trades = made.trades

    def order_at(moment):
        return "never" if moment is None else orders_of[moment.sequence]

    told = {
        "granted": {name: one.granted.subsidy for name, one in worlds.items()},
        "uncommitted at the end": {name: one.uncommitted for name, one in worlds.items()},
        "orders that name it": {name: str(one.orders) for name, one in worlds.items()},
        "refused as exhausted": {name: str(one.orders_refused) for name, one in worlds.items()},
        "orders helped": {name: str(one.granted.orders) for name, one in worlds.items()},
        "subsidised lots": {name: str(one.granted.lots) for name, one in worlds.items()},
        "subsidised amount": {name: one.granted.amount for name, one in worlds.items()},
        "first nothing uncommitted, at order": {name: order_at(one.emptied) for name, one in worlds.items()},
        "first refused as exhausted, order": {name: order_at(one.exhausted) for name, one in worlds.items()},
        **{
            f"{firm} ({size})": {"as it was": firms[firm].history, "other terms": firms[firm].other}
            for firm, size in FIRMS.items()
            if firm != "LEO"
        },
        "trades": {
            "as it was": str(trades.in_both + trades.only_history),
            "other terms": str(trades.in_both + trades.only_other),
        },
        "of them in both": {"as it was": str(trades.in_both), "other terms": str(trades.in_both)},
        "of these at another size": {"as it was": "", "other terms": str(trades.altered)},
        "lots traded": {"as it was": str(trades.history_lots), "other terms": str(trades.other_lots)},
        "amount traded": {"as it was": trades.history_amount, "other terms": trades.other_amount},
        "mean price": {"as it was": qwen.history_price, "other terms": qwen.other_price},
    }
    for row in tables()[3]:
        shown = {name: hao(row[name]) if "." in row[name] else row[name] for name in worlds}
        assert told.pop(row[""]) == shown, row
    assert told == {}
    assert (made.firms.gain, made.firms.lose, made.orders.refused_only_history) == (1, 2, 4)
    assert made.history_state == f"{venue.engine.state_hash():016x}"


def test_what_would_have_been_is_what_a_venue_under_those_terms_comes_to(twenty):
    made = what_if(twenty["as it was"][0], [OTHER])
    assert not made.identity
    assert made.other_state == f"{twenty['other terms'][1].engine.state_hash():016x}"
    back = what_if(twenty["other terms"][0], [AS_IT_WAS])
    assert (back.history_state, back.other_state) == (made.other_state, made.history_state)


def test_the_same_terms_lead_to_the_same_state(twenty):
    folder, venue, _ = twenty["as it was"]
    for given in ([], [AS_IT_WAS], [replace(AS_IT_WAS, version=7)]):
        made = what_if(folder, given)
        assert made.identity
        assert made.other_state == f"{venue.engine.state_hash():016x}"
        assert all(one.history == one.other for one in made.programmes)


# --- random flows ------------------------------------------------------------------------------


@cache
def flow_of(seed: int) -> tuple[Step, ...]:
    """Return the steps of a small random flow; every other seed's is mostly about money."""
    return tuple((MoneyFlow if seed % 2 else Flow)(seed).steps(COMMANDS))


def other_terms(one: ProgrammeTerms, chance: random.Random) -> ProgrammeTerms:
    """Draw other terms for a programme: rates, budget, caps, and who is eligible."""
    return replace(
        one,
        budget=max(1, min(AMOUNT_MAX, one.budget * chance.choice((1, 5, 10, 20)) // 10)),
        rates=tuple(replace(rate, rate=rate.rate * chance.choice((0, 5, 9)) // 10) for rate in one.rates),
        ceiling=chance.choice((0, one.ceiling, 5_000)),
        order_cap=max(1, one.order_cap * chance.choice((1, 10)) // 10),
        group_cap=max(1, min(AMOUNT_MAX, one.group_cap * chance.choice((3, 10, 30)) // 10)),
        order_lots=chance.choice((0, 3, one.order_lots)),
        unredeemed=chance.choice(("paid", "debt")),
        regions=chance.choice((one.regions, ())),
    )


@pytest.mark.parametrize("nth", range(FLOWS))
def test_another_world_keeps_every_law_and_the_report_is_its_ledgers(tmp_path, seed, scale, nth):
    for number in range(nth, FLOWS * scale, FLOWS):
        chance = random.Random(seed + number)
        folder, engine = journalled(tmp_path / str(number), flow_of(seed + number), seed + number)
        known = [one for one in engine.registry.programmes if "-2027" not in one.code]
        given = [other_terms(one, chance) for one in chance.sample(known, 4)]
        assert what_if(folder, []).identity
        worlds, made = played_apart(folder, given)
        assert made.history_state == f"{engine.state_hash():016x}"
        assert laws_broken(worlds.other) == [], f"seed {seed + number}"
        assert_is_of(made, worlds.history, "history")
        assert_is_of(made, worlds.other, "other")


def played_apart(folder: Folder, given: list[ProgrammeTerms]) -> tuple[Worlds, WhatIf]:
    """Play a journal as `what_if` does, frame by frame, and return the worlds as well."""
    begun = earliest(folder.journal, folder.snapshots)
    survey = survey_of(folder, begun)
    worlds = Worlds(Engine(), Engine(), given, survey.span[1])
    for nth, frame in enumerate(read_frames(folder.journal)):
        worlds.play(frame)
        assert nth % LAWS_EVERY or laws_broken(worlds.other) == []
    made = worlds.report(survey, 0)
    assert made == what_if(folder, given)  # how frames are taken together changes nothing
    return worlds, made


def assert_is_of(made: WhatIf, engine: Engine, name: str) -> None:
    """Assert that a report's sums are those of a world's ledger."""
    ledger = engine.core.ledger
    sides = [getattr(pair, name) for pair in made.programmes]
    for row, side in zip(ledger.programmes, sides, strict=False):
        states = (side.uncommitted, side.reserved, side.paid, side.vested)
        assert states == tuple(int(row[state]) for state in ("uncommitted", "reserved", "paid", "vested"))
        assert side.paid + side.vested == side.granted.subsidy - side.to_come + side.owed
        assert (side.uncommitted == 0) <= (side.emptied is not None)
        assert (side.orders_refused > 0) == (side.exhausted is not None)
    assert len(sides) == len(engine.programmes())
    granted = sum(side.granted.subsidy for side in sides)
    for pairs in (made.sizes, made.kinds):
        assert sum(getattr(pair, name).subsidy for pair in pairs) == granted
    trades = int(ledger.totals[0]["trades"])
    assert made.trades.in_both + getattr(made.trades, f"only_{name}") == trades
    for pair in made.programmes:
        if pair.curve is not None:
            assert getattr(pair.curve, f"{name}_committed")[-1] == getattr(pair, name).committed


# --- acts that refer to what is not there ------------------------------------------------------

P = terms("P", budget=1_000)
NONE_LEFT = replace(P, budget=1)


def bought(root: Path, then: Callable[[MoneyVenue, list[int]], None]) -> tuple[Folder, list[int]]:
    """Write a journal: ANN buys twice with a programme, BEN once without, `then` more; return the trades."""
    steps: list[Step] = []

    class Recorded(MoneyVenue):
        def play(self, *some: Step) -> Outcome:
            steps.extend(some)
            return super().play(*some)

    venue = Recorded((*founding(), *MORE, DefineProgramme(P)))
    trades = [
        venue.bought("ANN", 2, "TASK", 100, "P"),
        venue.bought("ANN", 3, "TASK", 100, "P"),
        venue.bought("BEN", 4, "DEEP", 100),
    ]
    then(venue, trades)
    folder, engine = journalled(root, steps, 1)
    assert engine.state_hash() == venue.engine.state_hash()
    return folder, trades


def test_a_bust_follows_its_trade_and_one_of_a_trade_that_is_not_is_told(tmp_path):
    def bust_two(venue: MoneyVenue, trades: list[int]) -> None:
        for number in trades[1:]:
            assert venue.two(Bust(number)) == RejectReason.NONE

    folder, trades = bought(tmp_path / "busts", bust_two)
    assert trades == [1, 2, 3]
    worlds, made = played_apart(folder, [NONE_LEFT])
    # Of 1 hao ANN's first order gets all, and her second is refused: trade 3 of history is trade 2 here.
    assert (made.trades.in_both, made.trades.only_history, made.trades.only_other) == (2, 1, 0)
    assert [(one.act, one.why, one.count) for one in made.lost_acts] == [
        ("Bust", "its trade did not come about", 1)
    ]
    recents = worlds.other.core.ledger.recents
    assert [int(recents[number]["quantity"]) for number in (1, 2)] == [2, 0]


def test_redeeming_what_was_never_bought_no_longer_applies(tmp_path):
    def redeem_all(venue: MoneyVenue, _: list[int]) -> None:
        number = venue.done(acts.Redeem("ANN", "TASK", 5, "R-1"), "ANN")
        venue.done(acts.Deliver(number), "YUN")

    folder, _ = bought(tmp_path / "redeemed", redeem_all)
    worlds, made = played_apart(folder, [NONE_LEFT])
    assert [(one.act, one.why, one.count) for one in made.lost_acts] == [
        ("Deliver", "unknown_redemption", 1),
        ("Redeem", "credits_not_available", 1),
    ]
    assert worlds.other.registry.redemptions == {}


def test_a_revision_of_a_replaced_programme_is_left_out_and_told(tmp_path):
    revised = replace(P, version=2, budget=2_000)
    steps = [
        act_step(act) for act in (*founding(), *MORE, DefineProgramme(P), Propose(ReviseProgramme(revised)))
    ]
    steps.append(act_step(Approve(len(steps)), who="SECOND"))
    folder, engine = journalled(tmp_path / "revised", steps, 1)
    assert engine.programmes()[-1].budget == 2_000
    made = what_if(folder, [replace(P, budget=500)])
    assert made.revisions_left_out == (("P", 2),)
    assert (made.programmes[-1].history.budget, made.programmes[-1].other.budget) == (2_000, 500)
    assert made.lost_acts == ()
    assert what_if(folder, []).identity


# --- what cannot be done -----------------------------------------------------------------------


def test_terms_of_no_programme_of_the_journal_are_refused_with_those_there_are(twenty):
    with pytest.raises(TermsUnfit, match="code: Q; the journal defines no such programme, name one of: P"):
        what_if(twenty["as it was"][0], [replace(AS_IT_WAS, code="Q")])
    with pytest.raises(TermsUnfit, match="fiscal_year: 2027; P is of 2026 in the journal, give that"):
        what_if(twenty["as it was"][0], [replace(AS_IT_WAS, fiscal_year=2027)])
    with pytest.raises(TermsUnfit, match="P: budget: 0; give 1 to"):
        what_if(twenty["as it was"][0], [replace(AS_IT_WAS, budget=0)])
    with pytest.raises(TermsUnfit, match="P; it is given twice"):
        what_if(twenty["as it was"][0], [OTHER, AS_IT_WAS])


def test_terms_that_the_venue_would_not_take_are_refused(tmp_path):
    wide = [terms(f"WIDE-{number}", budget=2**60) for number in range(3)]
    steps = [act_step(act) for act in (*founding(), *MORE, DefineProgramme(P), *map(DefineProgramme, wide))]
    folder, _ = journalled(tmp_path / "wide", steps, 1)
    with pytest.raises(
        TermsUnfit, match="programmes get other numbers than orders name; give a smaller budget"
    ):
        what_if(folder, [replace(P, budget=2**60)])


def test_an_empty_journal_has_nothing_to_play(tmp_path):
    with pytest.raises(TermsUnfit, match="there is nothing to play"):
        what_if(new_folder(tmp_path / "empty"), [])


def test_historys_own_state_is_checked_against_the_journal(tmp_path, monkeypatch):
    folder, _ = journalled(tmp_path / "parted", flow_of(2), 2)
    monkeypatch.setattr(Engine, "state_hash", lambda _: 1)
    with pytest.raises(ReplayParted):
        what_if(folder, [])


# --- what is shown -----------------------------------------------------------------------------


def test_the_command_prints_tables_json_and_a_page(twenty, tmp_path, capsys):
    folder = twenty["as it was"][0]
    other = tmp_path / "other.toml"
    other.write_text(terms_text(OTHER), "utf-8")
    report_what_if(folder, [other], tmp_path / "page.html", as_json=False)
    printed = capsys.readouterr().out
    for shown in ("-54.00", "sequence 34", "BEN", "programme_exhausted", "10.5185", "Taken as unchanged"):
        assert shown in printed
    report_what_if(folder, [other], None, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts == json.loads(msgspec.json.encode(what_if(folder, [OTHER])))
    assert facts["identity"] is False
    other.write_text(terms_text(AS_IT_WAS), "utf-8")
    report_what_if(folder, [other], None, as_json=True)
    assert json.loads(capsys.readouterr().out)["identity"] is True
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "What if: P under other terms" in html
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")  # it loads nothing


def test_replay_takes_the_files_of_other_terms(twenty, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(terms_text(OTHER), "utf-8")
    words = ["replay", str(twenty["as it was"][0].root), "--what-if", "--programmes", str(other), "--json"]
    result = CliRunner().invoke(bourse, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["programmes"][0]["other"]["uncommitted"] == 540_000


def test_the_page_draws_the_budget_and_shows_every_table(tmp_path):
    folder, engine = journalled(tmp_path / "flow", flow_of(3), 3)
    known = engine.registry.programmes[:6]
    given = [replace(one, budget=1 + one.budget // 50) for one in known]
    made = what_if(folder, given)
    text = page(made, "a <venue>")
    assert "a &lt;venue&gt;" in text
    assert text.count("Committed: reserved, paid and vested, in yuan") >= 6
    assert all(sheet.title in text for sheet in sheets(made) if "'" not in sheet.title)


def test_the_terminal_says_when_nothing_has_changed(twenty, capsys):
    made = what_if(twenty["as it was"][0], [AS_IT_WAS])
    print_what_if(made)
    assert "the same state, bit for bit" in headline(made)
    assert "change" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [("code = 'P'", "Object missing required field"), (None, "No such file or directory"), ("", "budget")],
)
def test_a_file_that_holds_no_terms_is_wrong_usage(twenty, tmp_path, capsys, text, told):
    path = tmp_path / "terms.toml"
    if text == "":
        path.write_text(terms_text(OTHER).replace("budget = 6000000", "budget = -1"), "utf-8")
    elif text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(SystemExit) as left:
        report_what_if(twenty["as it was"][0], [path], None, as_json=False)
    assert left.value.code == 2
    assert told in capsys.readouterr().err


# --- parts -------------------------------------------------------------------------------------


def test_sums_are_exact_beyond_a_word(seed):
    chance = random.Random(seed)
    values = [chance.randrange(-(2**62), 2**62) for _ in range(200)]
    places = [chance.randrange(40) for _ in values]
    sums = ExactSums()
    for at in range(0, 200, 50):
        sums.add(np.array(places[at : at + 50]), np.array(values[at : at + 50]))
    for place in range(45):
        assert sums.of(place) == sum(value for at, value in zip(places, values, strict=True) if at == place)
    assert sums.total() == sum(values)


def test_equal_rows_arenumbered_in_their_order():
    keys = np.array([[1, 5, 6], [1, 5, 7], [1, 5, 6], [0, 9, 9], [1, 5, 6]])
    assert numbered(keys)[:, 3].tolist() == [0, 0, 1, 0, 2]
    assert len(numbered(keys[:0])) == 0
