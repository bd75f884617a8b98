# Every target makes .venv and installs what it needs, at the versions of constraints.txt, once and
# again whenever pyproject.toml or constraints.txt change. Nothing but python3 and make is needed.

PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --compile \
	--constraint constraints.txt

# Where this is set, as in many containers, each process compiles the package anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo dev serve test test-slow test-browser chromium test-postgres check bench soak screenshots clean servers azurite

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/ready ## import 30 files of 6 accounts, of every shipped feed, and show what became of each row
	@$(BIN)/csv-pipeline demo

dev: .venv/ready ## start the database and Dagster; files dropped into the landing area are imported
	@$(BIN)/csv-pipeline dev

serve: .venv/ready ## start the same; people drop files into the import page at http://127.0.0.1:8000
	@$(BIN)/csv-pipeline serve

test: .venv/ready-dev ## run the tests that take seconds
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: .venv/ready-dev servers ## run the tests that take longer
	@$(BIN)/python -m pytest -m slow

test-browser: .venv/ready-dev chromium ## run the tests of the pages in Chromium, which apt brings if it may
	@$(BIN)/python -m pytest -m browser

chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || { \
		echo "No Chromium is installed, and apt-get may not install it here: apt-get install chromium" >&2; \
		exit 1; }

servers:
	@{ command -v redis-server && command -v caddy; } >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq redis-server caddy >/dev/null; } || { \
		echo "Redis and Caddy are not installed, and apt-get may not install them here: apt-get install redis-server caddy" >&2; \
		exit 1; }

azurite: ## install Azure's emulator by npm, without which the tests of az:// are skipped
	@command -v azurite-blob >/dev/null || test -x node_modules/.bin/azurite-blob || \
		npm install --no-save --no-package-lock --silent azurite@3.37.0 || { \
		echo "Azurite is not installed, and npm may not install it here: npm install azurite" >&2; \
		exit 1; }

test-postgres: .venv/ready-dev ## run the tests of `test` on an installed PostgreSQL, not the embedded one
	@$(BIN)/python -m csv_pipeline_tests.postgres pytest

check: .venv/ready-dev ## check format, lint, types and the direction of imports
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports --no-logo

bench: .venv/ready-bench ## measure speed and memory against the limit and dlt; half an hour
	@$(BIN)/python -m benchmarks

soak: .venv/ready-bench ## run half an hour of random arrivals while processes are killed, and compare what is stored
	@$(BIN)/python -u -m benchmarks.soak

screenshots: .venv/ready-dev chromium ## write the pictures of the import page in docs/page
	@$(BIN)/python -m tools.screenshots

clean: ## remove .venv and caches; what was imported stays in data/
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find csv_pipeline csv_pipeline_tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Python compiles a module when it is first imported, which would cost every first Dagster run seconds.
.venv/ready: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what csv_pipeline needs into .venv; the first time takes a minute or two."
	@$(INSTALL) --editable '.[embedded,api]'
	@$(BIN)/python -m compileall -q csv_pipeline
	@touch $@

.venv/ready-dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what csv_pipeline and its tests need into .venv; the first time takes a minute or two."
	@$(INSTALL) --editable '.[embedded,dev]'
	@$(BIN)/python -m compileall -q csv_pipeline csv_pipeline_tests
	@touch .venv/ready $@

.venv/ready-bench: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what the measurements compare with into .venv; the first time takes a minute or two."
	@$(INSTALL) --editable '.[embedded,bench]'
	@$(BIN)/python -m compileall -q csv_pipeline benchmarks
	@touch .venv/ready $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "csv_pipeline needs Python 3.11 or newer: make PYTHON=/path/to/it, or put it on the PATH as python3" >&2; \
		exit 1; }
	@$(PYTHON) -m venv .venv || { \
		rm -rf .venv; \
		echo "$(PYTHON) -m venv did not work. On Debian and Ubuntu it is a package of its own: apt-get install python3-venv" >&2; \
		exit 1; }
