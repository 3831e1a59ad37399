"""Every method on a GPU, in half precision, compiled and not; skipped where there is no GPU."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.speed import made_up
from benchmarks.speed.made_up import STUDIES
from sista import registry
from sista.engine.machine import Machine, Mode
from sista.engine.sources import known_labels
from tests.made_up_pairs import ROWS, trainer

METHODS = [n for n in registry.names("methods") if registry.find("methods", n)().needs.trained]
DEVICE = "cuda"
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
    pytest.mark.filterwarnings("ignore:.*(deterministic|TensorFloat32|CUDA Graph)"),
]


def trained(made, source, rows, steps=3):
    """The losses of some steps, and whether every parameter is still a number."""
    made.objective.calibrate(source.vectors)
    made.model.train()
    made.objective.before_epoch(lambda: made.embed(source), 0.0)
    made.model.train()
    made.objective.train()
    labels = known_labels(source.pairs)
    losses = []
    for number in range(steps):
        chunks = made.chunks(source, rows, number, labels)
        losses.append(made.step(chunks, source.alike(rows, made.device), number)["loss"])
        made.objective.after_step(made.model, 0.5)
    finite = all(bool(p.isfinite().all()) for p in made.model.parameters())
    return [float(loss) for loss in losses], finite


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("encoder", ["vit", "resnet"])
@pytest.mark.parametrize("method", METHODS)
def test_losses_are_finite(method, encoder, precision, compiled):
    Machine(DEVICE, 1, "auto", 500).start(0)
    torch._dynamo.reset()
    mode = replace(Mode.of(DEVICE), compiled=compiled, graphs=compiled)
    made, source = trainer(method, encoder, mode=mode, device=DEVICE, precision=precision)
    losses, finite = trained(made, source, ROWS)
    assert all(map(math.isfinite, losses))
    assert finite


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_the_paper_is_finite(method, precision, tmp_path):
    Machine(DEVICE, 1, "auto", 500).start(0)
    source = made_up.source(tmp_path / "images.npy", STUDIES, made_up.lengths(STUDIES))
    device, mode = torch.device(DEVICE), Mode.of(DEVICE)
    made = made_up.trainer(method, "vit_base", 144, precision, device, mode)
    losses, finite = trained(made, source, np.arange(144), 1)
    assert all(map(math.isfinite, losses))
    assert finite


def test_a_compiled_step_is_that_of_the_cpu():
    losses = []
    for device, compiled in (("cpu", False), (DEVICE, True)):
        torch._dynamo.reset()
        mode = replace(Mode.of(device), compiled=compiled, graphs=compiled)
        made, source = trainer("sista", "vit", mode=mode, device=device)
        losses.append(trained(made, source, ROWS)[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
