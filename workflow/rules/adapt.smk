# adapt  in: an encoder; manifest, split and images of the data set
#        out: results/adapt/PROTOCOL/DATASET/HEAD/BUDGET/VARIANT/ENCODER/CORPUS/seedN/
#             predictions.parquet (beside it run.json). One job covers all fractions and draws.

ADAPTED = "results/adapt/{protocol}/{dataset}/{head}/{budget}/{variant}/{encoder}/{corpus}/seed{seed}"


rule adapt:
    input:
        encoder=f"{PRETRAINED}/encoder.safetensors",
        manifest="results/prepare/{dataset}/manifest.parquet",
        split="results/prepare/{dataset}/manifest.split.parquet",
        images="results/prepare/{dataset}/manifest.images.npy",
    output:
        predictions=f"{ADAPTED}/predictions.parquet",
    log:
        f"{ADAPTED}/log.txt",
    benchmark:
        f"{ADAPTED}/runtime.tsv"
    conda:
        "../../envs/sista.yaml"
    threads: grid.threads
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
        gpu=0,
    params:
        # Not from `output`: Snakemake would not see a change of what is made from other files.
        draws=lambda wildcards: plan.covered(
            ADAPTED.format(**wildcards), "draws", grid.draws
        ),
        fractions=lambda wildcards: plan.covered(
            ADAPTED.format(**wildcards), "fractions", grid.fractions
        ),
        threads=grid.threads,
        code=lambda wildcards: plan.code_hash(
            "adapt", heads=wildcards.head, protocols=wildcards.protocol
        ),
    message:
        "adapt {wildcards.variant} {wildcards.encoder} with {wildcards.head} to {wildcards.dataset},"
        " seed {wildcards.seed}"
    shell:
        "export OMP_NUM_THREADS={params.threads} MKL_NUM_THREADS={params.threads}; "
        "python -m sista adapt --protocol {wildcards.protocol} --dataset {wildcards.dataset}"
        " --head {wildcards.head} --budget {wildcards.budget} --manifest {input.manifest}"
        " --split {input.split} --encoder {input.encoder} --draws {params.draws}"
        " --fractions {params.fractions} --out {output.predictions} --threads {params.threads}"
        " 2>&1 | tee {log}"
