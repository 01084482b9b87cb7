"""What Prometheus reads of a venue, and whether it lives and is ready: plain HTTP on a port of its own.

    /metrics   every figure of `METRICS`
    /live      200 while the supervisor looks after its processes
    /ready     200 while members are served and followers keep up; else 503, and why
    /state     all of this as one JSON object, for `bourse status`

Each request has a thread; what they share with the supervisor is read, never locked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from exchange.server.health import ProcessState, VenueState
from exchange.server.process import FollowerStats, SequencerStats

REQUESTS_MAX = 16
"""Most requests that are answered at a time; one more is cut off."""

REQUEST_SECONDS_MAX = 5.0
"""How long a reader may take to ask, or to take in the answer."""

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values of a metric, each behind its labels."""


class Figure(NamedTuple):
    """One metric: what it is called, what it means, and how it is read from the venue's state."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...]
    read: Callable[[VenueState], Samples]


def _venue(read: Callable[[VenueState], float]) -> Callable[[VenueState], Samples]:
    return lambda state: [((), read(state))]


def _snapshot(name: str) -> Callable[[VenueState], Samples]:
    return lambda state: [((), getattr(state.snapshot, name))] if state.snapshot is not None else []


def _process(read: Callable[[ProcessState], float]) -> Callable[[VenueState], Samples]:
    return lambda state: [((one.role,), read(one)) for one in (state.supervisor, *state.processes)]


def _sequencer(read: Callable[[SequencerStats], Samples]) -> Callable[[VenueState], Samples]:
    return lambda state: read(state.sequencer) if state.sequencer is not None else []


def _one(name: str) -> Callable[[VenueState], Samples]:
    return _sequencer(lambda stats: [((), getattr(stats, name))])


def _follower(name: str) -> Callable[[VenueState], Samples]:
    return lambda state: [
        ((one.role,), getattr(one.stats, name))
        for one in state.processes
        if isinstance(one.stats, FollowerStats)
    ]


METRICS = (
    Figure(
        "bourse_info", "gauge", "Always 1; the label names the version.", ("version",),
        lambda state: [((state.version,), 1)],
    ),
    Figure(
        "bourse_ready", "gauge", "1 if the venue is ready, 0 if /ready says why it is not.", (),
        _venue(lambda state: state.is_ready),
    ),
    Figure(
        "bourse_disk_free_bytes", "gauge", "Free room on the disk of the venue's folder.", (),
        _venue(lambda state: state.disk_free_bytes),
    ),
    Figure(
        "bourse_disk_size_bytes", "gauge", "Size of the disk of the venue's folder.", (),
        _venue(lambda state: state.disk_bytes),
    ),
    Figure(
        "bourse_snapshot_sequence", "gauge", "Last command in the newest snapshot; absent without one.", (),
        _snapshot("sequence"),
    ),
    Figure(
        "bourse_snapshot_age_seconds", "gauge", "Age of the newest snapshot; absent without one.", (),
        _snapshot("age_seconds"),
    ),
    Figure(
        "bourse_process_ready", "gauge", "1 if the process is ready, else 0.", ("process",),
        _process(lambda one: one.state == "ready"),
    ),
    Figure(
        "bourse_process_restarts_total", "counter", "How often a process died and was begun again.",
        ("process",), _process(lambda one: one.restarts),
    ),
    Figure(
        "bourse_process_silent_seconds", "gauge",
        "Seconds since a process said how it does; of the supervisor, since it looked round.",
        ("process",), _process(lambda one: one.silent_seconds),
    ),
    Figure(
        "bourse_process_resident_memory_bytes", "gauge", "Resident memory of a process.", ("process",),
        _process(lambda one: one.usage.resident_bytes),
    ),
    Figure(
        "bourse_process_cpu_seconds_total", "counter", "User and system CPU time of a process.",
        ("process",), _process(lambda one: one.usage.cpu_seconds),
    ),
    Figure(
        "bourse_sequence", "gauge", "Last command that is on the disk.", (), _one("sequence"),
    ),
    Figure(
        "bourse_time_seconds", "gauge", "Time of the last command that is on the disk, since 1970.", (),
        _sequencer(lambda stats: [((), stats.time / 1e9)]),
    ),
    Figure(
        "bourse_commands_total", "counter", "Commands taken in, also those refused as written.", (),
        _one("commands"),
    ),
    Figure(
        "bourse_batches_total", "counter", "Frames that were written to the journal.", (), _one("batches"),
    ),
    Figure(
        "bourse_refused_total", "counter", "Refusals by reason.", ("reason",),
        _sequencer(lambda stats: [((reason,), count) for reason, count in sorted(stats.refused.items())]),
    ),
    Figure(
        "bourse_throttled_total", "counter", "Messages above their member's allowance.", (),
        _one("throttled"),
    ),
    Figure(
        "bourse_sessions", "gauge", "Sessions that are logged on.", (), _one("sessions"),
    ),
    Figure(
        "bourse_reports_sent_total", "counter", "Execution reports that were sent.", (), _one("reports_sent"),
    ),
    Figure(
        "bourse_journal_written_bytes_total", "counter", "Bytes appended to the journal.", (),
        _one("journal_bytes"),
    ),
    Figure(
        "bourse_security_lines_waiting", "gauge", "Events that the security log could not be told yet.", (),
        _one("security_waiting"),
    ),
    Figure(
        "bourse_journal_segment", "gauge", "Number of the segment that is written.", (),
        _one("journal_segment"),
    ),
    Figure(
        "bourse_journal_sync_seconds", "gauge",
        "Time of a frame's write and sync in the last second: median, 99th percentile, longest.",
        ("quantile",),
        _sequencer(
            lambda stats: [(("0.5",), stats.sync_p50), (("0.99",), stats.sync_p99), (("1",), stats.sync_max)]
        ),
    ),
    Figure(
        "bourse_open_orders", "gauge", "Orders that are open.", (), _one("open_orders"),
    ),
    Figure(
        "bourse_pool_used_rows", "gauge", "Rows of one of the engine's tables that are in use.", ("pool",),
        _sequencer(lambda stats: [((name,), pool.used) for name, pool in sorted(stats.pools.items())]),
    ),
    Figure(
        "bourse_pool_room_rows", "gauge", "Rows of one of the engine's tables that there is memory for.",
        ("pool",),
        _sequencer(lambda stats: [((name,), pool.room) for name, pool in sorted(stats.pools.items())]),
    ),
    Figure(
        "bourse_loop_busy_ratio", "gauge", "Share of the last second in which the sequencer worked.", (),
        _one("busy"),
    ),
    Figure(
        "bourse_follower_sequence", "gauge", "Last command that a follower has folded.", ("process",),
        _follower("sequence"),
    ),
    Figure(
        "bourse_follower_lag_commands", "gauge", "Commands that a follower knows of and has not folded.",
        ("process",), _follower("lag_commands"),
    ),
    Figure(
        "bourse_follower_lag_seconds", "gauge", "How far a follower is behind; 0 if it is level.",
        ("process",), _follower("lag_seconds"),
    ),
    Figure(
        "bourse_follower_flushes_total", "counter", "Commits of the settlement store.", ("process",),
        _follower("flushes"),
    ),
    Figure(
        "bourse_follower_queries_total", "counter", "Questions that a follower has answered.", ("process",),
        _follower("queries"),
    ),
    Figure(
        "bourse_follower_rows_total", "counter", "Rows that a follower has written, or messages published.",
        ("process",), _follower("rows"),
    ),
)  # fmt: skip
"""Every metric, the venue's first, then each process's, the sequencer's, the followers'."""


class VenueCollector(Collector):
    """Turns the venue's state, read once a scrape, into metrics."""

    def __init__(self, read: Callable[[], VenueState]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is to tell is told when it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        state = self._read()
        for figure in METRICS:
            kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            family = kind(figure.name, figure.help, labels=figure.labels)
            for labels, value in figure.read(state):
                family.add_metric(labels, float(value))
            yield family


class MetricsServer:
    """Serves until `close`, from threads of its own. Raises `OSError` if the port is taken."""

    def __init__(self, endpoint: str, read: Callable[[], VenueState]) -> None:
        at = urlsplit(endpoint)
        host = at.hostname or "127.0.0.1"
        registry = CollectorRegistry(auto_describe=False)
        registry.register(VenueCollector(read))
        self._server = _Server((host, at.port or 0), registry, read)
        self.endpoint = f"http://{host}:{self._server.server_address[1]}"
        """Where it listens, with the port that was chosen."""

        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """An HTTP server with few threads: who asks more at a time is cut off."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = REQUESTS_MAX

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, read: Callable[[], VenueState]
    ) -> None:
        super().__init__(address, _Handler)
        self.registry = registry
        self.read = read
        self._places = threading.BoundedSemaphore(REQUESTS_MAX)

    def process_request(self, request: object, client_address: object) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave a reader that broke off alone: it is nobody's trouble but its own."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    timeout = REQUEST_SECONDS_MAX
    server_version = "tokenbourse"
    sys_version = ""
    server: BaseServer

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        path = urlsplit(self.path).path
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry), kind)
            return
        state = self.server.read()
        if path == "/live":
            word = "live" if state.is_live else f"silent for {state.supervisor.silent_seconds:.0f} s"
            self._answer(200 if state.is_live else 503, f"{word}\n".encode())
        elif path == "/ready":
            words = "\n".join(state.faults) or "ready"
            self._answer(200 if state.is_ready else 503, f"{words}\n".encode())
        elif path == "/state":
            self._answer(200, msgspec.json.encode(state), "application/json")
        else:
            self._answer(404, b"there are /metrics, /live, /ready and /state\n")

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: who reads figures is no event."""
