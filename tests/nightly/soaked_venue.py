"""A venue of real processes to be loaded: founded in its own folder, looked after, sampled, and ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import zmq

from exchange.config import Settings
from exchange.profiles import Profile, load_profile
from exchange.protocol.acts import Admit
from exchange.protocol.messages import ANSWERS, Logon, Welcome, encode
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, this_year, voucher
from exchange.server.health import VenueState
from exchange.server.process import FOLLOWERS, FollowerStats, SequencerStats
from exchange.server.supervisor import Supervisor, raise_handles
from exchange.server.warm import warm_up
from tests.nightly.campaign import Progress

PATIENCE_SECONDS = 120.0
LOOKS_EVERY_SECONDS = 0.2
FIRM_MONEY = 1_000 * MILLION_YUAN
UNREAD_MAX = 1_000_000
"""Most messages that wait in a loader's sockets: what it has not read yet is no fault of the venue's."""

MIB = 1 << 20


class Sample(msgspec.Struct, frozen=True):
    """How a venue did at one moment: `seconds` since it was ready, memory in bytes by process."""

    seconds: float
    memory: dict[str, int]
    cpu_seconds: dict[str, float]
    sequence: int
    open_orders: int
    sessions: int
    throttled: int
    lag_commands: dict[str, int]
    lag_seconds: dict[str, float]
    disk_free_bytes: int


class SoakedVenue:
    """A running venue. A thread looks after it; what that finds is raised by `check`."""

    def __init__(self, folder: Folder, settings: Settings) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.supervisor = Supervisor(folder, settings, self.told.append)
        self.began = 0.0
        self._failure: Exception | None = None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="looks after the venue", daemon=True)

    def start(self) -> None:
        """Begin its processes; when this returns all of them are ready."""
        assert self.supervisor.start()
        self.began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End its processes. Stopping twice is no harm."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join()
        self.supervisor.stop()

    def _look_after(self) -> None:
        while not self._ends.wait(LOOKS_EVERY_SECONDS):
            try:
                self.supervisor.look_after()
            except Exception as failed:
                self._failure = failed  # `check` raises it
                return

    def check(self) -> None:
        """Raise what has befallen the venue: no process of it may end while it is loaded."""
        if self._failure is not None:
            raise self._failure
        for role, child in list(self.supervisor.children.items()):
            assert child.restarts == 0, f"{role} ended and was begun again: {self.told}"

    def profile(self, member: str) -> Profile:
        """Return a member's keys, and where the venue listens."""
        return load_profile(self.folder.profile(member))

    def sample(self) -> Sample:
        """Return how the venue does now."""
        state = self.supervisor.state()
        stats = sequencer_of(state)
        followers = {one.role: one.stats for one in state.processes if isinstance(one.stats, FollowerStats)}
        everybody = (*state.processes, state.supervisor)
        return Sample(
            seconds=time.monotonic() - self.began,
            memory={one.role: one.usage.resident_bytes for one in state.processes},
            cpu_seconds={one.role: one.usage.cpu_seconds for one in everybody},
            sequence=stats.sequence,
            open_orders=stats.open_orders,
            sessions=stats.sessions,
            throttled=stats.throttled,
            lag_commands={role: one.lag_commands for role, one in followers.items()},
            lag_seconds={role: one.lag_seconds for role, one in followers.items()},
            disk_free_bytes=state.disk_free_bytes,
        )

    def await_followers(self, seconds: float = PATIENCE_SECONDS) -> tuple[float, dict[str, int]]:
        """Wait until every follower is where the sequencer is; return how long it took, and where each is."""
        began = time.monotonic()
        heads: dict[str, int] = {}
        while time.monotonic() - began < seconds:
            self.check()
            state = self.supervisor.state()
            heads = {one.role: one.stats.sequence for one in state.processes if one.stats is not None}
            if len(heads) == len(FOLLOWERS) + 1 and len(set(heads.values())) == 1:
                return time.monotonic() - began, heads
            time.sleep(LOOKS_EVERY_SECONDS)
        message = f"after {seconds:.0f} s without load the processes stand at {heads}"
        raise AssertionError(message)


def sequencer_of(state: VenueState) -> SequencerStats:
    """Return what the sequencer has said last; before it has said anything, nothing but zeros."""
    return state.sequencer or SequencerStats()


@contextmanager
def soaked_venue(
    firms: list[str], providers: list[str], settings: Settings, progress: Progress
) -> Iterator[SoakedVenue]:
    """Yield a new venue on the standard catalogue, with keys for these members; end it, and take it away."""
    progress("compiling what is not compiled yet")
    warm_up()
    raise_handles()
    with TemporaryDirectory(prefix="bourse-soak-") as root:
        folder = Folder(Path(root) / "venue")
        admitted = [
            (
                Admit(member=name, role="firm", size="small", region="HANGZHOU", open_orders_max=10**6),
                FIRM_MONEY,
            )
            for name in firms
        ]
        keys = [new_key_pair(name) for name in (*firms, *providers)]
        folder.found(standard_acts(admitted, keys, [voucher(this_year())]), keys)
        venue = SoakedVenue(folder, settings)
        try:
            venue.start()
            yield venue
        finally:
            venue.stop()


def member_socket(context: zmq.Context[zmq.Socket[bytes]], profile: Profile) -> zmq.Socket[bytes]:
    """Return a member's bare socket, logged on."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, UNREAD_MAX)
    socket.setsockopt(zmq.RCVHWM, UNREAD_MAX)
    socket.setsockopt(zmq.CURVE_SERVERKEY, profile.server_key.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, profile.public_key.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, profile.secret_key.encode())
    socket.connect(profile.endpoints.orders)
    socket.send(encode(Logon(1)))
    assert socket.poll(int(PATIENCE_SECONDS * 1_000)), f"{profile.member}'s logon was not answered"
    answer = ANSWERS.decode(socket.recv()[1:])
    assert isinstance(answer, Welcome), answer
    return socket


def memory_of_all(sample: Sample) -> float:
    """Return what the venue's processes have in memory, in MiB; pages that they share count once for each."""
    return round(sum(sample.memory.values()) / MIB, 1)


__all__ = [
    "MIB",
    "PATIENCE_SECONDS",
    "Sample",
    "SoakedVenue",
    "member_socket",
    "memory_of_all",
    "sequencer_of",
    "soaked_venue",
]
