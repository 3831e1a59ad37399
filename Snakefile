# The map: sources → fetch → prepare → pretrain → adapt → score → report.
#   snakemake --cores all                                        # benchmarks/phantom.yaml
#   snakemake --cores all --config grid=benchmarks/open.yaml     # another grid
#   snakemake --cores all --allowed-rules report -- report_all   # the tables only
import gc
import json
from pathlib import Path
from sista import plan
from sista.grid import Grid
from sista.grid_file import read_grid

GRID = config.get("grid", "benchmarks/phantom.yaml")
NAME = Path(GRID).stem

grid = Grid.load(GRID)
targets = plan.targets(grid, NAME)

# Thousands of jobs are millions of objects that stay: looking for garbage costs a quarter of a plan.
gc.freeze()
gc.set_threshold(200_000, 100, 100)

shell.prefix("set -euo pipefail; export PYTHONHASHSEED=0; ")


rule all:
    input:
        targets["adapt"],
        lambda wildcards: rules.score.output,
        targets["report"],
    message:
        f"{GRID}: all results are there"


include: "workflow/rules/prepare.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/adapt.smk"
include: "workflow/rules/report.smk"
