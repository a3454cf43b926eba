# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test strategies lint types check install lock clean

# Pre-train a small BERT on English text that every CPython ships, evaluate, fine-tune, predict.
demo: $(STAMP)
	$(BIN)/python examples/bert/demo.py

# The default test suite.
test: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 8

STRATEGIES := strategy_table strategy_bytes strategy_models joined_weights nproc estimates

# The table of tests of all strategies, launchers and estimates, which takes minutes.
strategies: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m slow $(addprefix tests/core/test_,$(STRATEGIES:=.py))

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

install: $(STAMP)

PLUGINS := $(wildcard plugins/*)
OURS := . $(PLUGINS) examples/plugin
PROJECTS := $(OURS:%=%/pyproject.toml)

# Versions are those of constraints.txt: of uv, of what is installed, and of what builds our own packages.
$(STAMP): $(PROJECTS) constraints.txt $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --build-constraint constraints.txt \
		--editable ".[dev]" $(PLUGINS:%=--editable %)
	touch $(STAMP)

$(BIN)/uv: constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or newer is needed: make PYTHON=python3.12 ...')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	touch $(BIN)/uv

# Write constraints.txt anew: the newest versions that the packages' ranges allow, for every Python and platform.
# hatchling builds editable packages with `editables`; our own packages are read from here and not listed.
lock: $(BIN)/uv
	printf '%s\n' uv editables $(OURS:%='--editable %') | $(BIN)/uv pip compile --quiet --upgrade --universal \
		--python-version 3.10 --all-extras --no-annotate --custom-compile-command "make lock" \
		$(foreach name,tp-core tp-acme $(subst _,-,$(notdir $(PLUGINS))),--no-emit-package $(name)) \
		--output-file constraints.txt - $(PROJECTS)

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
