"""`bourse key`, `admit`, `members`, `block` and `kill` against a running venue: who may speak."""

from __future__ import annotations

import json
import stat
from itertools import count

import pytest
import zmq
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.cli.rotation import Rotation
from exchange.client.errors import AccessDenied, OrderRejected, ProfileError, RequestRefused
from exchange.client.sync import connect_sync
from exchange.config import Settings
from exchange.profiles import Endpoints, load_profile, write_profile
from exchange.server.folder import Folder, new_key_pair
from exchange.server.standard import found_standard
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up

NUMBERS = count(1)


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """Yield the folder of a running standard venue."""
    warm_up()
    folder = Folder(tmp_path_factory.mktemp("keys") / "venue")
    found_standard(folder)
    supervisor = Supervisor(folder, Settings(), print)
    try:
        supervisor.start()
        yield folder
    finally:
        supervisor.stop()


@pytest.fixture(autouse=True)
def place(venue, monkeypatch, tmp_path):
    """Let `bourse` find the venue's folder, and work in a folder of this test's own."""
    monkeypatch.setenv("BOURSE_VENUE", str(venue.root))
    monkeypatch.delenv("BOURSE_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments, code=0):
    """Run `bourse`; return what it prints. What it raises for `main` to tell is raised."""
    done = CliRunner().invoke(bourse, list(arguments), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def facts(*arguments):
    """Run `bourse ... --json`; return the one object that it prints."""
    return json.loads(call(*arguments, "--json"))


def refused(*arguments):
    """Run `bourse`; return the code of the venue's refusal."""
    with pytest.raises(RequestRefused) as refusal:
        call(*arguments)
    return refusal.value.code


@pytest.fixture
def firm(venue):
    """Return the name of a new firm that has a profile in the venue's folder."""
    name = f"FIRM-{next(NUMBERS)}"
    facts("admit", "--member", name, "--region", "HANGZHOU", "--size", "small", "--why", "a test")
    assert facts("key", "new", name)["profile"] == str(venue.profile(name))
    return name


def keys_of(name):
    return [one["public_key"] for one in facts("key", "list", name, "--as", "operator")["keys"]]


def is_let_in(profile):
    """Tell whether a profile opens a session as the member that it names."""
    try:
        with connect_sync(profile) as exchange:
            assert exchange.member == load_profile(profile).member
    except AccessDenied:
        return False
    return True


# --- new ---------------------------------------------------------------------------------------


def test_a_new_key_opens_a_session_and_its_file_is_its_owners_alone(venue, firm):
    path = venue.profile(firm)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_profile(path).endpoints.orders == load_profile("sandbox").endpoints.orders
    assert is_let_in(path)
    assert keys_of(firm) == [load_profile(path).public_key]


def test_no_file_is_overwritten_and_a_third_key_is_refused_and_leaves_none(venue, firm):
    before = venue.profile(firm).read_text()
    second = facts("key", "new", firm)
    assert second["profile"] == str(venue.profile(f"{firm}-2"))
    assert venue.profile(firm).read_text() == before
    files = sorted(venue.keys.iterdir())
    assert refused("key", "new", firm) == "keys_at_limit"
    assert sorted(venue.keys.iterdir()) == files
    assert len(keys_of(firm)) == 2


def test_a_profile_goes_where_it_is_told_and_never_over_another(firm, place):
    call("key", "new", firm, "--out", "mine.toml")
    assert is_let_in(place / "mine.toml")
    before = (place / "mine.toml").read_text()
    assert "the file exists" in call("key", "new", firm, "--out", "mine.toml", code=2)
    assert (place / "mine.toml").read_text() == before


def test_without_the_venues_folder_it_lies_in_the_working_folder(venue, firm, place, monkeypatch):
    operator = venue.profile("OPERATOR")
    monkeypatch.setenv("BOURSE_VENUE", str(place / "elsewhere"))
    told = call("key", "new", firm, "--as", str(operator), code=2)
    assert "say by --orders where this member is to connect" in told
    orders = load_profile(venue.profile(firm)).endpoints.orders
    made = facts("key", "new", firm, "--as", str(operator), "--orders", orders)
    assert made["profile"] == f"{firm.lower()}.toml"
    assert is_let_in(place / made["profile"])


def test_a_member_makes_its_own_second_key_and_nobody_elses(venue, firm):
    made = facts("key", "new", firm, "--as", str(venue.profile(firm)))
    assert is_let_in(made["profile"])
    assert refused("key", "new", "SANDBOX", "--as", str(venue.profile(firm))) == "role_not_permitted"
    assert refused("key", "new", "NOBODY") == "unknown_member"


# --- show, list, revoke ------------------------------------------------------------------------


def test_a_key_is_shown_without_its_secret(venue, firm):
    profile = load_profile(venue.profile(firm))
    told = call("key", "show", "--as", str(venue.profile(firm)))
    assert profile.public_key in told
    assert profile.endpoints.orders in told
    assert profile.secret_key not in told
    assert facts("key", "show", "--as", str(venue.profile(firm)))["member"] == firm


def test_members_list_their_own_keys_and_overseers_all(venue, firm):
    own = facts("key", "list", "--as", str(venue.profile(firm)))["keys"]
    public_key = load_profile(venue.profile(firm)).public_key
    assert own == [{"member": firm, "role": "firm", "public_key": public_key}]
    for overseer in ("operator", "auditor"):
        everybody = facts("key", "list", "--as", overseer)["keys"]
        assert own[0] in everybody
        assert {"SANDBOX", "ALIBABA", "OPERATOR"} <= {one["member"] for one in everybody}
        assert "HOUSE" not in {one["member"] for one in everybody}
    assert refused("key", "list", "SANDBOX", "--as", str(venue.profile(firm))) == "role_not_permitted"
    assert public_key in call("key", "list", firm, "--as", "auditor")


def test_a_revoked_key_opens_nothing(venue, firm):
    public_key = load_profile(venue.profile(firm)).public_key
    assert refused("key", "revoke", public_key, "--as", "sandbox") == "role_not_permitted"
    assert facts("key", "revoke", public_key, "--why", "lost")["public_key"] == public_key
    assert not is_let_in(venue.profile(firm))
    assert keys_of(firm) == []
    assert refused("key", "revoke", public_key) == "key_invalid"


@pytest.mark.parametrize("dashes", ["-", "-h", "--"])
def test_a_key_that_begins_like_an_option_is_taken_for_a_key(dashes):
    public_key = dashes.ljust(40, "k")
    for words in (
        [public_key, "--why", "lost"],
        ["--why=lost", public_key],
        ["--why=lost", "--", public_key],
    ):
        assert refused("key", "revoke", *words) == "key_invalid"
    assert "No such option" in call("key", "revoke", "--lost", public_key, code=2)
    assert "Missing argument" in call("key", "revoke", f"--why={'x' * 34}", code=2)


def test_such_a_key_is_made_shown_used_and_revoked(venue, monkeypatch):
    dashed = next(pair for pair in iter(zmq.curve_keypair, None) if pair[0].startswith(b"-"))
    monkeypatch.setattr("zmq.curve_keypair", lambda: dashed)
    facts("admit", "--member", "DASHED", "--region", "HANGZHOU", "--size", "small", "--why", "a test")
    public_key = facts("key", "new", "DASHED")["public_key"]
    assert public_key.startswith("-")
    assert keys_of("DASHED") == [public_key]
    assert is_let_in(venue.profile("DASHED"))
    call("key", "revoke", public_key, "--why", "lost")
    assert not is_let_in(venue.profile("DASHED"))


# --- rotate ------------------------------------------------------------------------------------


def rotated(venue, firm, old):
    """See that a rotation is whole: one key, another than before, and no file beside the profile."""
    path = venue.profile(firm)
    profile = load_profile(path)
    assert profile.public_key != old.public_key
    assert profile.member == firm
    assert keys_of(firm) == [profile.public_key]
    assert is_let_in(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in venue.keys.glob(f"{firm.lower()}.toml*")] == [path.name]


def test_a_rotation_leaves_one_new_key(venue, firm):
    old = load_profile(venue.profile(firm))
    done = facts("key", "rotate", "--as", str(venue.profile(firm)))
    assert (done["member"], done["revoked"]) == (firm, old.public_key)
    rotated(venue, firm, old)
    with pytest.raises(AccessDenied):
        connect_sync(old)


def test_an_operator_rotates_its_own_key_alone(venue):
    old = load_profile(venue.profile("OPERATOR-2"))
    call("key", "rotate", "--as", "operator-2")
    rotated(venue, "OPERATOR-2", old)


class Crash(Exception):
    """The machine fails."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["_make", "_register", "_prove", "_swap", "_revoke"])
def test_a_rotation_that_breaks_anywhere_is_ended_by_the_next(venue, firm, monkeypatch, step, when):
    path = venue.profile(firm)
    old = load_profile(path)
    whole = getattr(Rotation, step)

    def broken(self, *arguments):
        if when == "after":
            whole(self, *arguments)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, step, broken)
        with pytest.raises(Crash):
            call("key", "rotate", "--as", str(path))
    assert is_let_in(path), "at no moment is the member without a key"
    call("key", "rotate", "--as", str(path))
    rotated(venue, firm, old)


def test_a_swap_that_breaks_in_the_middle_is_ended_by_the_next(venue, firm, monkeypatch):
    path = venue.profile(firm)
    old = load_profile(path)
    rotation = Rotation(path, "a test")

    def half(self, own):
        write_profile(self.old, own)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "_swap", half)
        with pytest.raises(Crash):
            rotation.run()
    assert load_profile(path) == load_profile(rotation.old) == old
    Rotation(path, "a test").run()
    assert keys_of(firm) == [load_profile(path).public_key] != [old.public_key]


def test_a_rotation_at_the_limit_of_keys_says_what_to_do_and_goes_on_then(venue, firm):
    old = load_profile(venue.profile(firm))
    other = load_profile(facts("key", "new", firm)["profile"])
    assert refused("key", "rotate", "--as", str(venue.profile(firm))) == "keys_at_limit"
    assert is_let_in(venue.profile(firm))
    call("key", "revoke", other.public_key)
    call("key", "rotate", "--as", str(venue.profile(firm)))
    rotated(venue, firm, old)


def test_the_file_of_another_members_new_key_is_not_taken(venue, firm):
    pair = new_key_pair("BOB")
    path = venue.profile(firm)
    own = load_profile(path)
    stranger = own.__class__("BOB", pair.public_key, pair.secret_key, own.server_key, own.endpoints)
    write_profile(path.with_name(path.name + ".new"), stranger)
    with pytest.raises(ProfileError, match="is BOB's"):
        call("key", "rotate", "--as", str(path))
    assert keys_of(firm) == [own.public_key]


def test_a_venue_that_begins_again_leaves_rotated_keys_in_their_profiles(tmp_path):
    folder = Folder(tmp_path / "another")
    found_standard(folder)
    folder.write_profiles(Endpoints(orders="tcp://127.0.0.1:1"), "tcp://127.0.0.1:2")
    profile = load_profile(folder.profile("SANDBOX"))
    pair = new_key_pair("SANDBOX")
    fresh = profile.__class__(
        "SANDBOX", pair.public_key, pair.secret_key, profile.server_key, profile.endpoints
    )
    write_profile(folder.profile("SANDBOX"), fresh)
    folder.write_profiles(Endpoints(orders="tcp://127.0.0.1:3"), "tcp://127.0.0.1:4")
    kept = load_profile(folder.profile("SANDBOX"))
    assert (kept.public_key, kept.secret_key) == (pair.public_key, pair.secret_key)
    assert kept.endpoints.orders == "tcp://127.0.0.1:3"
    assert load_profile(folder.profile("OPERATOR")).endpoints.orders == "tcp://127.0.0.1:4"


# --- members -----------------------------------------------------------------------------------


def test_a_member_is_admitted_from_a_file_and_options_come_first(place):
    (place / "acme.toml").write_text(
        'member = "ACME"\nsize = "micro"\nregion = "NINGBO"\ndistricts = ["BEILUN"]\nquantity_max = 7\n'
    )
    call("admit", "acme.toml", "--size", "medium", "--notional-max", "5000", "--why", "contract 7")
    (acme,) = (one for one in facts("members")["members"] if one["member"] == "ACME")
    assert (acme["role"], acme["size"], acme["region"], acme["districts"]) == (
        "firm",
        "medium",
        "NINGBO",
        ["BEILUN"],
    )
    assert (acme["quantity_max"], acme["notional_max"], acme["is_blocked"]) == (7, 5_000, False)
    assert (acme["group"], acme["public_keys"]) == ("ACME", [])
    assert "ACME" in call("members", "--as", "auditor")
    assert refused("admit", "acme.toml", "--why", "again") == "already_exists"


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "missing required field `member`"), ('member = "A"\nsise = "small"', "sise"), ("member", "toml")],
)
def test_an_admission_that_is_badly_written_is_told_so(place, text, told):
    (place / "bad.toml").write_text(text)
    assert told in call("admit", "bad.toml", "--why", "a test", code=2)


def test_what_is_an_operators_is_no_firms(venue, firm):
    own = ("--as", str(venue.profile(firm)))
    assert refused("admit", "--member", "EVA", "--why", "x", *own) == "role_not_permitted"
    assert refused("block", "SANDBOX", "--why", "x", *own) == "role_not_permitted"
    assert refused("kill", "SANDBOX", "--why", "x", *own) == "role_not_permitted"


def test_a_kill_cancels_all_and_blocks(venue, firm):
    facts("deposit", firm, "100", "--why", "a test")
    with connect_sync(venue.profile(firm)) as exchange:
        ticket = exchange.instruments["QWEN3-MAX"].buy(10, limit="0.02")
        order = exchange.place(ticket)
        call("kill", firm, "--why", "its program has gone wild")
        assert exchange.orders() == []
        assert exchange.order(order).state.name == "CANCELLED"
        with pytest.raises(OrderRejected) as rejected:
            exchange.place(ticket)
        assert rejected.value.code == "member_blocked"
        assert "blocked" in call("members")
        call("unblock", firm, "--why", "mended")
        assert exchange.place(ticket).is_open
        call("block", firm, "--why", "a look at it")
        assert len(exchange.orders()) == 1


# --- operators: two persons --------------------------------------------------------------------


def test_two_operators_make_a_third_and_give_it_a_key(venue):
    name = f"OPS-{next(NUMBERS)}"
    admitted = facts("admit", "--member", name, "--role", "operator", "--why", "she joins")
    assert admitted["approvers"] == ["OPERATOR-2"]
    number = str(admitted["proposal"])
    assert f"admit operator {name}" in call("proposals")
    assert refused("approve", number, "--why", "seen") == "two_persons_needed"
    call("approve", number, "--why", "seen", "--as", "operator-2")
    told = call("key", "new", name)
    assert "OPERATOR-2 does it: bourse approve" in told
    profile = venue.profile(name)
    assert not is_let_in(profile)
    assert f"speak for {name}" in call("proposals")
    (proposal,) = facts("proposals")["proposals"]
    call("approve", str(proposal["number"]), "--why", "seen", "--as", "operator-2")
    assert is_let_in(profile)
    assert load_profile(profile).endpoints.orders == load_profile("operator").endpoints.orders
