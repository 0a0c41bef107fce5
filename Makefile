# Two commands are all a newcomer needs: `make demo` and `make test`.
# Each creates its environment and installs what it needs; nothing else is done by hand.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(if $(filter Windows_NT,$(OS)),$(VENV)/Scripts,$(VENV)/bin)
PY     := $(BIN)/python
# Models are read from installed packages; a hub is asked only where this is emptied.
export HF_HUB_OFFLINE ?= 1
# Test processes must give the same names to the same tests.
export PYTHONHASHSEED ?= 0
# Tests start processes, and each would compile the whole product anew: a second every time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-fast search servers browser lint types contracts check bench bench-redis bench-setup clean

help:
	@echo "make demo         install and run the demo: what is saved, on real clients and a real encoder"
	@echo "make test         install and run all tests"
	@echo "make test-fast    the tests that take no seconds"
	@echo "make search       the property tests on a thousand random examples each"
	@echo "make servers      obtain the Redis and Valkey servers that tests run against"
	@echo "make browser      obtain the Chromium that looks at pages in tests"
	@echo "make check        lint, types, import contracts and all tests"
	@echo "make bench        measure against the peers (make bench-setup once before)"
	@echo "make bench-redis  measure several processes over one Redis against the peers"

$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.app $(VENV)/.dev: $(VENV)/.pip pyproject.toml constraints.txt

$(VENV)/.app:
	$(PY) -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group app
	@touch $@

# What developers need holds what the demo needs.
$(VENV)/.dev:
	$(PY) -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	@touch $@ $(VENV)/.app

demo: $(VENV)/.app
	$(PY) examples/demo.py

# Real Redis and Valkey servers, unpacked into .servers; quick where they are there.
servers: $(VENV)/.dev
	$(PY) -m tools.redis_servers

# A Chromium without windows, unpacked into .browser; quick where it is there.
browser: $(VENV)/.dev
	$(PY) -m tools.browser

test: $(VENV)/.dev servers browser
	$(PY) -m pytest --numprocesses auto --dist worksteal

test-fast: $(VENV)/.dev
	$(PY) -m pytest --numprocesses auto --dist worksteal -m "not slow"

search: $(VENV)/.dev servers
	$(PY) -m pytest --numprocesses auto --dist worksteal -m hypothesis --hypothesis-profile search --timeout 1800

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

check: lint types contracts test

.venv-%/.done: benchmarks/peers/requirements-%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

bench-setup: $(VENV)/.dev .venv-gptcache/.done .venv-throttled/.done

bench: $(VENV)/.dev
	$(PY) -m benchmarks cache

bench-redis: $(VENV)/.dev servers
	$(PY) -m benchmarks redis

clean:
	rm -rf $(VENV) .servers .browser .venv-gptcache .venv-throttled .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
