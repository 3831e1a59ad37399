"""Hashes of single operations: run it on two processors and compare what it prints.

`OMP_NUM_THREADS=1 python -m benchmarks.processor.operations > FILE`; with the variables of
`sista.runs.portable.PINS` set, it computes as a grid with `bits: portable` does.
"""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

POINTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "log": lambda v: torch.log(v.abs() + 0.1),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "sqrt": lambda v: v.abs().sqrt(),
    "rsqrt": lambda v: (v.abs() + 0.1).rsqrt(),
    "divide": lambda v: v / (v.abs() + 0.1),
    "gelu": functional.gelu,
    "softmax": lambda v: v.softmax(-1),
    "log_softmax": lambda v: v.log_softmax(-1),
    "logsumexp": lambda v: v.logsumexp(-1),
    "sum": torch.sum,
    "variance": lambda v: v.var(-1),
    "normalize": lambda v: functional.normalize(v, dim=-1),
    "layer_norm": lambda v: functional.layer_norm(v, (128,)),
}
# Channels in, channels out, kernel, stride.
CONVOLUTIONS = {"3x3": (16, 32, 3, 1), "1x1": (16, 32, 1, 1), "3x3, stride 2": (16, 24, 3, 2)}
Hashes = Iterator[tuple[str, str]]


class Numbers:
    """Normal numbers from NumPy, whose generator is the same on every processor."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def __call__(self, *shape: int) -> Tensor:
        """Return the next numbers `[*shape]`, float32."""
        return torch.from_numpy(self.generator.standard_normal(shape).astype(np.float32))


def hashed(value: Tensor | None) -> str:
    """Return 10 hex digits of the bytes of a tensor."""
    assert value is not None
    return hashlib.sha256(value.detach().contiguous().numpy().tobytes()).hexdigest()[:10]


def products(draw: Numbers) -> Hashes:
    """Yield products of matrices and attention."""
    yield "product", hashed(draw(64, 96) @ draw(96, 80))
    yield "small product", hashed(draw(5, 7) @ draw(7, 3))
    yield "batched product", hashed(torch.bmm(draw(4, 20, 32), draw(4, 32, 20)))
    yield "linear", hashed(functional.linear(draw(33, 64), draw(48, 64), draw(48)))
    query = draw(2, 4, 30, 16).requires_grad_()
    out = functional.scaled_dot_product_attention(query, query, query)
    out.square().sum().backward()
    yield "attention", hashed(out)
    yield "attention, gradient", hashed(query.grad)


def convolutions(draw: Numbers) -> Hashes:
    """Yield convolutions in both memory formats, with their gradients."""
    images = draw(4, 16, 28, 28)
    for name, (inner, outer, kernel, stride) in CONVOLUTIONS.items():
        for form in (torch.contiguous_format, torch.channels_last):
            x = images.clone(memory_format=form).requires_grad_()
            w = draw(outer, inner, kernel, kernel).clone(memory_format=form).requires_grad_()
            out = functional.conv2d(x, w, stride=stride, padding=kernel // 2)
            out.square().sum().backward()
            named = f"convolution {name}{', channels last' * (form is torch.channels_last)}"
            yield named, hashed(out)
            yield f"{named}, gradient of images", hashed(x.grad)
            yield f"{named}, gradient of weights", hashed(w.grad)
    yield "batch norm", hashed(torch.nn.BatchNorm2d(16)(images))


def steps(draw: Numbers) -> Hashes:
    """Yield three steps of AdamW, written out and fused."""
    start, slope = draw(1000), draw(1000)
    for fused in (False, True):
        parameter = torch.nn.Parameter(start.clone())
        optimiser = torch.optim.AdamW([parameter], lr=1e-3, fused=fused)
        for _ in range(3):
            parameter.grad = slope * 0.01
            optimiser.step()
        yield f"AdamW{', fused' * fused}", hashed(parameter)


def main() -> None:
    """Print a line for each operation."""
    torch.set_num_threads(1)
    draw = Numbers()
    for name, value in (*products(draw), *convolutions(draw), *steps(draw)):
        print(f"{value} {name}")
    for name, function in POINTWISE.items():
        print(f"{hashed(function(draw(65, 128)))} {name}")


if __name__ == "__main__":
    main()
