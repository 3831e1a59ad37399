# The map: sources → fetch → prepare → pretrain → adapt → score → report.
#   snakemake --cores all                                        # benchmarks/phantom.yaml
#   snakemake --cores all --config grid=benchmarks/open.yaml     # another grid
#   snakemake --cores all --allowed-rules report -- report_all   # the tables only
import json
from pathlib import Path
from sista.errors import WORD, UserError
from sista.grid import plan
from sista.grid.grid import Grid
from sista.grid.file import read_grid
from workflow.planning import (
    asked,
    collect_garbage,
    corpus_memory,
    gpus,
    growing,
    keep_garbage,
    need_of_sbatch,
)

keep_garbage()
GRID = str(config.get("grid", "benchmarks/phantom.yaml"))
NAME = Path(GRID).stem
if set(GRID) & set("{}"):
    raise UserError(f"{GRID}: Snakemake takes braces for wildcards; move the grid")

grid = Grid.load(GRID)
targets = plan.targets(grid, NAME)


onstart:
    collect_garbage()


# Hashes and threads are part of a result's bits: Snakemake would cut the threads to --cores.
THREADS = f"OMP_NUM_THREADS={grid.threads} MKL_NUM_THREADS={grid.threads}"
shell.prefix(f"set -euo pipefail; export PYTHONHASHSEED=0 {THREADS}; ")


# Words are parts of commands. One folder each: without this a path could be cut up in many ways, and
# Snakemake tries them all.
wildcard_constraints:
    protocol=WORD,
    dataset=WORD,
    head=WORD,
    budget=WORD,
    variant=WORD,
    encoder=WORD,
    corpus=WORD,
    seed="[0-9]+",


rule all:
    input:
        plan.deleted(targets),
        lambda wildcards: rules.score.output,
        targets["report"],
    message:
        f"{NAME}: all results are there"


include: "workflow/rules/prepare.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/adapt.smk"
include: "workflow/rules/report.smk"
