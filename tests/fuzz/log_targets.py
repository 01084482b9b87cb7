"""What lies on the disk of a venue or an auditor: journal, snapshots, recordings, acts, proofs, the log."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import msgspec

from exchange.engine import Engine
from exchange.image import ImageUnfit, form_of, image_of
from exchange.protocol.acts import BlockMember, SignedAct, decode_acts, encode_acts
from exchange.protocol.messages import UNREADABLE
from exchange.protocol.records import COMMAND_STRUCT, Command
from exchange.server import snapshots
from exchange.server.founding import sandbox_firms, standard_acts
from exchange.server.frames import (
    DIGEST_BYTES,
    FRAME_HEADER,
    SEGMENT_HEADER_BYTES,
    START,
    JournalDamaged,
    JournalTorn,
    frame_size,
)
from exchange.server.journal import Journal
from exchange.server.merkle import Proof, faults_of, prove
from exchange.server.reading import Mark, read_frames, segment_name
from exchange.server.security import ChainBroken, SecurityLog, read
from exchange.simulation.faulty_disk import ModelDisk
from feeds.contents import Contents
from feeds.messages import UnreadableError
from feeds.recording import Recording, RecordingError, RecordingWriter
from matching.vocabulary import CommandKind
from tests.feeds.taped import taped
from tests.fuzz.target import StateChanged, Take, Target, outcome_of, put
from tests.fuzz.wire_targets import sample_acts
from tests.journal.batches import FOLDER, Batch, append, batches
from tests.journal.samples import Samples

SEGMENT_BYTES = 8_192


# --- the journal ---------------------------------------------------------------------------------


def segments() -> Iterator[bytes]:
    """Yield segments with a few frames each, and one with none."""
    for counts in ((1, 3, 2, 5, 1), (10,), (1, 1, 1), ()):
        disk = ModelDisk()
        journal = Journal.open(FOLDER, segment_bytes=SEGMENT_BYTES, files=disk)
        for batch in batches(counts):
            append(journal, batch)
        journal.close()
        yield bytes(disk.content()[segment_name(1)])


def read_through(data: bytes) -> tuple[list[bytes], str]:
    """Return the digests of the frames that a segment yields, and how the reading ended."""
    digests = []
    try:
        for frame in read_frames(FOLDER, files=ModelDisk({segment_name(1): data})):
            digests.append(frame.digest)
            assert len(frame.commands) == 128 * frame.count, "a frame holds its commands"
    except (JournalDamaged, JournalTorn) as error:
        return digests, outcome_of(error)
    return digests, f"{len(digests)} frames"


def journal(_folder: Path) -> Take:
    """A whole segment: what is read of it is what was written, up to where it is damaged."""
    known = {digest for data in segments() for digest in read_through(data)[0]}

    def take(data: bytes) -> str:
        digests, outcome = read_through(data)
        if not known.issuperset(digests):
            raise StateChanged("a frame was read that nobody has written")
        return outcome

    return take


def sealed_frames() -> Iterator[bytes]:
    """Yield the frames of the segments, without their digests."""
    for data in segments():
        at = SEGMENT_HEADER_BYTES
        while data[at : at + 8] == data[SEGMENT_HEADER_BYTES : SEGMENT_HEADER_BYTES + 8] and any(
            data[at : at + 8]
        ):
            _, _, _, _, _, count, acts, *_ = FRAME_HEADER.unpack_from(data, at)
            size = frame_size(count, acts) - DIGEST_BYTES
            yield data[at : at + size]
            at += size + DIGEST_BYTES


def sealed_frame(_folder: Path) -> Take:
    """The first frame of a segment, under a digest that is right: only lengths and places lie."""
    header = next(segments())[:SEGMENT_HEADER_BYTES]

    def take(data: bytes) -> str:
        whole = header + data + sha256(data).digest()
        return read_through(whole.ljust(SEGMENT_BYTES, b"\0"))[1]

    return take


def acts(_folder: Path) -> Take:
    """The acts of a frame."""

    def take(data: bytes) -> str:
        try:
            found = decode_acts(data)
        except UNREADABLE as error:
            return outcome_of(error)
        assert decode_acts(encode_acts(found)) == found, "acts are written as they are read"
        return f"{len(found)} acts"

    return take


def written_acts() -> Iterator[bytes]:
    """Yield acts of each kind, as a frame holds them."""
    for act in sample_acts(Samples()):
        yield encode_acts((SignedAct("OPERATOR", "why", act),))
    yield encode_acts(standard_acts(sandbox_firms(), [], []))[:4_000]


# --- snapshots and recordings --------------------------------------------------------------------


@cache
def a_snapshot() -> tuple[str, bytes]:
    """Return a snapshot's name and its bytes: of an engine without anything in it."""
    disk = ModelDisk()
    path = snapshots.save(FOLDER, Engine(), Mark(0, 0, START, bytes(DIGEST_BYTES), 0), disk)
    return path.name, bytes(disk.content()[path.name])


