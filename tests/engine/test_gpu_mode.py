"""What a GPU is asked for in a step, shown on the CPU in the GPU's mode."""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._pytree import tree_leaves, tree_map

from benchmarks.speed import made_up
from benchmarks.speed.measures import OperationCounter
from sista import registry
from sista.engine.machine import Mode
from sista.engine.parameters import parameter_groups
from sista.engine.sources import known_labels
from tests.engine.test_gradients import assert_equal
from tests.made_up_pairs import ROWS, gradients, trainer

METHODS = [n for n in registry.names("methods") if registry.find("methods", n)().needs.trained]
# What a value that is nowhere answers to who wants to see it.
REFUSED = (DataDependentOutputException, DynamicOutputShapeException, RuntimeError)
GPU = Mode(packed=True, ahead=2)


@pytest.mark.parametrize("method", METHODS)
def test_values_are_those_of_the_cpu(method):
    parts, theirs = (gradients(method, "vit", mode=mode)[0] for mode in (None, GPU))
    for name, value in parts.items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "chunk"), [("clip", 0), ("clip", 3), ("gloria", 3), ("mgca", 0), ("sista", 0)]
)
def test_gradients_are_those_of_the_cpu(method, chunk):
    # In double precision, since single precision rounds as coarsely as an error might be.
    one = gradients(method, "vit", double=True)
    assert_equal(one, gradients(method, "vit", double=True, mode=GPU, chunk=chunk), 1e-9)


@pytest.mark.parametrize("method", ["mgca", "simclr", "sista"])
def test_what_is_recorded_is_given_at_the_same_place_in_every_step(method, monkeypatch):
    seen = []

    def recorded(function, **form):
        def called(*args, **kwargs):
            leaves = tree_leaves((args, kwargs))
            seen.append([v.data_ptr() for v in leaves if torch.is_tensor(v)])
            return function(*args, **kwargs)

        return called

    monkeypatch.setattr(torch, "compile", recorded)
    mode = Mode(packed=True, compiled=True, graphs=True)
    made, source = trainer(method, "vit", mode=mode)
    plain, _ = trainer(method, "vit", mode=Mode(packed=True))
    calls, losses = [], []
    for number in range(3):
        # Elsewhere in memory each time, as what another thread prepares.
        chunks = made.chunks(source, ROWS, 0, known_labels(source.pairs))
        alike = source.alike(ROWS, made.device)
        steps = [one.step(chunks, alike, number)["loss"] for one in (made, plain)]
        losses.append([float(loss) for loss in steps])
        calls.append(seen.copy())
        seen.clear()
    assert len(calls[0]) == 2
    assert calls[0] == calls[1] == calls[2]
    # Also after the parameters have moved, by gradients of what was given.
    assert [one for one, _ in losses] == [other for _, other in losses]


def imagined(method):
    """A trainer whose values lie nowhere, and the batch of a step; what the host knows is real."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    made, source = trainer(method, "vit", mode=GPU)
    chunks = made.chunks(source, ROWS, 0, known_labels(source.pairs))
    alike = source.alike(ROWS, made.device)
    for module in [*made.model.modules(), *made.objective.modules()]:
        for held in (module._parameters, module._buffers):
            held |= {n: None if v is None else mode.from_tensor(v) for n, v in held.items()}
    groups = parameter_groups(made.model.train(), made.objective, 0.1)
    with mode:
        made.optimiser = torch.optim.AdamW(groups, fused=True)
    words = chunks[0].word_count
    (batch,) = tree_map(lambda v: mode.from_tensor(v) if torch.is_tensor(v) else v, chunks)
    return mode, made, [batch._replace(word_count=words)], mode.from_tensor(alike)


# GLoRIA counts words on the host with the numbers that a batch brings; see `test_gradients`.
@pytest.mark.parametrize("method", [method for method in METHODS if method != "gloria"])
def test_no_step_reads_a_value_of_the_device(method):
    mode, made, chunks, alike = imagined(method)
    with mode:
        parts = made.step(chunks, alike, 0)
        made.objective.after_step(made.model, 0.5)
        assert parts["loss"].shape == ()
        # The guard is one: each of these reads a value that is nowhere.
        for read in (float, bool, torch.Tensor.tolist, torch.nonzero):
            with pytest.raises(REFUSED):
                read(parts["loss"])


def test_operations_of_a_step_are_few_whatever_the_lengths(tmp_path):
    # As deep as ViT-B/16 and BERT of 12 layers; operations do not depend on widths.
    form = ("clip", "vit_base", 16, "no", torch.device("cpu"), GPU)
    made = made_up.trainer(*form, slim=True)
    ways = [np.full(16, 112), np.full(16, 12), made_up.lengths(16), made_up.lengths(16, 1)]
    counts = []
    for number, length in enumerate(ways):
        data = made_up.source(tmp_path / "images.npy", 16, length.astype(np.int32))
        chunks = made.chunks(data, np.arange(16), 0, known_labels(data.pairs))
        with OperationCounter() as counter:
            made.step(chunks, data.alike(np.arange(16), made.device), number)
        counts.append(counter.count)
    # The first step makes the optimiser's state.
    assert len(set(counts[1:])) == 1
    assert counts[1] <= 11_000
