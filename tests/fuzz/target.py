"""What is fuzzed: a target takes any bytes, says in a word what came of them, and raises for a bug alone.

What a target may raise inside is what its reader's docstring names; whatever else escapes is found. A target
with state looks, beside that, whether what was refused has changed it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

Take = Callable[[bytes], str]
"""Takes one input and returns what came of it, without what differs from input to input.

The drivers keep an input whose outcome no other had: that is all that the plain one knows of coverage.
"""

OUTCOME_LETTERS = 80
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\d+")


class StateChanged(AssertionError):
    """What was refused, or only read, has changed something."""


class Target(NamedTuple):
    """One reader under test. `make` is given an empty folder of its own, where it may write.

    `seeds` are what our own encoders write, `words` what is put into them here and there, `longest` the bytes
    beyond which an input is cut.
    """

    name: str
    make: Callable[[Path], Take]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    longest: int = 8_192


def outcome_of(error: BaseException) -> str:
    """Return what an error says, but for names and numbers.

    >>> outcome_of(ValueError("row 7: 'x' is no number"))
    'ValueError row #: # is no number'
    """
    told = _PARTICULAR.sub("#", str(error).partition("\n")[0])
    return f"{type(error).__name__} {told[:OUTCOME_LETTERS]}"


def put(path: Path, data: bytes) -> Path:
    """Write a file anew, and return its path; cutting one that is there is slow on some file systems."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path
