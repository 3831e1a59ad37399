"""What a grid asks of a machine: hours where they were measured, disk, memory, a GPU. No torch."""

from collections.abc import Iterator, Mapping

from sista import registry
from sista.datasets._card import Dataset
from sista.grid.budgets import BUDGETS
from sista.grid.grid import Grid
from sista.metadata import data_word

# CPU seconds: medians of the records behind results/released/methods (51 encoders, 54 linear heads
# and U-Nets, 16 YOLOv3; a head job is three label fractions of five draws), both cores of an Intel
# Xeon at 2.5 GHz busy. A quiet run of the phantom grid took 1,275, half of what these add up to.
PRETRAIN = {"quick": 131.0}
HEADS = {"linear": 15.0, "unet": 55.0, "yolov3": 99.0}
# Not measured by themselves: a ViT's decoder as a ResNet's; what trains no head as the linear one.
HEADS |= {"setr_pup": HEADS["unet"]}
OTHER_HEAD, DATA = HEADS["linear"], 81.0
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
        seconds += sum(HEADS.get(run.head, OTHER_HEAD) for run in heads)
        seconds += DATA * len(targets["fetch"])
        told = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
        yield f"about {told} of one busy CPU core, half of it on a quiet one"
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
