"""The journal's bytes, held fast: what is written today is read in ten years."""

from __future__ import annotations

import struct
from hashlib import sha256

from exchange.server.frames import START
from exchange.server.journal import Journal, read_frames
from exchange.simulation.faulty_disk import ModelDisk
from tests.journal.batches import FOLDER

SEGMENT_BYTES = 1_024
COMMAND = bytes(range(128))

GOLDEN_HEADER = """
8a544253 45470aff 01000000 01000000 00040000 00000000 00000000 00000000
00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
32517802 d108ad28 6a56042b f698c584 e4d63a88 922994b7 f61f6549 e6ff043a
"""
GOLDEN_FRAME = """
8a544246 524d0aff 01000000 03000000 80000000 00000000 01000000 00000000
01000000 05000000 0180d35b fd1ee918 10325476 98badcfe 00000000 00000000
00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f
20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637 38393a3b 3c3d3e3f
40414243 44454647 48494a4b 4c4d4e4f 50515253 54555657 58595a5b 5c5d5e5f
60616263 64656667 68696a6b 6c6d6e6f 70717273 74757677 78797a7b 7c7d7e7f
61637473 21000000 0081fd51 decfc352 02a472b8 8fb76b55 d1b3a193 49f4745b
911388ed 711b13f7
"""


def one_frame() -> bytes:
    disk = ModelDisk()
    journal = Journal.open(FOLDER, segment_bytes=SEGMENT_BYTES, files=disk, rules_version=3)
    journal.append(1_795_000_000_000_000_001, COMMAND, b"acts!", 1, 0xFEDCBA9876543210)
    return disk.content()["000001.journal"]


def test_golden():
    data = one_frame()
    assert data[:128].hex(" ", 4) == " ".join(GOLDEN_HEADER.split())
    assert data[128:392].hex(" ", 4) == " ".join(GOLDEN_FRAME.split())
    assert data[392:] == bytes(SEGMENT_BYTES - 392)


def test_the_golden_bytes_are_what_the_description_says():
    data = one_frame()
    head = b"\x8aTBSEG\n\xff" + struct.pack("<IIQQ", 1, 1, SEGMENT_BYTES, 0) + bytes(32 + 32)
    assert data[:128] == head + sha256(head).digest()
    frame = b"\x8aTBFRM\n\xff" + struct.pack("<IIQQII", 1, 3, 128, 1, 1, 5)
    frame += struct.pack("<qQ", 1_795_000_000_000_000_001, 0xFEDCBA9876543210) + bytes(8 + 32)
    frame += COMMAND + b"acts!" + bytes(3)
    assert data[128:392] == frame + sha256(frame).digest()


def test_golden_bytes_are_read():
    data = bytes.fromhex(GOLDEN_HEADER + GOLDEN_FRAME).ljust(SEGMENT_BYTES, b"\0")
    (frame,) = read_frames(FOLDER, files=ModelDisk({"000001.journal": data}))
    assert frame == (
        1,
        1,
        1_795_000_000_000_000_001,
        3,
        0xFEDCBA9876543210,
        COMMAND,
        b"acts!",
        bytes(32),
        data[360:392],
        START._replace(offset=392),
    )
