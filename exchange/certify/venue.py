"""A venue to be certified on: founded in a folder that is thrown away, and killed at will."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.config import SessionSettings, Settings, ThrottleSettings
from exchange.profiles import Profile, load_profile
from exchange.protocol.acts import Admit
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import (
    AUDITOR,
    MILLION_YUAN,
    OPERATOR,
    SECOND_OPERATOR,
    standard_acts,
)
from exchange.server.supervisor import SEQUENCER, Supervisor, VenueFailed

FIRM = "CERT"
"""Who is certified."""

MAKER = "ALIBABA"
"""The provider that the firm meets in the market."""

SYMBOL = "QWEN3-MAX"

SESSIONS_PER_KEY = 8
ORDERS_PER_SECOND = 50
ORDERS_BURST = 100
"""Small, so that a flood is soon one; every venue has its own."""

LOOK_SECONDS = 0.1

SETTINGS = Settings(
    sessions=SessionSettings(per_key=SESSIONS_PER_KEY),
    throttle=ThrottleSettings(orders_per_second=ORDERS_PER_SECOND, orders_burst=ORDERS_BURST),
)


class ThrowAwayVenue:
    """A running venue with a firm, a provider, two operators and an auditor; `with` ends its processes."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="bourse-certify-"))
        self.folder = Folder(self._root / "venue")
        self.told: list[str] = []
        self.kills = 0
        """How often the trading process was killed."""
        self._supervisor = Supervisor(self.folder, settings, self.told.append)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._look_after, name="certify", daemon=True)

    def __enter__(self) -> Self:
        firm = Admit(member=FIRM, role="firm", size="small", region="HANGZHOU")
        keys = [new_key_pair(name) for name in (OPERATOR, SECOND_OPERATOR, AUDITOR, FIRM, MAKER)]
        self.folder.found(standard_acts([(firm, 10 * MILLION_YUAN)], keys, []), keys)
        try:
            self._supervisor.start()
        except BaseException:  # its logs stay, to tell why
            self._supervisor.stop()
            raise
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._watcher.join()
        self._supervisor.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def _look_after(self) -> None:
        """Begin again what was killed, until it dies too often."""
        try:
            while not self._ended.wait(LOOK_SECONDS):
                self._supervisor.look_after()
        except VenueFailed as failure:
            self.told.append(str(failure))

    def profile(self, member: str) -> Profile:
        """Return a member's profile."""
        return load_profile(self.folder.profile(member))

    @property
    def operators(self) -> str:
        """Where operators connect to."""
        return self._supervisor.endpoints.operators

    def kill_sequencer(self) -> None:
        """Kill the process that trades, without a warning; it is begun again."""
        self.kills += 1
        self._supervisor.processes[SEQUENCER].kill()
