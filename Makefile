# The commands of this project; `make help` lists them. Needs Python 3.11 or newer and make, nothing else.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
BIN := .venv/bin
# Twice quiet: errors are shown, and nothing else.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# The browser tests drive this program; `make test` installs it where it may.
export VISE_CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser)

# Processes that calculate with one thread each share the cores better than fewer with more. tests/conftest.py deals out
# the files: the longest first, and all browser tests, which mostly wait, to one process. Compiled code is kept, whatever
# the environment says: the suite starts hundreds of processes, each of which would compile ours again.
tests = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(2) --dist loadfile --no-loadscope-reorder --junitxml=artifacts/junit-$(1).xml $(3) $(PYTEST_ARGS)
# What pages are tested with where PyTorch is not installed.
PAGES_TESTS := tests/frontend tests/test_house.py tests/test_repository.py

.DEFAULT_GOAL := help
.PHONY: help up dev dev-light test test-fast test-pages lint lint-light format bench faults outages hostile load fuzz-api settings-docs screenshots images-check constraints clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: .venv/local.stamp ## install what is missing and run everything on 127.0.0.1
	@exec $(BIN)/vise up

dev: .venv/dev.stamp ## install the tools for work on the code

dev-light: .venv/light.stamp ## the tools for work on pages, API, client and docs alone: no PyTorch, no LaTeX

test: .venv/dev.stamp programs lint ## lint, then every test
	@$(call tests,all,3)

test-fast: .venv/dev.stamp ## unit tests: no servers, no other processes, no browser, nothing that is slow
	@$(call tests,fast,2,-m 'not (stack or processes or browser or slow)')

test-pages: .venv/light.stamp ## the tests that `make dev-light` is enough for
	@$(call tests,pages,2,-m 'not (stack or browser or slow)' $(PAGES_TESTS))

lint: .venv/dev.stamp lint-light ## style, import rules and types
	$(BIN)/mypy

lint-light: .venv/light.stamp ## style and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

format: .venv/dev.stamp ## put the code in the project's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/dev.stamp ## run all benchmarks in a small size and print one table; BENCH_ARGS="--only linear" for some
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

faults: .venv/dev.stamp ## run seeded schedules of faults over real servers and workers; FAULT_SEEDS="1-200" for more
	$(BIN)/python -m tests.faults $(FAULT_SEEDS)

outages: .venv/dev.stamp ## freeze, cut off and kill each part of a stack, and print how soon it says so and is well again; OUTAGE_ARGS="--parts worker" for some
	$(BIN)/python -m tests.faults.outages $(OUTAGE_ARGS)

hostile: .venv/dev.stamp ## send all hostile files to a started stack, and print what came of each; HOSTILE_ARGS="--kind archive" for some
	$(BIN)/python -m tests.hostile $(HOSTILE_ARGS)

load: .venv/dev.stamp ## let 50 clients use a started stack for 5 minutes while four runs train; LOAD_ARGS="--seconds 60" for less
	$(BIN)/python -m tests.load $(LOAD_ARGS)

fuzz-api: .venv/fuzz.stamp ## 5,000 requests by Schemathesis as each role; FUZZ_ARGS="--examples 100 --seed 1" for more
	$(BIN)/python -m tests.fuzz_api $(FUZZ_ARGS)

settings-docs: .venv/dev.stamp ## write docs/settings.md from the settings classes
	$(BIN)/python -m docs.settings

screenshots: .venv/dev.stamp programs ## take the README's pictures anew, from the system of `make up` with its sample data
	$(BIN)/python -m docs.screenshots $(SCREENSHOTS_ARGS)

images-check: .venv/dev.stamp ## build every container image and look inside (root, Debian); IMAGES="api ui" for some
	docker/check_images.sh $(IMAGES)

constraints: | .venv/bin/pip ## write the installed versions to constraints.txt
	@{ echo '# Versions that are tested together. `make constraints` writes this file from .venv.'; \
	   $(PIP) freeze --exclude-editable --exclude vise-studio | grep -E '^[A-Za-z0-9._-]+==' | LC_ALL=C sort -f; \
	 } > constraints.new && mv constraints.new constraints.txt

clean: ## remove .venv and caches; .vise, where runs and models live, stays
	rm -rf .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis artifacts

# pip is the last thing that venv writes. A stamp is written only when the installation before it went well; the next call then starts at once.
.venv/bin/pip:
	@if [ -z '$(PYTHON)' ]; then echo 'make: no python3 on the PATH; install Python 3.11 or newer' >&2; exit 1; fi
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'make: $(PYTHON) is not Python 3.11 or newer; name another with make PYTHON=…' >&2; exit 1; }
	@'$(PYTHON)' -m venv .venv || \
	  { rm -rf .venv; echo 'make: $(PYTHON) has no venv module (Debian: apt-get install python3-venv)' >&2; exit 1; }

.venv/local.stamp: pyproject.toml constraints.txt | .venv/bin/pip
	@echo 'installing into .venv; the first time this takes some minutes'
	@$(PIP) install --constraint constraints.txt --editable '.[local]'
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/pip
	@echo 'installing the test tools into .venv; the first time this takes some minutes'
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/local.stamp .venv/light.stamp

.venv/fuzz.stamp: .venv/dev.stamp
	@$(PIP) install --constraint constraints.txt --editable '.[fuzz]'
	@touch $@

.venv/light.stamp: pyproject.toml constraints.txt | .venv/bin/pip
	@echo 'installing the tools for pages, API and docs into .venv'
	@$(PIP) install --constraint constraints.txt --editable '.[pages-dev]'
	@touch $@

.PHONY: programs
programs:
	@.ci/install_programs
