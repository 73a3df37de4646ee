# `make demo` and `make test` need only Python 3.11 to 3.13 and make; each sets up what it needs in .venv first.

# The first that runs: a version manager puts names on the path of versions that are installed but not chosen.
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c '$(IS_SUPPORTED)' 2>/dev/null && break; done; echo $$python)
BIN := .venv/bin
export DAGSTER_HOME := $(CURDIR)
# Also keeps Dagster from making empty folders for it beside dagster.yaml.
export DAGSTER_DISABLE_TELEMETRY := yes
# Compiling 250 packages takes as long as unpacking them; Python compiles what is used when it is first imported.
INSTALL := deploy/install.py --constraint constraints.txt
# Of the UI: `make dev PORT=3001` where another program has 3000.
PORT ?= 3000
CODE := optiflow resources assets optiflow_dagster tests benchmarks

.PHONY: help demo test test-crash fuzz soak burst dev bench bench-accuracy bench-verdicts bench-limits lint format clean setup
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/run ## Set up, then run the main job on the bundled sample
	@$(BIN)/optiflow demo

dev: .venv/run ## Start Dagster's UI and daemon on http://127.0.0.1:3000, or at PORT=…
	@mkdir -p -m 700 .optiflow
	@mkdir -p $(addprefix .optiflow/uploads/,orders store_sales item_demand turnover stock_movements)
	@$(BIN)/python -W ignore::FutureWarning -m dagster dev --workspace workspace.yaml --host 127.0.0.1 --port $(PORT)

# Three on two cores: the tests of the daemon wait most of their time.
test: .venv/dev .venv-image/ready ## Set up, then run every test
	@$(BIN)/pytest -n 3 --dist worksteal

test-crash: .venv/dev ## Kill runs at 30 random points, watch the ends of 30 (15 to 30 minutes)
	@OPTIFLOW_TEST_RUN_ENDS=30 $(BIN)/pytest tests/test_run_launcher.py
	@OPTIFLOW_TEST_KILLS=30 $(BIN)/pytest tests/test_aws_crash.py

fuzz: .venv/dev ## Read 20,000 files as nobody should make them, by a seed of today
	@OPTIFLOW_TEST_FUZZ_FILES=20000 OPTIFLOW_TEST_FUZZ_SEED=$$(date +%Y%m%d) $(BIN)/pytest -q -s tests/test_fuzz_uploads.py

soak: .venv/dev ## Half an hour of `make dev` under load: every file has its report, nothing fails, leaks or grows slower
	@$(BIN)/python -m benchmarks.soak

burst: .venv/dev ## 200 files at once under `make dev`: the first report comes within a minute
	@$(BIN)/python -m benchmarks.burst

lint: .venv/dev ## Formatting, lint rules, types, import contracts, secrets
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook

format: .venv/dev ## Apply the formatter and the safe fixes
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

bench: .venv/dev ## Measure speed and memory beside their peers
	@$(BIN)/python -m benchmarks

bench-accuracy: .venv/dev ## Measure accuracy on real data beside naive methods
	@$(BIN)/python -m benchmarks.accuracy

bench-verdicts: .venv/dev ## Verdicts on samples whose cause was taken away: only the genuine ones may be called better
	@$(BIN)/python -m benchmarks.verdicts

bench-limits: .venv/dev ## How often the next weeks' skill lies inside the limits that a report states, on real data
	@$(BIN)/python -m benchmarks.skill_limits

clean: ## Remove the environment and all that runs wrote (uploads too)
	rm -rf .venv .venv-image .optiflow logs .logs_queue .pytest_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info

setup: .venv/dev .venv-image/ready

.venv/bin/python:
	@$(PYTHON) -c '$(IS_SUPPORTED)' || \
		{ echo "OptiFlow needs Python 3.11 to 3.13: make PYTHON=/path/to/python3.12 …"; exit 1; }
	@echo "Setting up .venv (once, some minutes) …"
	@$(PYTHON) -m venv .venv

# The stamps are newer than what they were made from, so that a changed requirement is installed.
.venv/run: pyproject.toml constraints.txt | .venv/bin/python
	@$(BIN)/python $(INSTALL) --editable .
	@touch $@

.venv/dev: pyproject.toml constraints.txt | .venv/bin/python
	@$(BIN)/python $(INSTALL) --editable '.[dev]'
	@touch $@ .venv/run

# What AWS's XGBoost image has of what our packed source needs, what the learners' REQUIREMENTS add to it, and nothing
# of ours: tests run the source in it. After .venv, whose wheels are in pip's cache then, and beside the checks of `make -j2`.
.venv-image/ready: constraints.txt Makefile | .venv/dev
	@$(PYTHON) -m venv .venv-image
	@echo "Setting up .venv-image, which the tests of AWS's image run in …"
	@.venv-image/bin/python $(INSTALL) \
		xgboost pandas scikit-learn pyarrow lightgbm mlforecast statsforecast optuna
	@touch $@
