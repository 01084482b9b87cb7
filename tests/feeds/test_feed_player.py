"""A recording played: in its own time, byte for byte, and with answers as of the moment played."""

from __future__ import annotations

import pytest
import zmq

from feeds.builder import Books, State
from feeds.documents import definitions_of
from feeds.messages import (
    DEFINITIONS,
    DEPTH,
    LEVELS_REFRESH,
    ORDERS_REFRESH,
    TRADES,
    Depth,
    Document,
    Picture,
    read,
    write_ask,
)
from feeds.player import STEP_MAX, Player, answer_all, wait_for_reader
from feeds.recording import Heard
from feeds.records import HEADER, TRADE_PRINT
from feeds.subscriber import Subscriber
from matching.vocabulary import Side
from tests.feeds.flow import SECOND, Venue, order, queues_of, seen, truth
from tests.feeds.taped import definition, taped

REFRESHES = (LEVELS_REFRESH, ORDERS_REFRESH)
AS_OF = slice(24, 40)
"""Where a message names its sequence and time: a player knows those of the instrument's own last message."""


def told_to_all(messages):
    """Return what is published of a recording: all but refreshes, which were said to one reader."""
    return [one.message for one in messages if one.message[:1] not in REFRESHES]


def beat(at, number):
    """Return a heartbeat heard at that second."""
    publisher = Venue(instruments=0).publisher
    return Heard(at * SECOND, [publisher.heartbeat(at) for _ in range(number)][-1])


@pytest.mark.parametrize(("speed", "at"), [(1.0, (0, 1, 3)), (2.0, (0, 0.5, 1.5)), (0.5, (0, 2, 6))])
def test_each_message_comes_when_it_is_due(speed, at):
    recording = [beat(100, 1), beat(101, 2), beat(103, 3)]
    published: list[bytes] = []
    player = Player(recording, published.append, speed)
    clock = 7 * SECOND
    assert player.step(clock) == at[1] * SECOND
    assert player.step(clock + int(at[1] * SECOND) - 1) == 1
    assert len(published) == 1
    assert player.step(clock + int(at[1] * SECOND)) == (at[2] - at[1]) * SECOND
    assert player.step(clock + int(at[2] * SECOND)) is None
    assert published == [one.message for one in recording]


def test_at_speed_0_nothing_waits_and_who_asks_is_answered_between(seed):
    recording = taped(seed, 900).messages
    published: list[bytes] = []
    player = Player(recording, published.append, 0)
    steps = 1
    while (wait := player.step(0)) is not None:
        assert wait == 0
        steps += 1
    assert published == told_to_all(recording)
    assert player.published == len(published)
    assert steps > len(recording) // STEP_MAX > 1


def test_an_empty_recording_is_over_at_once():
    published: list[bytes] = []
    assert Player([], published.append).step(0) is None
    assert published == []


def test_it_answers_what_the_venue_would_have_answered_then(seed):
    """Byte for byte, but for the sequence and time that a quiet instrument is as of."""
    tape = taped(seed)
    moments = iter(tape.moments)
    moment = next(moments)
    heard = 0

    def feed_of(messages):
        """Hand messages over one by one, and compare once all of a batch have been played."""
        nonlocal heard, moment
        for one in messages:
            if heard == moment.heard:
                compare(moment)
                moment = next(moments)
            heard += 1
            yield one

    compared = 0

    def compare(moment):
        nonlocal compared
        for (kind, at), theirs in moment.answers.items():
            ours = player.answer(write_ask(kind, at))
            assert ours is not None
            assert without_when(ours) == without_when(theirs)
            compared += 1

    player = Player([], lambda _: None, 0)
    player = Player(feed_of(tape.messages), lambda _: None, 0)
    while player.step(0) is not None:
        pass
    compare(moment)
    assert compared == 8 * len(tape.moments) > 200


def without_when(message):
    return message[: AS_OF.start] + message[AS_OF.stop :]


def test_a_refresh_names_the_last_message_in_it_though_another_has_named_more(seed):
    """A refresh by orders was heard before the levels that it knows of had come."""
    tape = taped(seed, 40)
    before = read(tape.moments[-1].answers[LEVELS_REFRESH, 1])
    assert isinstance(before, Picture)
    lots = [order(10_000 + at, Side.BUY, 1, 20, instrument=1, group=1) for at in range(3)]
    for one in lots:
        tape.venue.play(one)
    later = tape.venue.publisher.refresh(ORDERS_REFRESH, 1, tape.venue.book)
    picture = answered(play_all([*tape.messages, Heard(tape.messages[-1].at, later)]), LEVELS_REFRESH, 1)
    assert isinstance(picture, Picture)
    assert picture.number == picture.numbers.depth == before.number
    assert picture.numbers.orders > before.numbers.orders


def answered(player, kind, instrument=-1):
    """Return what a player answers, read."""
    answer = player.answer(write_ask(kind, instrument))
    assert answer is not None
    return read(answer)


def play_all(messages, **options):
    player = Player(messages, lambda _: None, 0, **options)
    while player.step(0) is not None:
        pass
    return player


def test_it_answers_with_definitions_as_they_were_last(seed):
    tape = taped(seed, 20)
    changed = tape.venue.publisher.define(
        [definition(0, state="closing"), *(definition(at) for at in (1, 2, 3))]
    )
    player = play_all([*tape.messages, *(Heard(tape.messages[-1].at, one) for one in changed)])
    everything = answered(player, DEFINITIONS)
    one = answered(player, DEFINITIONS, 0)
    assert isinstance(everything, Document)
    assert isinstance(one, Document)
    assert (everything.number, one.number) == (2, 2)
    assert [each.symbol for each in definitions_of(everything)] == ["I0", "I1", "I2", "I3"]
    assert [each.state for each in definitions_of(one)] == ["closing"]
    assert player.answer(write_ask(DEFINITIONS, 9)) is None


