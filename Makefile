# The only door. Each target sets up what it needs the first time; nothing is asked.
# Variables of a command line (make run REPLICAS=2) reach the programs as environment variables.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
PYTHON := .venv/bin/python
UV := .venv/bin/uv
COMPILE := $(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
SEEDS ?= 100
SECONDS ?= 600
CASES ?= 1000

.PHONY: help run test check examples bench fuzz simulate soak nemesis verify schema status stop clean-data lock python stack

help: ## what can be typed
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: stack ## whole stack and demo until Ctrl-C (RUN_EXIT=1, DETACH=1, DEMO=0, KAFKA_NODES=3, REPLICAS=2, SECURE=1, HTTP_PORT=...)
	@exec $(PYTHON) -m deploy.local run

test: stack ## every test
	@exec $(PYTHON) -m pytest -n 2 --dist loadgroup $(ARGS)

check: python ## format, lint, types, house rules
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m pytest tests/test_house.py
	@$(PYTHON) -m yamllint --strict .

examples: python ## worked examples from a file (FILE=path.json)
	@test -n "$(FILE)" || { echo "type: make examples FILE=path.json" >&2; exit 2; }
	@exec $(PYTHON) -m tests.worked "$(FILE)"

bench: stack ## measurements beside their yardsticks (ONLY=name)
	@exec $(PYTHON) -m tests.bench $(ONLY)

fuzz: stack ## generated requests to every operation of the public API (CASES=1000)
	@FUZZ_CASES=$(CASES) exec $(PYTHON) -m pytest tests/integration/http/test_fuzz.py $(ARGS)

simulate: python ## seeded simulation (SEEDS=100, or one SEED=7)
	@exec $(PYTHON) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

soak: stack ## the ledger under everything at once, services killed, books closed (SECONDS=600)
	@exec $(PYTHON) -m tests.live --seconds $(SECONDS)

nemesis: stack ## schedules of faults on three brokers, a PostgreSQL pair and two replicas (SEEDS=20, or one SEED=7; OLD=commit)
	@exec $(PYTHON) -m tests.nemesis $(if $(SEED),--seed $(SEED),$(if $(filter file,$(origin SEEDS)),,--seeds $(SEEDS)))

verify: python ## invariants of the running stack
	@exec $(PYTHON) -m deploy.verify

schema: python ## writes services/*/schema.sql, the databases as they are after all migrations
	@exec $(PYTHON) -m tests.support.schemas

status: python ## addresses and processes of the running stack
	@$(PYTHON) -m deploy.local status

stop: python ## ends a stack started with DETACH=1
	@$(PYTHON) -m deploy.local stop

clean-data: python ## removes this checkout's data
	@$(PYTHON) -m deploy.local clean-data

lock: python ## renews requirements/*.txt from requirements/*.in (UPGRADE=1 takes newer versions)
	@$(COMPILE) $(if $(UPGRADE),--upgrade) -o requirements/bootstrap.txt requirements/bootstrap.in
	@$(COMPILE) $(if $(UPGRADE),--upgrade) -o requirements/dev.txt requirements/dev.in
	@$(COMPILE) -c requirements/dev.txt -o requirements/local.txt requirements/local.in
	@$(COMPILE) -c requirements/dev.txt -o requirements/run.txt requirements/run.in

python:
	@sh deploy/local/setup.sh python

stack:
	@sh deploy/local/setup.sh stack
