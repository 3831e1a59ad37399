# adapt  in: an encoder; manifest, split and images of the data set
#        out: results/adapt/PROTOCOL/DATASET/HEAD/BUDGET/VARIANT/ENCODER/CORPUS/seedN/
#             predictions.parquet (beside it run.json). One job covers all fractions and draws.

ADAPTED = "results/adapt/{protocol}/{dataset}/{head}/{budget}/{variant}/{encoder}/{corpus}/seed{seed}"


rule adapt:
    input:
        encoder=rules.pretrain.output.encoder,
        manifest=rules.prepare.output.manifest,
        split=rules.prepare.output.split,
        images=rules.prepare.output.images,
    output:
        predictions=f"{ADAPTED}/predictions.parquet",
    log:
        f"{ADAPTED}/log.txt",
    conda:
        "../../envs/sista.yaml"
    threads: grid.threads
    resources:
        mem_mb=corpus_memory(8000),
        runtime=growing(720),
        gpu=0,
        # Heads that are grouped into one job of a cluster run one after the other: profiles/slurm.
        turn=1,
    params:
        # Not from `output`: Snakemake would not see a change of what is made from other files.
        options=asked(
            lambda wildcards: plan.options(
                protocol=wildcards.protocol,
                dataset=wildcards.dataset,
                head=wildcards.head,
                budget=wildcards.budget,
                threads=grid.threads,
                **plan.subsets(ADAPTED.format(**wildcards), grid, wildcards.head),
            )
        ),
        # A result of other bits is another one.
        bits=grid.bits,
        code=asked(
            lambda wildcards: plan.code_hash(
                "adapt", heads=wildcards.head, protocols=wildcards.protocol
            )
        ),
    message:
        "adapt {wildcards.variant} {wildcards.encoder} with {wildcards.head} to {wildcards.dataset},"
        " seed {wildcards.seed}"
    shell:
        "python -m sista adapt {params.options:q} --manifest {input.manifest:q}"
        " --split {input.split:q} --encoder {input.encoder:q} --out {output.predictions:q}"
        " 2>&1 | tee {log:q}"
