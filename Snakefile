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
from sista.runs.portable import exports
from workflow.planning import (
    asked,
    check_paths,
    collect_garbage,
    corpus_memory,
    gpus,
    growing,
    keep_garbage,
    need_of_sbatch,
)

keep_garbage()
if unknown := sorted(set(config) - {"grid"}):
    raise UserError(f"--config {unknown[0]}: unknown; valid: grid=FILE")
GRID = str(config.get("grid", "benchmarks/phantom.yaml"))
NAME = Path(GRID).stem
if set(GRID) & set("{}"):
    raise UserError(f"{GRID}: Snakemake takes braces for wildcards; move the grid")

grid = Grid.load(GRID)
targets = plan.targets(grid, NAME)


onstart:
    # Here, since planning alone needs no data set.
    from sista.monitor.preflight import lacking

    collect_garbage()
    if not workflow.local_exec:
        check_paths(GRID)
    starting = {
        (job.rule.name, tuple(job.wildcards.items()))
        for job in workflow.dag.needrun_jobs()
        if job.rule.name in ("fetch", "pretrain")
    }
    words = [(name, dict(items)) for name, items in starting]
    fetches = [each["dataset"] for name, each in words if name == "fetch"]
    trained = [
        (w["variant"], w["encoder"]) for name, w in words if name == "pretrain"
    ]
    if found := list(lacking(grid, fetches, trained)):
        raise UserError("\n".join(["no job was started:", *found]))


# Hashes, threads and instruction sets are part of a result's bits: Snakemake would cut the threads to --cores.
PINS = exports(grid.bits)
THREADS = f"OMP_NUM_THREADS={grid.threads} MKL_NUM_THREADS={grid.threads}"
shell.prefix(f"set -euo pipefail; export PYTHONHASHSEED=0 {THREADS} {PINS}; ")


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
