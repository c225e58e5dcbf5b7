# Everything a newcomer or the CI runs. `make night` and `make test` are the two that matter.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_HOME ?= $(abspath $(or $(KBI_DATA),data))/dagster

.DEFAULT_GOAL := help
.PHONY: help setup night dev test test-all lint bench bench-delta clean

help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The stamp makes every target work on a fresh clone and costs nothing afterwards.
$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (set PYTHON=…)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.installed ## virtual environment from the hashed lock file

# Without a landing zone of one's own and an empty default one, a simulated registry shows what a night does.
DEMO := --contracts 20000 --seed 2016 --until 2017-06-30 --deliveries 3 --dirty 0.004

night: setup ## take all waiting deliveries, build, check, publish, and print the answer
	@if [ -z "$$KBI_LANDING" ] && [ -z "$$(ls -A landing 2>/dev/null)" ]; then \
	  echo "No deliveries yet: simulating a registry of 20,000 contracts into landing/" >&2; \
	  $(BIN)/kbi simulate --out landing $(DEMO) || exit; \
	fi
	@$(BIN)/kbi night; code=$$?; \
	if [ $$code -eq 0 ] || [ $$code -eq 3 ]; then $(BIN)/kbi summary || exit; fi; \
	exit $$code

dev: setup ## Dagster UI on http://127.0.0.1:3000
	@$(BIN)/kbi prepare
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

lint: setup ## style of Python and SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests

# Two processes; a file's tests share what its fixtures made, so they stay together.
PARALLEL := -n 2 --dist loadfile -q

test: setup ## the test suite (under 10 minutes)
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-all: setup ## everything, with the slow proofs, Chromium and the real dossiers; a skipped test is a failure
	$(BIN)/python -m pytest --no-skips $(PARALLEL)

CONTRACTS ?= 400000
bench: setup ## the night against one plain DuckDB script, CONTRACTS=400000
	$(BIN)/python -m tests.bench.night_against_plain_sql --contracts $(CONTRACTS)

bench-delta: setup ## a night with a delta of 1 % against the first load, CONTRACTS=400000 (4000000: KBI_MEMORY_LIMIT=3GB)
	$(BIN)/python -m tests.bench.delta_night --contracts $(CONTRACTS)

clean: ## remove the environment and what was built, not the data
	rm -rf $(VENV) dbt_project/target dbt_project/logs .pytest_cache .ruff_cache
