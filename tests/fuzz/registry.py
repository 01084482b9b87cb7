"""Every target, by name."""

from __future__ import annotations

from tests.fuzz import command_targets, feed_targets, file_targets, log_targets, wire_targets
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        *wire_targets.TARGETS,
        *feed_targets.TARGETS,
        *log_targets.TARGETS,
        *file_targets.TARGETS,
        *command_targets.TARGETS,
    )
}
