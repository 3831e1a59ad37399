"""The same bits on processors of every maker: instruction sets pinned before torch starts.

By itself each library takes the widest instructions of the processor, and MKL other code on one
of another maker; sums then end in other last bits, and a training in another encoder. README.md
of `benchmarks/processor` says what differs and what pinning costs.
"""

import os
from typing import Literal

Bits = Literal["native", "portable"]

# Of these only `COMPATIBLE` is the same code in MKL for every maker; all others need AVX2.
PINS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}


def exports(bits: Bits) -> str:
    """Return the assignments that a job's shell exports; empty for `native`."""
    return " ".join(f"{name}={value}" for name, value in PINS.items()) if bits != "native" else ""


def bits() -> Bits:
    """Return what this process computes with, from its environment."""
    pinned = all(os.environ.get(name) == value for name, value in PINS.items())
    return "portable" if pinned else "native"
