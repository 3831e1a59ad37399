import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sista import registry
from sista.engine.gradients import join
from sista.engine.interface import Embedded
from sista.engine.machine import Mode
from sista.engine.sources import known_labels
from tests.made_up_pairs import ROWS, gradients, trainer

METHODS = [n for n in registry.names("methods") if registry.find("methods", n)().needs.trained]


def assert_equal(one, other, tolerance=1e-5):
    (parts, found, _), (their_parts, theirs, _) = one, other
    assert parts.keys() == their_parts.keys()
    for name, value in parts.items():
        torch.testing.assert_close(value, their_parts[name], rtol=tolerance, atol=tolerance)
    assert found.keys() == theirs.keys()
    scale = max(g.abs().max().item() for g in found.values())
    for name, gradient in found.items():
        gap = (gradient - theirs[name]).abs().max().item()
        assert gap <= tolerance * max(scale, 1.0), (name, gap, scale)


@pytest.mark.parametrize("method", METHODS)
def test_chunks_give_the_gradients_of_the_whole_batch(method):
    # In double precision, since single precision rounds as coarsely as an error might be.
    whole, chunked = (gradients(method, "vit", double=True, chunk=chunk) for chunk in (0, 3))
    assert_equal(whole, chunked, 1e-9)


@pytest.mark.parametrize("method", ["clip", "sista"])
def test_chunks_give_the_gradients_in_single_precision(method):
    assert_equal(gradients(method, "vit"), gradients(method, "vit", chunk=3), 5e-5)


@pytest.mark.parametrize("method", ["clip", "sista"])
def test_statistics_of_the_head_norm_are_over_the_whole_batch(method):
    _, _, whole = gradients(method, "vit")
    _, _, chunked = gradients(method, "vit", chunk=3)
    for head in ("image_head", "text_head"):
        states = (dict(made.model.named_children())[head].state_dict() for made in (whole, chunked))
        for one, other in zip(*(s.values() for s in states), strict=True):
            torch.testing.assert_close(one, other)


def test_a_norm_inside_the_encoder_follows_each_chunk_once():
    _, _, made = gradients("clip", "resnet", chunk=3)
    counts = [v for k, v in made.model.image.state_dict().items() if k.endswith("_tracked")]
    assert len(counts) > 4
    assert all(count == 3 for count in counts)


def test_dropout_is_the_same_in_both_passes():
    parts, found, made = gradients("clip", "vit", chunk=3, dropout=0.5)
    # The same chunks in one graph, without the detour over the embeddings.
    other, source = trainer("clip", "vit", chunk=3, dropout=0.5)
    other.model.train()
    chunks = other.chunks(source, ROWS, 0, known_labels(source.pairs))
    encode, seeds = other.differentiate._encode, other.differentiate._seeds(chunks, 5)
    whole = join([encode(c, s) for c, s in zip(chunks, seeds, strict=True)])
    loss = other.objective(other.model.project(whole))["loss"]
    loss.backward()
    torch.testing.assert_close(parts["loss"], loss.detach())
    for name, parameter in other.model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[f"model.{name}"], parameter.grad)
    without = gradients("clip", "vit", chunk=3)
    assert not torch.allclose(parts["loss"], without[0]["loss"])
    assert made.model.training


def test_parts_of_two_pairs_cannot_be_joined():
    part = Embedded(image=torch.zeros(2, 3), similarity=torch.eye(2))
    with pytest.raises(ValueError, match="similarity has no rows"):
        join([part, part])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_encoders_compute_in_half_and_losses_in_single_precision(precision):
    half, exact = (gradients("sista", "vit", precision=p)[0]["loss"] for p in (precision, "no"))
    assert half != exact
    torch.testing.assert_close(half, exact, rtol=0.02, atol=0.02)
    made, source = trainer("sista", "vit", precision=precision)
    seen = []
    made.model.image.body.blocks[0].mlp.fc1.register_forward_hook(
        lambda _, __, out: seen.append(out.dtype)
    )
    embedded = []
    made.objective.register_forward_pre_hook(lambda _, inputs: embedded.append(inputs[0]))
    made.model.train()
    chunks = made.chunks(source, ROWS, 0, known_labels(source.pairs))
    parts = made.step(chunks, source.alike(ROWS, made.device), 0)
    assert seen == [{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]]
    floats = [v for v in embedded[0] if v is not None and v.is_floating_point()]
    assert all(v.dtype == torch.float32 for v in floats)
    assert parts["loss"].dtype == torch.float32


def test_an_overflow_in_half_precision_skips_the_step():
    made, source = trainer("clip", "vit", precision="fp16")
    made.model.train()
    rows = np.arange(8)
    labels = known_labels(source.pairs)
    made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = [p.clone() for p in made.model.parameters()]
    made.step(made.chunks(source, rows, 0, labels), source.alike(rows, made.device), 0)
    assert all(torch.equal(a, b) for a, b in zip(before, made.model.parameters(), strict=True))
    assert made.scaler.get_scale() < 2.0**120


class Calls(TorchDispatchMode):
    """Counts what would wait for a GPU."""

    WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal")

    def __init__(self):
        super().__init__()
        self.waits = []
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        if function._schema.name in self.WAITS:
            self.waits.append(function._schema.name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("chunk", [0, 3])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_never_waits_for_the_device(method, chunk):
    made, source = trainer(method, "vit", chunk=chunk)
    made.model.train()
    rows = np.arange(8)
    alike = source.alike(rows, made.device)
    # Preparing a batch is work of the host; the first step makes the optimiser's state.
    for number in range(2):
        chunks = made.chunks(source, rows, 0, known_labels(source.pairs))
        with Calls() as calls:
            made.step(chunks, alike, number)
            made.objective.after_step(made.model, 0.5)
    assert calls.count > 100
    assert calls.waits == []


def test_the_counter_sees_a_wait():
    with Calls() as calls:
        torch.ones(()).item()
        torch.ones(3).nonzero()
    assert calls.waits == ["aten::_local_scalar_dense", "aten::nonzero"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["mgca", "sista"])
def test_compiled_encoders_give_the_same_loss_and_the_same_names(method):
    plain, made = gradients(method, "vit"), gradients(method, "vit", mode=Mode(compiled=True))
    # Fused products round otherwise.
    assert_equal(plain, made, 5e-4)
    assert list(plain[2].model.state_dict()) == list(made[2].model.state_dict())
