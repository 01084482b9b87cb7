"""Logs: each line is one event that a program can read, and no log can hurt the venue."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import msgspec
import pytest

from exchange.config import LogSettings
from exchange.server.logs import Log, LogLine, ThrottleLog


@pytest.fixture
def log(tmp_path):
    made = Log(tmp_path / "sequencer.log", "sequencer", LogSettings(bytes_max=65_536, keep=2))
    yield made
    made.close()


def lines(path):
    return [msgspec.json.decode(line, type=LogLine, strict=True) for line in path.read_bytes().splitlines()]


def test_an_event_is_one_line_with_its_fields(log, tmp_path):
    logging.getLogger("bourse.sessions").info("logged on", extra={"member": "ANN", "session": 7})
    (line,) = lines(tmp_path / "sequencer.log")
    assert (line.level, line.process, line.logger, line.event) == (
        "info",
        "sequencer",
        "bourse.sessions",
        "logged on",
    )
    assert line.fields == {"member": "ANN", "session": 7}
    assert line.error == ""
    assert line.time.endswith("Z")
    assert len(line.time) == len("2026-11-22T09:30:00.000000Z")


def test_what_json_has_no_form_for_is_written_as_text(log, tmp_path):
    logging.getLogger("bourse.x").info("odd", extra={"what": tmp_path, "many": {"a": (1, 2)}})
    (line,) = lines(tmp_path / "sequencer.log")
    assert line.fields == {"what": str(tmp_path), "many": {"a": [1, 2]}}


def test_an_exception_is_one_record_on_one_line(log, tmp_path):
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("bourse.process").exception("failed")
    (line,) = lines(tmp_path / "sequencer.log")
    assert (line.level, line.event) == ("error", "failed")
    assert "ValueError: two\nlines" in line.error


def test_nothing_below_the_level_is_written(log, tmp_path):
    logging.getLogger("bourse.sessions").debug("seen")
    assert not tmp_path.joinpath("sequencer.log").exists()


def test_a_log_is_set_aside_at_its_size_and_the_oldest_goes(log, tmp_path):
    for number in range(40):
        logging.getLogger("bourse.x").info("long", extra={"number": number, "text": "x" * 8_000})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["sequencer.log", "sequencer.log.1", "sequencer.log.2"]
    assert lines(tmp_path / "sequencer.log")[-1].fields["number"] == 39
    assert all(path.stat().st_size <= 65_536 for path in tmp_path.iterdir())


def test_a_closed_log_writes_no_more(log, tmp_path):
    log.close()
    logging.getLogger("bourse.x").error("late")
    assert not tmp_path.joinpath("sequencer.log").exists()


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path, capfd):
    broken = Log(tmp_path / "nowhere" / "x.log", "feed", LogSettings())
    logging.getLogger("bourse.x").error("lost")
    broken.close()
    assert capfd.readouterr().err == ""


def test_what_ends_a_process_is_its_last_record(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from exchange.config import LogSettings\n"
        "from exchange.server.logs import Log, log_exceptions\n"
        "Log(Path(sys.argv[1]), 'feed', LogSettings()); log_exceptions()\n"
        "raise RuntimeError('the disk is gone')\n"
    )
    path = tmp_path / "feed.log"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the disk is gone" in done.stderr
    (line,) = lines(path)
    assert (line.level, line.event, line.process) == ("critical", "failed", "feed")
    assert "RuntimeError: the disk is gone" in line.error


def test_throttling_is_told_once_at_its_beginning_and_once_at_its_end(log, tmp_path):
    throttled = ThrottleLog()
    for at in range(100):
        throttled.hear("ANN", 5, float(at) / 10)
        throttled.look(float(at) / 10)
    throttled.hear("BOB", 1, 9.0)
    throttled.look(19.2)
    throttled.look(19.95)
    told = [(line.event, line.fields) for line in lines(tmp_path / "sequencer.log")]
    assert told == [
        ("throttling begun", {"member": "ANN"}),
        ("throttling begun", {"member": "BOB"}),
        ("throttling ended", {"member": "BOB", "refused": 1}),
        ("throttling ended", {"member": "ANN", "refused": 500}),
    ]


def test_lines_are_json_for_any_reader(log, tmp_path):
    logging.getLogger("bourse.x").warning("said: %s", "“quoted”\n")
    (text,) = tmp_path.joinpath("sequencer.log").read_text("utf-8").splitlines()
    assert json.loads(text)["event"] == "said: “quoted”\n"
