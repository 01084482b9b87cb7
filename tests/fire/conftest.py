"""What the tests of real processes share."""

from __future__ import annotations

import pytest

from exchange.server.warm import warm_up
from tests.fire.rounds import World


@pytest.fixture
def world(tmp_path):
    warm_up()
    place = World(tmp_path)
    yield place
    place.end()
