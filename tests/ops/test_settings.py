"""What an operator chooses: where it may be said, what goes before what, and how a slip is told."""

from __future__ import annotations

import tomllib

import msgspec
import pytest

from exchange.config import Settings
from exchange.settings_file import (
    FILE_NAME,
    SETTINGS,
    Chosen,
    SettingsError,
    as_toml,
    consecutive,
    differing,
    load,
    served,
    serving,
    template,
    write_template,
)


def written(folder, text):
    folder.joinpath(FILE_NAME).write_text(text, "utf-8")
    return folder


def fault(folder, environment=None, options=None):
    with pytest.raises(SettingsError) as caught:
        load(folder, environment or {}, options)
    return str(caught.value)


def test_without_a_file_all_is_default(tmp_path):
    loaded = load(tmp_path, {})
    assert loaded.settings == Settings()
    assert {loaded.source(one) for one in SETTINGS.values()} == {"default"}


def test_every_setting_says_what_it_means():
    silent = [one.key for one in SETTINGS.values() if not one.meaning.strip()]
    assert silent == []
    assert len(SETTINGS) == sum(
        len(section.__struct_fields__) for section in msgspec.structs.astuple(Settings())
    )


def test_a_new_venue_has_a_file_of_comments_that_changes_nothing(tmp_path):
    assert write_template(tmp_path)
    assert load(tmp_path, {}).settings == Settings()
    text = tmp_path.joinpath(FILE_NAME).read_text("utf-8")
    for one in SETTINGS.values():
        assert f"# {one.name} = " in text
        assert one.meaning.split()[0] in text


def test_a_file_that_is_there_is_kept(tmp_path):
    written(tmp_path, "[journal]\nkeep_segments = 4\n")
    assert not write_template(tmp_path)
    assert load(tmp_path, {}).settings.journal.keep_segments == 4


def test_the_comments_uncommented_are_the_defaults(tmp_path):
    lines = [
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line
        for line in template().splitlines()
    ]
    told = tomllib.loads("\n".join(lines))
    assert {(at, name): value for at, table in told.items() for name, value in table.items()} == {
        at: served(one) for at, one in SETTINGS.items()
    }
    written(tmp_path, "\n".join(lines))
    assert load(tmp_path, {}).settings == load(tmp_path / "none", {}, base=serving()).settings


def test_a_default_is_within_its_own_bounds():
    text = msgspec.json.encode(Settings())
    assert msgspec.json.decode(text, type=Settings) == Settings()


def test_options_go_before_the_environment_and_that_before_the_file(tmp_path):
    written(tmp_path, "[throttle]\norders_per_second = 10\norders_burst = 20\nrequests_per_second = 30\n")
    environment = {
        "BOURSE_THROTTLE_ORDERS_BURST": "21",
        "BOURSE_THROTTLE_REQUESTS_PER_SECOND": "31",
        "BOURSE_VENUE": "data/venue",
        "HOME": "/root",
    }
    options = {("throttle", "requests_per_second"): Chosen(32, "--requests")}
    loaded = load(tmp_path, environment, options)
    throttle = loaded.settings.throttle
    assert (throttle.orders_per_second, throttle.orders_burst, throttle.requests_per_second) == (10, 21, 32)
    assert throttle.requests_burst == Settings().throttle.requests_burst
    sources = {one.name: loaded.source(one) for one in SETTINGS.values() if one.section == "throttle"}
    assert sources == {
        "orders_per_second": "venue.toml line 2",
        "orders_burst": "BOURSE_THROTTLE_ORDERS_BURST",
        "requests_per_second": "--requests",
        "requests_burst": "default",
    }


def test_what_serve_chooses_goes_behind_the_file(tmp_path):
    written(tmp_path, '[listen]\norders = "tcp://10.0.0.1:9000"\n')
    loaded = load(tmp_path, {}, base=serving())
    assert loaded.settings.listen.orders == "tcp://10.0.0.1:9000"
    assert loaded.settings.listen.query == "tcp://127.0.0.1:7412"
    assert loaded.source(SETTINGS["listen", "query"]) == "default of serve"


