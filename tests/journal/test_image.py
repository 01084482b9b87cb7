"""An engine of an image is the same engine: the same state, the same tables, and the same from then on."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import numba
import numpy as np
import pytest

from exchange import image
from exchange.engine import Engine
from exchange.fixing import Notes
from exchange.image import Image, ImageUnfit, engine_of, image_of, types_digest
from exchange.registry import Registry
from tests.engine.flow import Flow, MoneyFlow
from tests.engine.flow_world import IDS_PER_MEMBER
from tests.engine.market import batch_of
from tests.journal.samples import Samples, shape_of
from tests.journal.world import engine_after, state_of, tape

STEPS = 1_200


def copied(engine: Engine) -> Engine:
    """Return an engine of another's image, of which nothing is shared."""
    form, tables = image_of(engine)
    return engine_of(Image(bytes(form), [bytes(table) for table in tables]))


def tables_of(engine: Engine) -> list[np.ndarray]:
    core = engine.core
    return [*core.book, *core.ledger, *core.memory, core.form, core.draft, core.grant]


@pytest.mark.parametrize("flow", [Flow, MoneyFlow])
def test_original_and_copy_go_on_alike(flow, seed, scale):
    """Copies are made on the way; each is played to the end, and says what the original does."""
    steps = [*flow(seed).steps(STEPS * scale)]
    original = Engine(IDS_PER_MEMBER)
    pairs = []
    for at in range(0, len(steps), 100):
        batch = batch_of(steps[at : at + 100])
        if at % 400 == 0:
            pairs.append(copied(original))
        told = original.apply(*batch)
        said = told.events.tobytes(), told.effects.tobytes(), told.acts, told.happened
        for copy in pairs:
            one = copy.apply(*batch)
            assert (one.events.tobytes(), one.effects.tobytes(), one.acts, one.happened) == said, at
            assert state_of(copy) == state_of(original), at
    for copy in pairs:
        assert shape_of(copy.registry) == shape_of(original.registry)
        assert shape_of(copy.notes) == shape_of(original.notes)
        assert copy.whole()[3:] == original.whole()[3:]
        assert copy.programmes() == original.programmes()


def test_a_copy_is_of_its_own():
    batches = tape(1, 40)
    original = engine_after(batches[:-1])
    before = state_of(original)
    copy = copied(original)
    copy.apply(*batches[-1])
    assert state_of(original) == before != state_of(copy)


def test_the_tables_of_a_copy_are_to_the_kernels_what_the_originals_are():
    original = engine_after(tape(1, 40))
    copy = copied(original)
    for one, other in zip(tables_of(original), tables_of(copy), strict=True):
        assert numba.typeof(one) == numba.typeof(other)
        assert np.array_equal(one, other)
        assert other.flags.c_contiguous
        assert other.flags.writeable
        assert not len(other) or other.ctypes.data % 64 == 0, "rows of a cache line lie on one"


def test_every_field_of_registry_and_notes_survives():
    samples = Samples()
    engine = Engine()
    engine.registry, engine.notes = samples.of(Registry), samples.of(Notes)
    for whole, empty in ((engine.registry, Registry()), (engine.notes, Notes())):
        for field in whole.__struct_fields__:
            assert getattr(whole, field) != getattr(empty, field), f"the sample of {field} tells nothing"
    copy = copied(engine)
    assert shape_of(copy.registry) == shape_of(engine.registry)
    assert shape_of(copy.notes) == shape_of(engine.notes)


@pytest.mark.parametrize("field", [*Registry.__struct_fields__])
def test_a_field_that_was_lost_would_be_seen(field):
    whole = Samples().of(Registry)
    lost = msgspec.structs.replace(whole, **{field: getattr(Registry(), field)})
    assert shape_of(lost) != shape_of(whole)


def test_what_is_kept_beside_tables_and_names_survives():
    engine = engine_after(tape(3, 100, flow=Flow))
    engine._interruptions = 7
    copy = copied(engine)
    assert copy.whole()[3:] == engine.whole()[3:]
    assert engine.whole().acts_digest != bytes(32)
    assert (copy.sequence, copy.time) == (180, engine.time)


def test_an_image_of_another_form_is_refused(monkeypatch):
    made = image_of(engine_after(tape(1, 0)))
    monkeypatch.setattr(image, "types_digest", lambda: "another")
    with pytest.raises(ImageUnfit, match="another form in this program; use the program that made it"):
        engine_of(made)


@pytest.mark.parametrize("form", [b"", b"\xc1", b"\x80", b"no message", b"\x81\xa5types\xa1x"])
def test_what_is_no_image_is_refused(form):
    with pytest.raises(ImageUnfit):
        engine_of(Image(form, []))


def test_a_registry_of_other_fields_is_another_form():
    before = types_digest()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(image, "Registry", msgspec.defstruct("Registry", [("members", list[str])]))
        types_digest.cache_clear()
        assert types_digest() != before
    types_digest.cache_clear()
    assert types_digest() == before


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_form_is_the_same_in_every_process(hash_seed):
    told = subprocess.run(
        [sys.executable, "-c", "from exchange.image import types_digest; print(types_digest())"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == types_digest()
