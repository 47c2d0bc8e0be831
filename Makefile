# `make` alone lists the targets. Everything runs in .venv/, which `make setup` fills from requirements.lock.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# The first of these that starts and is 3.11 or 3.12; otherwise run `make PYTHON=/path/to/python3.12 setup`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$python && break; \
	done)
# On two cores: tests wait for servers and child processes nearly half of their time.
WORKERS ?= 3
BIN := $(CURDIR)/.venv/bin
RUN := PATH="$(BIN):$$PATH"

# Settings of the caller's pip and uv that would change what is installed; indexes, proxies and
# certificates stay as they are.
CLEAN := env -u PIP_CONSTRAINT -u PIP_BUILD_CONSTRAINT -u PIP_REQUIREMENT -u PIP_REQUIRE_HASHES -u PIP_NO_DEPS \
	-u PIP_TARGET -u PIP_PREFIX -u PIP_ROOT -u PIP_USER -u PIP_PYTHON -u PIP_ONLY_BINARY -u PIP_NO_BINARY \
	-u UV_CONSTRAINT -u UV_OVERRIDE -u UV_BUILD_CONSTRAINT -u UV_EXCLUDE_NEWER -u UV_SYSTEM_PYTHON \
	-u UV_TORCH_BACKEND -u UV_NO_BINARY -u UV_ONLY_BINARY -u UV_PYTHON -u UV_RESOLUTION -u UV_PRERELEASE \
	-u PYTHONPATH -u PYTHONHOME -u VIRTUAL_ENV

.PHONY: help setup mend repro dashboard test lint bench chaos params lock lock-check clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp holds what the environment was made from, so that neither a touch nor a checkout remakes it.
STAMP := .venv/made-from
STAMPED = { echo "$(CURDIR)"; cat requirements.lock pyproject.toml; }

setup:  ## Make .venv/ from requirements.lock; nothing to do where it is up to date
	@if $(STAMPED) | cmp -s - $(STAMP); then exit 0; fi; $(MAKE) _setup

# The installer's own version and hashes.
UV_OF_LOCK := awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock

.PHONY: _setup
_setup:
	@if [ -z "$(PYTHON)" ]; then echo "setup: no Python 3.11 or 3.12 found; name one: make PYTHON=... setup" >&2; exit 2; fi
	@if [ -L .venv ]; then echo "setup: .venv is a link, and what it points to is not emptied; remove the link" >&2; exit 2; fi
	@if [ -e .venv ] && [ ! -f .venv/pyvenv.cfg ]; then \
		echo "setup: .venv is no Python environment (no pyvenv.cfg); move it away" >&2; exit 2; fi
	@if [ -f $(STAMP) ] && [ "$$(head -n 1 $(STAMP))" != "$(CURDIR)" ] || ! $(BIN)/python -c pass 2>/dev/null; then \
		echo "setup: .venv with $$($(PYTHON) -V)"; \
		$(CLEAN) $(PYTHON) -m venv --clear .venv || { echo "setup: $(PYTHON) cannot make an environment with pip" \
			"(on Debian: apt-get install python3-venv)" >&2; exit 2; }; \
	fi; rm -f $(STAMP)
	@$(UV_OF_LOCK) > .venv/uv.txt; echo "setup: $$(head -n 1 .venv/uv.txt | cut -d ' ' -f 1)"
	@$(CLEAN) $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.txt
	@echo "setup: the packages of requirements.lock (about 7 GB on disk)"
	@# Compiled here: under PYTHONDONTWRITEBYTECODE every start would compile anew what it imports.
	@$(CLEAN) $(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@echo "setup: convoy, editable"
	@$(CLEAN) $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(STAMPED) > $(STAMP)

# DVC writes dvc.lock and its rwlock in place, so that a kill at the wrong moment tears them. Without its
# entries a stage is stale, and the run cache gives its outputs back without running it.
LOCK_IS_WHOLE := import dvc.schema, yaml; text = open("dvc.lock").read(); \
	dvc.schema.COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text)); text.endswith("\n") or exit(1)

mend:  ## Put aside what DVC tore when it was killed: dvc.lock, .dvc/tmp/rwlock
	@[ ! -e dvc.lock ] || $(BIN)/python -c '$(LOCK_IS_WHOLE)' 2>/dev/null || { \
		echo "mend: dvc.lock is torn; the committed one, or none, takes its place"; \
		git checkout --quiet HEAD -- dvc.lock 2>/dev/null || rm dvc.lock; }
	@[ ! -e .dvc/tmp/rwlock ] || $(BIN)/python -m json.tool .dvc/tmp/rwlock /dev/null 2>/dev/null || { \
		echo "mend: .dvc/tmp/rwlock is torn and goes"; rm .dvc/tmp/rwlock; }

repro: setup mend  ## Bring every output up to date (`make repro ARGS=streamrec-compare` for one stage)
	@$(RUN) dvc repro $(ARGS)

PORT ?= 5000
dashboard: setup  ## MLflow's pages on this machine: best models, curves, pictures, versions (PORT=5000)
	@$(BIN)/convoy dashboard --port "$(PORT)"

test: lint  ## Lint, types, import contracts and all tests
	@$(RUN) pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup  ## Ruff, formatting, mypy and import contracts
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy
	@$(RUN) lint-imports --no-logo

bench: setup  ## Side-by-side ratios into benchmarks/results/, on two cores (ARGS=embedding for one)
	@$(RUN) python -m benchmarks $(ARGS)

chaos: setup  ## Kill every stage at random moments and compare with an unbroken run (takes long)
	@$(BIN)/python benchmarks/chaos.py $(ARGS)

params: setup  ## Write every key with its default and a comment into params.yaml; your values stay
	@$(BIN)/python -m convoy.cli.params_file

lock: setup  ## Resolve pyproject.toml anew into requirements.lock (ARGS=--upgrade for newer versions)
	@$(CLEAN) $(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements.lock $(ARGS)

lock-check: setup  ## Does requirements.lock serve Python 3.11 and 3.12 alike? (network)
	@for version in 3.11 3.12; do \
		$(CLEAN) $(BIN)/uv pip install --quiet --dry-run --require-hashes --python-version $$version \
			--target .venv/no-such-folder -r requirements.lock && echo "lock: serves Python $$version"; \
	done

clean:  ## Remove caches of the tools; outputs and .venv/ stay
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build src/*.egg-info
	@find src pipelines tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
