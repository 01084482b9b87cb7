"""The store of a stopped venue is brought to its journal's end, or made anew, compared and swapped in."""

from __future__ import annotations

import duckdb
import pytest

from exchange.instruments import standard_catalogue
from exchange.server.audit import verify
from exchange.server.folder import Folder
from exchange.server.follower import Follower
from exchange.server.founding import sandbox_firms, standard_acts, voucher
from exchange.server.journal import Frame
from exchange.server.rebuild import settle
from exchange.server.replay import ReplayParted
from exchange.server.settler import Settler
from exchange.testing import Exchange
from settlement.reconcile import Unreconciled
from settlement.store import Store, StoreInUse


@pytest.fixture
def folder(tmp_path):
    """Return a founded venue in which a few orders were placed; it has no store yet."""
    folder = Folder(tmp_path / "venue")
    folder.found((), [])
    two = standard_catalogue()[:2]
    venue = Exchange(standard_acts(sandbox_firms(), [], [voucher(2026)], two), folder=folder.journal)
    with venue.connect("SANDBOX") as firm:
        first = firm.instruments[two[0].symbol]
        for number in range(5):
            firm.place(first.buy(1 + number, limit=first.listing.list_price))
    venue.journal.close()
    return folder


def settled(folder: Folder, **how: bool):
    return settle(folder, lambda _: None, **({"is_anew": False, "is_checked": True} | how))


def orders(folder: Folder) -> int:
    store = Store.open(folder.settlement)
    ((count,),) = store.cursor().execute("select count(*) from orders").fetchall()
    store.close()
    return count


def tamper(folder: Folder, statement: str) -> None:
    with duckdb.connect(str(folder.settlement)) as connection:
        connection.execute(statement)


def files(folder: Folder) -> list[str]:
    """Return the stores that lie in the folder, by what stands behind their name."""
    found = folder.root.glob("settlement.duckdb*")
    return sorted(path.name.removeprefix("settlement.duckdb").split("-")[0] for path in found)


def test_a_store_is_brought_to_the_end_of_its_journal(folder):
    seen: list[int] = []
    made = settle(folder, seen.append, is_anew=False, is_checked=True)
    assert (made.differences, made.told) == ([], [])
    assert seen[-1] == made.commands
    assert orders(folder) == 5
    assert folder.passed() == made.commands
    assert settled(folder).commands == made.commands
    assert verify(folder).differences == []


def test_a_rebuilt_store_that_equals_the_old_one_takes_its_place(folder):
    settled(folder)
    made = settled(folder, is_anew=True)
    assert (made.differences, made.told) == ([], [])
    assert orders(folder) == 5
    assert files(folder) == [""]


def test_an_old_store_that_differs_is_told_and_kept(folder):
    settled(folder)
    tamper(
        folder, 'delete from base.order_entries where "order" = (select min("order") from base.order_entries)'
    )
    made = settled(folder, is_anew=True)
    assert [line.split(":")[0] for line in made.differences] == ["orders"]
    assert "kept as settlement.duckdb.differed-" in made.told[0]
    assert orders(folder) == 5
    assert files(folder) == ["", ".differed"]


@pytest.mark.parametrize("is_anew", [False, True])
def test_a_damaged_file_is_set_aside_and_told(folder, is_anew):
    folder.settlement.write_bytes(b"no database" * 1000)
    made = settled(folder, is_anew=is_anew)
    assert made.differences == []
    assert "set aside as settlement.duckdb.damaged-" in made.told[0]
    assert orders(folder) == 5
    assert files(folder) == ["", ".damaged"]


def test_what_an_interrupted_rebuild_left_is_not_in_the_way(folder):
    settled(folder)
    folder.settlement.with_name("settlement.duckdb.anew").write_bytes(b"half a file")
    assert settled(folder, is_anew=True).differences == []
    assert files(folder) == [""]


def test_a_store_that_is_in_use_stays_as_it_is(folder):
    settled(folder)
    store = Store.open(folder.settlement)
    for is_anew in (False, True):
        with pytest.raises(StoreInUse):
            settled(folder, is_anew=is_anew)
    store.close()
    assert files(folder) == [""]


def test_a_store_ahead_of_its_journal_is_refused_and_the_lock_let_go(folder):
    settled(folder)
    tamper(folder, "update base.watermark set sequence = sequence + 1")
    with pytest.raises(ReplayParted, match="put the journal back from a backup"):
        settled(folder)
    made = settled(folder, is_anew=True)
    assert "is the end of no frame" in made.differences[0]


def test_the_check_tells_what_does_not_balance_in_the_store_that_lies_there(folder):
    settled(folder)
    tamper(
        folder, "update base.postings set amount = amount + 7 where account = 0 and asset = 0 and entry = 1"
    )
    tamper(folder, "update base.postings set amount = amount + 7 where reason = 'fund' and account = 5")
    told = settled(folder).differences
    assert any("money: the postings sum to" in line for line in told), told
    assert any("left to pay in memory" in line for line in told), told


def test_the_settlement_stops_when_store_and_ledger_part(folder, monkeypatch):
    monkeypatch.setattr("exchange.server.settler.PENDING_ROWS_MAX", 1)  # a flush a frame
    settler = Settler(Follower(folder.journal), Store.open(None), reconcile_flushes=1)

    def slip(frame: Frame) -> None:
        settler.follower.engine.core.ledger.accounts["available"][0] += 1

    with pytest.raises(Unreconciled, match=r"house, free, money: . in memory, 0 by the postings"):
        settler.settle_all(slip)
