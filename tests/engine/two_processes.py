"""What each of several processes does in `test_distributed.py`; started by torchrun."""

import sys
from pathlib import Path

import torch

from sista.engine.distributed import processes

CASES = [
    ("clip", "vit", 0),
    ("clip", "resnet", 0),
    ("sista", "vit", 0),
    ("sista", "resnet", 0),
    ("sista", "vit", 2),
    ("pixpro", "resnet", 0),
    ("supervised", "resnet", 0),
]

if __name__ == "__main__":
    # Not `tests.made_up_pairs`: other packages install a `tests` too.
    from made_up_pairs import gradients

    torch.set_num_threads(1)
    with processes(torch.device("cpu")) as ranks:
        results = []
        for method, encoder, chunk in CASES:
            parts, found, made = gradients(method, encoder, chunk=chunk, ranks=ranks)
            results.append((parts, found, made.model.state_dict()))
        torch.save(results, Path(sys.argv[1]) / f"{ranks.rank}.pt")
