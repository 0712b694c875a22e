# What a person or a machine does with this repository; `make help` lists it.
# Everything is installed into .venv, once: a stamp file per set of extras notes that it is done,
# and a change of pyproject.toml makes it be done again.

SHELL  := /bin/sh
PYTHON ?= python3

RUN     := .venv/bin/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --no-input --editable

# The fast tests, of which those present are run.
FAST := $(wildcard tests/ir tests/rules tests/house)

.PHONY: help demo test check bench clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: .venv/demo.stamp ## train on images: examples/train_images.py
	$(RUN) examples/train_images.py

test: .venv/test.stamp ## run every test
	$(RUN) -m pytest --no-header -n auto

check: .venv/check.stamp ## format, lint, types and the fast tests, in seconds
	$(RUN) -m ruff format --check
	$(RUN) -m ruff check
	$(RUN) -m mypy
	$(RUN) -m pytest --no-header -n auto -m "not slow" $(FAST)

bench: .venv/test.stamp ## measure beside the peers; QUICK=--quick takes minutes, not an hour
	$(RUN) benchmarks/graph.py
	$(RUN) benchmarks/native.py $(QUICK)
	$(RUN) benchmarks/train.py $(QUICK)

clean: ## remove everything that was built or installed here, .venv included
	rm -rf .venv build dist outputs src/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/demo.stamp: .venv/python.stamp pyproject.toml
	@echo "Installing Thalweg into .venv"
	@$(INSTALL) '.[plot]'
	@touch $@

.venv/test.stamp: .venv/python.stamp pyproject.toml
	@echo "Installing Thalweg and what its tests need into .venv (a few minutes, the first time)"
	@$(INSTALL) '.[test]'
	@touch .venv/demo.stamp $@

.venv/check.stamp: .venv/python.stamp pyproject.toml
	@echo "Installing Thalweg and the development tools into .venv (a few minutes, the first time)"
	@$(INSTALL) '.[test,dev]'
	@touch .venv/demo.stamp .venv/test.stamp $@

.venv/python.stamp:
	@command -v "$(PYTHON)" > /dev/null 2>&1 || { \
	  echo "Thalweg wants Python 3.11 or later; there is no '$(PYTHON)' here."; \
	  echo "Name one that is installed: make PYTHON=/path/to/python3.11 ..."; \
	  exit 1; } >&2
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Thalweg wants Python 3.11 or later; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)."; \
	  echo "Name a newer one: make PYTHON=python3.11 ..."; \
	  exit 1; } >&2
	@"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "Thalweg wants Python's venv module; '$(PYTHON)' came without it."; \
	  echo "On Debian and Ubuntu: apt-get install python3-venv"; \
	  exit 1; } >&2
	@"$(PYTHON)" -m venv --clear .venv
	@touch $@
