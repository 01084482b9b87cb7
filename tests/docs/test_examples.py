"""The examples for strangers do as they say: a recording is read in C, a book kept with pyzmq alone."""

from __future__ import annotations

import ast
import importlib.util
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import zmq

from exchange.reference_feed import CODES, KINDS, PICTURE, feed_header, feed_page, layout, meaning
from feeds import builder, messages
from feeds.messages import Heartbeat, Trades, read, write_ask
from feeds.records import HEADER, Field, packer
from matching.vocabulary import QueueChange, Side
from tests.docs.busy_market import START, Market
from tests.docs.pages import ROOT

EXAMPLES = ROOT / "docs" / "examples"
PLAIN_READER = EXAMPLES / "plain_reader.py"
MANUAL = ROOT / "docs" / "manual" / "market-data.md"
COMPILER = shutil.which("cc")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
PATIENCE_SECONDS = 60

VENUE_PUBLIC, VENUE_SECRET = zmq.curve_keypair()
KEYS = dict(
    zip(("server_key", "public_key", "secret_key"), (VENUE_PUBLIC, *zmq.curve_keypair()), strict=True)
)

needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


def compiled(source: Path, program: Path, *includes: Path) -> Path:
    assert COMPILER is not None
    options = [f"-I{folder}" for folder in includes]
    done = subprocess.run(
        [COMPILER, *STRICT, *options, "-o", program, source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return program


def decoded(program: Path, recording: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, recording], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def decode_feed(tmp_path_factory) -> Path:
    program = tmp_path_factory.mktemp("c") / "decode_feed"
    return compiled(EXAMPLES / "decode_feed.c", program, ROOT / "docs" / "reference")


def everything_published(seed: int) -> list[bytes]:
    """Return some messages of a lively market: told at once, now and then, and to who asked."""
    market = Market(seed)
    published: list[bytes] = []
    for _ in range(60):
        published += market.play(10)
    published += market.publisher.views(messages.FAST_VIEW, market.book, START)
    published += [market.answer(write_ask(wanted, 0)) for wanted in (b"R", b"L")]
    return [*published, market.heartbeat()]


def recorded(frames: list[bytes], path: Path) -> Path:
    """Write a recording as the manual says one is."""
    text = MANUAL.read_text("utf-8")
    assert "the ten bytes `BOURSEFEED`" in text
    with path.open("wb") as file:
        file.write(b"BOURSEFEED" + struct.pack("<H", messages.VERSION))
        for nth, frame in enumerate(frames):
            file.write(struct.pack("<qI", START + nth, len(frame)) + frame)
    return path


def lines_of(frame: bytes) -> list[str]:
    """Return what the C program should print of a message, by `feeds.messages`."""
    message = read(frame)
    kind, count = frame[:1].decode("ascii"), HEADER.unpack_from(frame)[-1]
    instrument = -1 if isinstance(message, Heartbeat) else message.instrument
    lines = [f"{kind} {instrument} {message.number} {message.sequence} {count}"]
    if isinstance(message, Trades):
        lines += [f"  {one.price} {one.quantity} {one.paid}" for one in message.prints]
    return lines


@needs_a_compiler
def test_the_c_program_reads_what_python_reads(decode_feed, tmp_path, seed):
    frames = everything_published(seed)
    told = decoded(decode_feed, recorded(frames, tmp_path / "a.feed"))
    assert told.stdout.splitlines() == [line for frame in frames for line in lines_of(frame)]
    assert (told.returncode, told.stderr) == (0, "")
    assert {frame[:1] for frame in frames} >= {b"T", b"O", b"D", b"Q", b"V", b"R", b"L", b"H"}
    assert any(line.startswith("  ") and not line.endswith(" 0") for line in told.stdout.splitlines())


@needs_a_compiler
def test_the_c_program_says_what_it_cannot_read(decode_feed, tmp_path):
    whole = recorded([Market(1).heartbeat()] * 2, tmp_path / "a.feed").read_bytes()
    for name, data, why in (
        ("other", b"something else", "this is no recording"),
        ("version", whole[:10] + b"\x09\x00" + whole[12:], "a recording of another version"),
        ("torn", whole[:-1], "the last message is torn"),
        ("message", whole[:29] + b"\x02" + whole[30:], "a message of another version"),
        ("long", whole[:20] + b"\xff\xff\xff\xff" + whole[24:], "the file is damaged"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        told = decoded(decode_feed, path)
        assert told.returncode == 1
        assert told.stderr.startswith(f"decode_feed: {why}"), name


def offsets_program(fields: dict[str, tuple[Field, ...]]) -> str:
    """Return a C program that prints each struct's size, each field's offset and size, and the constants."""
    names = [f"FEED_{kind.name}" for kind in KINDS] + [
        "FEED_VERSION",
        "FEED_NO_TAKER",
        "FEED_EVERY_INSTRUMENT",
    ]
    names += [f"FEED_{name}_{code.name}".upper() for codes, name in CODES for code in codes]
    lines = ["#include <stddef.h>", "#include <stdio.h>", '#include "feed.h"', "int main(void) {"]
    for record, ofs in fields.items():
        struct_name = f"struct feed_{record}"
        lines.append(f'printf("{record} %lu\\n", (unsigned long)sizeof({struct_name}));')
        for name, _ in ofs:
            size = f"(unsigned long)sizeof((({struct_name} *)0)->{name})"
            offset = f"(unsigned long)offsetof({struct_name}, {name})"
            lines.append(f'printf("{record}.{name} %lu %lu\\n", {offset}, {size});')
    lines += [f'printf("{name} %d\\n", (int){name});' for name in names]
    return "\n".join([*lines, "return 0; }", ""])


@needs_a_compiler
def test_the_header_has_pythons_offsets_and_constants(tmp_path):
    fields = {record.name: record.fields for record in layout()}
    source = tmp_path / "offsets.c"
    source.write_text(offsets_program(fields), "utf-8")
    program = compiled(source, tmp_path / "offsets", ROOT / "docs" / "reference")
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    expected = []
    for record, ofs in fields.items():
        expected.append(f"{record} {packer(ofs).size}")
        expected += [
            f"{record}.{name} {packer(ofs[:at]).size} {struct.calcsize('<' + code)}"
            for at, (name, code) in enumerate(ofs)
        ]
    expected += [f"FEED_{kind.name} {ord(getattr(messages, kind.name))}" for kind in KINDS]
    expected += [f"FEED_VERSION {messages.VERSION}", "FEED_NO_TAKER 2", "FEED_EVERY_INSTRUMENT -1"]
    expected += [
        f"FEED_{name}_{code.name}".upper() + f" {code.value}" for codes, name in CODES for code in codes
    ]
    assert told == expected


@needs_a_compiler
def test_a_header_with_a_field_left_out_does_not_compile(tmp_path):
    text = feed_header()
    tmp_path.joinpath("feed.h").write_text(text.replace("    int64_t paid; ", "    /* */ ", 1), "utf-8")
    assert tmp_path.joinpath("feed.h").read_text("utf-8") != text
    with pytest.raises(AssertionError, match="feed_trade_print_has_48_bytes"):
        compiled(EXAMPLES / "decode_feed.c", tmp_path / "decode_feed", tmp_path)


def test_the_page_and_the_header_name_every_record_kind_and_field():
    page, header = feed_page(), feed_header()
    kinds = {name for name, value in vars(messages).items() if isinstance(value, bytes) and len(value) == 1}
    assert {kind.name for kind in KINDS} == kinds
    for record in layout():
        assert f"### {record.name}\n" in page
        assert f"struct feed_{record.name} {{" in header
        assert all(meaning(record.name, name) for name, _ in record.fields)
    sizes = {record.name: record.size for record in layout()}
    assert sum(sizes[record] for _, record in PICTURE) == messages.PICTURE_BYTES


def plain_reader() -> ModuleType:
    """Return the plain reader as a module of its own, whose clock stands still at 0."""
    spec = importlib.util.spec_from_file_location("plain_reader", PLAIN_READER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__dict__["time"] = SimpleNamespace(monotonic=lambda: 0.0)
    return module


def test_the_plain_reader_needs_pyzmq_and_nothing_else():
    tree = ast.parse(PLAIN_READER.read_text("utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names == {"zmq"}


def test_each_step_of_the_manual_is_marked_in_the_plain_reader():
    steps = re.findall(r"^(\d)\. ", MANUAL.read_text("utf-8"), re.MULTILINE)
    marked = set(re.findall(r"\[([1-9])\]|Step (\d)", PLAIN_READER.read_text("utf-8")))
    assert steps == list("123456789")
    assert {one or other for one, other in marked} == set(steps)


def steps_of(text: str) -> list[str]:
    """Return the numbered steps of a text, each as its words."""
    steps = re.findall(r"^(\d\. .*\n(?:   .*\n)+|\d\. .*\n)", text, re.MULTILINE)
    return [" ".join(step.split()) for step in steps]


def test_the_builder_has_the_steps_of_the_manual():
    steps = steps_of(MANUAL.read_text("utf-8"))
    assert len(steps) == 9
    assert steps_of(builder.__doc__ or "") == steps


KIND_OF_BOOK = pytest.mark.parametrize("kind", ["Levels", "Orders"])


@KIND_OF_BOOK
def test_whatever_is_lost_doubled_swapped_or_late_the_plain_reader_has_the_book_or_says_gap(kind, seed):
    module, chance, market = plain_reader(), random.Random(seed), Market(seed)
    reader = module.Reader(0, getattr(module, kind))
    late: list[bytes] = []
    answers: deque[tuple[int, bytes]] = deque()
    whole = 0
    for turn in range(700):
        if turn == 400:
            market.restart(run=2)
            late = []
        for message in market.play(1):
            if message[:1] == reader.kind.topic:
                late += [message] * chance.choice([0, *[1] * 9, 2])
        while late and chance.random() < 0.9:
            reader.take(late.pop(chance.choice([0, 0, 0, -1])))
        if chance.random() < (0.5 if reader.wants_refresh() else 0.02):
            answers.append(
                (turn + chance.choice([0, 0, 5, 20]), market.answer(write_ask(reader.kind.refresh, 0)))
            )
        while answers and answers[0][0] <= turn:
            reader.take(answers.popleft()[1])
        if turn % 3 == 0:
            reader.take(market.heartbeat())
            is_level = reader.book is not None and reader.number == market.number(reader.kind.topic)
            assert (reader.state == "LIVE") == is_level
            if is_level:
                assert shown(reader) == market.shown(kind)
                assert not reader.kept
                whole += 1
    assert whole > 20


def shown(reader: SimpleNamespace) -> object:
    """Return of each side what stands at which price, as the reader has it; of orders who is first."""
    return [
        {price: list(at.items()) if isinstance(at, dict) else at for price, at in side.items()}
        for side in reader.book.sides
    ]


def test_an_order_that_is_placed_stands_last_wherever_it_stood_before():
    book = plain_reader().Orders()
    for order, price in ((1, 50), (2, 50), (3, 60), (1, 50), (3, 50), (4, 60)):
        book.apply(order, 9, price, 5, Side.BUY, QueueChange.PLACED)
    book.apply(2, 9, 50, 3, Side.BUY, QueueChange.FILLED)
    book.apply(4, 9, 60, 0, Side.BUY, QueueChange.TAKEN_OFF)
    assert {price: list(queue.items()) for price, queue in book.sides[0].items()} == {
        50: [(2, 3), (1, 5), (3, 5)]
    }


@KIND_OF_BOOK
def test_the_plain_reader_says_stale_after_three_seconds_of_silence(kind, capsys):
    module, market = plain_reader(), Market(1)
    market.play(100)
    reader = module.Reader(0, getattr(module, kind))
    reader.take(market.answer(write_ask(reader.kind.refresh, 0)))
    module.time.monotonic = lambda: 3.0
    reader.look_at_the_clock()
    assert reader.state == "LIVE"
    module.time.monotonic = lambda: 3.1
    reader.look_at_the_clock()
    assert capsys.readouterr().out.splitlines()[-1] == f"STALE {reader.number}"
    reader.take(market.heartbeat())
    assert reader.state == "LIVE"


class Edge:
    """The venue's two sockets, and the plain reader as a process that is connected to them."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], market: Market, options: tuple[str, ...]
    ) -> None:
        self.market = market
        self.public, self.asked = context.socket(zmq.XPUB), context.socket(zmq.ROUTER)
        ends = []
        for socket in (self.public, self.asked):
            if "--keys" in options:
                socket.curve_server, socket.curve_secretkey = True, VENUE_SECRET
            socket.rcvtimeo = PATIENCE_SECONDS * 1000
            ends.append(f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}")
        command = [sys.executable, str(PLAIN_READER), *ends, "0", *options]
        self.reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.patience = threading.Timer(PATIENCE_SECONDS, self.reader.kill)
        self.patience.start()
        self.told: list[str] = []

    def publish(self, messages_: list[bytes]) -> None:
        for message in messages_:
            self.public.send(message)

    def answer(self) -> None:
        """Wait until something is asked for, and answer it."""
        session, request = self.asked.recv_multipart()
        self.asked.send_multipart((session, self.market.answer(request)))

    def until(self, beginning: str) -> None:
        """Wait until the reader has printed a line that begins so."""
        assert self.reader.stdout is not None
        for line in self.reader.stdout:
            self.told.append(line.strip())
            if line.startswith(beginning):
                return
        raise AssertionError(f"{beginning!r} was never printed; {self.told}")

    def close(self) -> int:
        """End the reader as Ctrl-C does; return its code."""
        self.patience.cancel()
        self.reader.send_signal(signal.SIGINT)
        code = self.reader.wait(PATIENCE_SECONDS)
        assert self.reader.stdout is not None
        self.reader.stdout.close()
        self.public.close(linger=0)
        self.asked.close(linger=0)
        return code


@contextmanager
def beside(market: Market, *options: str) -> Iterator[Edge]:
    """Let the plain reader follow a market, from the moment on at which it has subscribed."""
    with zmq.Context() as context:
        edge = Edge(context, market, options)
        try:
            subscribed = {edge.public.recv() for _ in range(2)}
            assert b"\x01H\xff\xff\xff\xff" in subscribed
            yield edge
        finally:
            code = edge.close()
    assert code == 0


@pytest.mark.parametrize(
    ("topic", "options"),
    [(b"D", ()), (b"O", ("--orders",)), (b"D", ("--keys", "profile.toml"))],
    ids=["levels", "orders", "keys"],
)
def test_the_plain_reader_heals_what_it_lost_and_ends_with_the_engines_top(
    topic, options, seed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    profile = "".join(f'{name} = "{key.decode("ascii")}"\n' for name, key in KEYS.items())
    tmp_path.joinpath("profile.toml").write_text(profile, "utf-8")
    market = Market(seed)
    market.play(100)
    with beside(market, *options) as edge:
        edge.answer()
        edge.until("LIVE")
        for _ in range(30):
            edge.publish(market.play(3))
        market.play_until(topic)  # lost, and seen by the next one's number
        edge.publish([market.play_until(topic)])
        edge.until("GAP")
        edge.answer()
        edge.until("RESYNC")
        edge.until("LIVE")
        market.play_until(topic)  # lost, and seen by a heartbeat
        edge.publish([market.heartbeat()])
        edge.until("GAP")
        edge.answer()
        edge.until("LIVE")
        market.restart(run=2)
        edge.publish([*market.play(20), market.heartbeat()])
        edge.until("GAP")
        edge.answer()
        edge.until("LIVE")
        top = market.top()
        while market.top() == top:
            edge.publish([market.play_until(topic)])
        edge.until(f"TOP {market.number(topic)} {market.top()}\n")
