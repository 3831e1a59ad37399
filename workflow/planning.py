"""What makes Snakemake plan thousands of jobs in seconds, and what rules need of SLURM.

Nothing here changes what is planned. `benchmarks/speed/planning.py` measures the time; its limits
are what most of these lines are for.
"""

import atexit
import gc
import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from snakemake.common import overwrite_function_params
from snakemake.resources import Resource
from snakemake.rules import Rule

from sista.errors import UserError, shown

EXTRA = "slurm_extra"
Function = TypeVar("Function", bound=Callable[..., object])


def keep_garbage() -> None:
    """Look for no garbage while planning, nor when the process ends.

    A graph of jobs is millions of objects that refer to each other and all stay until the end. The
    collector walks over all of them each time a quarter more were made, and once more at exit, to
    find nothing.
    """
    gc.disable()
    # The interpreter collects once more as it ends; what is frozen is left out of that.
    atexit.register(gc.freeze)


def collect_garbage() -> None:
    """Look for garbage again: a scheduler runs for days beside its jobs."""
    gc.enable()


def check_paths(grid: str) -> None:
    """Refuse paths that Snakemake cannot hand on to the jobs of a cluster, before there is one.

    It writes the words of their commands as Python does, not as a shell reads them, and that of
    Python without any quotes; those of arrays stand between double quotes. A blank in the path of
    the checkout survives that, one in the path of the grid does not.

    Args:
        grid: path as it was given.

    Raises:
        UserError: names the path.
    """
    special = set("'\"`$\\\n")
    for path, taken in ((os.getcwd(), special), (grid, special | {" ", "\t"})):
        if wrong := sorted(set(path) & taken):
            raise UserError(
                f"{path}: Snakemake cannot hand {shown(wrong[0])} on to the jobs of a cluster; "
                "move it into a folder without quotes, backslashes, $ and `, a grid also without "
                "blanks"
            )
    # Letters of any language are none that a shell looks at.
    if re.search(r"[^\w@%+=:,./-]", sys.executable):
        raise UserError(
            f"{sys.executable}: Snakemake cannot hand such a path of Python on to the jobs of a "
            "cluster; make the environment elsewhere (make env VENV=...)"
        )


def asked(function: Function) -> Function:
    """Return a function of a rule with the list of its parameters kept beside it.

    Snakemake asks each function of `input`, `params` and `resources` in each job which of
    `wildcards`, `attempt`, ... it takes. Working the signature out takes longer than the call.
    """
    overwrite_function_params(function, signature(function).parameters)
    return function


def growing(amount: int) -> Callable[..., int]:
    """Return a resource that grows with the attempt: the amount, twice, three times, ..."""
    return asked(lambda wildcards, attempt: amount * attempt)


def corpus_memory(amount: int, processes: Callable[[], int] = lambda: 1) -> Callable[..., int]:
    """Return the memory in MB of what reads a corpus, growing with the attempt.

    Images stay in their container, which all processes of a machine share. What each holds are
    texts, labels and tables: about eight times the compressed manifest.

    Args:
        amount: of a process beside the corpus.
        processes: how many read it; asked when a job is submitted.
    """

    def needed(wildcards: object, input: Any, attempt: int) -> int:
        manifest = Path(str(input.manifest))
        # Before `prepare` nobody knows how large it is; the corpus of a job is there by then.
        held = 8 * (manifest.stat().st_size >> 20) if manifest.is_file() else 0
        return (amount + held) * processes() * attempt

    return asked(needed)


def gpus(rule: Rule) -> int:
    """Return how many GPUs a rule's jobs ask for, and with them how many processes, at least 1."""
    given = rule.resources.get("gpu")
    return 1 if given is None or given.is_evaluable() else max(int(given.value), 1)


def need_of_sbatch(rule: Rule, options: str) -> None:
    """Give a rule's jobs options of sbatch, beside those that a site adds with `slurm_extra`.

    Snakemake takes one `slurm_extra` only: the rule's in place of `--default-resources`, and that
    of `--set-resources` in place of the rule's. Of an option given twice sbatch takes the last,
    which is the site's.

    Args:
        rule: after its definition, so that it holds what the site has set.
        options: of sbatch.
    """
    given = rule.resources.get(EXTRA)
    value: str | Callable[..., str] = options
    if given is not None and given.is_evaluable():

        @wraps(given._evaluator)
        def both(*args: object, **kwargs: object) -> str:
            return f"{options} {given._evaluator(*args, **kwargs) or ''}".strip()

        value = asked(both)
    elif given is not None and given.value:
        value = f"{options} {given.value}"
    rule.resources[EXTRA] = Resource(EXTRA, value)


# Snakemake's own: asked once for each resource of each job.
asked(Resource.evaluate)
