"""Every decoder and every public command, fuzzed in turn; then malformed frames by the million.

python -m tests.nightly.fuzz --seconds 600 --seed 5
"""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

from tests.fuzz.corpus import kept_inputs
from tests.fuzz.drive import Driven, drive_for
from tests.fuzz.flood import ROUND, flood
from tests.fuzz.registry import TARGETS
from tests.nightly import campaign
from tests.nightly.campaign import Progress, Tally

FOUND = Path("build/fuzz")
"""Where inputs that have found something are written."""

FLOOD_SHARE = 0.2
"""What part of the time is for malformed frames to the gateway."""

FRAMES_MAX = 5_000_000
FRAMES_A_SECOND = 50_000
"""So many frames are tried for each second that there is, at most `FRAMES_MAX`; a round at least."""


def run(seconds: float, seed: int, progress: Progress) -> Tally:
    """Fuzz every target for an equal part of the time."""
    tally = Tally("fuzz", 0)
    began = time.monotonic()
    end = began + seconds * (1 - FLOOD_SHARE)
    escaped = 0
    for number, target in enumerate(TARGETS.values()):
        again = f"python -m tests.fuzz.drive {target.name} --seed {seed}"
        left = max(0.0, end - time.monotonic()) / (len(TARGETS) - number)
        with tally.caught(again):
            driven = drive_for(target, seed, left)
            escaped += len(driven.findings)
            count(tally, target.name, driven)
            progress(f"{target.name}: {driven.tried:,} inputs, {len(driven.findings)} bugs")
    frames = min(FRAMES_MAX, max(ROUND, int(seconds * FLOOD_SHARE * FRAMES_A_SECOND)))
    with tally.caught(f"python -m tests.nightly.fuzz --seconds {seconds:g} --seed {seed}"):
        tally.add(
            "malformed frames to the gateway", flood(frames, kept_inputs(TARGETS["gateway"]), seed).frames
        )
    tally.add("exceptions escaped", escaped)
    tally.seconds = time.monotonic() - began
    return tally


def count(tally: Tally, name: str, driven: Driven) -> None:
    """Add what a target's run came to, and write what was found."""
    tally.add("frames tried", driven.tried)
    tally.add(f"frames tried: {name.replace('_', ' ')}", driven.tried)
    tally.add("inputs kept", driven.kept)
    for finding in driven.findings:
        path = FOUND / name / sha256(finding.data).hexdigest()[:16]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.data)
        tally.failures.append(
            f"{finding.told}; to repeat it: python -m tests.fuzz.drive {name} --input {path}"
        )


if __name__ == "__main__":
    campaign.main(run)
