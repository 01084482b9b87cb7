"""Strangers and members who mean ill, on real sockets: nobody else is disturbed, and nothing is let in."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import zmq

from exchange.config import SessionSettings, Settings, ThrottleSettings
from exchange.protocol.messages import ANSWERS, MESSAGE_BYTES_MAX, AskStatus, Logon, Refused, Status, encode
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.server.door import MEMBERS, OPERATORS
from exchange.server.folder import new_key_pair
from exchange.server.sockets import AUTOMATIC_ID_BYTES
from matching.vocabulary import CommandKind, EventKind
from tests.server.house import NAMES, PATIENCE_MS, House
from tests.waiting import until

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00"
"""The first 12 bytes of ZMTP 3.0; the mechanism and more follow."""


@pytest.fixture(scope="module")
def house():
    place = House()
    try:
        yield place
    finally:
        place.close()


def greeting(mechanism):
    return GREETING + mechanism.ljust(20, b"\0") + b"\0" + bytes(31)


def handshakes(seed):
    """Yield what hostile peers send first, without an end."""
    chance = Random(seed)
    kinds = (
        lambda: b"",
        lambda: chance.randbytes(chance.randint(1, 200)),
        lambda: greeting(b"CURVE")[: chance.randint(1, 63)],
        lambda: greeting(b"NULL") + b"\x04\x05\x05READY",
        lambda: greeting(b"PLAIN") + b"\x04\x0b\x05HELLO\x01a\x01b",
        lambda: greeting(b"CURVE") + b"\x04\xc8\x05HELLO" + b"\x01\x00" + chance.randbytes(192),
        lambda: greeting(b"CURVE") + b"\x04\xc8\x05HELLO" + b"\x01\x00" + bytes(72) + chance.randbytes(120),
        lambda: greeting(b"CURVE") + b"\x06" + struct.pack(">Q", chance.choice((2**20, 2**40, 2**63 - 1))),
        lambda: greeting(b"CURVE") + b"\x00\x05hello",
        lambda: greeting(b"CURVE") + b"\x04\xf9\x08INITIATE" + chance.randbytes(240),
        lambda: greeting(chance.randbytes(20)) + chance.randbytes(64),
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(100),
    )
    while True:
        yield chance.choice(kinds)()


def knock(address, first):
    """Open a connection and say something on it; whoever answers is not listened to."""
    peer = socket.create_connection(address)
    peer.setblocking(False)
    with suppress(OSError):  # it may be cut off already
        peer.send(first)
    return peer


def handles():
    return len(os.listdir("/proc/self/fd"))


def test_hostile_handshakes_let_nobody_in_and_disturb_nobody(house, scale):
    """10,000 of them with the slow tests; each second one stays open until the venue or the end cuts it."""
    count = 1_000 * scale
    before, orders = house.engine.state_hash(), house.engine.sequence
    peers, address = [], house.address()
    for number, first in zip(range(count), handshakes(20261122), strict=False):
        peers.append(knock(address, first))
        if number % 2:
            peers.pop().close()
        if len(peers) > 400:
            peers.pop(0).close()
    assert (house.engine.state_hash(), house.engine.sequence) == (before, orders)
    with house.member("ANN") as ann:
        assert ann.place(f"h{count}").kind == EventKind.ACCEPTED
    for peer in peers:
        peer.close()
    until(lambda: not house.gateway.sessions.live)


@pytest.mark.slow
def test_ten_thousand_hostile_handshakes(house):
    test_hostile_handshakes_let_nobody_in_and_disturb_nobody(house, 10)


def test_idle_connections_by_the_thousand_leave_members_their_place(house):
    idle = [knock(house.address(), b"") for _ in range(1_000)]
    try:
        with house.member("ANN") as ann:
            reports = [ann.place(f"i{number}") for number in range(20)]
        assert [report.kind for report in reports] == [EventKind.ACCEPTED] * 20
    finally:
        for peer in idle:
            peer.close()


def test_a_peer_that_does_not_finish_its_handshake_is_cut_off(house):
    peer = knock(house.address(), greeting(b"CURVE"))
    peer.setblocking(True)
    peer.settimeout(PATIENCE_MS / 1000)
    with peer:
        while peer.recv(4096):
            pass  # what the venue greets with; then it hangs up


def test_connections_that_are_gone_leave_no_handle(house):
    with house.member("ANN"):
        pass
    until(lambda: not house.gateway.sessions.live)
    before = handles()
    for first in (greeting(b"CURVE"), b"", b"noise"):
        for _ in range(50):
            knock(house.address(), first).close()
    until(lambda: handles() <= before)


@pytest.mark.parametrize("door", [MEMBERS, OPERATORS])
def test_a_key_without_a_name_is_turned_away(house, door):
    assert is_denied(house, new_key_pair("WHO"), door)


@pytest.mark.parametrize(("name", "door"), [("ANN", OPERATORS), ("OPERATOR", MEMBERS)])
def test_a_key_is_turned_away_at_the_other_door(house, name, door):
    assert is_denied(house, house.keys[name], door)


def test_an_operator_comes_in_by_the_operators_door(house):
    with house.member("OPERATOR", OPERATORS) as operator:
        operator.socket.send(encode(AskStatus(2)))
        assert isinstance(operator.answer(), Status)


def is_denied(house, pair, door):
    """Tell whether a handshake is refused, and not only slow."""
    ends = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED
    with (
        zmq.Context() as context,
        house.unconnected(context, pair) as peer,
        peer.get_monitor_socket(ends) as monitor,
    ):
        peer.connect(house.endpoints[door])
        assert monitor.poll(PATIENCE_MS)
        (event, _) = struct.unpack("=HI", monitor.recv_multipart()[0])
        peer.disable_monitor()
    return event == zmq.EVENT_HANDSHAKE_FAILED_AUTH


def test_who_names_its_own_connection_speaks_for_nobody(house):
    """A routing id of one's own choice could be another's next one."""
    with house.member("OPERATOR", OPERATORS):
        operator = next(one for one in house.gateway.sessions.live if len(one) > AUTOMATIC_ID_BYTES)
        for identity in (b"mine", b"m" * AUTOMATIC_ID_BYTES, operator):
            with (
                zmq.Context() as context,
                house.dealer(context, house.keys["ANN"], identity=identity) as peer,
            ):
                for frame in (encode(Logon(1)), encode(AskStatus(2))):
                    peer.send(frame)
                    assert peer.poll(PATIENCE_MS)
                    answer = ANSWERS.decode(peer.recv()[1:])
                    assert isinstance(answer, Refused)
                    assert answer.reason == "not_authenticated"


def test_who_takes_the_name_of_a_connection_that_has_gone_does_not_take_its_session():
    """A peer that writes its own handshake may choose any name, and the venue learns late who has gone."""
    place = House(Settings(sessions=SessionSettings(heartbeat_seconds=3_600)))
    try:
        with place.member("ANN") as ann:
            order = ann.place("t1").order
            (victim,) = place.gateway.sessions.live
        with zmq.Context() as context, place.dealer(context, place.keys["BOB"], identity=victim) as thief:
            thief.send(b"C" + COMMAND_STRUCT.pack(*Command(CommandKind.CANCEL, order=order)))
            assert thief.poll(PATIENCE_MS)
            assert ANSWERS.decode(thief.recv()[1:]).reason == "not_authenticated"
        assert place.gateway.sessions.live[victim].key == place.keys["ANN"].public_key
        assert int(place.engine.core.book.counts[0]["open_orders"]) == 1
    finally:
        place.close()


def test_more_frames_than_one_are_no_message(house):
    with house.member("BOB") as bob, house.member("ANN") as ann:
        victim = next(iter(house.gateway.sessions.live))
        for parts in ([victim, b"C" + bob.order("x1")], [b"C" + bob.order("x2"), b""], [b"", b"", b""]):
            bob.socket.send_multipart(parts)
            assert bob.answer().reason == "malformed"
        assert ann.place("m1").kind == EventKind.ACCEPTED
        assert bob.place("x1").kind == EventKind.ACCEPTED  # and nobody had taken that id


def test_an_oversized_message_ends_its_own_connection_only(house):
    with house.member("ANN") as ann, house.member("BOB") as bob:
        monitor = bob.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        bob.socket.send(b"C" + bytes(MESSAGE_BYTES_MAX + 1))
        assert monitor.poll(PATIENCE_MS)
        bob.socket.disable_monitor()
        monitor.close()
        assert ann.place("o1").kind == EventKind.ACCEPTED


@pytest.mark.slow
def test_who_never_reads_is_cut_off_before_the_venue_holds_much_for_it():
    """Asking goes on, so that the sockets' pings see a lively peer; only TCP knows that it is not read."""
    place = House(Settings(throttle=ThrottleSettings(requests_per_second=10**6, requests_burst=10**6)))
    try:
        with zmq.Context() as context, place.dealer(context, place.keys["ANN"]) as deaf:
            deaf.setsockopt(zmq.RCVHWM, 1)
            deaf.setsockopt(zmq.RCVBUF, 4_096)
            deaf.disconnect(place.endpoints[MEMBERS])
            deaf.connect(place.endpoints[MEMBERS])
            deaf.send(encode(Logon(1)))
            until(lambda: place.gateway.sessions.live)
            (session,) = place.gateway.sessions.live
            for number in range(1_000):
                deaf.send(encode(Logon(number)))
            until(lambda: session not in place.gateway.sessions.live)
    finally:
        place.close()


