"""What an operator types: settings shown, mistakes told, a venue looked at, a venue told to stop."""

from __future__ import annotations

import json
import os
import signal

import msgspec
import pytest
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.cli.operator import run_until_told
from exchange.cli.status import (
    Rates,
    _watch,
    _watch_live,
    facts_of,
    health_text,
    line_of,
    metrics_endpoint,
    pool_table,
    process_table,
    read_state,
)
from exchange.client.errors import ConnectionLost
from exchange.config import Endpoints, Settings
from exchange.protocol.messages import Status
from exchange.server.folder import Folder
from exchange.server.metrics import MetricsServer
from exchange.server.supervisor import Supervisor, VenueFailed
from exchange.settings_file import SETTINGS
from tests.ops.states import venue

NOW = Status(
    request=1,
    sequence=1_200,
    time=0,
    started_at=0,
    members=47,
    instruments=193,
    open_orders=55,
    trades=300,
    journal_bytes=153_600,
    rules_version=4,
    programmes=(),
)


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for variable in [name for name in os.environ if name.startswith("BOURSE_")]:
        if variable != "BOURSE_KERNEL_CACHE":
            monkeypatch.delenv(variable)


def run(*words):
    return CliRunner().invoke(bourse, list(map(str, words)))


def test_config_tells_of_each_setting_where_it_comes_from(tmp_path, monkeypatch):
    tmp_path.joinpath("venue.toml").write_text("[snapshots]\nkeep = 5\n")
    monkeypatch.setenv("BOURSE_LOGS_LEVEL", "debug")
    told = json.loads(run("config", tmp_path, "--json").output)
    assert set(told["settings"]) == {one.key for one in SETTINGS.values()}
    picked = {name: (told["settings"][name]["value"], told["settings"][name]["source"]) for name in (
        "snapshots.keep", "logs.level", "listen.operators", "journal.keep_segments",
    )}  # fmt: skip
    assert picked == {
        "snapshots.keep": (5, "venue.toml line 2"),
        "logs.level": ("debug", "BOURSE_LOGS_LEVEL"),
        "listen.operators": ("tcp://127.0.0.1:7415", "default of serve"),
        "journal.keep_segments": (0, "default"),
    }
    assert all(one["meaning"] for one in told["settings"].values())


def test_config_shows_a_table(tmp_path):
    output = run("config", tmp_path).output
    assert "snapshots.keep" in output
    assert "default of serve" in output


@pytest.mark.parametrize("command", ["config", "serve"])
def test_a_slip_is_one_line_and_wrong_usage(tmp_path, command):
    tmp_path.joinpath("venue.toml").write_text("[snapshots]\nkeep = 0\n")
    done = run(command, tmp_path)
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    assert line.startswith(
        f"bourse: {tmp_path / 'venue.toml'} line 2: snapshots.keep = 0 cannot be taken; write"
    )
    assert not Folder(tmp_path).exists()


