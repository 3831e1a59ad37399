# score   in: the grid and its predictions (and images, patients, labels inside them)
#         out: results/score/GRID.parquet, one row per number
# report  in: the grid and its scores
#         out: results/report/GRID/index.html and the tables of each task, {task}.{csv,md,tex,html}


rule score:
    input:
        grid=GRID,
        predictions=targets["adapt"],
        code=plan.code("score"),
    output:
        scores=f"results/score/{NAME}.parquet",
    log:
        f"results/score/{NAME}.log",
    benchmark:
        f"results/score/{NAME}.runtime.tsv"
    conda:
        "../../envs/sista.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    message:
        f"score {NAME}"
    shell:
        "python -m sista score --grid {input.grid} --out {output.scores} --threads {threads}"
        " 2>&1 | tee {log}"


rule score_all:
    input:
        targets["score"],


rule report:
    input:
        grid=GRID,
        scores=f"results/score/{NAME}.parquet",
        code=plan.code("report.stage"),
    output:
        index=report(
            f"results/report/{NAME}/index.html",
            caption="../report/index.rst",
            category="Page",
        ),
        tables=report(
            expand(
                f"results/report/{NAME}/{{task}}.html",
                task=dict.fromkeys(run.task for run in grid.adapt_runs()),
            ),
            caption="../report/table.rst",
            category="Tables",
        ),
    log:
        f"results/report/{NAME}.log",
    benchmark:
        f"results/report/{NAME}.runtime.tsv"
    conda:
        "../../envs/sista.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        folder=lambda wildcards, output: Path(output.index).parent.as_posix(),
    message:
        f"report {NAME}"
    shell:
        "python -m sista report --grid {input.grid} --scores {input.scores} --out {params.folder}"
        " 2>&1 | tee {log}"
