# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint types check install clean

# Pre-train a small BERT on English text that every CPython ships, evaluate, fine-tune, predict.
demo: $(STAMP)
	$(BIN)/python examples/bert/demo.py

# The default test suite.
test: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 8

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

install: $(STAMP)

PLUGINS := $(wildcard plugins/*)

$(STAMP): pyproject.toml $(PLUGINS:%=%/pyproject.toml) constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or newer is needed: make PYTHON=python3.12 ...')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
		--editable ".[dev]" $(PLUGINS:%=--editable %)
	touch $(STAMP)

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
