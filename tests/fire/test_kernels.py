"""The kernels' cache damaged: what is wrong is left out, told and compiled anew; nothing dies of it twice."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from exchange.server.kernel_cache import is_whole, sealed

PROGRAM = """
import logging, sys
import numba, numpy as np
from exchange.server.kernel_cache import guard_cache

class Told(logging.Handler):
    def emit(self, record):
        print("told", record.file.rpartition("/")[2], record.why)

logging.getLogger("bourse.kernels").addHandler(Told())
if sys.argv[1] == "guarded":
    guard_cache()
    guard_cache()

@numba.njit(cache=True)
def plus(a, b):
    return a + b

print("is", plus(2, 3))
print("hits", sum(plus.stats.cache_hits.values()))
"""


@pytest.fixture
def cache(tmp_path):
    """Yield a way to run a program with one small kernel and a cache of its own, and the cache's folder."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    folder = tmp_path / "cache"

    def run(guard="guarded", code=0):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.getcwd()}
        environment.pop("NUMBA_DISABLE_JIT", None)
        done = subprocess.run(
            [sys.executable, str(program), guard],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == code, done.stderr
        return done.stdout.splitlines()

    return run, folder


def one(folder, suffix):
    (path,) = folder.rglob(f"*.{suffix}")
    return path


def truncated(data):
    return data[: len(data) // 2]


def flipped(data):
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def garbage(data):
    return bytes(range(256)) * (len(data) // 256 + 1)


DAMAGES = [("nbc", truncated), ("nbc", flipped), ("nbi", garbage)]


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "damage"), DAMAGES)
def test_a_damaged_file_is_told_left_out_and_compiled_anew(cache, suffix, damage):
    run, folder = cache
    assert run() == ["is 5", "hits 0"]
    path = one(folder, suffix)
    path.write_bytes(damage(path.read_bytes()))
    told, *rest = run()
    assert told.startswith(f"told {path.name} ")
    assert rest == ["is 5", "hits 0"]
    assert run() == ["is 5", "hits 1"], "it was not written anew"


@pytest.mark.slow
def test_without_the_guard_a_process_dies_of_a_truncated_file_and_reads_what_the_guard_wrote(cache):
    run, folder = cache
    run()
    assert run("unguarded") == ["is 5", "hits 1"]
    path = one(folder, "nbc")
    path.write_bytes(path.read_bytes()[:100])
    run("unguarded", code=1)


def test_a_digest_finds_each_flipped_bit():
    whole = sealed(b"machine code")
    assert is_whole(whole)
    for at in range(8 * len(b"machine code")):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        assert not is_whole(bytes(damaged))
    assert is_whole(b"written by somebody else")