def test_ports_are_numbered_on_and_metrics_stay_on_this_machine(tmp_path):
    listen = load(tmp_path, {}, consecutive("0.0.0.0", 9_000, "--port")).settings.listen  # noqa: S104
    assert (listen.orders, listen.operators) == ("tcp://0.0.0.0:9000", "tcp://0.0.0.0:9004")
    assert listen.metrics == "http://127.0.0.1:9005"
    assert listen.commits == Settings().listen.commits
    chosen = load(tmp_path, {}, consecutive("127.0.0.1", 0, "--port")).settings.listen
    assert {chosen.orders, chosen.feed} == {"tcp://127.0.0.1:0"}


def test_a_whole_number_will_do_for_seconds(tmp_path):
    written(tmp_path, "[sessions]\nheartbeat_seconds = 2\n")
    assert load(tmp_path, {}).settings.sessions.heartbeat_seconds == 2.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[throttle]\norders_per_second = 0\n",
            "line 2: throttle.orders_per_second = 0 cannot be taken; "
            "write a whole number from 1 to 1,000,000,000",
        ),
        ('[snapshots]\n\nkeep = "3"\n', "line 3: snapshots.keep = '3' cannot be taken; write a whole number"),
        ("[snapshots]\nkeep = true\n", "line 2: snapshots.keep = True cannot be taken"),
        ('[logs]\nlevel = "loud"\n', "write 'debug', 'info', 'warning' or 'error'"),
        ('[listen]\norders = "localhost"\n', "write a text such as tcp://127.0.0.1:7411"),
        ('[listen]\nmetrics = "tcp://127.0.0.1:1"\n', "write a text such as http://127.0.0.1:7416, or blank"),
        ("[throttel]\n", "line 1: there is no section [throttel]; did you mean throttle?"),
        ("[throttle]\norder_burst = 5\n", "line 2: there is no setting throttle.order_burst; did you mean"),
        ("throttle = 5\n", "throttle = 5 is no section; write [throttle]"),
        ("[throttle\n", "is not well written"),
    ],
)
def test_a_slip_in_the_file_is_told_with_its_place_and_its_remedy(tmp_path, text, told):
    message = fault(written(tmp_path, text))
    assert message.startswith(str(tmp_path / FILE_NAME))
    assert told in message


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (
            "BOURSE_SNAPSHOTS_KEEP",
            "many",
            "BOURSE_SNAPSHOTS_KEEP: snapshots.keep = 'many' cannot be taken; write a whole number from 1 to",
        ),
        ("BOURSE_SNAPSHOTS_KEEP", "0", "snapshots.keep = '0' cannot be taken"),
        (
            "BOURSE_THROTTLE_ORDER_PER_SECOND",
            "5",
            "the environment: there is no variable BOURSE_THROTTLE_ORDER_PER_SECOND; "
            "did you mean BOURSE_THROTTLE_ORDERS_PER_SECOND?",
        ),
        ("BOURSE_THROTLE_ORDERS_BURST", "5", "did you mean BOURSE_THROTTLE_ORDERS_BURST?"),
    ],
)
def test_a_slip_in_the_environment_likewise(tmp_path, variable, value, told):
    assert told in fault(tmp_path, {variable: value})


def test_an_option_out_of_bounds_likewise(tmp_path):
    options = {("listen", "orders"): Chosen("tcp://two words:1", "--host")}
    assert fault(tmp_path, {}, options).startswith("--host: listen.orders = ")


def test_dotted_and_spaced_keys_are_found_in_the_file(tmp_path):
    written(tmp_path, "logs.keep   = 7\n[ journal ]\nkeep_segments=2\n")
    loaded = load(tmp_path, {})
    assert loaded.source(SETTINGS["logs", "keep"]) == "venue.toml line 1"
    assert loaded.source(SETTINGS["journal", "keep_segments"]) == "venue.toml line 3"


def test_only_what_differs_is_told_at_the_start(tmp_path):
    written(tmp_path, "[journal]\nkeep_segments = 4\n[logs]\nkeep = 4\n")
    assert differing(load(tmp_path, {}).settings) == {"journal.keep_segments": 4}


def test_numbers_and_texts_are_written_as_the_file_has_them():
    assert [as_toml(value) for value in (262_144, 1.5, 'a "b"')] == ["262_144", "1.5", '"a \\"b\\""']