def test_random_frames_on_the_socket_change_nothing(house, scale):
    """5,000 of them; 50,000 with the slow tests."""
    chance = Random(7)
    with house.member("BOB") as bob:
        before, sequence = house.engine.state_hash(), house.engine.sequence
        name = f"r{scale}"
        good = b"C" + bob.order(name)
        for _ in range(50 * scale):
            for _ in range(100):
                cut = chance.randrange(len(good))
                noise = chance.choice((chance.randbytes(cut), good[:cut], b"M" + chance.randbytes(cut), b""))
                bob.socket.send(noise)
            for _ in range(100):
                assert bob.answer().reason == "malformed"
        assert (house.engine.state_hash(), house.engine.sequence) == (before, sequence)
        assert bob.place(name).kind == EventKind.ACCEPTED


@pytest.mark.slow
def test_fifty_thousand_random_frames(house):
    test_random_frames_on_the_socket_change_nothing(house, 10)


def test_frames_said_again_word_for_word_are_not_heard(house):
    """Somebody in the middle keeps all that a member says, and says it again on a connection of its own."""
    said = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as middle:
        carrier = threading.Thread(target=carry, args=(middle, house.address(), said))
        carrier.start()
        with zmq.Context() as context:
            house.endpoints["middle"] = f"tcp://127.0.0.1:{middle.getsockname()[1]}"
            with house.dealer(context, house.keys["ANN"], "middle") as ann:
                ann.send(encode(Logon(1)))
                assert ann.poll(PATIENCE_MS)
        carrier.join()
    until(lambda: not house.gateway.sessions.live)
    before, count = house.engine.sequence, len(house.gateway.sessions.live)
    again = knock(house.address(), bytes(said))
    again.setblocking(True)
    again.settimeout(PATIENCE_MS / 1000)
    with again:
        while again.recv(4096):
            pass  # the venue greets, finds that the rest does not fit, and hangs up
    assert (house.engine.sequence, len(house.gateway.sessions.live)) == (before, count)


def carry(middle, address, said):
    """Carry bytes both ways until one side hangs up; keep what the member says."""
    peer, _ = middle.accept()
    with peer, socket.create_connection(address) as venue:
        while True:
            ready, _, _ = select.select((peer, venue), (), (), PATIENCE_MS / 1000)
            for one in ready:
                data = one.recv(65_536)
                if not data:
                    return
                if one is peer:
                    said += data
                (venue if one is peer else peer).sendall(data)


def test_secrets_are_for_their_owner_only(tmp_path):
    from exchange.server.folder import Folder
    from exchange.server.founding import sandbox_firms, standard_acts

    folder = Folder(tmp_path / "venue")
    folder.found(standard_acts(sandbox_firms(), [], []), [new_key_pair(name) for name in NAMES])
    modes = {path.name: path.stat().st_mode & 0o777 for path in Path(folder.keys).iterdir()}
    assert modes
    assert set(modes.values()) == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder.root, folder.keys)} == {0o700}
