"""A port that somebody else has: one clear line, and nothing of the venue left running."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys

import msgspec
import pytest

from exchange.config import Endpoints, Settings
from exchange.server.folder import Folder
from exchange.server.standard import found_standard
from exchange.server.supervisor import Supervisor, VenueFailed
from exchange.server.warm import warm_up

BOURSE = (sys.executable, "-c", "from exchange.cli import main; main()")


@pytest.fixture
def taken():
    """Yield a port of this machine on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def folder(tmp_path):
    warm_up()
    made = Folder(tmp_path / "venue")
    found_standard(made)
    return made


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("orders", "sequencer"),
        pytest.param("refresh", "feed", marks=pytest.mark.slow),
    ],
)
def test_a_port_in_use_is_named_with_its_setting_and_nothing_is_left(folder, taken, name, role):
    endpoint = f"tcp://127.0.0.1:{taken}"
    supervisor = Supervisor(folder, Settings(listen=Endpoints(**{name: endpoint})), print)
    told = (
        rf"{role} did not become ready: {endpoint} \(listen\.{name}\) cannot be listened on: "
        rf"Address already in use; end what listens there, or choose another port; see .*{role}\.log"
    )
    try:
        with pytest.raises(VenueFailed, match=told):
            supervisor.start()
    finally:
        supervisor.stop()
    assert role in supervisor.processes
    assert all(process.poll() is not None for process in supervisor.processes.values())
    folder.unlock(folder.lock())


@pytest.mark.slow
def test_a_shell_is_told_in_one_line_with_exit_code_1(folder, taken):
    folder.root.joinpath("venue.toml").write_text(f'[listen]\nquery = "tcp://127.0.0.1:{taken}"\n')
    done = subprocess.run(
        [*BOURSE, "serve", str(folder.root)], capture_output=True, text=True, check=False, timeout=120
    )
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("bourse: ")]
    assert (done.returncode, "ready" in done.stdout) == (1, False)
    assert re.search(rf"settlement did not become ready: tcp://127\.0\.0\.1:{taken} \(listen\.query\)", line)
    assert folder.logs.joinpath("sequencer.log").read_text().splitlines()[-1].count('"event":"stop"') == 1


def test_a_process_whose_supervisor_is_gone_ends():
    asked = (
        "import os, sys; from exchange.server.process import Stop; "
        "print(Stop(os.getppid()).is_set(), Stop(int(sys.argv[1])).is_set())"
    )
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    done = subprocess.run(
        [sys.executable, "-c", asked, str(gone.pid)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.slow
def test_a_snapshots_process_whose_supervisor_went_while_it_began_ends_by_itself(folder):
    """It would wait for a word of the sequencer for ever: there is none any more to say it."""
    listen = Endpoints(commits="tcp://127.0.0.1:9")
    given = msgspec.json.encode(Settings(listen=listen)).decode()
    begin = (
        "import os, subprocess, sys; print(subprocess.Popen([sys.executable, '-m', 'exchange.server', "
        "'snapshot', sys.argv[1], sys.argv[2], str(os.getpid())], stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL).pid)"
    )
    parent = subprocess.run(
        [sys.executable, "-c", begin, str(folder.root), given], capture_output=True, text=True, check=True
    )
    try:
        orphan = os.pidfd_open(int(parent.stdout))
    except ProcessLookupError:
        return  # it has ended already
    try:
        assert select.select([orphan], [], [], 60)[0], "it goes on"
    except AssertionError:
        signal.pidfd_send_signal(orphan, signal.SIGKILL)
        raise
    finally:
        os.close(orphan)
