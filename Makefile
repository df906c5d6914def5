# Everything runs in .venv, which the first target that needs it makes from requirements.lock (hashes checked).
# What the machine must have: GNU make and Python 3.11 or newer with its venv module.

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/ready
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

SEEDS ?= 10000
KILLS ?= 25
INPUTS ?= 1000000
EVERY ?= 3
MINUTES ?= 10
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

# Tests run in five processes, two at a time. The first three mostly wait: for services to heal, for pools and brokers to
# start. The others compute, and begin when one of these ends: none of their tests has another process to wait for.
SCENES := tests/lab/test_scenarios.py
LABS := $(addprefix tests/,lab agents)
PAGES := $(addprefix tests/,docs web advise notify) $(SCENES)
LOGS := $(addprefix tests/,analytics packaging scenarios sim)
PURE := $(addprefix tests/,contract core fuzz ingest schemas)

# The tests start some thousand processes, and each would compile Logmend anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test tests-labs tests-pages tests-fleets tests-logs tests-pure check sim fuzz replay chaos soak bench lock clean

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: $(READY)  ## real log lines to healed services, with everything embedded; ends by itself
	@$(BIN)/logmend demo

test: $(READY)  ## every test, in five processes, two at a time
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line tests-labs tests-pages tests-fleets tests-logs tests-pure

tests-labs: $(READY)
	@$(BIN)/python -m pytest $(LABS) --ignore=$(SCENES)

tests-pages: $(READY)
	@$(BIN)/python -m pytest $(PAGES)

tests-fleets: $(READY)
	@$(BIN)/python -m pytest $(patsubst %,--ignore=%,$(LABS) $(PAGES) $(LOGS) $(PURE))

tests-logs: $(READY)
	@nice -n 10 $(BIN)/python -m pytest $(LOGS)

tests-pure: $(READY)
	@nice -n 10 $(BIN)/python -m pytest $(PURE)

check: $(READY)  ## style, types, the walls between the rooms, schemas, patterns
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.check
	$(BIN)/python -m streams.documents --check
	$(BIN)/python -m analytics.dictionary | diff - docs/data-dictionary.md
	$(BIN)/logmend rules lint
	$(BIN)/logmend rules test

sim: $(READY)  ## SEEDS=10000 runs of the pipeline on a broker that crashes, repeats and delays
	@$(BIN)/python -m tests.sim --seeds $(SEEDS)

fuzz: $(READY)  ## INPUTS=1000000 records, events, settings, files, facts that nobody should send: taken or refused, none slow
	@$(BIN)/python -m tests.fuzz --inputs $(INPUTS)

replay: $(READY)  ## a log recomputed to the same bytes under three hash seeds, and by any other Python that is here
	@$(BIN)/python -m tests.replaying $(if $(DATA_DIR),--data-dir $(DATA_DIR))

chaos: $(READY)  ## KILLS=25 kills and each other fault of a real fleet under load, one every EVERY=3 seconds, then the oracle
	@$(BIN)/python -m tests.chaos --kills $(KILLS) --every $(EVERY)
	@$(BIN)/python -m tests.chaos.recovery
	@$(BIN)/python -m tests.chaos.workers

soak: $(READY)  ## MINUTES=10 of everything at 70 % of its maximum, a fault in each; then 50 readers, and a million services
	@$(BIN)/python -m tests.soak --minutes $(MINUTES)
	@$(BIN)/python -m tests.soak.readers --readers 50 --minutes 5
	@$(BIN)/python -m benchmarks.memory

bench: $(READY)  ## each figure of docs/benchmarks.md: lines a second beside other engines, latency, growth, queries …
	@$(BIN)/python -m benchmarks.w1 --peers
	@$(BIN)/python -m benchmarks.latency
	@$(BIN)/python -m benchmarks.growth
	@$(BIN)/python -m benchmarks.writing
	@$(BIN)/python -m benchmarks.recovery
	@$(BIN)/python -m benchmarks.specialists
	@$(BIN)/python -m benchmarks.detecting
	@$(BIN)/python -m benchmarks.prediction
	@$(BIN)/python -m benchmarks.choices
	@$(BIN)/python -m benchmarks.fold
	@$(BIN)/python -m benchmarks.live
	@$(BIN)/python -m benchmarks.backtest
	@$(BIN)/python -m benchmarks.queries

lock: $(READY)  ## resolve pyproject.toml again: requirements.lock, and deploy/runtime.lock without what developers need
	$(BIN)/python -c 'import tomllib; \
		groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; \
		print(*groups["dev"], *groups["evaluation"], sep="\n")' > $(VENV)/dev.in
	$(COMPILE) --upgrade --output-file requirements.lock pyproject.toml $(VENV)/dev.in
	$(COMPILE) --constraint requirements.lock --output-file deploy/runtime.lock pyproject.toml

clean:  ## remove the environment and every cache; the event log stays
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with venv: install python3.11 and python3.11-venv," \
		"or name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "making $(VENV) with $(PYTHON) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
