"""A rush at the door: who connects while the venue is busy waits, and is not lost."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMERS = 400
"""Four times as many as libzmq lets wait by itself."""

PATIENCE_SECONDS = 10.0
SYSTEMS_MAX = Path("/proc/sys/net/core/somaxconn")

DOOR = """
import os, signal, zmq
from exchange.server.sockets import bind, guarded
with zmq.Context() as context, guarded(context, zmq.ROUTER, zmq.curve_keypair()[1]) as door:
    print(bind(door, "tcp://127.0.0.1:*"), flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def stopped_door():
    """The port of a process that has stopped behind listening: it takes no connection."""
    with subprocess.Popen([sys.executable, "-c", DOOR], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rsplit(":", 1)[1])
        finally:
            process.kill()


@pytest.mark.skipif(
    SYSTEMS_MAX.exists() and int(SYSTEMS_MAX.read_text()) < COMERS,
    reason=f"{SYSTEMS_MAX}: this system lets fewer wait",
)
def test_many_that_come_at_once_are_let_wait(stopped_door):
    with contextlib.ExitStack() as connections:
        for _ in range(COMERS):
            one = socket.create_connection(("127.0.0.1", stopped_door), PATIENCE_SECONDS)
            connections.enter_context(one)
