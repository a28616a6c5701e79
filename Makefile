# One command each; every one does its own set-up in $(VENV).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup quickstart check test bench chaos docs

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $(READY)

quickstart: setup
	$(BIN)/iciia run quickstart

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: setup
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile # a file's tests share what they make

bench: setup
	$(BIN)/iciia bench

chaos: setup
	$(BIN)/python tests/chaos.py 100

docs: setup
	$(BIN)/python -m pip install --quiet --editable '.[site]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
