"""An audit's store lies on the disk: in memory one of six million commands was too large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exchange.server import audit
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import sandbox_firms, standard_acts
from exchange.server.replay import recover
from exchange.server.sequencer import Sequencer
from settlement.store import Store


def test_an_audit_makes_the_store_anew_in_a_file_and_takes_it_away(tmp_path, monkeypatch):
    keys = [new_key_pair("SANDBOX")]
    folder = Folder(tmp_path / "venue")
    folder.found(standard_acts(sandbox_firms(), keys, []), keys)
    engine, journal, _ = recover(folder.journal, folder.snapshots, 0, lambda _: None)
    Sequencer(engine, journal, lambda: 1_795_348_800 * 10**9).found(folder.founding_acts())
    journal.close()
    opened: list[Path | str | None] = []
    really_open = Store.open

    def noted(path: Path | str | None = None, **how: Any) -> Store:
        opened.append(path)
        return really_open(path, **how)

    monkeypatch.setattr(Store, "open", noted)
    verdict = audit.verify(folder)
    assert (verdict.ok, verdict.commands) == (True, engine.sequence)
    (path,) = opened
    assert isinstance(path, Path)
    assert not path.parent.exists()
