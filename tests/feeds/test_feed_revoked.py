"""A key that is revoked: its open subscription ends, and those of others begin anew by themselves."""

from __future__ import annotations

import zmq

from exchange.server.folder import new_key_pair
from exchange.server.run_feed import opened_anew
from exchange.server.sockets import Keyring, authenticator, bind, feed_publisher

PATIENCE_MS = 20_000


def subscriber(context, endpoint, server, pair):
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.CURVE_SERVERKEY, server.public_key.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public_key.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret_key.encode())
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(endpoint)
    return socket


def is_heard(public, reader):
    """Publish until a reader hears it, or does not for long."""
    for number in range(100):
        public.send(b"%d" % number)
        if reader.poll(PATIENCE_MS // 1_000):
            while reader.poll(0):
                reader.recv()
            return True
    return False


def test_a_revoked_key_hears_no_more_and_another_goes_on():
    server, kept, revoked = (new_key_pair(name) for name in ("VENUE", "ANN", "BOB"))
    keys = {kept.public_key, revoked.public_key}
    with zmq.Context() as context, zmq.Context() as readers:
        guard = authenticator(context, Keyring(lambda key: key in keys))
        secret = server.secret_key.encode()
        public = feed_publisher(context, secret, messages_kept=321)
        endpoint = bind(public, "tcp://127.0.0.1:0")
        ann, bob = (subscriber(readers, endpoint, server, pair) for pair in (kept, revoked))
        try:
            assert is_heard(public, ann)
            assert is_heard(public, bob)
            keys.discard(revoked.public_key)
            assert is_heard(public, bob)
            public = opened_anew(context, public, secret)
            assert public.getsockopt_string(zmq.LAST_ENDPOINT) == endpoint
            assert public.getsockopt(zmq.SNDHWM) == 321
            assert is_heard(public, ann)
            while bob.poll(0):
                bob.recv()  # what was on its way when the line was cut
            assert not is_heard(public, bob)
        finally:
            for socket in (ann, bob, public):
                socket.close(linger=0)
            guard.stop()
