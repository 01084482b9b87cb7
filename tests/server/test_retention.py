"""What of a journal may go, what is said of what is left, and who takes the snapshots that let it go."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

import duckdb
import pytest
import zmq
from click.testing import CliRunner

from exchange.cli import bourse
from exchange.cli.base import EXIT_DAMAGED
from exchange.config import Endpoints, JournalSettings, Settings, SnapshotSettings
from exchange.server import warm
from exchange.server.audit import verify
from exchange.server.folder import Folder
from exchange.server.follower import Commit, Follower, encode_commit
from exchange.server.journal import DISK, Journal, JournalDamaged, JournalLocked
from exchange.server.process import Stop
from exchange.server.reading import segment_numbers
from exchange.server.rebuild import settle
from exchange.server.replay import ReplayParted, beginning, earliest, entered_orders, recover
from exchange.server.retention import begins_late, let_go
from exchange.server.run_snapshot import run, take_beside, take_of_stopped
from exchange.server.settler import Settler
from exchange.server.snapshots import load, newest, save, sequences, snapshot_name
from exchange.server.sockets import bind
from exchange.server.taking import SNAPSHOT, Taking
from settlement.compare import differences
from settlement.store import Store
from tests.journal.world import Written, engine_after, state_of, tape, write
from tests.server.venue import replayed

TAPE = tape(11, 160)
MIDDLE, LATE = 4, 7
KEEP_ONE = Settings(snapshots=SnapshotSettings(keep=1), journal=JournalSettings(keep_segments=1))


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> tuple[Folder, Written]:
    """Return the folder that the others are copies of, and what it came to."""
    folder = Folder(tmp_path_factory.mktemp("master") / "venue")
    folder.found((), [])
    return folder, write(folder.journal, TAPE)


@pytest.fixture(scope="module")
def truth(master) -> Written:
    return master[1]


@pytest.fixture
def folder(tmp_path, master) -> Folder:
    """Return a stopped venue's folder; no snapshot was taken of it yet, and it has no store."""
    return copy_of(master[0], tmp_path)


def copy_of(folder: Folder, place: Path) -> Folder:
    shutil.copytree(folder.root, place / "venue")
    return Folder(place / "venue")


engine_at = cache(lambda frames: engine_after(TAPE[:frames]))


def snapshot_at(folder: Folder, truth: Written, frames: int) -> None:
    save(folder.snapshots, engine_at(frames), truth.marks[frames])


def settled_to(folder: Folder, truth: Written, frames: int, begun_at: int | None = 0) -> Settler:
    """Bring the folder's store to the end of a frame; return its settler, the store open."""
    begun = beginning(folder.journal, folder.snapshots, begun_at)
    settler = Settler(
        Follower(folder.journal, begun),
        Store.open(folder.settlement),
        lambda sequence: folder.write_watermark("settlement", sequence),
        reconcile_flushes=1,
    )
    mark = truth.marks[frames]
    settler.settle(Commit(mark.sequence, mark.position))
    settler.flush()
    return settler


# --- letting go ----------------------------------------------------------------------------------


def numbers(folder: Folder) -> list[int]:
    return segment_numbers(DISK, folder.journal)


def test_segments_behind_the_oldest_snapshot_go_and_as_many_as_wanted_stay(folder, truth):
    oldest, end = truth.marks[LATE], truth.marks[-1].sequence
    last = numbers(folder)[-1]
    assert oldest.position.segment == 5
    assert let_go(folder.journal, oldest, end, 0) == [], "0 keeps all"
    assert let_go(folder.journal, oldest, end, 9) == []
    assert let_go(folder.journal, oldest, end, 3) == [1]
    assert let_go(folder.journal, oldest, end, 1) == [2, 3]
    assert let_go(folder.journal, oldest, end, 1) == []
    assert numbers(folder) == [*range(4, last + 1)]
    snapshot_at(folder, truth, LATE)
    engine, journal, _ = recover(folder.journal, folder.snapshots, end)
    journal.close()
    assert state_of(engine) == truth.states[-1]


def test_while_a_follower_has_not_passed_the_oldest_snapshot_nothing_goes(folder, truth):
    oldest = truth.marks[LATE]
    assert let_go(folder.journal, oldest, oldest.sequence - 1, 1) == []
    assert not begins_late(folder.journal)
    assert let_go(folder.journal, oldest, oldest.sequence, 1) == [1, 2, 3]
    assert begins_late(folder.journal)


