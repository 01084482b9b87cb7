"""What Prometheus reads: it parses, and says what the processes have said."""

from __future__ import annotations

import http.client
import socket
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exchange.server.health import VenueState
from exchange.server.metrics import METRICS, REQUESTS_MAX, MetricsServer
from exchange.server.process import FollowerStats, SequencerStats
from tests.ops.states import FEED, SEQUENCER, SETTLEMENT, process, venue


@pytest.fixture
def served():
    """Yield a server, and the list whose last state it tells."""
    states = [venue()]
    server = MetricsServer("http://127.0.0.1:0", lambda: states[-1])
    yield server, states
    server.close()


def get(server, path):
    try:
        with urlopen(server.endpoint + path, timeout=10) as answer:  # noqa: S310  our own server's
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(server):
    _, text = get(server, "/metrics")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_is_told_with_a_help_text_and_its_kind(served):
    server, _ = served
    status, text = get(server, "/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for figure in METRICS:
        family = families[figure.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (figure.kind, figure.help)
        assert family.samples, figure.name
        assert all(tuple(sample.labels) == figure.labels for sample in family.samples)


def test_names_follow_the_conventions():
    for figure in METRICS:
        assert figure.name.startswith("bourse_")
        assert figure.name.endswith("_total") == (figure.kind == "counter"), figure.name
        assert figure.help.endswith("."), figure.name
    assert len({figure.name for figure in METRICS}) == len(METRICS)


def test_the_sequencers_words_are_what_is_scraped(served):
    server, _ = served
    told = samples(server)
    assert told["bourse_sequence",] == SEQUENCER.sequence
    assert told["bourse_time_seconds",] == 1_700_000_000.5
    assert told["bourse_commands_total",] == SEQUENCER.commands
    assert told["bourse_batches_total",] == SEQUENCER.batches
    assert told["bourse_refused_total", "too_old"] == 2
    assert told["bourse_throttled_total",] == SEQUENCER.throttled
    assert told["bourse_sessions",] == SEQUENCER.sessions
    assert told["bourse_reports_sent_total",] == SEQUENCER.reports_sent
    assert told["bourse_journal_written_bytes_total",] == SEQUENCER.journal_bytes
    assert told["bourse_journal_segment",] == SEQUENCER.journal_segment
    syncs = [told["bourse_journal_sync_seconds", share] for share in ("0.5", "0.99", "1")]
    assert syncs == [SEQUENCER.sync_p50, SEQUENCER.sync_p99, SEQUENCER.sync_max]
    assert told["bourse_open_orders",] == SEQUENCER.open_orders
    assert (told["bourse_pool_used_rows", "orders"], told["bourse_pool_room_rows", "orders"]) == (60, 1_024)
    assert told["bourse_loop_busy_ratio",] == SEQUENCER.busy


def test_every_field_of_the_statistics_is_in_some_figure(served):
    server, states = served
    before = samples(server)
    for role, kind, stats in (
        ("sequencer", SequencerStats, SEQUENCER),
        ("settlement", FollowerStats, SETTLEMENT),
    ):
        for field in kind.__struct_fields__:
            blank = msgspec.structs.replace(stats, **{field: type(getattr(stats, field))()})
            others = [one for one in venue().processes if one.role != role]
            states.append(venue(processes=(*others, process(role, blank, restarts=2))))
            assert samples(server) != before, f"{kind.__name__}.{field} is told by no figure"
            states.pop()


def test_followers_and_processes_are_told_apart(served):
    server, _ = served
    told = samples(server)
    assert told["bourse_follower_lag_commands", "settlement"] == SETTLEMENT.lag_commands
    assert told["bourse_follower_lag_seconds", "settlement"] == SETTLEMENT.lag_seconds
    assert told["bourse_follower_rows_total", "feed"] == FEED.rows
    assert told["bourse_process_restarts_total", "settlement"] == 2
    assert told["bourse_process_restarts_total", "feed"] == 0
    assert told["bourse_process_resident_memory_bytes", "supervisor"] == 50_000_000
    assert told["bourse_process_cpu_seconds_total", "sequencer"] == 12.5
    assert told["bourse_snapshot_sequence",] == 1_000
    assert told["bourse_snapshot_age_seconds",] == 42.0
    assert told["bourse_disk_free_bytes",] == 10**10


def test_what_is_not_known_is_absent_and_not_nought(served):
    server, states = served
    states.append(venue(snapshot=None, processes=(process("sequencer", None, state="starting"),)))
    told = samples(server)
    assert ("bourse_snapshot_sequence",) not in told
    assert ("bourse_sequence",) not in told
    assert told["bourse_process_ready", "sequencer"] == 0


def test_ready_says_why_not(served):
    server, states = served
    assert get(server, "/ready") == (200, "ready\n")
    states.append(venue(faults=("feed is starting", "settlement has ended")))
    assert get(server, "/ready") == (503, "feed is starting\nsettlement has ended\n")
    assert samples(server)["bourse_ready",] == 0


def test_live_is_about_the_supervisor_alone(served):
    server, states = served
    states.append(venue(faults=("feed is starting",)))
    assert get(server, "/live") == (200, "live\n")
    states.append(venue(supervisor=process("supervisor", None, silent_seconds=31.0)))
    assert get(server, "/live") == (503, "silent for 31 s\n")


def test_the_whole_state_can_be_read_back(served):
    server, states = served
    status, text = get(server, "/state")
    assert status == 200
    assert msgspec.json.decode(text, type=VenueState) == states[-1]


def test_anything_else_is_not_there(served):
    server, _ = served
    status, text = get(server, "/etc/passwd")
    assert (status, "/metrics" in text) == (404, True)


def asked(connection):
    connection.request("GET", "/live")
    return connection.getresponse().status


def test_readers_that_never_finish_asking_do_not_keep_others_out_for_good(served, monkeypatch):
    monkeypatch.setattr("exchange.server.metrics._Handler.timeout", 120)
    server, _ = served
    host, port = server.endpoint.removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(REQUESTS_MAX + 4)]
    refused = http.client.HTTPConnection(host, int(port), timeout=10)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        asked(refused)
    refused.close()
    for connection in idle:
        connection.close()
    answered = None
    for _ in range(1_000):  # the places are given back as their readers are seen to be gone
        try:
            answered = get(server, "/live")
            break
        except OSError:
            continue
    assert answered == (200, "live\n")


def test_a_port_that_is_taken_is_told(served):
    server, _ = served
    with pytest.raises(OSError, match="in use"):
        MetricsServer(server.endpoint, venue)
