"""Malformed frames by the million through the gateway's decoder: each is refused, and nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from exchange.protocol.arrays import COMMAND
from exchange.protocol.messages import COMMANDS, MESSAGE
from matching.vocabulary import RejectReason
from tests.fuzz.mutator import Mutator
from tests.fuzz.target import StateChanged
from tests.fuzz.wire_targets import FIRM, OPERATOR, Door, is_message

ROUND = 10_000
"""Frames between two calls of `work`; the state's hash is looked at after every tenth round."""

PIECES = 2_000
"""Mutated messages that a stretch of bytes is made of; frames are cut from it at all places and lengths."""

KINDS = (COMMANDS, MESSAGE, MESSAGE, MESSAGE, b"", b"R", b"\x00")


class Flooded(NamedTuple):
    """How many frames were tried, and how many of them were refused as malformed."""

    frames: int
    malformed: int


def frames(seeds: list[bytes], chance: Random) -> Iterator[list[bytes]]:
    """Yield lists of `ROUND` frames, none of which is a message: cut out of what the mutator makes."""
    mutator = Mutator(seeds, chance, longest=400)
    while True:
        stretch = b"".join(mutator.next() for _ in range(PIECES))
        ends = len(stretch) - 300
        found = []
        for _ in range(ROUND):
            at = int(chance.random() * ends)
            frame = KINDS[at % 7] + stretch[at : at + int(chance.random() * 300)]
            if frame[:1] == COMMANDS and len(frame) % COMMAND.itemsize == 1:
                frame = frame[:-1]
            found.append(frame)
        yield found


def flood(count: int, seeds: list[bytes], seed: int) -> Flooded:
    """Send so many malformed frames, by a firm and by an operator in turn.

    Raises `StateChanged` where one was not refused, or where anything has changed. What is a message after
    all, by chance, is passed over and not counted.
    """
    door = Door()
    refused = door.gateway.refused
    before = (door.engine.sequence, door.engine.state_hash())
    sent = 0
    for number, made in enumerate(frames(seeds, Random(seed))):
        name = (FIRM, OPERATOR)[number % 2]
        key, hear, is_operators = door.keys[name], door.gateway.hear, name == OPERATOR
        batch = made[: count - sent]
        door.answers.clear()
        malformed = refused[RejectReason.MALFORMED]
        for frame in batch:
            hear(name, key, frame, is_operators=is_operators)
        told = refused[RejectReason.MALFORMED] - malformed
        if told != len(batch):
            # Some were messages: they are taken out of the venue again, and are not counted.
            chosen = sum(map(is_message, batch))
            if told + chosen != len(batch):
                raise StateChanged(f"{len(batch) - told - chosen} malformed frames were not refused")
            door.gateway._requests.clear()
            door.gateway.bodies.clear()
            door.gateway.owners.clear()
            door.log_on()
        if len(door.answers) < told:
            raise StateChanged("a malformed frame was not answered")
        door.gateway.work()
        sent += told
        if number % 10 == 0 and door.engine.state_hash() != before[1]:
            raise StateChanged(f"the state changed within the first {sent} frames")
        if sent >= count:
            break
    if (door.engine.sequence, door.engine.state_hash()) != before:
        raise StateChanged("malformed frames have changed the state")
    return Flooded(sent, refused[RejectReason.MALFORMED])