def test_all_followers_count(tmp_path):
    folder = Folder(tmp_path)
    folder.found((), [])
    assert (folder.passed_by_all(), folder.passed()) == (0, 0)
    folder.write_watermark("settlement", 70)
    folder.write_watermark("standby", 30)
    assert (folder.passed_by_all(), folder.passed()) == (30, 70)
    (folder.watermarks / "half").write_bytes(b"123")
    assert (folder.passed_by_all(), folder.passed()) == (30, 70)


# --- a snapshot of a venue that is stopped -------------------------------------------------------


def test_a_snapshot_is_taken_and_what_it_makes_needless_goes(folder, truth):
    end = truth.marks[-1]
    for frames in (2, MIDDLE):
        snapshot_at(folder, truth, frames)
    folder.write_watermark("settlement", end.sequence)
    folder.settlement.touch()
    seen: list[int] = []
    taken = take_of_stopped(folder, KEEP_ONE, seen.append)
    assert (taken.sequence, taken.state_hash) == truth.states[-1]
    assert seen == [*range(1, len(TAPE) - MIDDLE + 1)], "what the newest had already was not replayed"
    assert taken.snapshots_taken_away == 2
    assert taken.segments_let_go == [*range(1, end.position.segment - 1)]
    assert taken.told == []
    assert sequences(folder.snapshots) == [end.sequence]
    assert load(folder.snapshots / snapshot_name(end.sequence)).mark == end
    engine, journal, _ = recover(folder.journal, folder.snapshots, folder.passed())
    assert (state_of(engine), journal.mark) == (truth.states[-1], end)
    journal.close()


def test_nothing_goes_while_the_store_is_to_be_made_anew(folder, truth):
    folder.write_watermark("settlement", truth.marks[-1].sequence)
    assert not folder.settlement.exists()
    assert take_of_stopped(folder, KEEP_ONE).segments_let_go == []


def test_by_default_the_whole_journal_stays(folder, truth):
    before = numbers(folder)
    folder.write_watermark("settlement", truth.marks[-1].sequence)
    assert take_of_stopped(folder, Settings()).segments_let_go == []
    assert numbers(folder) == before
    assert take_of_stopped(folder, Settings()).sequence == truth.marks[-1].sequence, "twice is no harm"


def test_no_snapshot_is_taken_of_a_journal_that_somebody_writes(folder):
    journal = Journal.open(folder.journal)
    with pytest.raises(JournalLocked):
        take_of_stopped(folder, Settings())
    journal.close()
    assert sequences(folder.snapshots) == []


def test_a_damaged_snapshot_is_told_and_stays(folder, truth):
    snapshot_at(folder, truth, MIDDLE)
    path = folder.snapshots / snapshot_name(truth.marks[MIDDLE].sequence)
    path.write_bytes(path.read_bytes()[:-1])
    taken = take_of_stopped(folder, KEEP_ONE)
    assert path.exists()
    assert [path.name in line for line in taken.told] == [True, True], "when it was to be used, and when kept"


class Announcing(Stop):
    """Stands for the signal to end: whoever looks at it hears how far the journal is synced."""

    def __init__(self, socket: zmq.Socket[bytes], commit: Commit, looks_max: int = 10**9) -> None:
        self._socket = socket
        self._commit = commit
        self._looks_left = looks_max

    def is_set(self) -> bool:
        self._socket.send(encode_commit(self._commit))
        self._looks_left -= 1
        return self._looks_left < 0


class Never(Stop):
    """Nobody tells it to end."""

    def __init__(self) -> None:
        pass

    def is_set(self) -> bool:
        return False


