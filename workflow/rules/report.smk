# score   in: the grid with its bases, and its predictions (and images, patients, labels inside them)
#         out: results/score/GRID.parquet, one row per number; the main scores for DVC beside it,
#              GRID.metrics.json and GRID.plots.csv
#         --discard-features: then removes what adapt has kept beside the grid's encoders,
#              results/pretrain/.../.features; heads of another grid encode again
# report  in: the grid with its bases, and its scores
#         out: results/report/GRID/index.html and the tables of each task, {task}.{csv,md,tex,html}

PAGE = f"results/report/{NAME}"
BASES = read_grid(GRID)[1][1:]
# Of the power study, for captions of grids with one seed.
VARIANCES = [
    path for path in ("results/released/power/components.csv",) if Path(path).is_file()
]
TASKS = sorted({run.task for run in grid.adapt_runs()})


rule score:
    input:
        grid=GRID,
        bases=BASES,
        predictions=targets["adapt"],
    output:
        scores=f"results/score/{NAME}.parquet",
        metrics=f"results/score/{NAME}.metrics.json",
        plots=f"results/score/{NAME}.plots.csv",
    log:
        f"results/score/{NAME}.log",
    conda:
        "../../envs/sista.yaml"
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        code=[plan.code_hash("score", tasks=task) for task in TASKS],
    message:
        f"score {NAME}"
    shell:
        "python -m sista score --grid {input.grid:q} --out {output.scores:q} --threads {threads:q}"
        " --discard-features 2>&1 | tee {log:q}"


rule score_all:
    input:
        rules.score.output,


rule report:
    input:
        grid=GRID,
        bases=BASES,
        scores=f"results/score/{NAME}.parquet",
        variances=VARIANCES,
        templates=sorted(
            path.as_posix() for path in Path("sista/report/html").iterdir()
        ),
    output:
        index=report(
            f"{PAGE}/index.html",
            caption="../report/index.rst",
            category="Page",
        ),
        tables=report(
            expand(f"{PAGE}/{{task}}.html", task=TASKS),
            caption="../report/table.rst",
            category="Tables",
        ),
        formats=expand(
            f"{PAGE}/{{task}}.{{ending}}", task=TASKS, ending=["csv", "md", "tex"]
        ),
        figures=report(
            directory(f"{PAGE}/figures"),
            patterns=["{name}.png"],
            caption="../report/figure.rst",
            category="Figures",
        ),
    log:
        f"{PAGE}/log.txt",
    conda:
        "../../envs/sista.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        folder=PAGE,
        code=[plan.code_hash("report", tasks=task) for task in TASKS],
    message:
        f"report {NAME}"
    shell:
        "mkdir -p {output.figures:q}; "
        "python -m sista report --grid {input.grid:q} --scores {input.scores:q}"
        " --out {params.folder:q} 2>&1 | tee {log:q}"


rule report_all:
    input:
        targets["report"],
