"""What each of several processes does in `test_distributed.py`; started by torchrun."""

import sys
from pathlib import Path

import torch

from sista.engine.distributed import processes

# Method, encoder, pairs of a chunk (0 = no chunks), double precision.
CASES = [
    ("clip", "vit", 0, False),
    ("clip", "resnet", 0, False),
    ("sista", "vit", 0, True),
    ("sista", "resnet", 0, True),
    ("sista", "vit", 2, True),
    ("pixpro", "resnet", 0, True),
    ("medclip", "vit", 0, True),
    ("supervised", "resnet", 0, True),
]

if __name__ == "__main__":
    # Not `tests.made_up_pairs`: other packages install a `tests` too.
    from made_up_pairs import gradients

    torch.set_num_threads(1)
    with processes(torch.device("cpu")) as ranks:
        results = []
        for method, encoder, chunk, double in CASES:
            # Double precision, so that what differs is no rounding.
            parts, found, made = gradients(method, encoder, chunk=chunk, ranks=ranks, double=double)
            results.append((parts, found, made.model.state_dict()))
        torch.save(results, Path(sys.argv[1]) / f"{ranks.rank}.pt")