@pytest.fixture
def announce():
    """Yield a venue's commits on this machine, and settings that say where."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        endpoint = bind(socket, "tcp://127.0.0.1:0")
        yield socket, Settings(listen=Endpoints(commits=endpoint), snapshots=SnapshotSettings(keep=2))


def test_beside_a_running_venue_a_snapshot_is_taken_of_what_is_synced(folder, truth, announce):
    socket, settings = announce
    snapshot_at(folder, truth, MIDDLE)
    journal = Journal.open(folder.journal)
    mark = truth.marks[LATE]
    run(folder, settings, Announcing(socket, Commit(mark.sequence, mark.position)))
    journal.close()
    assert sequences(folder.snapshots) == [truth.marks[MIDDLE].sequence, mark.sequence]
    begun = newest(folder.snapshots)
    assert (state_of(begun.engine), begun.mark) == (truth.states[LATE], mark)


def test_a_snapshot_is_given_up_when_the_venue_ends(folder, truth, announce):
    socket, settings = announce
    commit = Commit(truth.marks[-1].sequence, truth.marks[-1].position)
    with pytest.raises(SystemExit):
        take_beside(folder, settings, Announcing(socket, commit, 0))
    assert sequences(folder.snapshots) == []


def test_without_a_venue_to_hear_of_the_stopped_one_is_recovered(folder, truth):
    run(folder, Settings(), Never())
    assert sequences(folder.snapshots) == [truth.marks[-1].sequence]


# --- what is left --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def late_master(master, tmp_path_factory) -> Folder:
    folder = copy_of(master[0], tmp_path_factory.mktemp("late"))
    settled_to(folder, master[1], len(TAPE) - 1).store.close()
    for frames in (MIDDLE, LATE):
        snapshot_at(folder, master[1], frames)
    assert let_go(folder.journal, master[1].marks[MIDDLE], folder.passed_by_all(), 1) != []
    return folder


@pytest.fixture
def late(late_master, tmp_path) -> Folder:
    """Return a folder whose journal begins late, with a store settled one frame before the end."""
    return copy_of(late_master, tmp_path)


def test_a_replay_begins_at_the_oldest_snapshot_and_says_so(late, truth):
    begun = earliest(late.journal, late.snapshots)
    assert begun.mark == truth.marks[MIDDLE]
    assert begun.told == (
        f"Replayed from the snapshot of sequence {truth.marks[MIDDLE].sequence}; "
        "what lies before it is no longer here, or was not read.",
    )
    assert state_of(replayed(late.journal, begun=begun)) == truth.states[-1]


def test_a_whole_journal_is_replayed_from_its_beginning_whatever_snapshots_there_are(folder, truth):
    snapshot_at(folder, truth, MIDDLE)
    begun = earliest(folder.journal, folder.snapshots)
    assert (begun.mark.sequence, begun.told) == (0, ())
    assert state_of(replayed(folder.journal, begun=begun)) == truth.states[-1]


def test_orders_that_entered_are_known_from_the_snapshot_on(folder, truth):
    snapshot_at(folder, truth, MIDDLE)
    all_of = entered_orders(folder.journal)
    begun = newest(folder.snapshots)
    some = entered_orders(folder.journal, begun)
    assert some == {order: name for order, name in all_of.items() if order > truth.marks[MIDDLE].sequence}
    assert len(all_of) > len(some) > 0


def test_what_is_left_is_verified(late, truth):
    verdict = verify(late)
    assert verdict.differences == []
    assert (verdict.commands, verdict.state_hash) == truth.states[-1]
    assert verdict.head == truth.marks[-1].digest.hex()
    assert verdict.frames == len(TAPE)
    assert [line.startswith("Replayed from the snapshot of sequence") for line in verdict.told] == [True]


def test_a_store_that_differs_is_found_though_it_cannot_be_made_anew(late):
    with duckdb.connect(str(late.settlement)) as connection:
        connection.execute(
            "update base.postings set amount = amount + 1"
            " where sequence = (select max(sequence) from base.postings)"
        )
    wrong = verify(late).differences
    assert any("in memory" in line and "by the postings" in line for line in wrong)


def test_a_store_of_another_journal_is_found(late):
    with duckdb.connect(str(late.settlement)) as connection:
        connection.execute("update base.watermark set digest = repeat('x', 32)::blob")
    assert any("made from another journal" in line for line in verify(late).differences)


def test_damage_in_what_is_left_is_found(late, truth):
    mark = truth.marks[LATE]
    path = late.journal / f"{mark.position.segment:06d}.journal"
    data = bytearray(path.read_bytes())
    data[mark.position.offset - 1] ^= 1
    path.write_bytes(data)
    verdict = verify(late)
    assert any("damaged" in line for line in verdict.differences)


def test_without_any_snapshot_what_is_left_cannot_be_verified(late):
    for sequence in sequences(late.snapshots):
        (late.snapshots / snapshot_name(sequence)).unlink()
    (wrong, *_) = verify(late).differences
    assert "its first segments were let go, and no snapshot can be used" in wrong


def test_a_store_is_brought_to_the_end_from_a_snapshot(late, truth):
    made = settle(late, lambda _: None, is_anew=False, is_checked=True)
    assert (made.commands, made.differences, made.told) == (truth.marks[-1].sequence, [], [])
    assert verify(late).differences == []


def test_a_store_cannot_be_made_anew_and_the_old_one_stays(late):
    before = late.settlement.read_bytes()
    with pytest.raises(
        ReplayParted, match="cannot be made anew, for the journal's first segments were let go"
    ):
        settle(late, lambda _: None, is_anew=True, is_checked=False)
    assert late.settlement.read_bytes() == before
    late.settlement.unlink()
    with pytest.raises(JournalDamaged, match="no snapshot up to sequence 0 can be used"):
        settle(late, lambda _: None, is_anew=False, is_checked=False)


# --- a store that begins at a snapshot -----------------------------------------------------------


def test_a_store_settled_from_a_snapshot_equals_one_settled_from_the_beginning(folder, truth):
    settled_to(folder, truth, LATE).store.close()
    snapshot_at(folder, truth, MIDDLE)
    settler = settled_to(folder, truth, len(TAPE), begun_at=truth.marks[LATE].sequence)
    assert settler.follower.snapshot == truth.marks[MIDDLE].sequence
    assert settler.unreconciled() == []
    whole = Settler(Follower(folder.journal), Store.open(None))
    whole.settle_all()
    assert differences(whole.store, settler.store) == []
    assert settler.store.watermark == whole.store.watermark
    settler.store.close()


def test_a_store_that_stands_at_the_snapshot_is_held_against_its_digest(folder, truth):
    settled_to(folder, truth, MIDDLE).store.close()
    snapshot_at(folder, truth, MIDDLE)
    store = Store.open(folder.settlement)
    Settler(Follower(folder.journal, newest(folder.snapshots)), store)
    store.close()
    with duckdb.connect(str(folder.settlement)) as connection:
        connection.execute("update base.watermark set digest = repeat('x', 32)::blob")
    store = Store.open(folder.settlement)
    with pytest.raises(ReplayParted, match="made from another journal"):
        Settler(Follower(folder.journal, newest(folder.snapshots)), store)
    store.close()


def test_a_replica_that_begins_behind_the_store_is_refused(folder, truth):
    snapshot_at(folder, truth, MIDDLE)
    with pytest.raises(ReplayParted, match="what lies between would be left out"):
        Settler(Follower(folder.journal, newest(folder.snapshots)), Store.open(None))


# --- when snapshots are taken --------------------------------------------------------------------


class Process:
    """Stands for a process."""

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.stdout = None
        self.killed = False

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.killed = True

    def wait(self) -> None:
        assert self.killed


class Begun:
    """Remembers what was begun; fails if it is told to."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self.fails = False

    def __call__(self, folder: Folder, role: str, settings: Settings) -> subprocess.Popen[str]:
        assert role == SNAPSHOT
        if self.fails:
            raise OSError("no more processes")
        self.processes.append(Process())
        return self.processes[-1]  # type: ignore[return-value]


