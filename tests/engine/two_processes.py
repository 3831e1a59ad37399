"""What each of several processes does in `test_distributed.py`; started by torchrun."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from sista.engine import buckets
from sista.engine.buckets import Buckets
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


def sent_early(method, encoder, chunk, ranks):
    """Return the share of messages that two steps send during their pass, and the last gradients.

    The first learns which gradients come in that pass.
    """
    made, source = trainer(method, encoder, chunk=chunk, ranks=ranks, double=True)
    # As the pooler of a released BERT: nothing reaches it.
    made.model.unused = torch.nn.Linear(40, 40).double()
    held = Buckets(ranks, made.model, made.objective)
    made.differentiate = replace(made.differentiate, buckets=held)
    finish, shares = held.finish, []

    def finishing():
        shares.append(held._next / len(held._buckets))
        finish()

    held.finish = finishing
    for _ in range(2):
        for parameter in (*made.model.parameters(), *made.objective.parameters()):
            parameter.grad = None
        _, found = step(made, source)
    return shares, found


# Sent during the pass of a second step.
EARLY = [("clip", "vit", 0), ("sista", "vit", 2)]


def counted(name, calls):
    """Count the calls of one kind of message."""
    send = getattr(dist, name)

    def counting(*arguments, **options):
        calls[name] += 1
        return send(*arguments, **options)

    setattr(dist, name, counting)


if __name__ == "__main__":
    # Not `tests.made_up_pairs`: other packages install a `tests` too.
    from made_up_pairs import gradients, step, trainer

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
        early = [(*case, *sent_early(*case, ranks)) for case in EARLY]
        torch.save(early, Path(sys.argv[1]) / f"early{ranks.rank}.pt")
        torch.save(results, Path(sys.argv[1]) / f"{ranks.rank}.pt")
