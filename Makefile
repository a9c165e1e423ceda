# Every target sets up what it needs from a bare python3: one .venv, built from the hashed locks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests wait for servers about a third of their time: three processes keep two cores busy. The files stay whole, so that
# what the tests of one share is made once.
WORKERS ?= 3
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test lint bench soak lock clean
.DEFAULT_GOAL := run

$(VENV)/.run: requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	touch $@

$(VENV)/.dev: tests/requirements.lock pyproject.toml | $(VENV)/.run
	$(PIP) install --require-hashes -r tests/requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

run: $(VENV)/.run ## serve the bundled models on 127.0.0.1:8000
	$(BIN)/python -m service.cli serve

test: $(VENV)/.dev ## the whole suite on SQLite and PostgreSQL, with the coverage gates
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='service/domain/*,service/audit/*' --fail-under=100
	$(BIN)/coverage report

lint: $(VENV)/.dev ## style, types and import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## measurements, never part of the suite; BENCH="load --quick" runs one
	$(BIN)/python -m tests.benchmarks $(BENCH)

soak: $(VENV)/.dev ## what the suite does in small, for hours: killed servers, stopped databases, simulated cohorts, whole builds
	SOAK=1 $(BIN)/python -m pytest tests/crash tests/properties/test_log_machine.py tests/properties/test_compare.py tests/training/test_truth.py tests/real_data/whole_builds.py \
	  $(PYTEST_ARGS)

lock: ## renew both locks (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --quiet --upgrade --output-file requirements.lock
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --quiet --upgrade --constraint requirements.lock --output-file tests/requirements.lock

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
