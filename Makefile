# `make demo` shows a simulated car learning to drive; `make test` runs the tests.
# Both set up what they need in .venv first.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage lint docs bench models clean

help:
	@echo "make demo      a simulated car learns to drive: record, train, quantize, drive (about 5 minutes)"
	@echo "make test      the tests (some 10 minutes on 2 cores)"
	@echo "make coverage  what the tests cover of the car's packages, line and branch (10 minutes)"
	@echo "make lint      ruff, mypy and the import rules"
	@echo "make bench     ours and Donkeycar in turn, with targets (20 minutes; BENCH=--quick: 2)"
	@echo "make docs      the documentation as a site; a dead link is an error"
	@echo "make models    make the shipped bundles in models/ anew"
	@echo "make clean     remove .venv and what the demo made"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "autcar needs Python 3.11, 3.12 or 3.13 (TensorFlow has no build for others); install one, or say make PYTHON=/path/to/python3.13"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks venv; on Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "setting up .venv, once; TensorFlow alone is some 600 MB to download, and nothing is shown until it is done"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[workstation,dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/autcar demo

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --ignore=tests/faults --ignore=tests/system
	@echo "faults and whole systems, one at a time: their times are promises"
	@$(BIN)/python -m pytest tests/faults tests/system

# Programs that a test starts are measured, too.
coverage: $(READY)
	@mkdir -p $(VENV)/coverage
	@COVERAGE_FILE=$(CURDIR)/$(VENV)/coverage/data $(BIN)/python -m pytest -n 2 \
		tests/autcar tests/capture tests/edge tests/hardware \
		--cov --cov-report=json:$(VENV)/coverage/report.json --cov-report=
	@$(BIN)/python scripts/check_coverage.py $(VENV)/coverage/report.json

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

$(VENV)/docs: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(VENV)/docs
	@$(BIN)/python scripts/build_docs.py

bench: $(READY)
	@$(BIN)/python benchmarks/run.py $(BENCH)

models: $(READY)
	@$(BIN)/autcar demo --bundle models/default
	@$(BIN)/python examples/follow_me/train_simulated.py models/follow

clean:
	rm -rf $(VENV) demo runs site
