"""A venue is shown as it was after any command: what was there then, and nothing of what came later."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.instruments import standard_catalogue
from exchange.server.folder import Folder
from exchange.server.founding import sandbox_firms, standard_acts, voucher
from exchange.testing import Exchange

LISTED = standard_catalogue()[:2]
SYMBOL = LISTED[0].symbol
TOP, TICK = LISTED[0].list_price, LISTED[0].tick


class Story:
    """A venue's folder, and what its clients saw at each step, by the sequence."""

    def __init__(self, root) -> None:
        self.folder = Folder(root)
        self.folder.found((), [])
        venue = Exchange(
            standard_acts(sandbox_firms(), [], [voucher(2026)], LISTED), folder=self.folder.journal
        )
        with venue.connect("SANDBOX") as firm, venue.connect("ALIBABA") as provider:
            mine, theirs = firm.instruments[SYMBOL], provider.instruments[SYMBOL]
            self.far = firm.place(mine.buy(7, limit=TOP - 9 * TICK), client_id="far").id
            self.iceberg = provider.place(theirs.sell(50, limit=TOP + TICK, display_quantity=5)).id
            self.account_before = firm.account()
            self.taker = firm.place(
                mine.buy(12, limit=TOP + TICK, programme="HZ-VOUCHER-2026"), client_id="taker"
            )
            self.account_after = firm.account()
            firm.cancel(self.far)
            self.end = venue.engine.sequence
        venue.journal.close()


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("inspect") / "venue")


def run(*words: object):
    return CliRunner().invoke(bourse, ["inspect", *map(str, words)])


def seen(story: Story, *words: object) -> dict:
    result = run(story.folder.root, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_book_is_as_it_was_then(story):
    book = seen(story, "--at", story.iceberg, "book", SYMBOL, "--orders")
    assert book["asks"] == [{"price": TOP + TICK, "quantity": 5, "orders": 1}]
    assert book["bids"] == [{"price": TOP - 9 * TICK, "quantity": 7, "orders": 1}]
    (ask,) = book["ask_orders"]
    assert (ask["order"], ask["quantity"], ask["leaves"], ask["member"]) == (story.iceberg, 5, 50, "ALIBABA")
    assert seen(story, "book", SYMBOL)["bids"] == []  # the order was cancelled later
    assert seen(story, "--at", story.far - 1, "book", SYMBOL)["bids"] == []


def test_a_member_sees_no_hidden_lots_and_no_names_of_others(story):
    book = seen(story, "--at", story.iceberg, "book", SYMBOL, "--orders", "--seen-by", "SANDBOX")
    assert book["ask_orders"] == [{"order": story.iceberg, "price": TOP + TICK, "quantity": 5}]
    assert book["bid_orders"][0]["member"] == "SANDBOX"


def test_an_account_is_what_the_member_was_told_then(story):
    before = seen(story, "--at", story.iceberg, "account", "SANDBOX")
    after = seen(story, "--at", story.taker.id, "account", "SANDBOX")
    for told, owned in ((before, story.account_before), (after, story.account_after)):
        assert (told["money"]["available"], told["money"]["held"]) == (
            owned.money.available,
            owned.money.held,
        )
        assert told["programmes"][0]["used"] == owned.programmes[0].used
    assert after["credits"][SYMBOL]["restricted"] == 12


def test_an_order_tells_its_life_up_to_then(story):
    open_then = seen(story, "--at", story.taker.id, "order", story.far)
    assert (open_then["state"], open_then["leaves"], open_then["client_id"]) == ("open", 7, "far")
    ended = seen(story, "order", story.far)
    assert ended["state"] == "cancelled"
    assert [event["kind"] for event in ended["events"]] == ["accepted", "cancelled"]
    taker = seen(story, "order", story.taker.id)
    assert (taker["filled"], taker["subsidy"]) == (12, story.taker.subsidy)
    assert [event["kind"] for event in taker["events"]] == ["accepted", "traded", "traded", "traded"]


def test_before_an_order_is_what_its_firm_saw(story):
    told = seen(story, "before", story.taker.id)
    assert (told["member"], told["order"]["client_id"], told["order"]["quantity"]) == ("SANDBOX", "taker", 12)
    assert told["book"]["sequence"] == story.taker.id - 1
    assert told["book"]["ask_orders"] == [{"order": story.iceberg, "price": TOP + TICK, "quantity": 5}]
    assert told["account"]["money"]["available"] == story.account_before.money.available
    assert told["account"]["programmes"][0]["used"] == 0
    assert [event["kind"] for event in told["events"]] == ["accepted", "traded", "traded", "traded"]
    assert told["others"] == 3


def test_last_is_the_newest_order(story):
    assert seen(story, "order", "last")["order"] == story.taker.id
    assert seen(story, "--at", story.iceberg, "order", "last")["order"] == story.iceberg


def test_a_programme_and_a_member_and_the_venue(story):
    before, after = (
        seen(story, "--at", at, "programme", "HZ-VOUCHER-2026") for at in (story.iceberg, story.taker.id)
    )
    assert (before["paid"], after["paid"]) == (0, story.taker.subsidy)
    assert sum(after[state] for state in ("uncommitted", "reserved", "paid", "vested")) == after["budget"]
    member = seen(story, "--at", story.iceberg, "member", "SANDBOX")
    assert (member["open_orders"], member["size"], member["blocked"]) == (1, "small", False)
    whole = seen(story, "--at", story.iceberg)
    assert (whole["sequence"], whole["open_orders"], whole["trades"]) == (story.iceberg, 2, 0)
    assert seen(story)["sequence"] == story.end


def test_a_copy_without_keys_is_enough(story, tmp_path):
    shutil.copytree(story.folder.journal, tmp_path / "copy" / "journal")
    assert run(tmp_path / "copy", "book", SYMBOL).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["book", SYMBOL, "--orders"],
        ["account", "SANDBOX"],
        ["order", "{taker}"],
        ["before", "{taker}"],
        ["programme", "HZ-VOUCHER-2026"],
        ["member", "ALIBABA"],
        [],
    ],
    ids=lambda words: words[0] if words else "summary",
)
def test_every_look_can_be_read_on_a_screen(story, words):
    result = run(story.folder.root, *(word.format(taker=story.taker.id) for word in words))
    assert result.exit_code == 0, result.output
    assert "sequence" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["book", "QWEN3-MAXX"], "did you mean QWEN3-MAX"),
        (["member", "NOBODY"], "there is no member 'NOBODY'"),
        (["order", "2"], "no order of that number has entered"),
        (["before", "2"], "of kind act, not a new order"),
        (["before", "100000"], "the journal ends at sequence"),
        (["--at", "100000"], "the journal ends at sequence"),
        (["order", "x"], "an order's number"),
        (["book"], "book of what?"),
        (["account", "SANDBOX", "--orders"], "go with book"),
        (["before", "30", "--at", "3"], "leave --at out"),
    ],
)
def test_what_is_not_there_is_named(story, words, told):
    result = run(story.folder.root, *words)
    assert result.exit_code == 2
    assert told in result.output + str(result.exception)
