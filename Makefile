# Thin: each line is a command that you could type. Needs git, make and Python 3.11 with venv.
PYTHON ?= python3.11
CORES ?= all
GRID ?= benchmarks/phantom.yaml
NAME = $(basename $(notdir $(GRID)))
SCORES = results/score/$(NAME).parquet
ROW ?= sista/resnet_tiny
COLUMN ?= chexpert@phantom/10
UV = .uv/bin/uv
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export OMP_NUM_THREADS ?= 1

.PHONY: help env run test test-slow verify reproduce bench lint lock release clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

env: .venv/.installed ## make .venv from the hash-pinned lock

.venv/.installed: envs/requirements.lock envs/uv.lock.txt
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --require-hashes -r envs/uv.lock.txt
	$(UV) venv --quiet --allow-existing --no-python-downloads --python $(PYTHON) .venv
	$(UV) pip sync --python .venv/bin/python --require-hashes --compile-bytecode envs/requirements.lock
	touch $@

run: env ## run a grid (GRID=benchmarks/open.yaml, CORES=2, ARGS=-n) and print its main tables
	snakemake --cores $(CORES) --rerun-incomplete --quiet host reason --config grid=$(GRID) $(ARGS)
	@test ! -f $(SCORES) || python -m sista show $(SCORES)

test: env ## run the test suite
	pytest -n auto --dist loadfile

test-slow: env ## run the slow tests too (before a release)
	pytest -m "slow or not slow"

verify: env ## hash all results again and name what was altered
	python -m sista verify

reproduce: env ## make one released number again (SCORES=results/released/phantom/scores.parquet ROW=sista/resnet_tiny COLUMN=...)
	python -m sista reproduce $(SCORES) --row $(ROW) --column $(COLUMN) $(ARGS)

bench: env ## measure start-up, planning and no-op times
	python benchmarks/speed/planning.py

lint: env ## check style, types, ceilings and the import order
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/rules
	mypy
	pytest tests/test_architecture.py

release: env ## copy the scores of GRID and draw its tables and figures afresh in results/released (no real films)
	mkdir -p results/released/$(NAME)
	cp $(SCORES) results/released/$(NAME)/scores.parquet
	cd results/released/$(NAME) && rm -rf figures *.csv *.tex *.html
	python -m sista report --grid $(GRID) --scores $(SCORES) --out results/released/$(NAME)
	cd results/released/$(NAME) && rm -f index.html run.json

lock: env ## resolve pyproject.toml again into the lock
	$(UV) pip compile --quiet --all-extras --python-version 3.11 --generate-hashes --no-header \
		--output-file envs/requirements.lock pyproject.toml
	sed -i "s/^lock_sha256=.*/lock_sha256=$$(sha256sum envs/requirements.lock | cut -d' ' -f1)/" \
		envs/sista.post-deploy.sh

clean: ## delete generated results (results/released stays)
	git clean -fdXq results
