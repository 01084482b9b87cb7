"""Every limit and setting of the venue, in one place, each with its reason."""

from __future__ import annotations

import msgspec

STATE_HASH_EVERY = 1_000
"""Frames between two state hashes in the journal: rare enough to cost nothing, often enough to find a
replica that parted within seconds of a busy venue."""

BATCH_COMMANDS_MAX = 16_384
"""Most commands that the gateway takes in before it journals and answers them: 2 MiB a write."""

BATCH_MESSAGES_MAX = 4_096
"""Most messages that the gateway takes in before it works, so that answers are never far off."""

FLUSH_SECONDS = 0.05
"""The settlement store commits at most 20 times a second: each commit costs a sync of its own."""

RECONCILE_FLUSHES = 600
"""The settlement compares its store with the ledger in memory once in so many commits: twice a minute at
a busy venue. Only the postings since the last look are read."""

PENDING_ROWS_MAX = 400_000
"""A store that catches up commits this often at the least: 110 MB of events and effects. Half as many
cost 15 % of the rows a second, for what fills no row group of DuckDB's is written twice."""

QUERIES_WAITING_MAX = 64
"""Most queries that wait for the settlement's desk; one more is refused at once."""

ANNOUNCE_SECONDS = 0.1
"""How often a quiet sequencer repeats how far the journal has come, for followers that just began."""

POLL_MS = 100
"""How long a follower waits at most before it looks whether it should end."""

HEARTBEAT_SECONDS = 1.0
"""How often the feed tells the last number of each topic."""

QUEUE_MESSAGES_MAX = 100_000
"""High-water mark of the venue's sockets. At the mark the gateway drops a session that does not read;
the feed drops messages, which its readers see by their numbers."""

DROPPED_SESSIONS_MAX = 10_000
"""How many connections whose reports were dropped are remembered, to tell them so when they speak."""

HANDSHAKE_MS_MAX = 5_000
"""How long a peer may take to prove its key before it is cut off."""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue listens; `tcp://127.0.0.1:0` lets the system choose the port."""

    orders: str = "tcp://127.0.0.1:0"
    commits: str = "tcp://127.0.0.1:0"
    query: str = "tcp://127.0.0.1:0"
    feed: str = "tcp://127.0.0.1:0"
    refresh: str = "tcp://127.0.0.1:0"
