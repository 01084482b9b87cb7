"""`bourse demo` told to end by SIGTERM: it ends its venue in good order, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exchange.server.warm import warm_up

BOURSE = (sys.executable, "-c", "from exchange.cli import main; main()")


def children(pid):
    """Return the processes that a process has begun."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells a process's children")
def test_a_demo_that_gets_sigterm_ends_its_venue_and_clears_up(tmp_path):
    warm_up()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*BOURSE, "demo", "--seconds", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    ) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()  # it trades
        (root,) = tmp_path.glob("bourse-demo-*")
        begun = [os.pidfd_open(pid) for pid in children(demo.pid)]
        demo.send_signal(signal.SIGTERM)
        told = demo.stdout.read()
    assert (demo.returncode, len(begun) >= 3) == (130, True), told
    for process in begun:
        with pytest.raises(ProcessLookupError):
            signal.pidfd_send_signal(process, 0)
        os.close(process)
    assert not root.exists()
