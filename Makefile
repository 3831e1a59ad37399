# Thin: each line is a command that you could type. Needs git, make and a Python (3.11 to 3.13) with venv.
VENV ?= .venv
# The Python and the extras that the environment has.
MADE := $(shell cat $(VENV)/.installed 2>/dev/null)
# Its own, else the newest that there is.
PYTHON ?= $(or $(firstword $(MADE)),$(shell for each in python3.13 python3.12 python3.11; do \
	$$each -c "import ensurepip, venv" 2>/dev/null && echo $$each && break; done))
# core: no torch, 1.2 GB. cpu: torch without the CUDA libraries, about 3 GB. all: 7.5 GB.
EXTRAS ?= $(or $(word 2,$(MADE)),all)
CORES ?= all
GRID ?= benchmarks/phantom.yaml
# Not `notdir`: a folder's name may hold a blank.
NAME = $(basename $(lastword $(subst /, ,$(GRID))))
SCORES = results/score/$(NAME).parquet
RELEASED = results/released/$(NAME)/scores.parquet
ROW ?= sista/resnet_tiny
COLUMN ?= chexpert@phantom/10
HEAD ?= linear
SITE ?= site
UV = .uv/bin/uv
# Wheels without CUDA are on PyTorch's own index, so no hash of the lock fits them: the version does.
TORCH = $(shell grep -oE '^torch(vision)?==[0-9.]+' envs/requirements.lock)
# Not `abspath`: the checkout's name may hold a blank.
export PATH := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin:$(PATH)
export OMP_NUM_THREADS ?= 1
# Where the home folder cannot be written, what tools keep there lies in the checkout.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export XDG_CACHE_HOME ?= $(CURDIR)/.cache
export XDG_CONFIG_HOME ?= $(CURDIR)/.cache/config
endif

.PHONY: help env run test test-slow verify reproduce bench lint lock release site clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

env: $(VENV)/.installed ## make .venv from the hash-pinned lock (PYTHON=python3.12, VENV=.venv312, EXTRAS=core|cpu|all)

# Made afresh when another Python is asked for. The checkout itself is installed without packages and
# without a download: the lock stays their only source.
$(VENV)/.installed: envs/requirements.lock envs/uv.lock.txt pyproject.toml envs/subset.py $(if $(filter-out $(MADE),$(PYTHON) $(EXTRAS)),again)
	@$(or $(PYTHON),false) -c "import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" || \
		{ echo "$(if $(PYTHON),'$(PYTHON)' is no,there is no) Python 3.13, 3.12 or 3.11 with venv: install one" \
		"(Debian: python3-venv), or name it: make env PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear .uv
	.uv/bin/pip install --quiet --require-hashes -r envs/uv.lock.txt
	$(UV) venv --quiet $(if $(filter $(firstword $(MADE)),$(PYTHON)),--allow-existing,--clear) --no-python-downloads --python $(PYTHON) $(VENV)
	$(if $(filter all,$(EXTRAS)),cat envs/requirements.lock,$(PYTHON) envs/subset.py "$(EXTRAS)") > .uv/wanted.lock
	$(UV) pip sync --python $(VENV)/bin/python --require-hashes --compile-bytecode .uv/wanted.lock
	$(if $(filter cpu,$(EXTRAS)),$(UV) pip install --quiet --no-deps --torch-backend cpu --python $(VENV)/bin/python $(TORCH))
	$(UV) pip install --python $(VENV)/bin/python --quiet --offline --no-deps --no-build-isolation -e .
	echo $(PYTHON) $(EXTRAS) > $@

.PHONY: again

run: env ## run a grid (GRID=benchmarks/open.yaml, CORES=2, ARGS=-n, CURVES=curves) and print its main tables
	snakemake --cores $(CORES) --rerun-incomplete --quiet host reason --config "grid=$(GRID)" $(ARGS)
	$(if $(CURVES),sista curves --out $(CURVES))
	@test ! -f $(SCORES) || sista show $(SCORES) --released $(RELEASED)

test: env ## run the test suite
	pytest -n auto --dist loadfile

test-slow: env ## run the slow tests too (before a release)
	pytest -m "slow or not slow"

verify: env ## hash all results again and name what was altered
	sista verify

reproduce: env ## make one released number again (SCORES=results/released/phantom/scores.parquet ROW=sista/resnet_tiny COLUMN=... HEAD=linear)
	sista reproduce $(SCORES) --row $(ROW) --column $(COLUMN) --head $(HEAD) $(ARGS)

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
	sista report --grid "$(GRID)" --scores $(SCORES) --out results/released/$(NAME)
	cd results/released/$(NAME) && rm -f index.html run.json

site: env ## build the leaderboard and the documentation (SITE=site) from the released scores
	sista site --out "$(SITE)" $(ARGS)

lock: env ## resolve pyproject.toml again into the lock (one for all Pythons)
	$(UV) pip compile --quiet --all-extras --universal --python-version 3.11 --generate-hashes --no-header \
		--output-file envs/requirements.lock pyproject.toml
	sed -i "s/^lock_sha256=.*/lock_sha256=$$(sha256sum envs/requirements.lock | cut -d' ' -f1)/" \
		envs/sista.post-deploy.sh

clean: ## delete generated results (results/released stays)
	git clean -fdXq results
