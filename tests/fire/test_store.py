"""The settlement store damaged in its middle while the venue is down: set aside, said so, and made anew."""

from __future__ import annotations

import duckdb
import pytest

from exchange.client.errors import RequestRefused
from exchange.client.sync import connect_sync
from exchange.config import Settings, SettlementSettings
from exchange.server.supervisor import SETTLEMENT
from exchange.server.warm import warm_up
from tests.fire.rounds import LINES_A_ROUND, World
from tests.waiting import PATIENCE_SECONDS

BLOCK_BYTES = 256 << 10
"""What DuckDB reads and checks at once."""

pytestmark = pytest.mark.slow


def overwrite(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def blocks_of_postings(store):
    """Return the blocks that a start reads for certain: of other tables DuckDB reads some when it must."""
    with duckdb.connect(str(store), read_only=True) as opened:
        found = opened.execute(
            "select distinct block_id from pragma_storage_info('base.postings') where block_id >= 0"
        ).fetchall()
    assert found, "they stand in no block of their own"
    return [block for (block,) in found]


def settled(world):
    """Let them trade on, and the store come to the journal's end."""
    world.supervisor.start()
    world.more("order", LINES_A_ROUND)
    head = world.folder.passed()
    world.until(lambda: world.folder.passed() > head)


def test_a_store_damaged_in_its_middle_is_set_aside_and_made_anew(world):
    world.start()
    world.more("order", 5 * LINES_A_ROUND)
    world.supervisor.stop()
    store = world.folder.settlement
    for block in blocks_of_postings(store):
        overwrite(store, 12_288 + block * BLOCK_BYTES + BLOCK_BYTES // 2, b"damaged in its middle" * 50)
    settled(world)
    assert any("set aside as settlement.duckdb.damaged-" in line for line in world.told), world.told
    world.finish()
    assert world.differences() == []


def test_a_stores_log_damaged_in_its_middle_loses_nothing(world):
    world.start()
    world.more("order", LINES_A_ROUND)
    world.supervisor.processes[SETTLEMENT].kill()
    world.supervisor.kill()
    world.supervisor.stop()
    log = world.folder.settlement.with_name("settlement.duckdb.wal")
    size = log.stat().st_size
    assert size > 10_000, "nothing was waiting in it"
    overwrite(log, size // 2, bytes(range(256)) * 8)
    settled(world)
    world.finish()
    assert world.differences() == []


def test_a_store_of_little_memory_settles_all_the_same(tmp_path):
    warm_up()
    little = SettlementSettings(memory_bytes=128_000_000)
    world = World(tmp_path, settings=Settings(settlement=little))
    try:
        world.start()
        world.more("order", LINES_A_ROUND)
        question = "select count(distinct i) from range(10_000_000) t(i)"  # half a gigabyte; 1 GB is enough
        auditor = connect_sync(world.folder.profile("AUDITOR"))
        with auditor, pytest.raises(RequestRefused, match="memory"):
            auditor.history.sql(question, timeout=PATIENCE_SECONDS)
        world.finish()
        assert world.differences() == []
    finally:
        world.end()
