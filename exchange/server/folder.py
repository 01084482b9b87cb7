"""A venue's data folder: what lies where, and the little files that its processes share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path

import msgspec
import zmq
from msgspec.structs import replace

from exchange.client.errors import ProfileError
from exchange.profiles import SECRET_MODE, Profile, load_profile, write_profile
from exchange.profiles import Endpoints as PublicEndpoints
from exchange.protocol.acts import Admit, SignedAct
from exchange.settings_file import FILE_NAME

_WATERMARK = struct.Struct("<q")


class KeyPair(msgspec.Struct, frozen=True):
    """A CURVE key pair of a member or of the venue, as 40 characters of Z85 each."""

    member: str
    public_key: str
    secret_key: str


def new_key_pair(member: str) -> KeyPair:
    """Make a key pair for a member."""
    public, secret = zmq.curve_keypair()
    return KeyPair(member, public.decode("ascii"), secret.decode("ascii"))


class FolderServed(Exception):
    """Another supervisor runs the venue of this folder; the message says which process it is."""


class Folder:
    """The paths of one venue below `root`, and what is read from and written to them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = root / "journal"
        self.keys = root / "keys"
        self.logs = root / "logs"
        self.watermarks = root / "watermarks"
        self.snapshots = root / "snapshots"
        self.settlement = root / "settlement.duckdb"
        self.history = root / "history"
        self.security = root / "security"
        self._serving = root / "serving.pid"
        self._founding = root / "founding.json"
        self._venue_key = self.keys / "venue.json"
        self._pairs = self.keys / "members.json"

    def exists(self) -> bool:
        """Tell whether a venue has been founded here."""
        return self._founding.exists()

    def strangers(self) -> list[str]:
        """Return the names of what lies here and is no venue's; hidden files are nobody's business."""
        own = {each.name for each in vars(self).values() if isinstance(each, Path)} | {
            FILE_NAME,
            "lost+found",
        }
        there = self.root.iterdir() if self.root.is_dir() else ()
        return sorted(each.name for each in there if each.name not in own and not each.name.startswith("."))

    def found(self, acts: tuple[SignedAct, ...], keys: list[KeyPair]) -> None:
        """Lay out a new venue: the acts that found it, its own key, and its members' keys."""
        for folder in (self.root, self.journal, self.keys):
            folder.mkdir(parents=True, exist_ok=True)
        self.complete()
        for folder in (self.root, self.keys):  # all that lies here is for whoever runs the venue
            folder.chmod(0o700)
        venue = new_key_pair("VENUE")
        write_aside(self._venue_key, msgspec.json.encode(venue), SECRET_MODE)
        write_aside(self._pairs, msgspec.json.encode(keys), SECRET_MODE)
        text = msgspec.json.format(msgspec.json.encode(acts), indent=1)
        write_aside(self._founding, text)

    def complete(self) -> None:
        """Make what a folder that came back from a backup may lack, for nothing is lost with it."""
        for folder in (self.logs, self.watermarks, self.snapshots):
            folder.mkdir(exist_ok=True)

    def founding_acts(self) -> tuple[SignedAct, ...]:
        """Return the acts with which the journal begins."""
        return msgspec.json.decode(self._founding.read_bytes(), type=tuple[SignedAct, ...])

    def lock(self) -> int:
        """Take the folder for one supervisor, until `unlock` or this process's end; return the lock's handle.

        Raises `FolderServed`, with the number of the process that has it.
        """
        handle = os.open(self._serving, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            message = f"{self.root} is served already, by process {pid or 'unknown'}; stop that one first"
            raise FolderServed(message) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return handle

    def unlock(self, handle: int) -> None:
        """Let another supervisor have the folder."""
        os.ftruncate(handle, 0)
        os.close(handle)

    def venue_key(self) -> KeyPair:
        """Return the venue's own key pair."""
        return msgspec.json.decode(self._venue_key.read_bytes(), type=KeyPair)

    def profile(self, member: str) -> Path:
        """Return where a member's profile lies, once the venue has run."""
        return self.keys / f"{member.lower()}.toml"

    def write_profiles(self, endpoints: PublicEndpoints, operators: str) -> None:
        """Write the profiles of the members whose keys lie here: where the venue listens now.

        An operator's orders go to the endpoint of `operators`. A profile that is there keeps its keys: they
        may have been rotated; one that cannot be read is let be.
        """
        server_key = self.venue_key().public_key
        theirs = replace(endpoints, orders=operators)
        acts = (signed.act for signed in self.founding_acts())
        names = {act.member for act in acts if isinstance(act, Admit) and act.role == "operator"}
        for pair in msgspec.json.decode(self._pairs.read_bytes(), type=list[KeyPair]):
            listens = theirs if pair.member in names else endpoints
            profile = Profile(pair.member, pair.public_key, pair.secret_key, server_key, listens)
            path = self.profile(pair.member)
            with contextlib.suppress(ProfileError):
                if path.exists():
                    profile = replace(load_profile(path), server_key=server_key, endpoints=listens)
                write_profile(path, profile)

    def write_watermark(self, follower: str, sequence: int) -> None:
        """Note how far a follower has come, so that a journal that ends before it is refused."""
        path = self.watermarks / follower
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(handle, _WATERMARK.pack(sequence), 0)
        finally:
            os.close(handle)

    def passed(self) -> int:
        """Return the highest sequence that any follower has noted."""
        return max(self._noted(), default=0)

    def passed_by_all(self) -> int:
        """Return the sequence that every follower has come to, 0 if none has noted any."""
        return min(self._noted(), default=0)

    def _noted(self) -> list[int]:
        """Return what the followers have noted; a note that a crash has cut is none."""
        notes = [path.read_bytes() for path in self.watermarks.glob("*")]
        return [_WATERMARK.unpack(note)[0] for note in notes if len(note) == _WATERMARK.size]


def write_aside(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that it is there whole or not at all: aside, synced, renamed.

    A secret's `mode` is `SECRET_MODE`: its owner alone may read it, from the first byte on.
    """
    aside = path.with_name(path.name + ".part")
    aside.unlink(missing_ok=True)  # what a crash left there has its own mode
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    aside.rename(path)