EVERY = Settings(snapshots=SnapshotSettings(every_commands=1_000))


@pytest.fixture
def taking(tmp_path):
    """Yield what takes snapshots, how far the settlement is told to be, what was begun and what was told."""
    folder = Folder(tmp_path / "venue")
    folder.found((), [])
    begun, told = Begun(), list[str]()
    one = Taking(folder, told.append, begun)

    def at(sequence: int, settings: Settings = EVERY) -> int:
        folder.write_watermark("settlement", sequence)
        one.look_after(settings)
        return len(begun.processes)

    return one, at, begun, told, folder


def test_a_snapshot_is_begun_when_the_journal_has_grown_enough(taking):
    _, at, begun, told, folder = taking
    assert [at(0), at(999), at(1_000), at(1_001), at(5_000)] == [0, 0, 1, 1, 1], "one at a time"
    (folder.snapshots / snapshot_name(1_000)).write_bytes(b"")
    begun.processes[0].returncode = 0
    assert [at(5_001), at(5_002)] == [2, 2]
    (folder.snapshots / snapshot_name(5_001)).write_bytes(b"")
    begun.processes[1].returncode = 0
    assert [at(6_000), at(6_001)] == [2, 3]
    assert told == []


def test_none_is_begun_where_none_are_wanted(taking):
    _, at, *_ = taking
    assert at(10**9, Settings(snapshots=SnapshotSettings(every_commands=0))) == 0


