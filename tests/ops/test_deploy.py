"""What is handed out for running a venue: units, images, alerts and the manual name what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exchange.server.metrics import METRICS
from exchange.settings_file import OTHER_VARIABLES, load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANUAL = ROOT / "docs" / "manual" / "operations.md"
UNIT = DEPLOY / "tokenbourse.service"


def named_metrics(text):
    return set(re.findall(r"\bbourse_[a-z_]+\b", text))


def variables(text):
    return dict(re.findall(r"\b(BOURSE_[A-Z_]+)=([^\s`]+)", text))


def test_every_metric_that_is_named_is_served():
    served = {figure.name for figure in METRICS}
    for path in (DEPLOY / "alerts.yml", MANUAL):
        named = named_metrics(path.read_text("utf-8"))
        assert named, path
        assert named <= served, path


def test_a_metric_that_is_not_there_would_be_found():
    assert not named_metrics("expr: bourse_redy == 0") <= {figure.name for figure in METRICS}


@pytest.mark.parametrize("path", [DEPLOY / "Dockerfile", UNIT, MANUAL], ids=lambda path: path.name)
def test_every_variable_that_is_set_can_be_taken(path, tmp_path):
    given = variables(path.read_text("utf-8"))
    assert given
    loaded = load(tmp_path, given)
    settings = {name for name in given if name.removeprefix("BOURSE_") not in OTHER_VARIABLES}
    assert {chosen.source for chosen in loaded.chosen.values()} == settings


def test_the_image_asks_where_it_listens():
    text = DEPLOY.joinpath("Dockerfile").read_text("utf-8")
    metrics = variables(text)["BOURSE_LISTEN_METRICS"].rsplit(":", 1)[1]
    assert f"http://127.0.0.1:{metrics}/ready" in text
    ports = {end.rsplit(":", 1)[1] for name, end in variables(text).items() if "_LISTEN_" in name}
    exposed = re.search(r"^EXPOSE (.+)$", text, re.MULTILINE)
    assert exposed is not None
    assert set(exposed[1].split()) == ports


def test_what_the_image_installs_is_what_is_tested():
    def releases(path):
        return set(re.findall(r"^([a-z0-9.-]+==[^ ]+)", path.read_text("utf-8"), re.MULTILINE))

    image = releases(DEPLOY / "requirements.lock")
    assert image
    assert image < releases(ROOT / "requirements.lock")


def test_prometheus_reads_the_port_that_serve_chooses(tmp_path):
    from exchange.settings_file import serving

    metrics = load(tmp_path, {}, base=serving()).settings.listen.metrics
    assert metrics.removeprefix("http://") in DEPLOY.joinpath("prometheus.yml").read_text("utf-8")


def test_the_unit_tells_the_supervisor_alone_to_stop_and_gives_it_its_time():
    from exchange.server.supervisor import FOLD_SECONDS_MAX, STOP_SECONDS_MAX

    lines = dict(line.split("=", 1) for line in UNIT.read_text("utf-8").splitlines() if "=" in line)
    assert lines["KillMode"] == "mixed"
    assert int(lines["TimeoutStopSec"]) > STOP_SECONDS_MAX + FOLD_SECONDS_MAX


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_unit(tmp_path):
    here = tmp_path / UNIT.name
    here.write_text(
        UNIT.read_text("utf-8").replace("/opt/tokenbourse/.venv/bin/bourse", "/bin/true"), "utf-8"
    )
    done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_event_of_the_supervisor_is_in_the_manual():
    source = "".join(
        ROOT.joinpath("exchange", "server", name).read_text("utf-8")
        for name in ("supervisor.py", "process.py", "__main__.py")
    )
    events = set(re.findall(r'(?:_log|logger)\.\w+\("([^"]+)"', source))
    assert {"restart", "start", "ready"} <= events
    manual = MANUAL.read_text("utf-8")
    assert [event for event in sorted(events) if f"`{event}`" not in manual] == []