@pytest.mark.parametrize(
    "asked", [b"", b"hello", write_ask(LEVELS_REFRESH, 77), write_ask(ORDERS_REFRESH, -1)]
)
def test_what_is_no_request_or_not_recorded_is_not_answered(seed, asked):
    assert play_all(taped(seed, 20).messages).answer(asked) is None


def test_a_book_that_the_recording_has_lost_is_not_shown_until_it_is_whole_again(seed):
    tape = taped(seed)
    depths = [at for at, one in enumerate(tape.messages) if one.message[:1] == DEPTH]
    lost = depths[len(depths) // 2]
    message = read(tape.messages[lost].message)
    assert isinstance(message, Depth)
    instrument = message.instrument
    torn = [one for at, one in enumerate(tape.messages) if at != lost]
    ask = write_ask(LEVELS_REFRESH, instrument)
    assert play_all(torn).answer(ask) is None
    assert play_all(torn).answer(write_ask(ORDERS_REFRESH, instrument)) is not None
    healed = Heard(torn[-1].at, tape.venue.publisher.refresh(LEVELS_REFRESH, instrument, tape.venue.book))
    assert without_when(play_all([*torn, healed]).answer(ask)) == without_when(healed.message)


def follow(messages, orders):
    """Return the books of a reader who hears all that is published, and is answered what he asks."""
    books = Books(range(4), orders=orders)
    heard: list[bytes] = []
    for added in (0, 1):
        player = Player(messages, heard.append, 0, added)
        while player.step(0) is not None:
            pass
        for frame in heard:
            books.take(read(frame), 0)
        for kind, instrument in books.wanting(0):
            books.take(answered(player, kind, instrument), 0)
        heard.clear()
        yield books


@pytest.mark.parametrize("orders", [False, True], ids=["levels", "orders"])
def test_a_second_playing_is_another_run_that_readers_follow(seed, orders):
    tape = taped(seed)
    runs = []
    for books in follow(tape.messages, orders):
        for book in books:
            assert book.state is State.LIVE
            assert seen(book) == truth(tape.venue.book, book.instrument)
        runs.append(books[0].run)
    assert runs == [1, 2]


def test_a_recording_across_a_restart_is_answered_with_the_run_that_is_played(seed):
    tape = taped(seed, 60)
    tape.venue.restart(run=5)
    again = taped(seed + 1, 60, tape.venue)
    player = play_all(tape.messages + again.messages)
    assert answered(player, LEVELS_REFRESH, 2).run == 5
    assert without_when(player.answer(write_ask(LEVELS_REFRESH, 2))) == without_when(
        again.moments[-1].answers[LEVELS_REFRESH, 2]
    )


# --- over real sockets --------------------------------------------------------------------------


@pytest.fixture
def context():
    with zmq.Context() as context:
        yield context


@pytest.mark.parametrize("orders", [False, True], ids=["levels", "orders"])
def test_a_reader_of_a_playing_ends_up_with_the_venues_book(context, seed, orders):
    tape = taped(seed)
    published, refreshes = context.socket(zmq.XPUB), context.socket(zmq.ROUTER)
    for socket in (published, refreshes):
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind("tcp://127.0.0.1:*")
    places = [socket.getsockopt_string(zmq.LAST_ENDPOINT) for socket in (published, refreshes)]
    with Subscriber(context, places[0], places[1], range(4), orders=orders) as feed:
        wait_for_reader(published)
        player = Player(tape.messages, published.send, 0)
        for _ in range(2_000):
            is_over = player.step(0) is None
            answer_all(player, refreshes)
            feed.poll(timeout_ms=10)
            if is_over and all(is_there(book, tape.venue) for book in feed.books):
                break
        for book in feed.books:
            assert book.state is State.LIVE
            assert seen(book) == truth(tape.venue.book, book.instrument)
            if orders:
                queues = queues_of(tape.venue.book, book.instrument)
                assert (
                    tuple([(one[1], one[0], one[2]) for one in book.orders(side)] for side in (0, 1))
                    == queues
                )
    published.close()
    refreshes.close()


def is_there(book, venue):
    return book.state is State.LIVE and seen(book) == truth(venue.book, book.instrument)


def test_trades_beyond_all_bounds_and_runs_at_their_end_stop_no_playing(seed):
    def huge(message):
        head = HEADER.unpack_from(message)
        front = HEADER.pack(*head[:3], 2**63 - 1, *head[4:])
        if message[:1] != TRADES:
            return front + message[HEADER.size :]
        prints = TRADE_PRINT.iter_unpack(message[HEADER.size :])
        return front + b"".join(TRADE_PRINT.pack(*each[:2], 2**62, 2**62, *each[4:]) for each in prints)

    recording = [Heard(at, huge(message)) for at, message in taped(seed).messages]
    player = Player(recording, lambda _: None, 0.0, run_added=1)
    while player.step(0) is not None:
        pass
    answers = [player.answer(write_ask(LEVELS_REFRESH, at)) for at in range(4)]
    pictures = [read(answer) for answer in answers if answer is not None]
    assert {picture.run for picture in pictures} == {-(2**63)}
    assert any(isinstance(picture, Picture) and picture.last_trade for picture in pictures)
