"""What each of several processes does in `test_distributed.py`; started by torchrun."""

import sys
from collections import Counter
from pathlib import Path

import torch
import torch.distributed as dist

from sista.engine import buckets
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


def counted(name, calls):
    """Count the calls of one kind of message."""
    send = getattr(dist, name)

    def counting(*arguments, **options):
        calls[name] += 1
        return send(*arguments, **options)

    setattr(dist, name, counting)


if __name__ == "__main__":
    # Not `tests.made_up_pairs`: other packages install a `tests` too.
    from made_up_pairs import gradients

    torch.set_num_threads(1)
    # So small that these models have several.
    buckets.BUCKET = 4096
    calls = Counter()
    for name in ("all_gather", "all_reduce"):
        counted(name, calls)
    with processes(torch.device("cpu")) as ranks:
        results = []
        for method, encoder, chunk, double in CASES:
            # Double precision, so that what differs is no rounding.
            parts, found, made = gradients(method, encoder, chunk=chunk, ranks=ranks, double=double)
            results.append((parts, found, made.model.state_dict()))
            if len(results) == 1:
                torch.save(dict(calls), Path(sys.argv[1]) / f"calls{ranks.rank}.pt")
        torch.save(results, Path(sys.argv[1]) / f"{ranks.rank}.pt")
