"""Venues as `bourse serve data/venue` founds them, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exchange.config import Settings
from exchange.server.folder import Folder
from exchange.server.standard import found_standard
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up


@contextmanager
def running(folder: Folder) -> Iterator[Path]:
    """Found a standard venue in a folder, and run it."""
    warm_up()
    found_standard(folder)
    supervisor = Supervisor(folder, Settings(), print)
    try:
        supervisor.start()
        yield folder.root
    finally:
        supervisor.stop()


@pytest.fixture(scope="module")
def venue(tmp_path_factory) -> Iterator[Path]:
    """Yield the folder of a running venue, one for all tests of a module."""
    with running(Folder(tmp_path_factory.mktemp("docs") / "venue")) as root:
        yield root


@pytest.fixture
def beside_a_venue(tmp_path, monkeypatch) -> Iterator[Path]:
    """Work where a reader of the pages does: in a folder that holds `data/venue`, founded a moment before."""
    monkeypatch.delenv("BOURSE_VENUE", raising=False)
    monkeypatch.chdir(tmp_path)
    with running(Folder(Path("data") / "venue")):
        yield tmp_path