def test_a_process_that_fails_is_told_once_and_tried_again_later(taking):
    _, at, begun, told, _ = taking
    assert at(1_000) == 1
    begun.processes[0].returncode = 3
    assert [at(1_001), at(1_999), at(2_000)] == [1, 1, 2]
    assert len(told) == 1
    assert "its process ended with code 3; see" in told[0]


def test_a_process_that_cannot_be_begun_is_told_and_tried_again_later(taking):
    _, at, begun, told, _ = taking
    begun.fails = True
    assert [at(1_000), at(1_500)] == [0, 0]
    assert told == ["no snapshot could be begun: no more processes"]
    begun.fails = False
    assert at(2_000) == 1


def test_a_process_is_ended_with_the_venue(taking):
    one, at, begun, told, _ = taking
    one.stop()
    at(1_000)
    one.stop()
    assert begun.processes[0].killed
    assert (one.process, told) == (None, [])


# --- from a shell --------------------------------------------------------------------------------


@pytest.fixture
def call(monkeypatch):
    """Return what calls `bourse` in this process, whose kernels are ready, and returns code and output."""
    monkeypatch.setattr(warm, "warm_up", lambda: None)

    def call_it(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(bourse, arguments)
        return done.exit_code, done.output

    return call_it


def test_bourse_snapshot_takes_one_of_a_stopped_venue(call, folder, truth):
    code, told = call("snapshot", str(folder.root), "--json")
    facts = json.loads(told)
    assert (code, facts["sequence"]) == (0, truth.marks[-1].sequence)
    assert facts["state_hash"] == f"{truth.states[-1].state_hash:016x}"
    assert facts["bytes"] == (folder.snapshots / snapshot_name(facts["sequence"])).stat().st_size
    code, told = call("snapshot", str(folder.root))
    assert code == 0
    assert f"sequence {facts['sequence']}, {facts['bytes']:,} bytes, state {facts['state_hash']}" in told


def test_bourse_snapshot_says_why_it_takes_none(call, folder, tmp_path):
    assert "no venue has been founded here" in call("snapshot", str(tmp_path / "nowhere"))[1]
    journal = Journal.open(folder.journal)
    code, told = call("snapshot", str(folder.root))
    journal.close()
    assert code == 2
    assert "the venue runs, and takes snapshots by itself; stop it to take one now" in told
    first = folder.journal / "000001.journal"
    first.write_bytes(b"?" + first.read_bytes()[1:])
    code, told = call("snapshot", str(folder.root))
    assert code == EXIT_DAMAGED
    assert "The journal is damaged" in told
    (folder.root / "venue.toml").write_text("[snapshots]\nkept = 1\n")
    assert call("snapshot", str(folder.root))[0] == 2


def test_bourse_replay_and_verify_say_where_what_is_left_begins(call, late, truth):
    since = truth.marks[MIDDLE].sequence
    code, told = call("replay", str(late.root), "--json")
    facts = json.loads(told)
    assert (code, facts["commands"], facts["since"]) == (0, truth.marks[-1].sequence, since)
    assert facts["state_hash"] == f"{truth.states[-1].state_hash:016x}"
    assert f"Replayed from the snapshot of sequence {since}" in call("replay", str(late.root))[1]
    code, told = call("verify", str(late.root), "--json")
    facts = json.loads(told)
    assert (code, facts["ok"], facts["commands"]) == (0, True, truth.marks[-1].sequence)
    assert facts["told"][0].startswith(f"Replayed from the snapshot of sequence {since}")


def test_bourse_verify_looks_up_the_answers_that_are_left(call, late, truth, tmp_path):
    entered = entered_orders(late.journal, earliest(late.journal, late.snapshots))
    answers = tmp_path / "answers.csv"
    rows = [f"{order},{name},ANN" for order, name in entered.items()]
    answers.write_text("\n".join(["order,client_id,member", "81,long-ago,ANN", *rows]) + "\n")
    code, told = call("verify", str(late.root), "--answers", str(answers))
    assert code == 0
    assert "1 answered orders are older than what is left of the journal" in told
    answers.write_text(f"order,client_id,member\n{truth.marks[-1].sequence},never,ANN\n")
    assert call("verify", str(late.root), "--answers", str(answers))[0] == EXIT_DAMAGED
