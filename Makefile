# Every target sets up what it needs: Python 3.11 to 3.13 with venv, and make, are all it asks of a machine.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help setup demo up test check fix bench torture golden clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv with everything in requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Control Zero Audit needs Python 3.11, 3.12 or 3.13; this is %s. Name another: make PYTHON=python3.12" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) || { echo "python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --require-hashes --requirement requirements.lock --python $(BIN)/python
	@$(BIN)/uv pip install --quiet --no-deps --editable . --python $(BIN)/python
	@touch $@

demo: $(READY) ## the product on a fresh data folder: a fortnight of history, then live agents; prints the URL (ARGS="--help")
	@$(BIN)/cz demo $(ARGS)

up: $(READY) ## the embedded product over .controlzero
	@$(BIN)/cz up $(ARGS)

test: $(READY) ## every test this machine can run, two files at a time; names the groups it cannot, and what to install (ARGS=pytest arguments)
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## formatting, lint, types, layers: what CI checks before it tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(READY) ## format, and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## measure ours beside its peers in one run: a table, and bench-output/bench.json (ARGS=names)
	@$(BIN)/python -m benchmarks $(ARGS)

torture: $(READY) ## the long tests: every trace, hundreds of kills (ARGS=pytest arguments)
	@$(BIN)/python -m pytest tests/torture $(ARGS)

golden: $(READY) ## rewrite the golden files; review the diff
	@$(BIN)/python -m pytest tests/golden --update-golden $(ARGS)
	@git diff --stat -- tests/golden docs

lock: ## resolve requirements.lock anew
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra all --group dev --group bench pyproject.toml --output-file requirements.lock

clean: ## remove what the targets made, but no data
	@rm -rf $(VENV) .ruff_cache .mypy_cache .pytest_cache .hypothesis bench-output ci-output
