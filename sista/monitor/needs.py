"""What a grid asks of a machine: hours where they were measured, disk, memory, a GPU. No torch."""

from collections.abc import Iterator, Mapping

from sista import registry
from sista.datasets._card import Dataset
from sista.grid.budgets import BUDGETS
from sista.grid.grid import Grid
from sista.metadata import data_word

# Seconds of one core of an Intel Xeon at 2.5 GHz, both small encoders, on the phantom, from quiet
# runs of its grids. A head job: three label fractions of five draws.
PRETRAIN = {"tiny": 10.0, "quick": 110.0, "quick_longer": 165.0}
HEADS = {"linear": 7.0, "unet": 25.0, "setr_pup": 25.0, "yolov3": 35.0}
OTHER_HEAD, DATA = 5.0, 45.0
SMALL = ("resnet_tiny", "vit_tiny")
# Bytes of a prepared film, and films of a data set of the phantom.
FILM, PHANTOM = 256 * 256, 1600
# As the rules ask SLURM for it; the phantom's jobs hold less (`peak_mb` of the released scores).
JOB_GB, PHANTOM_JOB_GB = 8, 1.5


def needs(grid: Grid, targets: Mapping[str, list[str]]) -> str:
    """Return in words what a grid needs.

    Args:
        grid: the grid.
        targets: its files by stage; what is there already counts as well.
    """
    return "; ".join(_needs(grid, targets))


def _needs(grid: Grid, targets: Mapping[str, list[str]]) -> Iterator[str]:
    runs, heads = list(grid.pretrain_runs()), list(grid.adapt_runs())
    words = {run.corpus for run in runs} | {run.dataset for run in heads}
    phantom = all("@phantom" in word for word in words)
    known = all(run.budget in PRETRAIN and run.encoder in SMALL for run in runs)
    if known and phantom:
        # A control is written, not trained.
        seconds = sum(PRETRAIN[run.budget] for run in runs if run.method != "random_init")
        # The heads of the budget for trials take a few steps.
        costs = HEADS if any(run.budget != "tiny" for run in runs) else {}
        seconds += sum(costs.get(run.head, OTHER_HEAD) for run in heads)
        seconds += DATA * len(targets["fetch"])
        told = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
        yield f"about {told} of one CPU core"
    else:
        yield "time not measured"
    yield f"disk {sum(map(_films, words)) * FILM / 1e9:.1f} GB for prepared films"
    yield f"memory {PHANTOM_JOB_GB if phantom and known else JOB_GB:g} GB a job"
    if any(BUDGETS[run.budget].precision != "no" for run in runs if run.budget in BUDGETS):
        yield "a GPU"


def _films(word: str) -> int:
    """Return how many films a data set has, by its card."""
    if "@phantom" in word:
        return PHANTOM
    card: Dataset = registry.find("datasets", data_word(word))
    return max(card.counts.values(), default=0)
