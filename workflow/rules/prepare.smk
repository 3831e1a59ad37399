# Rules call `python -m sista`: a clone runs its own code, also where `sista` on the PATH is of another.
#
# fetch    in: nothing (a missing source fails in its own job, every grid plans without the data);
#              data/DATASET.dvc where DVC keeps the versions of the raw data
#          out: results/fetch/DATASET/inventory.parquet; for the phantom also raw/, its raw layout
# prepare  in: the inventory
#          out: results/prepare/DATASET/manifest.parquet, manifest.split.parquet, manifest.images.npy,
#               manifest.vocabulary.json, manifest.regions.parquet


rule fetch:
    input:
        version=lambda wildcards: plan.version(wildcards.dataset),
    output:
        inventory="results/fetch/{dataset}/inventory.parquet",
    log:
        "results/fetch/{dataset}/log.txt",
    conda:
        "../../envs/sista.yaml"
    threads: lambda wildcards: plan.workers(wildcards.dataset)
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        # Not the files of the code as inputs: with them a job took half as long again to plan.
        code=lambda wildcards: plan.code_hash("fetch", datasets=wildcards.dataset),
    message:
        "fetch {wildcards.dataset}"
    shell:
        "python -m sista fetch {wildcards.dataset:q} --out {output.inventory:q}"
        " --threads {threads:q} 2>&1 | tee {log:q}"


rule prepare:
    input:
        inventory="results/fetch/{dataset}/inventory.parquet",
    output:
        manifest="results/prepare/{dataset}/manifest.parquet",
        split="results/prepare/{dataset}/manifest.split.parquet",
        images="results/prepare/{dataset}/manifest.images.npy",
        vocabulary="results/prepare/{dataset}/manifest.vocabulary.json",
        regions="results/prepare/{dataset}/manifest.regions.parquet",
    log:
        "results/prepare/{dataset}/log.txt",
    conda:
        "../../envs/sista.yaml"
    threads: lambda wildcards: plan.workers(wildcards.dataset)
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        # Real data is found below SISTA_DATA by the command itself.
        source=lambda wildcards: (
            ["--source", f"results/fetch/{wildcards.dataset}/raw"]
            if "@" in wildcards.dataset
            else []
        ),
        code=lambda wildcards: plan.code_hash("prepare", datasets=wildcards.dataset),
    message:
        "prepare {wildcards.dataset}"
    shell:
        "python -m sista prepare {wildcards.dataset:q} {params.source:q}"
        " --inventory {input.inventory:q} --out {output.manifest:q} --threads {threads:q}"
        " 2>&1 | tee {log:q}"


rule prepare_all:
    input:
        targets["prepare"],
