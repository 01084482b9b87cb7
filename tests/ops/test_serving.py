"""`bourse serve` itself, with its real processes: founded, looked at, and stopped in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from urllib.request import urlopen

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exchange.client.sync import connect_sync
from exchange.config import Endpoints
from exchange.server.audit import verify
from exchange.server.folder import Folder
from exchange.server.logs import LogLine
from exchange.server.warm import warm_up
from settlement.store import Store

BOURSE = (sys.executable, "-c", "from exchange.cli import main; main()")


@pytest.fixture(scope="module", autouse=True)
def kernels():
    """Compile before any process waits for it."""
    warm_up()


@pytest.fixture
def served(tmp_path):
    """Yield a running `bourse serve`, what it has said so far, and its folder."""
    environment = {name: value for name, value in os.environ.items() if name != "BOURSE_VENUE"}
    environment["BOURSE_LOGS_LEVEL"] = "debug"
    folder = Folder(tmp_path / "venue")
    with subprocess.Popen(
        [*BOURSE, "serve", str(folder.root), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("ready"):
                    break
            yield process, said, folder
        finally:
            process.kill()


def test_a_venue_is_founded_looked_at_and_stopped_with_nothing_left_behind(served):
    process, said, folder = served
    assert said[0].startswith("founded")
    assert said[-1].startswith("ready: orders at tcp://127.0.0.1:"), process.stderr.read()
    assert folder.root.joinpath("venue.toml").exists()
    metrics = msgspec.json.decode(folder.root.joinpath("venue.json").read_bytes(), type=Endpoints).metrics
    assert any(f"{metrics}/ready" in line for line in said)
    with connect_sync(folder.profile("SANDBOX")) as firm:
        qwen = firm.instruments["QWEN3-MAX"]
        firm.place_all([qwen.buy(1, limit=qwen.tick)] * 300)
        last = firm.place(qwen.buy(1, limit=qwen.tick)).sequence
        with urlopen(f"{metrics}/metrics", timeout=60) as answer:  # noqa: S310  our own server's
            families = {one.name for one in text_string_to_metric_families(answer.read().decode())}
        assert {"bourse_sequence", "bourse_process_resident_memory_bytes"} <= families
        second = subprocess.run(
            [*BOURSE, "serve", str(folder.root)], capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert f"is served already, by process {process.pid}; stop that one first" in second.stderr
        process.send_signal(signal.SIGTERM)
        said_last, errors = process.communicate()
    assert (process.returncode, said_last.splitlines()[-1:]) == (
        0,
        ["stopped; start it again and it goes on where it was"],
    ), errors
    verdict = verify(folder)
    assert (verdict.differences, verdict.told) == ([], [])
    store = Store.open(folder.settlement)
    settled = store.watermark.sequence
    store.close()
    assert settled == verdict.commands >= last
    for role in ("supervisor", "sequencer", "settlement", "feed"):
        lines = folder.logs.joinpath(f"{role}.log").read_bytes().splitlines()
        events = [msgspec.json.decode(line, type=LogLine).event for line in lines]
        assert (events[0], events[-1]) == ("start", "stop"), role
        assert "ready" in events
