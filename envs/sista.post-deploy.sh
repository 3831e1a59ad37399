#!/usr/bin/env bash
# Installs the hash-pinned lock into the conda environment that Snakemake has just made.
# Snakemake names the environment by this file, not by the lock: the checksum below makes a changed
# lock a new environment (`make lock` writes it).
set -euo pipefail
lock_sha256=3cc753811a0e67bbe44361069e78ac42db69f6754dd953a2897f3e01104ab6c0

if ! echo "$lock_sha256  envs/requirements.lock" | sha256sum --check --status; then
    echo "envs/requirements.lock is not the lock of envs/sista.post-deploy.sh: run 'make lock'," \
        "and start Snakemake in the project's folder" >&2
    exit 1
fi
python -m pip install --quiet --require-hashes -r envs/uv.lock.txt
python -m uv pip install --python "$CONDA_PREFIX/bin/python" --require-hashes --compile-bytecode \
    -r envs/requirements.lock
