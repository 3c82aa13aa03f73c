# make demo     encode and decode a drawn clip, print a table, write demo/side_by_side.png
# make test     the tests (ten minutes or so; no network, no GPU, no data set)
# make check    formatting, lint, types and tests: the gate for a change
# make clean    remove the virtual environment and everything generated
#
# The first call makes .venv and installs into it, once. Options:
#   PYTHON=python3.12         the interpreter (default: the first of 3.12, 3.11, python3 that works)
#   TORCH=torch==2.13.0       the PyTorch to install first, if it can be had
#   TORCH_INDEX=https://download.pytorch.org/whl/cpu    the index to take it from. On Linux the
#                             default index has the CUDA build, several GB; this one the CPU build.

TORCH ?= torch==2.13.0
TORCH_INDEX ?=
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: demo test check format clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(PY) -m benchmarks.demo

test: $(STAMP)
	$(PY) -m pytest -q

check: $(STAMP)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q

format: $(STAMP)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# A candidate is run before it is believed: a version manager's shim may exist and yet fail.
# If PyTorch of the wanted version cannot be had, pyproject.toml's range decides.
$(STAMP): pyproject.toml
	@if [ ! -x $(PY) ]; then \
	    for python in $(PYTHON) python3.12 python3.11 python3 /usr/bin/python3; do \
	        if $$python -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	            2>/dev/null && $$python -m venv $(VENV); then break; fi; \
	    done; \
	fi
	@if [ ! -x $(PY) ]; then \
	    echo 'dsaecodec needs Python 3.11 or 3.12 with the venv module: make PYTHON=/path/to/python3.12' >&2; \
	    exit 1; \
	fi
	@$(PY) -c 'import torch' 2>/dev/null \
	    || $(PY) -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)' \
	    || echo 'not available: $(TORCH); taking what pyproject.toml allows' >&2
	$(PY) -m pip install -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
