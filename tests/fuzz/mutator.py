"""Inputs that are nearly right: what our encoders write, changed here and there by chance from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

CHANGES_MAX = 5
"""Most changes to one input: with more of them hardly anything is left that a reader would look at."""

KEPT_MAX = 512
"""Most inputs kept beside the seeds; the oldest go first."""

WIDTHS = (1, 2, 4, 8)
INTERESTING = sorted(
    {
        sign * (2**bits + step)
        for bits in (0, 7, 8, 15, 16, 31, 32, 63, 64)
        for step in (-1, 0, 1)
        for sign in (1, -1)
    }
)
"""Integers at which something ends: a width, a sign."""

DECIMALS = (
    *(str(number).encode() for number in (*INTERESTING, 10**9, 10**18, 10**30)),
    b"1e400", b"-0", b"0.1", b"nan", b"inf", b"1_000", b"0x10", b"00", b"+5", b"9" * 5_000,
)  # fmt: skip
"""The same where numbers are written out."""

TEXTS = (
    b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\x00", b"\r\n", b"\xef\xbb\xbf", "名".encode(), b"\x1b[2J",
    b"%s%n", b"'", b'"', b"\\", b"`", b"../", b"[" * 2_000, b"{" * 2_000, b"(" * 2_000, b"\x91" * 2_000,
    b"[[a]]\n", b"=", b",", b";", b"\n", b"-", b" ",
)  # fmt: skip
"""What readers of text stumble over."""


class Mutator:
    """Yields one input after the other; the same seeds and the same chance give the same inputs.

    `words` are put in like `TEXTS`. An input is `longest` bytes at most.
    """

    def __init__(
        self, seeds: Iterable[bytes], chance: Random, words: Iterable[bytes] = (), longest: int = 8_192
    ) -> None:
        self.seeds = list(seeds) or [b""]
        self.kept: list[bytes] = []
        self.longest = longest
        self._chance = chance
        self._words = (*TEXTS, *words)
        self._changes = (
            self._flip, self._overwrite, self._cut, self._end, self._double, self._splice, self._count,
            self._integer, self._decimal, self._word, self._noise,
        )  # fmt: skip

    def keep(self, data: bytes) -> None:
        """Let an input that led somewhere new be changed further."""
        self.kept.append(data)
        del self.kept[:-KEPT_MAX]

    def next(self) -> bytes:
        """Return the next input; one in a hundred is a seed as it is, one in a hundred is noise."""
        chance = self._chance
        what = chance.random()
        if what < 0.01:
            return chance.randbytes(chance.choice((0, 1, 7, 64, 200)))
        data = bytearray(chance.choice(self._pool()))
        if what < 0.02:
            return bytes(data)
        for _ in range(chance.randint(1, CHANGES_MAX)):
            chance.choice(self._changes)(data)
        return bytes(data[: self.longest])

    def _pool(self) -> list[bytes]:
        return self.kept if self.kept and self._chance.random() < 0.4 else self.seeds

    def _at(self, data: bytearray, room: int = 0) -> int:
        """Return a place in the data, with so many bytes behind it if there are."""
        return self._chance.randint(0, max(0, len(data) - room))

    def _span(self, data: bytearray) -> tuple[int, int]:
        begin = self._at(data)
        return begin, min(len(data), begin + self._chance.choice((1, 2, 4, 16, 64, 256)))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._at(data, 1)] ^= 1 << self._chance.randrange(8)

    def _overwrite(self, data: bytearray) -> None:
        if data:
            data[self._at(data, 1)] = self._chance.randrange(256)

    def _cut(self, data: bytearray) -> None:
        begin, end = self._span(data)
        del data[begin:end]

    def _end(self, data: bytearray) -> None:
        del data[self._at(data) :]

    def _double(self, data: bytearray) -> None:
        begin, end = self._span(data)
        at = self._at(data)
        data[at:at] = data[begin:end] * self._chance.choice((1, 1, 1, 2, 16))

    def _splice(self, data: bytearray) -> None:
        """Go on as another input does from some point on, or take a piece of it in."""
        other = self._chance.choice(self._pool())
        begin = self._chance.randint(0, len(other))
        if self._chance.random() < 0.5:
            data[self._at(data) :] = other[begin:]
        else:
            at = self._at(data)
            data[at:at] = other[begin : begin + self._chance.choice((4, 16, 64, 256))]

    def _count(self, data: bytearray) -> None:
        """Change an integer of some width by a little: a length, a count, a number."""
        width = self._chance.choice(WIDTHS)
        at = self._at(data, width)
        order = "little" if self._chance.random() < 0.7 else "big"
        step = self._chance.choice((-16, -2, -1, 1, 2, 16))
        piece = data[at : at + width]
        number = (int.from_bytes(piece, order) + step) % (1 << (8 * len(piece)))  # type: ignore[arg-type]
        data[at : at + width] = number.to_bytes(len(piece), order)  # type: ignore[arg-type]

    def _integer(self, data: bytearray) -> None:
        """Put an integer at which something ends in the place of another."""
        width = self._chance.choice(WIDTHS)
        at = self._at(data, width)
        number = self._chance.choice(INTERESTING) % (1 << (8 * width))
        order = "little" if self._chance.random() < 0.7 else "big"
        data[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]

    def _decimal(self, data: bytearray) -> None:
        """Put such an integer in the place of a number that is written out, if there is one."""
        begin = self._at(data)
        while begin < len(data) and not 48 <= data[begin] <= 57:
            begin += 1
        end = begin
        while end < len(data) and 48 <= data[end] <= 57:
            end += 1
        if end > begin:
            data[begin:end] = self._chance.choice(DECIMALS)

    def _word(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self._chance.choice(self._words)

    def _noise(self, data: bytearray) -> None:
        begin, end = self._span(data)
        data[begin:end] = self._chance.randbytes(end - begin)
