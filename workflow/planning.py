"""What makes Snakemake plan thousands of jobs in seconds. Nothing here changes what is planned.

`benchmarks/speed/planning.py` measures it; its limits are what these lines are for.
"""

import atexit
import gc
from collections.abc import Callable
from inspect import signature
from typing import TypeVar

from snakemake.common import overwrite_function_params
from snakemake.resources import Resource

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


# Snakemake's own: asked once for each resource of each job.
asked(Resource.evaluate)
