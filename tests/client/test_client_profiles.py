"""Profiles: found by name or path, read with care, written whole and for their owner only."""

from __future__ import annotations

import stat

import pytest

from exchange.client.errors import ExchangeError, ProfileError
from exchange.profiles import Endpoints, Profile, load_profile, write_profile

KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
PROFILE = Profile(
    member='浙江 ACME "Ltd" \\ co',
    public_key=KEY,
    secret_key=KEY[::-1],
    server_key=KEY.swapcase(),
    endpoints=Endpoints(orders="tcp://127.0.0.1:7001", query="tcp://[::1]:7002"),
)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "keys" / "acme.toml"
    write_profile(path, PROFILE)
    assert load_profile(path) == load_profile(str(path)) == PROFILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["acme.toml"]


def test_a_profile_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "acme.toml"
    path.write_text("old")
    path.chmod(0o644)
    write_profile(path, PROFILE)
    assert load_profile(path) == PROFILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_what_was(tmp_path, monkeypatch):
    path = tmp_path / "acme.toml"
    write_profile(path, PROFILE)
    before = path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_profile(path, PROFILE)
    assert path.read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["acme.toml"]


def test_a_bare_name_is_looked_for_in_the_venues_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BOURSE_VENUE", str(tmp_path / "venue"))
    write_profile(tmp_path / "venue" / "keys" / "sandbox.toml", PROFILE)
    assert load_profile("sandbox") == PROFILE


def test_without_the_variable_the_folder_is_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("BOURSE_VENUE", raising=False)
    monkeypatch.chdir(tmp_path)
    write_profile("data/venue/keys/sandbox.toml", PROFILE)
    assert load_profile("sandbox") == PROFILE


def test_a_name_that_is_nowhere_is_told_with_the_place_and_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("BOURSE_VENUE", str(tmp_path))
    with pytest.raises(ProfileError) as caught:
        load_profile("sandbox")
    assert str(caught.value) == (
        f"there is no profile 'sandbox': looked for {tmp_path}/keys/sandbox.toml: "
        "set BOURSE_VENUE to the venue's data folder, or give the profile's path"
    )
    assert isinstance(caught.value, ExchangeError)


def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path, monkeypatch):
    monkeypatch.setenv("BOURSE_VENUE", str(tmp_path))
    for name in ("firm-02", "auditor", "firm-01"):
        write_profile(tmp_path / "keys" / f"{name}.toml", PROFILE)
    with pytest.raises(ProfileError, match=r"name one that is there \(auditor, firm-01, firm-02\), or give"):
        load_profile("sandbox")


@pytest.mark.parametrize("path", ["nowhere/acme.toml", "acme.toml", "../acme"])
def test_a_path_is_not_taken_for_a_name(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProfileError, match="give the path of an existing file"):
        load_profile(path)


def test_a_profile_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "acme.toml"
    write_profile(path, PROFILE)
    path.chmod(0o640)
    with pytest.raises(ProfileError, match=f"others may read it: chmod 600 {path}"):
        load_profile(path)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("member", "membre", "unknown field|missing required field"),
        ("orders =", "orders", "is not well written"),
        (
            "tcp://127.0.0.1:7001",
            "127.0.0.1",
            "endpoints.orders '127.0.0.1' is no endpoint; write tcp",
        ),
        (KEY[::-1], "short", "secret_key is no CURVE key; write its 40 characters of Z85"),
        ('member = "', 'member = ""#', "member '' is no name"),
    ],
)
def test_a_profile_that_is_not_right_says_where(tmp_path, before, after, told):
    path = tmp_path / "acme.toml"
    write_profile(path, PROFILE)
    path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")
    with pytest.raises(ProfileError, match=told) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)
    assert "short" not in str(caught.value), "no key is ever told, not even a wrong one"


def test_bytes_that_are_no_text_are_no_profile(tmp_path):
    path = tmp_path / "acme.toml"
    write_profile(path, PROFILE)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="is not well written"):
        load_profile(path)


def test_a_profile_does_not_show_its_secret():
    assert PROFILE.secret_key not in f"{PROFILE} {PROFILE!r}"


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(ProfileError, match="no endpoint"):
        write_profile(tmp_path / "bad.toml", Profile("A", KEY, KEY, KEY, Endpoints(orders="")))
    assert list(tmp_path.iterdir()) == []
