"""Both clients behind one face, so that one test tells the story of either."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import iscoroutine
from time import monotonic
from typing import Any

from exchange import connect, connect_sync

PATIENCE = 10.0
"""Seconds after which a test that waits for something has failed."""


class Blocking:
    """An asynchronous client whose calls are run to their end, on an event loop of its own."""

    def __init__(self, runner: asyncio.Runner, inner: Any) -> None:
        self._runner = runner
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name == "history":
            return Blocking(self._runner, value)
        if name.startswith("_") or not callable(value) or name in ("instruments", "programmes"):
            return value

        async def made(*args: Any, **kwargs: Any) -> Any:
            result = value(*args, **kwargs)
            return await result if iscoroutine(result) else result

        def call(*args: Any, **kwargs: Any) -> Any:
            result = self._runner.run(made(*args, **kwargs))
            return BlockingStream(self._runner, result) if hasattr(result, "__anext__") else result

        return call

    def __repr__(self) -> str:
        return repr(self._inner)


class BlockingStream:
    """An asynchronous stream, read on an event loop of its own."""

    def __init__(self, runner: asyncio.Runner, stream: Any) -> None:
        self._runner = runner
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        async def one() -> Any:
            return await anext(self._stream, None)

        found = self._runner.run(one())
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        self._runner.run(self._stream.aclose())


class Shell:
    """Opens clients of one kind."""

    def __init__(self, name: str, runner: asyncio.Runner) -> None:
        self.name = name
        self._runner = runner

    def open(self, profile: Any, **options: Any) -> Any:
        """Open a client, which the test closes."""
        if self.name == "sync":
            return connect_sync(profile, **options)

        async def opened() -> Any:
            return await connect(profile, **options)

        return Blocking(self._runner, self._runner.run(opened()))

    def enter(self, venue: Any, member: str) -> Any:
        """Open a client of a venue in this process, which the test closes."""
        if self.name == "sync":
            return venue.connect(member)

        async def opened() -> Any:
            return await venue.connect_async(member)

        return Blocking(self._runner, self._runner.run(opened()))

    @contextmanager
    def connected(self, profile: Any, **options: Any) -> Iterator[Any]:
        ex = self.open(profile, **options)
        try:
            yield ex
        finally:
            ex.close()

    def wait_until(self, ex: Any, done: Any) -> None:
        """Let a client work until something is so."""
        line = ex._desk.line
        if self.name == "sync":
            assert line.wait_for(done, monotonic() + PATIENCE)
        else:
            assert self._runner.run(line.wait_for(done, monotonic() + PATIENCE))

    def listen_until(self, stream: Any, done: Any) -> None:
        """Let a stream of market data work until something is so; it subscribes anew only then."""
        if self.name == "sync":
            assert stream._stream.line.wait_for(done, monotonic() + PATIENCE)
        else:
            line = stream._stream._stream.line
            assert self._runner.run(line.wait_for(done, monotonic() + PATIENCE))

    def until_cut(self, ex: Any) -> None:
        """Return when the client has noticed that its connection is gone."""
        self.wait_until(ex, lambda: not ex._desk.line.is_up)


@contextmanager
def shell_of(name: str) -> Iterator[Shell]:
    with asyncio.Runner() as runner:
        yield Shell(name, runner)
