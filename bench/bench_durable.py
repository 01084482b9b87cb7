"""Durable, authenticated, end to end: answered orders a second, beside a bare durable CURVE echo."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq

from exchange.config import Settings, ThrottleSettings
from exchange.profiles import load_profile
from exchange.protocol.acts import Admit
from exchange.protocol.messages import ANSWERS, Heartbeat, Logon, Welcome, encode
from exchange.protocol.records import COMMAND_STRUCT, REPORT_STRUCT, Command
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import MILLION_YUAN, standard_acts, voucher
from exchange.server.supervisor import Supervisor
from exchange.server.warm import warm_up
from matching.vocabulary import CommandKind, EventKind, Side, TimeInForce

ORDERS = {1: 200_000, 64: 500_032}
"""By how many a message has; half of them warm up."""

IN_FLIGHT = {1: 1024, 64: 512}
"""Messages without an answer, likewise: with few, frames are small, and their syncs dear."""

PATIENCE_MS = 20_000
FIRM = "BENCH"
UNTHROTTLED = ThrottleSettings(orders_per_second=10**7, orders_burst=10**7)


def dealer(context, endpoint, server_key, public, secret):
    """Return a member's bare socket."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 100_000)
    socket.setsockopt(zmq.RCVHWM, 100_000)
    socket.setsockopt(zmq.CURVE_SERVERKEY, server_key.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, secret.encode())
    socket.connect(endpoint)
    return socket


def logged_on(context, profile):
    """Return a member's bare socket, with a session on it."""
    keys = (profile.server_key, profile.public_key, profile.secret_key)
    socket = dealer(context, profile.endpoints.orders, *keys)
    socket.send(encode(Logon(1)))
    assert socket.poll(PATIENCE_MS), "the venue did not answer the logon"
    assert isinstance(ANSWERS.decode(socket.recv()[1:]), Welcome)
    return socket


def frames(count, a_message, start):
    """Return messages of `a_message` new orders each, deep bids of one lot that never trade."""
    now = time.time_ns()
    packed = [
        COMMAND_STRUCT.pack(
            *Command(
                kind=CommandKind.NEW,
                side=Side.BUY,
                time_in_force=TimeInForce.DAY,
                instrument=number % 100,
                client_id=f"b-{start + number}".encode(),
                price=1_000_000 // 1_000 * 1_000,
                quantity=1,
                sent_at=now + number,
            )
        )
        for number in range(count)
    ]
    return [b"C" + b"".join(packed[at : at + a_message]) for at in range(0, count, a_message)]


def pump(socket, messages, orders, a_message, answers_in):
    """Send with a bounded number of orders unanswered; return seconds until all `orders` are answered."""
    window = IN_FLIGHT[a_message] * a_message
    began = time.perf_counter()
    sent = answered = 0
    while answered < orders:
        while sent < len(messages) and sent * a_message - answered < window:
            socket.send(messages[sent])
            sent += 1
        assert socket.poll(PATIENCE_MS), f"{answered} of {orders} answered, then silence"
        answered += answers_in(socket.recv())
        while True:
            try:
                answered += answers_in(socket.recv(zmq.NOBLOCK))
            except zmq.Again:
                break
    return time.perf_counter() - began


def bare_seconds(folder, messages):
    """Return how long the bare echo takes for `messages`."""
    server = zmq.curve_keypair()
    own = zmq.curve_keypair()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare_echo", str(folder / "echo"), server[1].decode()],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        endpoint = process.stdout.readline().strip()
        with zmq.Context() as context:
            keys = (server[0].decode(), own[0].decode(), own[1].decode())
            socket = dealer(context, endpoint, *keys)
            warm = messages[: IN_FLIGHT[1]]
            pump(socket, warm, len(warm), 1, lambda _: 1)
            seconds = pump(socket, messages, len(messages), 1, lambda _: 1)
            socket.close()
        return seconds
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("a_message", [1, 64])
def bench_durable(benchmark, tmp_path: Path, a_message):
    """A venue, its followers running; one member with 1,024 single orders or 512 messages of 64 in flight."""
    warm_up()
    folder = Folder(tmp_path / "venue")
    firm = Admit(member=FIRM, role="firm", size="small", open_orders_max=10**9)
    keys = [new_key_pair(FIRM)]
    folder.found(standard_acts([(firm, 10**8 * MILLION_YUAN // 10**4)], keys, [voucher(2026)]), keys)
    supervisor = Supervisor(folder, Settings(throttle=UNTHROTTLED), told=print)
    messages = frames(ORDERS[a_message], a_message, 0)
    half = len(messages) // 2
    orders = ORDERS[a_message] - half * a_message
    refused = []

    def answers_in(body):
        if body[:1] != b"R":
            assert isinstance(ANSWERS.decode(body[1:]), Heartbeat), body[:200]
            return 0
        kinds = body[1 :: REPORT_STRUCT.size]
        refused.append(kinds.count(EventKind.REJECTED))
        return kinds.count(EventKind.ACCEPTED) + refused[-1]

    try:
        supervisor.start()
        profile = load_profile(folder.profile(FIRM))
        with zmq.Context() as context:
            socket = logged_on(context, profile)
            pump(socket, messages[:half], half * a_message, a_message, answers_in)
            arguments = (socket, messages[half:], orders, a_message, answers_in)
            seconds = benchmark.pedantic(pump, args=arguments, rounds=1)
            socket.close()
    finally:
        supervisor.stop()
    rate = orders / seconds
    bare = len(messages[half:]) / bare_seconds(tmp_path, messages[half:])
    benchmark.extra_info.update(
        workload=f"{a_message} orders a message, {IN_FLIGHT[a_message]} messages in flight",
        engine="tokenbourse",
        orders=orders,
        orders_per_second=round(rate),
        bare_echo_messages_per_second=round(bare),
        ratio_to_bare_echo=round(rate / a_message / bare, 3),
        refused=sum(refused),
    )
