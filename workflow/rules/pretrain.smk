# pretrain  in: manifest, split, images and vocabulary of the corpus
#           out: results/pretrain/BUDGET/VARIANT/ENCODER/CORPUS/seedN/encoder.safetensors
#                (beside it log.csv and run.json, and the state that a killed run resumes from;
#                report vectors are kept in results/prepare/CORPUS/similarity, named by their hash)

PRETRAINED = "results/pretrain/{budget}/{variant}/{encoder}/{corpus}/seed{seed}"


rule pretrain:
    input:
        manifest="results/prepare/{corpus}/manifest.parquet",
        split="results/prepare/{corpus}/manifest.split.parquet",
        images="results/prepare/{corpus}/manifest.images.npy",
        vocabulary="results/prepare/{corpus}/manifest.vocabulary.json",
        weights=asked(
            lambda wildcards: plan.weights(
                grid.settings_of(wildcards.variant)[1], wildcards.encoder
            )
        ),
    output:
        encoder=f"{PRETRAINED}/encoder.safetensors",
    log:
        f"{PRETRAINED}/log.txt",
    conda:
        "../../envs/sista.yaml"
    threads: grid.threads
    resources:
        mem_mb=corpus_memory(8000, lambda: gpus(rules.pretrain.rule)),
        runtime=growing(1440),
        # A fact of the machine: `--set-resources pretrain:gpu=4`. Above one, torchrun.
        gpu=0,
    params:
        # Not {threads}, which Snakemake cuts to --cores: threads are part of a result's bits.
        options=asked(
            lambda wildcards: plan.options(
                method=grid.settings_of(wildcards.variant)[0],
                variant=wildcards.variant,
                settings=json.dumps(
                    grid.settings_of(wildcards.variant)[1], sort_keys=True
                ),
                encoder=wildcards.encoder,
                budget=wildcards.budget,
                corpus=wildcards.corpus,
                seed=wildcards.seed,
                threads=grid.threads,
            )
        ),
        # A result of other bits is another one.
        bits=grid.bits,
        code=asked(
            lambda wildcards: plan.code_hash(
                "pretrain", methods=grid.settings_of(wildcards.variant)[0]
            )
        ),
    message:
        "pretrain {wildcards.variant} {wildcards.encoder} on {wildcards.corpus}, "
        "{wildcards.budget}, seed {wildcards.seed}"
    shell:
        # Only the training itself hears these signals: it saves its state, then ends.
        "trap '' TERM USR1; "
        "gpus={resources.gpu:q}; run='python'; [ \"$gpus\" -le 1 ] ||"
        ' run="python -m torch.distributed.run --standalone --nproc-per-node $gpus"; '
        "$run -m sista pretrain {params.options:q} --manifest {input.manifest:q}"
        " --split {input.split:q} --out {output.encoder:q} 2>&1 | tee {log:q}"


# Two minutes before the time limit: profiles/slurm/batch.sh.
need_of_sbatch(rules.pretrain.rule, "--signal=B:USR1@120 --open-mode=append")


rule pretrain_all:
    input:
        targets["pretrain"],
