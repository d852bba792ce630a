# make demo    set up, then mine two digit GANs: the main job on real data
# make test    set up, then run the tests
# Everything is installed into .venv; any Python from 3.11 on will do: make demo PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint bench

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lit-synth needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V 2>&1):" \
	    "name one, e.g. make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv; the first time takes minutes."
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/lit-synth demo

test: install
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

lint: install
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/lit-synth bench --config configs/minegan.yaml
