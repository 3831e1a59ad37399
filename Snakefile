# The map: sources → fetch → prepare → pretrain → adapt → score → report.
#   snakemake --cores all                                        # benchmarks/phantom.yaml
#   snakemake --cores all --config grid=benchmarks/open.yaml     # another grid
#   snakemake --cores all --allowed-rules report -- report_all   # the tables only
import atexit
import gc
import json
from inspect import signature
from pathlib import Path
from snakemake.common import overwrite_function_params
from snakemake.resources import Resource
from sista.grid import plan
from sista.grid.grid import Grid
from sista.grid.file import read_grid

GRID = config.get("grid", "benchmarks/phantom.yaml")
NAME = Path(GRID).stem

grid = Grid.load(GRID)
targets = plan.targets(grid, NAME)

# A plan of thousands of jobs is millions of objects that stay: no garbage is looked for among them,
# neither while it is made nor when the process ends.
gc.disable()
atexit.register(gc.freeze)


def asked(function):
    """Return a function with its parameters kept: Snakemake asks for them in every job."""
    overwrite_function_params(function, signature(function).parameters)
    return function


asked(Resource.evaluate)


def growing(amount):
    """Return a resource that grows with the attempt: the amount, twice, three times, ..."""
    return asked(lambda wildcards, attempt: amount * attempt)


onstart:
    gc.enable()


# Hashes and threads are part of a result's bits: Snakemake would cut the threads to --cores.
THREADS = f"OMP_NUM_THREADS={grid.threads} MKL_NUM_THREADS={grid.threads}"
shell.prefix(f"set -euo pipefail; export PYTHONHASHSEED=0 {THREADS}; ")


# One folder each: without this a path could be cut up in many ways, and Snakemake tries them all.
wildcard_constraints:
    protocol="[^/]+",
    dataset="[^/]+",
    head="[^/]+",
    budget="[^/]+",
    variant="[^/]+",
    encoder="[^/]+",
    corpus="[^/]+",
    seed="[0-9]+",


rule all:
    input:
        plan.deleted(targets),
        lambda wildcards: rules.score.output,
        targets["report"],
    message:
        f"{GRID}: all results are there"


include: "workflow/rules/prepare.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/adapt.smk"
include: "workflow/rules/report.smk"
