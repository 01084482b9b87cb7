"""What goes wrong, each by its name: an item of the plan is carried out on the world."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from exchange.server.frames import SEGMENT_HEADER_BYTES
from exchange.server.reading import SEGMENT_NAME
from exchange.simulation.network import NOTICED_NS, Weather
from exchange.simulation.parts import SettlementPart, take_snapshot
from exchange.simulation.plan import SECOND_NS, Item

if TYPE_CHECKING:
    from exchange.simulation.world import World

HALF = 0.5
ONE_SEAT = 0.7
"""How likely it is a seat that nothing reaches; else it is the followers."""

LATE_NS = 5 * SECOND_NS
SLOW_DISK_NS = 20_000_000
CALLS_MIDWAY_MAX = 12
CLOCK_JUMP_SECONDS_MAX = 7_200
SKEW_SECONDS_MAX = 50
PAUSE_SECONDS_MAX = 600.0
KEEP_SEGMENTS = 1


class Idle(Exception):
    """There is nothing that the fault could befall: no line to cut, no process to kill."""


def befall(world: World, item: Item) -> bool:
    """Let happen what an item names; return whether there was anything that it could befall."""
    try:
        _DEEDS[item.kind](world, item, Random(item.seed))
    except Idle:
        return False
    return True


# --- lines ---------------------------------------------------------------------------------------


def _cut(world: World, item: Item, _chance: Random) -> None:
    line = world.network.line_of(world.seats[item.target % len(world.seats)])
    if line is None:
        raise Idle
    world.network.cut(line)


def _stall(world: World, item: Item, chance: Random) -> None:
    """Let nothing pass, either way; a line that is dead for long is given up by both."""
    seat = world.seats[item.target % len(world.seats)]
    names = [seat.name] if chance.random() < ONE_SEAT else [part.name for part in world.followers]
    until = world.now + int(item.seconds * SECOND_NS)
    for name in names:
        world.network.stalled[name] = until
    line = world.network.line_of(seat)
    if line is not None and item.seconds * SECOND_NS > NOTICED_NS and seat.name in names:
        world.at(world.now + NOTICED_NS, partial(world.network.cut, line))
    world.lasting(item.kind, item.seconds, lambda: None)


def _delay(world: World, item: Item, _chance: Random) -> None:
    name = world.seats[item.target % len(world.seats)].name
    world.network.late_ns[name] = LATE_NS
    world.lasting(item.kind, item.seconds, lambda: world.network.late_ns.pop(name, None))


def _slow_seat(world: World, item: Item, _chance: Random) -> None:
    seat = world.seats[item.target % len(world.seats)]
    seat.is_deaf = True

    def hear_again() -> None:
        seat.is_deaf = False
        while seat.unread and not seat.is_deaf:
            world.receive(seat, seat.unread.popleft())

    world.lasting(item.kind, item.seconds, hear_again)


def _seat_clock(world: World, item: Item, chance: Random) -> None:
    seat = world.seats[item.target % len(world.seats)]
    seat.skew_ns = chance.randrange(-SKEW_SECONDS_MAX, SKEW_SECONDS_MAX) * SECOND_NS


def _weather(world: World, item: Item, chance: Random) -> None:
    """Lose, double or swap messages of the feed, or of the commits, for a while."""
    listeners = [reader.name for reader in world.audience.readers]
    if item.kind == "lose commits":
        listeners = [part.name for part in world.followers]
    name = listeners[item.target % len(listeners)]
    weather = world.network.weather.get(name, Weather())
    field = item.kind.partition(" ")[0]
    share = chance.choice((5, 30, 100 if field == "lose" else 60))
    world.network.weather[name] = weather._replace(**{field: share})

    def clear() -> None:
        left = world.network.weather.get(name, Weather())
        world.network.weather[name] = left._replace(**{field: 0})

    world.lasting(item.kind, item.seconds, clear)


def _slow_reader(world: World, item: Item, _chance: Random) -> None:
    reader = world.audience.readers[item.target % len(world.audience.readers)]
    reader.is_slow = True

    def read_again() -> None:
        reader.is_slow = False
        world.audience.read_on(reader)

    world.lasting(item.kind, item.seconds, read_again)


# --- processes -----------------------------------------------------------------------------------


def _kill(world: World, item: Item, chance: Random) -> None:
    part = world.parts[item.target % len(world.parts)]
    if not part.is_up:
        raise Idle
    world.shapes.note(f"killed: {part.name}")
    world.die(part, chance.randrange(1, 30 * SECOND_NS))


def _kill_midway(world: World, item: Item, chance: Random) -> None:
    """Have the sequencer die amid its calls to the disk, or the settlement amid a commit."""
    if item.target % 3:
        world.disk.dies_in = chance.randrange(CALLS_MIDWAY_MAX)
        world.shapes.note("killed midway: sequencer")
    else:
        part = world.settlement
        if not part.is_up:
            raise Idle
        part.store.dies = True
        world.shapes.note("killed midway: settlement")
        world.guarded(part, partial(_settle_and_flush, part))


def _settle_and_flush(part: SettlementPart) -> None:
    part.turn()
    part.flush()


def _pause(world: World, item: Item, _chance: Random) -> None:
    part = world.parts[item.target % len(world.parts)]
    if not part.is_up:
        raise Idle
    seconds = min(item.seconds, PAUSE_SECONDS_MAX)
    part.paused_until = world.now + int(seconds * SECOND_NS)
    world.shapes.note(f"paused: {part.name}")
    world.lasting(item.kind, seconds, lambda: world.wake(part))


def _power_cut(world: World, item: Item, chance: Random) -> None:
    """End all processes at once; the disk keeps what was synced, and some of what was not."""
    after = chance.randrange(SECOND_NS, 120 * SECOND_NS)
    for part in world.parts:
        world.die(part, after)
    share = chance.choice((0.0, 0.5, 1.0))
    world.disk.lose_power(names_too=chance.random() < HALF, survives=lambda _sector: chance.random() < share)
    noted = world.settlement.noted
    if len(noted) > 1 and chance.random() < HALF:
        noted.pop()  # a watermark is not synced


# --- disk ----------------------------------------------------------------------------------------


def _fail_write(world: World, item: Item, chance: Random) -> None:
    world.disk.half = chance.random() < HALF
    world.disk.fails = "write"


def _fail_sync(world: World, item: Item, _chance: Random) -> None:
    world.disk.fails = "sync"


def _slow_disk(world: World, item: Item, _chance: Random) -> None:
    world.disk.slow_ns = SLOW_DISK_NS
    world.lasting(item.kind, item.seconds, partial(setattr, world.disk, "slow_ns", 0))


def _full_disk(world: World, item: Item, _chance: Random) -> None:
    world.disk.is_full = True
    world.lasting(item.kind, item.seconds, partial(setattr, world.disk, "is_full", False))


def _flip_journal(world: World, item: Item, chance: Random) -> None:
    """Flip bits of a frame that another one follows: of the last, nothing tells a crash from a flip."""
    if not world.venue.is_up:
        raise Idle
    segments = sorted(name for name in world.disk.files if SEGMENT_NAME.fullmatch(name))
    name = chance.choice(segments)
    segment, last = int(name.partition(".")[0]), world.last_frame_at
    written = len(world.disk.files[name].seen)
    if segment == world.venue.commit.position.segment:
        written = last.offset if last.segment == segment else 0
    if written <= SEGMENT_HEADER_BYTES:
        raise Idle
    world.disk.flip(name, chance.randrange(written), 1 << chance.randrange(8))


def _flip_snapshot(world: World, item: Item, chance: Random) -> None:
    snapshots = sorted(name for name in world.disk.files if name.endswith(".snapshot"))
    if not snapshots:
        raise Idle
    name = chance.choice(snapshots)
    world.disk.flip(name, chance.randrange(len(world.disk.files[name].seen)), 1 << chance.randrange(8))


def _snapshot(world: World, item: Item, chance: Random) -> None:
    """Have a snapshot taken; midway, whoever takes it dies."""
    if not world.venue.is_up:
        raise Idle
    if item.kind == "snapshot midway":
        world.disk.dies_in = chance.randrange(CALLS_MIDWAY_MAX)
    before = set(world.disk.handles)
    passed = world.settlement.noted[-1]
    world.snapshot(partial(take_snapshot, world, world.venue.commit, passed, KEEP_SEGMENTS))
    world.disk.drop_handles(set(world.disk.handles) - before)


# --- clocks --------------------------------------------------------------------------------------


def _clock(world: World, item: Item, chance: Random) -> None:
    seconds = chance.randrange(1, CLOCK_JUMP_SECONDS_MAX)
    world.wall_offset_ns += (seconds if item.kind == "clock ahead" else -seconds) * SECOND_NS


_DEEDS: dict[str, Callable[[World, Item, Random], None]] = {
    "cut": _cut,
    "stall": _stall,
    "delay": _delay,
    "slow seat": _slow_seat,
    "seat clock": _seat_clock,
    "lose": _weather,
    "double": _weather,
    "swap": _weather,
    "slow reader": _slow_reader,
    "lose commits": _weather,
    "kill": _kill,
    "kill midway": _kill_midway,
    "pause": _pause,
    "power cut": _power_cut,
    "fail write": _fail_write,
    "fail sync": _fail_sync,
    "slow disk": _slow_disk,
    "full disk": _full_disk,
    "flip journal": _flip_journal,
    "flip snapshot": _flip_snapshot,
    "snapshot": _snapshot,
    "snapshot midway": _snapshot,
    "clock ahead": _clock,
    "clock back": _clock,
}
