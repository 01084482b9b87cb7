"""The end of a seed: all faults stop, and everything must come to agree, in a bounded time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exchange.server.follower import Follower
from exchange.server.settler import Settler
from exchange.simulation.faulty_disk import FaultyDisk
from exchange.simulation.laws import member_broken
from exchange.simulation.parts import JOURNAL
from exchange.simulation.plan import SECOND_NS
from feeds.builder import State
from settlement.store import Store

if TYPE_CHECKING:
    from exchange.simulation.world import World

ROUND_SECONDS = 10
ROUNDS_MAX = 60
"""After ten minutes without a fault all must be well."""


def come_to_rest(world: World) -> None:
    """Let the faults stop, wait until all agree, and look at everything. Raises `AssertionError`."""
    heal(world)
    lacking: list[str] = []
    for _ in range(ROUNDS_MAX):
        world.until(world.now + ROUND_SECONDS * SECOND_NS)
        for member in world.members:
            if member.seat.session.ready:
                member.settle(member.seat.clock())
                world.send_out(member.seat)
        lacking = lacks(world)
        if not lacking:
            break
    assert not lacking, f"liveness: {'; '.join(lacking)}"
    for member in world.members:
        if member.seat.session.ended is None:
            heard = member.seat.session.blotter.fills
            broken = member_broken(
                member.beliefs(), world.venue.engine, member.seat.name, world.chronicle, heard
            )
            assert not broken, f"{member.seat.name} believes otherwise: {'; '.join(broken)}"
    world.settlement.flush()
    world.chronicle.settled(world.settlement.store, world.settlement.follower.engine)
    rebuild(world)


def heal(world: World) -> None:
    """Let nothing go wrong from now on, and repair what can be repaired."""
    network, disk = world.network, world.disk
    network.weather.clear()
    network.stalled.clear()
    network.late_ns.clear()
    for line in tuple(network.lines.values()):
        if max(line.out_at, line.back_at) > world.now:  # what was stalled would come hours from now
            network.cut(line)
    disk.is_full, disk.fails, disk.dies_in, disk.slow_ns = False, "", None, 0
    world.disk.unflip()
    world.settlement.store.dies = False
    world.wall_offset_ns = 0
    for seat in world.seats:
        seat.skew_ns, seat.is_deaf = 0, False
        while seat.unread:
            world.receive(seat, seat.unread.popleft())
    for reader in world.audience.readers:
        reader.is_slow = False
        world.audience.read_on(reader)
    for part in world.parts:
        world.rouse(part)


def lacks(world: World) -> list[str]:
    """Return in words what does not agree yet."""
    down = [part.name for part in world.parts if not part.is_up]
    if down:
        return [f"{', '.join(down)} not up"]
    head = world.venue.engine.sequence
    behind = [
        f"{part.name} at {part.follower.engine.sequence} of {head}"
        for part in world.followers
        if part.follower.engine.sequence != head
    ]
    unread = [
        f"{reader.name} is {book.state.value} at {book.instrument}"
        for reader in world.audience.readers
        for book in reader.books
        if book.state in {State.WAITING, State.GAPPED}
    ]
    silent = [
        f"{member.seat.name} waits for {open_} answers"
        if member.seat.session.ready
        else f"{member.seat.name} is out"
        for member in world.members
        if member.seat.session.ended is None
        and ((open_ := member.open_requests(member.seat.clock())) or not member.seat.session.ready)
    ]
    unseen = [
        fault
        for reader in world.audience.readers
        for fault in world.chronicle.unseen(reader.books, reader.name)
    ]
    return behind + unread + unseen + silent


def rebuild(world: World) -> None:
    """Hold the store against one that is made anew from the whole journal, backups included."""
    archive = FaultyDisk(lambda _: None)
    archive.files = {**world.disk.let_go, **world.disk.files}
    rebuilt = Store.open()
    try:
        settler = Settler(Follower(JOURNAL, None, archive), rebuilt)
        settler.settle(world.venue.commit)
        settler.flush()
        world.chronicle.rebuilt(world.settlement.store, rebuilt)
    finally:
        rebuilt.close()
