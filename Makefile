# PYTHON chooses the interpreter (3.11 or later). Without it the first suitable one on the path is used, in .venv;
# with it the environment is .venv-X.Y, so that several versions live side by side.
ifdef PYTHON
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
else
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
endif
ifeq ($(PYTHON),)
$(error no Python 3.11 or later on the path; name one with PYTHON=/path/to/python3)
endif

# What is installed besides the lock: this checkout, editable, or a wheel (PACKAGE=dist/....whl).
PACKAGE ?= --no-build-isolation --editable .
# One stamp per content of the lock and of the package's own metadata.
CONTENT := $(shell $(PYTHON) -c 'import hashlib, pathlib; print(hashlib.sha256(b"".join(pathlib.Path(p).read_bytes() \
	for p in ("requirements.lock", "pyproject.toml", "hatch.toml"))).hexdigest()[:12])')
STAMP := $(VENV)/.installed-$(CONTENT)
BIN := $(VENV)/bin
ARGS ?=
NOTEBOOKS ?= notebooks

.PHONY: help install replicate replicate-quick notebooks test test-slow test-lowest lint wheel clean

help:
	@echo "make replicate        the paper's results, published and synthetic, in output/report.html (ARGS=--quick)"
	@echo "make replicate-quick  the same at a tenth of the size"
	@echo "make test             the tests (ARGS='-k name'); make test-slow: the long simulation studies"
	@echo "make notebooks        the notebooks and the examples of README and docs, run as they stand"
	@echo "make test-lowest      the core tests with the lowest versions that pyproject.toml allows (Python 3.11)"
	@echo "make lint             ruff and mypy;  make wheel: dist/*.whl;  make clean: remove build products"

install: $(STAMP)

# uv is quick; pip reads the same hashed lock where uv cannot be had or cannot reach the package index.
$(STAMP):
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock || \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall $(PACKAGE)
	rm -f $(VENV)/.installed-*
	touch $@

replicate: $(STAMP)
	$(BIN)/hitlbayes replicate $(ARGS)

replicate-quick: $(STAMP)
	$(BIN)/hitlbayes replicate --quick $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 $(ARGS)

notebooks: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "slow or not slow" $(NOTEBOOKS) tests/docs/test_pages.py $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow $(ARGS)

# The lowest versions of what pyproject.toml names, the newest of what these need, in an environment of their own.
LOWEST := .venv-lowest
LOWEST_PYTHON ?= $(shell command -v python3.11)
LOWEST_TESTS := tests/test_formats.py tests/test_result.py tests/test_storage.py tests/spec tests/published \
	tests/chatlog/test_read.py tests/report/test_tables.py

test-lowest: $(STAMP)
	test -x $(LOWEST)/bin/python || $(LOWEST_PYTHON) -m venv $(LOWEST)
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --python-version 3.11 --extra dev \
		--no-emit-index-url pyproject.toml --output-file $(LOWEST)/requirements.txt
	$(BIN)/uv pip sync --quiet --python $(LOWEST)/bin/python $(LOWEST)/requirements.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --no-build-isolation --editable .
	$(LOWEST)/bin/python -m pytest $(LOWEST_TESTS) $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy hitlbayes

wheel: $(STAMP)
	$(BIN)/python -m build --wheel --no-isolation $(ARGS)

clean:
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
