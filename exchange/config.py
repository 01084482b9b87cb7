"""Every limit and setting of the venue, in one place, each with its reason."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

STATE_HASH_EVERY = 1_000
"""Frames between two state hashes in the journal: rare enough to cost nothing, often enough to find a
replica that parted within seconds of a busy venue."""

BATCH_COMMANDS_MAX = 16_384
"""Most commands that the gateway takes in before it journals and answers them: 2 MiB a write."""

BATCH_MESSAGES_MAX = 4_096
"""Most messages that the gateway takes in before it works, so that answers are never far off."""

FLUSH_SECONDS = 0.05
"""The settlement store commits at most 20 times a second: each commit costs a sync of its own."""

LISTEN_SECONDS = 0.01
"""The settlement looks at most so often how far the journal has come: it is in no hurry, and each time that
it wakes it takes from the sequencer."""

RECONCILE_FLUSHES = 600
"""The settlement compares its store with the ledger in memory once in so many commits: twice a minute at
a busy venue. Only the postings since the last look are read."""

PENDING_ROWS_MAX = 400_000
"""A store that catches up commits this often at the least: 110 MB of events and effects. Half as many
cost 15 % of the rows a second, for what fills no row group of DuckDB's is written twice."""

QUERIES_PER_MEMBER_MAX = 8
"""Most of one member's queries that wait, so that others find a place."""

QUERIES_WAITING_MAX = 64
"""Most queries that wait for the settlement's desk; one more is refused at once."""

ANNOUNCE_SECONDS = 0.1
"""How often a quiet sequencer repeats how far the journal has come, for followers that just began."""

TELL_SECONDS = 0.001
"""How often a busy sequencer tells its followers at most. Told of each of 1,750 batches a second they woke
for each, and took from it the time in which they could have folded several at once."""

POLL_MS = 100
"""How long a follower waits at most before it looks whether it should end."""

HEARTBEAT_SECONDS = 1.0
"""How often the feed tells the last number of each topic, and what programmes have left."""

FAST_VIEW_SECONDS = 0.1
"""How often the feed shows what has changed to who cannot keep up with every update: as often as a person
can see."""

SLOW_VIEW_SECONDS = 1.0
"""How often it does so for a line that is slow."""

REFRESHES_AT_ONCE_MAX = 32
"""Most whole books that the feed gives out before it publishes again what has happened: readers that ask for
all of them must not make the others wait."""

REFRESH_BYTES_PER_SECOND = 1 << 23
REFRESH_BYTES_BURST = 1 << 26
"""How many bytes of whole books a key is given: 8 MiB a second, 64 MiB at once, more than all books of a busy
venue together. What goes beyond is not answered, and asked for again by whoever still needs it."""

REFRESHES_WAITING_MAX = 256
"""Most whole books that wait for one connection to read them, one of each instrument and some; more are
dropped, and asked for anew."""

QUEUE_MESSAGES_MAX = 100_000
"""High-water mark of the venue's sockets. At the mark the gateway drops a session that does not read. The
feed's own mark is the setting `feed.messages_kept`."""

PING_MS = 2_500
"""How often a door's connections are pinged, below the protocol (ZMTP's own pings). Each second, beside the
heartbeat, pings and their answers took the thread that does the encryption all its time at 7,700 sessions,
and nobody could log on any more; so 10,000 sessions take three quarters of it."""

PING_PATIENCE_MS = 5_000
"""How long a connection may leave a ping unanswered before it is cut off."""

UNREAD_MS_MAX = 10_000
"""How long a peer may leave its side of a connection full, or unanswered, before TCP itself cuts it off: so
nobody has the venue hold for long what it does not read. A client's own queue takes in what a slow program
leaves."""

QUERY_ANSWERS_MAX = 8
"""Most answers to queries, of up to 64 MiB each, that wait for one connection; more are dropped, and asked
anew."""

HANDSHAKE_MS_MAX = 5_000
"""How long a peer may take to prove its key before it is cut off."""

CONNECTS_WAITING_MAX = 4_096
"""How many peers may wait for their connection to be taken: all that come within a second of an opening. The
system's own limit (`net.core.somaxconn`) holds, too. What goes beyond is lost, and TCP says it again after
seconds."""


Share = Annotated[int, Meta(ge=1, le=10**9)]
"""So many a second, or at once, of a member."""

Endpoint = Annotated[str, Meta(pattern=r"^tcp://[^\s/]+:\d{1,5}$")]
WebEndpoint = Annotated[str, Meta(pattern=r"^$|^http://[^\s/]+:\d{1,5}$")]


class Endpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a venue listens; port 0 lets the system choose."""

    orders: Endpoint = "tcp://127.0.0.1:0"
    """Members' sessions: orders, questions, reports."""

    operators: Endpoint = "tcp://127.0.0.1:0"
    """Operators' sessions; nobody else's key opens it."""

    commits: Endpoint = "tcp://127.0.0.1:0"
    """How far the journal is synced, for the venue's own followers. Leave it on this machine."""

    query: Endpoint = "tcp://127.0.0.1:0"
    """SQL of members and analysts."""

    feed: Endpoint = "tcp://127.0.0.1:0"
    """Public market data."""

    refresh: Endpoint = "tcp://127.0.0.1:0"
    """Whole books, for readers of the feed that begin late or missed something."""

    metrics: WebEndpoint = ""
    """Figures for Prometheus, and whether the venue lives and is ready: plain HTTP, with no password, so
    leave it on this machine or behind your own wall. Blank: none."""


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How members' connections are treated."""

    per_key: Annotated[int, Meta(ge=1, le=10_000)] = 16
    """Most live sessions of one key; one more ends the oldest. 1: one session a key."""

    heartbeat_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    """How often the venue says `Heartbeat` to each session: so soon it finds one that is gone."""

    reconnect_seconds: Annotated[float, Meta(ge=0, le=3_600)] = 10.0
    """How long, after the venue's own restart, members with cancel on disconnect have to log on again."""

    reports_kept: Annotated[int, Meta(ge=0, le=100_000_000)] = 262_144
    """How many of the latest reports of all members are kept for who was away: 40 MiB."""


class ThrottleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token bucket a member: so much a second, and so much at once. Cancels of open orders are free."""

    orders_per_second: Share = 25_000
    """New orders, replaces and reduces that a member may send each second, in the long run."""

    orders_burst: Share = 50_000
    """Of these, how many at once after a pause."""

    requests_per_second: Share = 200
    """Questions and acts that a member may send each second, in the long run."""

    requests_burst: Share = 400
    """Of these, how many at once after a pause."""


class JournalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of the journal is kept."""

    keep_segments: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """How many segments behind the oldest snapshot are kept; 0 keeps all, and the venue can be rebuilt
    wholly."""


class SnapshotSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the whole state is written down, and how many of these are kept."""

    every_commands: Annotated[int, Meta(ge=0, le=10**12)] = 500_000
    """A restart replays at most a little more than this; 0 takes none by itself."""

    keep: Annotated[int, Meta(ge=1, le=1_000)] = 3
    """How many of the newest snapshots are kept."""


class SettlementSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the settlement's process may take."""

    memory_bytes: Annotated[int, Meta(ge=128_000_000, le=10**13)] = 1_000_000_000
    """What its store, DuckDB, may take for what it has read of its file and for all queries together. It
    keeps what it has read for as long as there is room, so that the process grows by this and no more. New
    rows stay in it while anybody reads: long reads of a busy venue need more."""


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How market data is published."""

    messages_kept: Annotated[int, Meta(ge=16, le=1_000_000)] = 16_384
    """How many messages are kept for each reader that does not read them; more are dropped for that reader
    alone, who sees it by their numbers and asks for a whole book."""


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the venue calls itself ready."""

    lag_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    """A follower that is further behind than this, or silent for longer, makes `/ready` answer 503."""

    disk_free_bytes: Annotated[int, Meta(ge=0)] = 1 << 30
    """Less free room than this on the venue's disk makes `/ready` answer 503, and is told in the log."""


LogLevel = Literal["debug", "info", "warning", "error"]


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the venue's processes write of their work into `logs/`, one line of JSON each."""

    level: LogLevel = "info"
    """The least that is written: `debug`, `info`, `warning` or `error`."""

    bytes_max: Annotated[int, Meta(ge=65_536, le=1 << 40)] = 16 << 20
    """A log of this size is set aside, and a new one begun."""

    keep: Annotated[int, Meta(ge=1, le=1_000)] = 4
    """How many logs of each process are kept that were set aside."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that whoever runs a venue may choose. `venue.toml` in its folder holds what differs from here."""

    listen: Endpoints = Endpoints()
    sessions: SessionSettings = SessionSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    journal: JournalSettings = JournalSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    settlement: SettlementSettings = SettlementSettings()
    feed: FeedSettings = FeedSettings()
    health: HealthSettings = HealthSettings()
    logs: LogSettings = LogSettings()
