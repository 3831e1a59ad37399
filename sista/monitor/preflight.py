"""Verb `check`: what a grid lacks, told at once and before any job starts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sista import registry
from sista.datasets._card import Dataset
from sista.errors import UserError, say
from sista.grid import plan
from sista.grid.grid import Grid
from sista.metadata import data_word


def check(grid: Path = Path("benchmarks/phantom.yaml")) -> None:
    """Say which raw data and weights a grid lacks here; exit with 1 where it lacks any.

    A run of the grid asks the same of the jobs that it is about to start. What is made already
    needs no source.

    Args:
        grid: the grid file.
    """
    compared = Grid.load(grid)
    made = plan.targets(compared, grid.stem)
    fetches = [Path(path).parent.name for path in made["fetch"] if not Path(path).is_file()]
    trained = {
        (run.variant, run.encoder)
        for run in compared.pretrain_runs()
        if not Path(run.checkpoint).is_file()
    }
    found = list(lacking(compared, fetches, trained))
    if found:
        raise UserError("\n".join([*found, f"{grid}: {len(found)} missing, see above"]))
    say(f"{grid}: raw data and weights of all jobs are there")


def lacking(
    grid: Grid, fetches: Iterable[str], trained: Iterable[tuple[str, str]]
) -> Iterator[str]:
    """Yield what is missing, with the remedy; a data set or a file of weights is told once.

    Args:
        grid: what is compared.
        fetches: references of the data sets whose sources are to be listed.
        trained: variant and encoder of each pre-training that is to run.
    """
    for reference in sorted(set(fetches)):
        if "@" in reference:
            continue
        dataset: Dataset = registry.find("datasets", data_word(reference))
        try:
            dataset.find(None)
        except UserError as error:
            yield str(error)
    told: set[Path] = set()
    for variant, encoder in sorted(set(trained)):
        path = plan.weights_path(grid.settings_of(variant)[1], encoder)
        if path is not None and not path.is_file() and path not in told:
            told.add(path)
            yield (
                f"variant {variant}: {path}: no such file of weights; make it with `sista import`, "
                "or name another one in the grid"
            )