def snapshot(_folder: Path) -> Take:
    """The head of a snapshot, the rest of which is as it was: it is refused, or leads to the same state."""
    name, whole = a_snapshot()
    path = FOLDER / name
    state = Engine().state_hash()

    def take(data: bytes) -> str:
        try:
            begun = snapshots.load(path, ModelDisk({name: data + whole[len(snapshot_heads()[0]) :]}))
        except (snapshots.SnapshotDamaged, snapshots.SnapshotUnfit) as error:
            return outcome_of(error)
        if begun.engine.state_hash() != state:
            raise StateChanged("a snapshot led to a state that nobody has saved")
        return "whole"

    return take


def snapshot_heads() -> list[bytes]:
    """Return the header of a snapshot, with the beginning of what follows it."""
    return [a_snapshot()[1][:512]]


def image(_folder: Path) -> Take:
    """The part of a snapshot that is no table, as if its digest were right."""

    def take(data: bytes) -> str:
        try:
            form_of(data)
        except ImageUnfit as error:
            return outcome_of(error)
        return "form"

    return take


def recording(folder: Path) -> Take:
    """A recording of the feed, read through, and counted."""
    path = folder / "recording"

    def take(data: bytes) -> str:
        put(path, data)
        contents = Contents()
        try:
            for heard in Recording(path):
                contents.take(*heard)
        except (RecordingError, UnreadableError) as error:
            return outcome_of(error).replace(str(folder), "")
        return f"{contents.messages.total()} messages"

    return take


def recordings() -> Iterator[bytes]:
    """Yield recordings of a few messages each."""
    messages = [heard for heard in taped(7, 60).messages if len(heard.message) < 1_000]
    for begin in range(0, 60, 10):
        file = BytesIO()
        writer = RecordingWriter(file)
        for heard in messages[begin : begin + 10]:
            writer.write(heard.at, heard.message)
        yield file.getvalue()


# --- what auditors read --------------------------------------------------------------------------


def proof(_folder: Path) -> Take:
    """A proof, as its checker reads it: one that holds is one that was written."""
    trusted = msgspec.json.decode(next(proofs()), type=Proof).root
    entries = [msgspec.json.encode(msgspec.json.decode(data, type=Proof).entry) for data in proofs()]

    def take(data: bytes) -> str:
        try:
            read_proof = msgspec.json.decode(data, type=Proof)
        except UNREADABLE as error:
            return outcome_of(error)
        wrong = faults_of(read_proof, trusted)
        if not wrong and msgspec.json.encode(read_proof.entry) not in entries:
            raise StateChanged("a proof holds that nobody has written")
        return wrong[0].partition(":")[0] if wrong else "holds"

    return take


@cache
def _proofs() -> tuple[bytes, ...]:
    act = COMMAND_STRUCT.pack(*Command(kind=CommandKind.ACT, act=0))
    signed = encode_acts((SignedAct("OPERATOR", "why", BlockMember("SANDBOX", True)),))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "journal"
        opened = Journal.open(place, segment_bytes=1 << 20)
        for batch in batches((1, 3, 2, 5)):
            append(opened, batch._replace(acts=b""))
        append(opened, Batch(12, 1, act, signed, 10**18 + 12, 0))
        opened.close()
        return tuple(msgspec.json.encode(prove(place, sequence, [])) for sequence in (12, 1, 2, 6, 11))


def proofs() -> Iterator[bytes]:
    """Yield proofs of one day."""
    yield from _proofs()


def security(folder: Path) -> Take:
    """A month of the security log: what is read of it was written."""
    path = folder / "2026-11.jsonl"
    known = [line for data in security_logs() for line in data.split(b"\n")]

    def take(data: bytes) -> str:
        put(path, data)
        told: list[str] = []
        try:
            lines = [*read(folder, told)]
        except ChainBroken as error:
            return outcome_of(error)
        written = data.split(b"\n")
        if len(lines) > 1 and written[0] not in known and written[1] in known:
            raise StateChanged("a line holds behind one that was changed")
        return f"{len(lines)} lines, {len(told)} told"

    return take


def security_logs() -> Iterator[bytes]:
    """Yield a log of a few lines."""
    with tempfile.TemporaryDirectory() as folder:
        log = SecurityLog(Path(folder) / "security", lambda: 1_795_000_000 * 10**9, lambda: (5, 17))
        for number in range(8):
            log.note(
                "session_begun", member=f"M{number}", key="ab", address="127.0.0.1:1", facts={"x": number}
            )
            log.write()
        log.close()
        (path,) = (Path(folder) / "security").iterdir()
        yield path.read_bytes()


TARGETS = (
    Target("journal", journal, segments, longest=SEGMENT_BYTES),
    Target("sealed_frame", sealed_frame, sealed_frames),
    Target("acts", acts, written_acts),
    Target("snapshot", snapshot, snapshot_heads),
    Target("image", image, lambda: [bytes(image_of(Engine()).form)]),
    Target("recording", recording, recordings, longest=32_768),
    Target("proof", proof, proofs),
    Target("security", security, security_logs),
)
