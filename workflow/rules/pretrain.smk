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
        weights=lambda wildcards: plan.weights(
            grid.settings_of(wildcards.variant)[1], wildcards.encoder
        ),
    output:
        encoder=f"{PRETRAINED}/encoder.safetensors",
    log:
        f"{PRETRAINED}/log.txt",
    benchmark:
        f"{PRETRAINED}/runtime.tsv"
    conda:
        "../../envs/sista.yaml"
    threads: grid.threads
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 1440 * attempt,
        # A fact of the machine: `--set-resources pretrain:gpu=4`. Above one, torchrun.
        gpu=0,
        # Two minutes before the time limit: profiles/slurm/batch.sh.
        slurm_extra="--signal=B:USR1@120 --open-mode=append",
    params:
        method=lambda wildcards: grid.settings_of(wildcards.variant)[0],
        settings=lambda wildcards: json.dumps(
            grid.settings_of(wildcards.variant)[1], sort_keys=True
        ),
        # Not {threads}, which Snakemake cuts to --cores: threads are part of a result's bits.
        threads=grid.threads,
        code=lambda wildcards: plan.code_hash(
            "pretrain", methods=grid.settings_of(wildcards.variant)[0]
        ),
    message:
        "pretrain {wildcards.variant} {wildcards.encoder} on {wildcards.corpus}, "
        "{wildcards.budget}, seed {wildcards.seed}"
    shell:
        # Only the training itself hears these signals: it saves its state, then ends.
        "trap '' TERM USR1; "
        "export OMP_NUM_THREADS={params.threads} MKL_NUM_THREADS={params.threads}; "
        "run='python'; [ {resources.gpu} -le 1 ] ||"
        " run='python -m torch.distributed.run --standalone --nproc-per-node {resources.gpu}'; "
        "$run -m sista pretrain --method {params.method} --variant {wildcards.variant}"
        " --settings {params.settings:q} --encoder {wildcards.encoder} --budget {wildcards.budget}"
        " --corpus {wildcards.corpus} --seed {wildcards.seed} --manifest {input.manifest}"
        " --split {input.split} --out {output.encoder} --threads {params.threads} 2>&1 | tee {log}"


rule pretrain_all:
    input:
        targets["pretrain"],
