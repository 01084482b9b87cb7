"""Cases of the logon: who is let in, by which door, and that nothing is done before it."""

from __future__ import annotations

from msgspec.structs import replace

from exchange.certify.case import Case
from exchange.certify.failed import Failed, must
from exchange.certify.peer import Peer, buy
from exchange.certify.scene import Scene
from exchange.certify.venue import SESSIONS_PER_KEY
from exchange.client.errors import ConnectionLost
from exchange.client.sync import connect_sync
from exchange.profiles import Profile
from exchange.protocol.messages import AskAccount, AskOrders, Farewell, Logout, Orders, Refused
from exchange.server.folder import new_key_pair

DENIED_SECONDS = 3.0
"""How long somebody knocks who is not to be let in."""


def right_key(scene: Scene) -> None:
    """Log on with the firm's key."""
    with scene.client() as client:
        must(client.member == scene.firm.member, f"the venue took this key for {client.member}'s")
        must(scene.symbol in client.instruments, f"{scene.symbol} is not listed")


def unknown_key(scene: Scene) -> None:
    """Knock with a key that nobody has registered."""
    pair = new_key_pair(scene.firm.member)
    knock(replace(scene.firm, public_key=pair.public_key, secret_key=pair.secret_key), "an unknown key")


def wrong_door(scene: Scene) -> None:
    """Knock at the operators' door with the firm's key."""
    assert scene.venue is not None
    endpoints = replace(scene.firm.endpoints, orders=scene.venue.operators)
    knock(replace(scene.firm, endpoints=endpoints), "a firm's key at the operators' door")


def knock(profile: Profile, what: str) -> None:
    """Try to open a session that is to be refused."""
    try:
        connect_sync(profile, timeout=DENIED_SECONDS).close()
    except ConnectionLost:
        return
    raise Failed(f"{what} was let in")


def before_logon(scene: Scene) -> None:
    """Speak before the logon; none of it may be done."""
    client_id = scene.client_id().encode()
    with scene.peer() as peer:
        for _ in range(2):
            peer.say(AskAccount(peer.next_request()))
            refused = peer.hear(Refused)
            must(refused.reason == "not_logged_on", f"a question was answered {refused.reason}")
        peer.command(buy(client_id, 0, 1))
        refused = peer.hear(Refused)
        must(refused.reason == "not_logged_on", f"an order was answered {refused.reason}")
        peer.log_on()
        number = peer.next_request()
        peer.say(AskOrders(number))
        must(not peer.hear(Orders, number).reports, "something is open that was sent before the logon")


def second_logon(scene: Scene) -> None:
    """Log on twice on one connection; it goes on, and each report comes once."""
    client_id = scene.client_id().encode()
    with scene.peer() as peer:
        first = peer.log_on()
        second = peer.log_on(since=0, cancel_on_disconnect=True)
        must(second.member == first.member, f"the second logon was welcomed as {second.member}")
        index, price = scene.number_and_price(second)
        peer.command(buy(client_id, index, price))
        report = peer.report(client_id)
        peer.hear_for(0.5)
        again = [one for one in peer.reports if one.sequence == report.sequence]
        must(not again, "the report came twice")


def logout(scene: Scene) -> None:
    """Log out; the venue says farewell, and the open order stays."""
    client_id = scene.client_id().encode()
    with scene.peer() as peer:
        index, price = scene.number_and_price(peer.log_on(cancel_on_disconnect=True))
        peer.command(buy(client_id, index, price))
        order = peer.report(client_id).order
        number = peer.next_request()
        peer.say(Logout(number))
        peer.hear(Farewell, number)
        peer.say(AskAccount(peer.next_request()))
        refused = peer.hear(Refused)
        must(refused.reason == "not_logged_on", f"after the logout a question was answered {refused.reason}")
    with scene.client() as client:
        must([one.id for one in client.orders()] == [order], "the order did not stay open over a logout")


def one_session_too_many(scene: Scene) -> None:
    """Open one session more than a key may have: the oldest is ended, and told so."""
    peers: list[Peer] = []
    try:
        for _ in range(SESSIONS_PER_KEY + 1):
            peers.append(scene.peer())
            peers[-1].log_on()
        refused = peers[0].hear(Refused)
        must(refused.reason == "session_replaced", f"the oldest session was told {refused.reason}")
        for peer in peers[1:]:
            peer.log_on()
    finally:
        for peer in peers:
            peer.cut()


def malformed(scene: Scene) -> None:
    """Send what is no message; it is refused, and the session goes on."""
    with scene.peer() as peer:
        peer.log_on()
        for frame in (b"", b"X", b"M\xc1", b"C" + b"\0" * 127, b"C"):
            peer.send(frame)
            refused = peer.hear(Refused)
            must(refused.reason == "malformed", f"{frame[:8]!r} was answered {refused.reason}")
        peer.log_on()


CASES = (
    Case("right-key", "logon", "A registered key is welcomed as its member.", "| `Logon` |", right_key),
    Case("unknown-key", "logon", "An unknown key is turned away.", "| a peer connects |", unknown_key),
    Case(
        "wrong-door",
        "logon",
        "A firm's key does not open the operators' door.",
        "| a peer connects |",
        wrong_door,
        needs_venue=True,
    ),
    Case(
        "before-logon",
        "logon",
        "What is said before the logon is refused, and not done.",
        "| anything before `Logon` |",
        before_logon,
    ),
    Case(
        "second-logon",
        "logon",
        "A second logon on one connection only answers anew.",
        "| `Logon` |",
        second_logon,
    ),
    Case("logout", "logon", "A logout is answered; open orders stay.", "| `Logout` |", logout),
    Case(
        "one-session-too-many",
        "logon",
        "One session too many ends the oldest of its key.",
        "| more live sessions of one key",
        one_session_too_many,
        needs_venue=True,
    ),
    Case(
        "malformed",
        "logon",
        "What cannot be read is refused, and the session goes on.",
        "| a message that is no record",
        malformed,
    ),
)
