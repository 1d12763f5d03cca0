# `make drive` and `make test` need Python 3.11 or 3.12 and make; the rest they install into .venv themselves.

# The first that can make an environment; with none, install.py says what is wrong with python3.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && \
	echo $$p && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: install drive test check test-slow soak clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "roadcraft: Python 3.11 or 3.12 is needed and there is no $(PYTHON): install one or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@"$(PYTHON)" launch/install.py

drive: install
	@$(BIN)/roadcraft drive

check: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@MYPYPATH=.typing $(BIN)/mypy -p roadcraft

test: install
	@$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not soak"

test-slow: install
	@$(BIN)/pytest -n 2 --dist loadfile -m slow

soak: install
	@$(BIN)/pytest -m soak

clean:
	rm -rf $(VENV) .typing .pytest_cache .ruff_cache .mypy_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
