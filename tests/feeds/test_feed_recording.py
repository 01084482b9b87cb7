"""Recordings: what was heard is there again, and what is not whole is told with its place."""

from __future__ import annotations

import io
import random
import struct
from contextlib import closing

import pytest
import zmq

from feeds.contents import Contents
from feeds.messages import DEFINITIONS, DEPTH, LEVELS_REFRESH, ORDERS_REFRESH, VERSION
from feeds.recorder import Recorder, UnknownSymbolError
from feeds.recording import DamagedError, Recording, RecordingError, RecordingWriter
from feeds.records import HEADER
from feeds.subscriber import Subscriber
from tests.feeds.flow import SECOND, START, Flow, Venue
from tests.feeds.taped import definition, taped

FRAME = struct.Struct("<qI")
OPENING = b"BOURSEFEED" + struct.pack("<H", VERSION)


def heard(seed, commands=60):
    """Return messages of a small venue, each with when it was heard."""
    venue, flow = Venue(), Flow(seed)
    messages = [venue.publisher.refresh(ORDERS_REFRESH, at, venue.book) for at in venue.instruments]
    for batch in flow.batches(commands):
        messages += venue.play(batch).published
        messages.append(venue.publisher.heartbeat(venue.time))
    return [(START + at * SECOND // 7, message) for at, message in enumerate(messages)]


def write(path, messages):
    with RecordingWriter(path.open("wb")) as writer:
        for at, message in messages:
            writer.write(at, message)
    return writer


def test_what_was_heard_is_read_again_as_often_as_one_likes(tmp_path, seed):
    messages = heard(seed)
    writer = write(tmp_path / "day.feed", messages)
    recording = Recording(tmp_path / "day.feed")
    assert [tuple(one) for one in recording] == messages
    assert [tuple(one) for one in recording] == messages
    assert recording.torn == 0
    assert (writer.frames, writer.bytes) == (len(messages), (tmp_path / "day.feed").stat().st_size)


def test_the_file_is_as_the_manual_says(tmp_path, seed):
    messages = heard(seed, 5)
    write(tmp_path / "day.feed", messages)
    frames = b"".join(FRAME.pack(at, len(message)) + message for at, message in messages)
    assert (tmp_path / "day.feed").read_bytes() == OPENING + frames


def test_a_clock_that_is_set_back_stands_still(tmp_path, seed):
    message = heard(seed, 1)[0][1]
    write(tmp_path / "day.feed", [(START, message), (START - 5, message), (START + 1, message)])
    assert [at for at, _ in Recording(tmp_path / "day.feed")] == [START, START, START + 1]


class Slow(io.BytesIO):
    """A file that counts how often it was handed to the system."""

    flushes = 0

    def flush(self):
        self.flushes += 1
        super().flush()


def test_what_was_heard_is_handed_over_each_second(seed):
    file, message = Slow(), heard(seed, 1)[0][1]
    writer = RecordingWriter(file)
    opened = file.flushes
    for tenth in range(35):
        writer.write(START + tenth * SECOND // 10, message)
    assert file.flushes - opened == 4


def test_a_torn_end_is_left_out_wherever_it_is_torn(tmp_path, seed):
    messages = heard(seed, 8)
    path = tmp_path / "day.feed"
    write(path, messages)
    whole = path.read_bytes()
    last = len(whole) - FRAME.size - len(messages[-1][1])
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        recording = Recording(path)
        assert [tuple(one) for one in recording] == messages[:-1]
        assert recording.torn == cut - last


def test_damage_in_the_middle_is_told_with_its_byte(tmp_path, seed):
    """A flipped bit of a frame's length, or of its message's version or count, is always found."""
    messages = heard(seed, 30)
    path = tmp_path / "day.feed"
    write(path, messages)
    whole, chance = path.read_bytes(), random.Random(seed)
    starts = [len(OPENING)]
    for _, message in messages:
        starts.append(starts[-1] + FRAME.size + len(message))
    for _ in range(300):
        nth = chance.randrange(len(messages) - 1)
        at = starts[nth] + chance.choice([8, 9, 10, 11, 17, *range(12 + HEADER.size - 8, 12 + HEADER.size)])
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :])
        found: list[tuple[int, bytes]] = []
        with pytest.raises(DamagedError) as told:
            found.extend((at, message) for at, message in Recording(path))
        assert found == messages[:nth]
        assert f"the {starts[nth]:,} bytes before its frame are whole" in str(told.value)


def test_a_frame_heard_before_the_one_in_front_is_damage(tmp_path, seed):
    message = heard(seed, 1)[0][1]
    frames = FRAME.pack(START, len(message)) + message + FRAME.pack(START - 1, len(message)) + message
    (tmp_path / "day.feed").write_bytes(OPENING + frames)
    with pytest.raises(DamagedError, match="before the one in front of it"):
        list(Recording(tmp_path / "day.feed"))


@pytest.mark.parametrize(
    ("opening", "told"),
    [
        (b"PAR1 and more", "no recording of the feed; `bourse feed record` makes one"),
        (b"", "no recording of the feed"),
        (OPENING[:11], "ends within its first 12 bytes; nothing was recorded, record again"),
        (b"BOURSEFEED\x02\x00", "of version 2 of the feed, and this release reads 3; use the release"),
    ],
)
def test_another_file_is_refused_with_the_remedy(tmp_path, opening, told):
    (tmp_path / "day.feed").write_bytes(opening)
    with pytest.raises(RecordingError, match=told):
        Recording(tmp_path / "day.feed")


# --- the recorder, over real sockets ------------------------------------------------------------

TURNS_MAX = 2_000
"""A turn waits at most 10 ms, so that a test that cannot pass ends all the same."""


class Edge:
    """A venue's two sockets, on ports of the system's."""

    def __init__(self, context, venue):
        self.venue = venue
        self.published, self.refreshes = context.socket(zmq.PUB), context.socket(zmq.ROUTER)
        for socket in (self.published, self.refreshes):
            socket.setsockopt(zmq.LINGER, 0)
            socket.bind("tcp://127.0.0.1:*")

    def reader(self, context, **how):
        sockets = (self.published, self.refreshes)
        places = (socket.getsockopt_string(zmq.LAST_ENDPOINT) for socket in sockets)
        return Subscriber(context, *places, **how)

    def send(self, messages):
        for message in messages:
            self.published.send(message)

    def answer(self):
        while self.refreshes.poll(0):
            who, asked = self.refreshes.recv_multipart()
            self.refreshes.send_multipart([who, self.venue.publisher.answer(asked, self.venue.book)])

    def close(self):
        self.published.close()
        self.refreshes.close()


@pytest.fixture
def context():
    with zmq.Context() as context:
        yield context


def record(context, path, seed, *, lose=(), **options):
    """Record a venue that loses the messages of topic D with those numbers; return recorder and venue."""
    venue, flow = Venue(), Flow(seed)
    venue.publisher.define([definition(at) for at in venue.instruments])
    published = 0
    with (
        closing(Edge(context, venue)) as edge,
        RecordingWriter(path.open("wb")) as writer,
        edge.reader(context) as feed,
    ):
        recorder = Recorder(feed, writer, lambda: venue.time, **options)
        for turn in range(TURNS_MAX):
            if recorder.is_whole and published < 60:
                messages = venue.play(flow.commands(5), SECOND // 2).published
                edge.send([one for one in messages if number_of(one) not in lose])
                published += 1
            venue.time += SECOND // 10
            edge.send([venue.publisher.heartbeat(venue.time)])
            edge.answer()
            recorder.poll(10)
            has_all = all(book.sequence == venue.sequence for book in feed.books)
            if published == 60 and recorder.is_whole and has_all and turn % 10 == 9:
                break
        assert published == 60
    return recorder, venue


def number_of(message):
    """Return the number of a message of topic D, of any instrument."""
    return HEADER.unpack_from(message)[4] if message[:1] == DEPTH else None


def contents_of(path):
    contents = Contents()
    for at, message in Recording(path):
        contents.take(at, message)
    return contents


def test_a_recorder_begins_with_definitions_and_refreshes_and_loses_nothing(context, tmp_path, seed):
    recorder, venue = record(context, tmp_path / "day.feed", seed)
    contents = contents_of(tmp_path / "day.feed")
    assert dict(contents.messages) == dict(recorder.kinds)
    assert contents.missing() == {}
    assert (recorder.gaps, recorder.trades_missed) == (0, 0)
    assert all(contents.messages[kind] >= least for kind, least in (("N", 1), ("R", 4), ("L", 4)))
    assert sum(contents.trades.values()) == venue.trades > 0
    assert [one.symbol for one in contents.definitions.values()] == ["I0", "I1", "I2", "I3"]


def test_what_is_lost_is_counted_and_asked_for_again(context, tmp_path, seed):
    recorder, _ = record(context, tmp_path / "day.feed", seed, lose=(5, 9))
    contents = contents_of(tmp_path / "day.feed")
    assert recorder.gaps >= 2
    assert contents.missing() == {"D": 8}
    assert contents.messages[LEVELS_REFRESH.decode()] >= 6


def test_the_last_message_of_a_topic_is_missed_by_the_heartbeat_behind_it(seed):
    messages = taped(seed, 60).messages
    lost = max(at for at, one in enumerate(messages) if one.message[:1] == DEPTH)
    contents = Contents()
    for at, one in enumerate(messages):
        if at != lost:
            contents.take(*one)
    assert contents.missing() == {"D": 1}


def test_without_orders_there_are_levels_alone(context, tmp_path, seed):
    record(context, tmp_path / "day.feed", seed, orders=False)
    kinds = contents_of(tmp_path / "day.feed").messages
    assert kinds["D"] > 0
    assert kinds["O"] == kinds["L"] == 0


def test_one_instrument_alone_is_recorded(context, tmp_path, seed):
    record(context, tmp_path / "day.feed", seed, symbols=["I2"])
    assert set(+contents_of(tmp_path / "day.feed").by_instrument) == {2}


def test_a_name_that_nobody_lists_is_told(context, tmp_path, seed):
    with pytest.raises(UnknownSymbolError, match="J3: no such instrument; the nearest is I3"):
        record(context, tmp_path / "day.feed", seed, symbols=["I2", "J3"])


def test_what_changes_before_all_is_told_does_not_hide_the_others(context, tmp_path):
    venue = Venue()
    venue.publisher.define([definition(0), definition(1)])
    with (
        closing(Edge(context, venue)) as edge,
        RecordingWriter((tmp_path / "day.feed").open("wb")) as writer,
        edge.reader(context) as feed,
    ):
        recorder = Recorder(feed, writer, lambda: venue.time, symbols=["I0"])
        for turn in range(TURNS_MAX):
            edge.send(venue.publisher.define([definition(1, tick=200 + turn)]))
            recorder.poll(10)
            if recorder.definitions:
                break
        assert set(recorder.definitions) == {1}
        for _ in range(TURNS_MAX):
            edge.answer()
            recorder.poll(10)
            if 0 in recorder.definitions:
                break
    assert set(recorder.definitions) == {0, 1}


def test_a_definition_that_comes_later_is_followed(context, tmp_path, seed):
    venue = Venue()
    venue.publisher.define([definition(0)])
    with (
        closing(Edge(context, venue)) as edge,
        RecordingWriter((tmp_path / "day.feed").open("wb")) as writer,
        edge.reader(context, clock=lambda: 0) as feed,
    ):
        recorder = Recorder(feed, writer, lambda: venue.time)
        for _ in range(TURNS_MAX):
            edge.answer()
            recorder.poll(10)
            if recorder.is_whole:
                break
        edge.send(venue.publisher.define([definition(0), definition(1)]))
        for _ in range(TURNS_MAX):
            venue.time += SECOND
            edge.answer()
            recorder.poll(10)
            if recorder.is_whole and recorder.kinds["R"] >= 2:
                break
    assert recorder.kinds[DEFINITIONS.decode()] == 2
    assert set(recorder.definitions) == {0, 1}
    assert set(+contents_of(tmp_path / "day.feed").by_instrument) == {0, 1}