def test_serve_says_plainly_that_a_folder_is_served(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    folder.found((), [])
    lock = folder.lock()
    done = run("serve", tmp_path)
    assert (done.exit_code, done.output) == (
        1,
        f"bourse: {tmp_path} is served already, by process {os.getpid()}; stop that one first\n",
    )
    folder.unlock(lock)


# --- stopping ------------------------------------------------------------------------------------


class Venue(Supervisor):
    """A supervisor that gets signals instead of sending them."""

    def __init__(self, folder, signals=(), fails=False):
        super().__init__(folder, Settings(listen=Endpoints(metrics="http://127.0.0.1:9")), print)
        self.done: list[str] = []
        self._signals = list(signals)
        self._fails = fails

    def start(self):
        self.done.append("start")
        return True

    def look_after(self):
        if self._fails:
            raise VenueFailed("feed died 6 times in a minute")
        os.kill(os.getpid(), self._signals.pop(0))

    def ask_to_stop(self):
        self.done.append("ask")

    def kill(self):
        self.done.append("kill")

    def stop(self):
        if self._signals:
            os.kill(os.getpid(), self._signals.pop(0))
        self.done.append("stop")


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_in_good_order(tmp_path, capsys, handlers, number):
    fake = Venue(Folder(tmp_path), [number])
    run_until_told(fake)
    assert fake.done == ["start", "ask", "stop"]
    out = capsys.readouterr().out
    assert "readiness at http://127.0.0.1:9/ready" in out
    assert out.endswith("stopped; start it again and it goes on where it was\n")


def test_a_second_signal_ends_all_at_once(tmp_path, capsys, handlers):
    fake = Venue(Folder(tmp_path), [signal.SIGTERM, signal.SIGINT])
    with pytest.raises(SystemExit) as left:
        run_until_told(fake)
    assert left.value.code == 1
    assert fake.done == ["start", "ask", "kill", "ask", "stop"]
    assert "what was answered is on the disk" in capsys.readouterr().err


def test_a_venue_that_fails_is_stopped_all_the_same(tmp_path, capsys, handlers):
    fake = Venue(Folder(tmp_path), fails=True)
    with pytest.raises(SystemExit):
        run_until_told(fake)
    assert fake.done == ["start", "stop"]
    assert capsys.readouterr().err == "bourse: feed died 6 times in a minute\n"


# --- looking -------------------------------------------------------------------------------------


def test_status_finds_the_supervisor_by_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BOURSE_VENUE", str(tmp_path))
    assert metrics_endpoint() == ""
    tmp_path.joinpath("venue.json").write_bytes(msgspec.json.encode(Endpoints(metrics="http://127.0.0.1:9")))
    assert metrics_endpoint() == "http://127.0.0.1:9"


def test_the_supervisor_is_asked_over_its_port_and_may_be_away():
    server = MetricsServer("http://127.0.0.1:0", venue)
    try:
        assert read_state(server.endpoint) == venue()
    finally:
        server.close()
    assert read_state(server.endpoint) is None
    assert read_state("") is None
    assert read_state("file:///etc/passwd") is None


def test_each_process_has_a_row():
    _, columns, rows = process_table(venue())
    cells = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [cell["process"] for cell in cells] == ["supervisor", "sequencer", "settlement", "feed"]
    assert (cells[2]["lag"], cells[2]["restarts"], cells[2]["sequence"]) == ("10 (0.1 s)", 2, "1,190")
    assert (cells[0]["sequence"], cells[1]["lag"]) == ("", "")


def test_what_is_in_use_is_told_beside_its_room():
    _, _, rows = pool_table(venue())
    assert rows[0] == ("orders", "60", "1,024", "5.9 %")


def test_a_line_tells_rates_lags_and_readiness():
    rates = Rates()
    assert rates.look(10.0, 1_000, 100) == (0.0, 0.0)
    line = line_of(NOW, venue(), rates.look(12.0, 1_200, 300))
    assert line.startswith(
        "sequence 1200, 100 commands/s, 100 trades/s, 55 open, settlement 10 behind, feed 0 behind"
    )
    assert line.endswith("ready · snapshot at 1,000, 42 s old · disk 9.3 GiB free")
    assert "\n" not in line


def test_what_is_not_ready_says_so():
    told = health_text(venue(faults=("feed is starting",), snapshot=None))
    assert told.startswith("not ready: feed is starting · snapshot none yet")


def test_the_object_has_what_it_always_had_and_the_state_where_there_is_one():
    alone = facts_of(NOW, None)
    assert (alone["sequence"], alone["programmes"]) == (1_200, [])
    assert "state" not in alone
    both = facts_of(NOW, venue())
    assert both["ready"] is True
    assert json.loads(json.dumps(both))["state"]["processes"][1]["stats"]["lag_commands"] == 10


def test_settings_given_to_processes_are_read_back_as_they_were():
    settings = Settings(listen=Endpoints(metrics="http://127.0.0.1:7416"))
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings


class Asked:
    """A connection that tells how the venue is, and once does not."""

    def __init__(self):
        self.answers = [NOW, None, msgspec.structs.replace(NOW, sequence=1_300)]

    def status(self):
        answer = self.answers.pop(0)
        if answer is None:
            raise ConnectionLost("gone")
        return answer


@pytest.mark.parametrize(("as_json", "begins"), [(False, "sequence 1200, "), (True, '{"sequence": 1200, ')])
def test_watching_in_a_pipe_is_a_line_a_second_until_ctrl_c(capsys, monkeypatch, as_json, begins):
    asked = Asked()

    def passed(_seconds):
        if not asked.answers:
            raise KeyboardInterrupt

    monkeypatch.setattr("exchange.cli.status.time.sleep", passed)
    _watch(asked, "", as_json=as_json)
    told = capsys.readouterr()
    first, second = told.out.splitlines()
    assert first.startswith(begins)
    assert "1300" in second
    assert told.err == "the venue does not answer\n"


def test_watching_on_a_terminal_draws_all_there_is(capsys, monkeypatch):
    asked = Asked()

    def passed(_seconds):
        if len(asked.answers) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("exchange.cli.status.time.sleep", passed)
    monkeypatch.setattr("exchange.cli.status.read_state", lambda _: venue())
    with pytest.raises(KeyboardInterrupt):
        _watch_live(asked, "")
    out = capsys.readouterr().out
    assert "the venue does not answer" in out
    assert "settlement" in out
    assert "snapshot at 1,000" in out


def test_no_venue_is_founded_among_other_peoples_files(tmp_path):
    tmp_path.joinpath("venue.toml").write_text("")
    tmp_path.joinpath("thesis.tex").write_text("")
    told = CliRunner().invoke(bourse, ["serve", str(tmp_path), "--port", "0"])
    assert (told.exit_code, "thesis.tex lies here; name a new folder" in told.output) == (2, True)
    assert not Folder(tmp_path).exists()
    tmp_path.joinpath("thesis.tex").unlink()
    assert Folder(tmp_path).strangers() == []
