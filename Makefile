# Set-up, the demo and the tests. Needs Python 3.11 or newer (with venv), git and make; everything else is installed here.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test docs install format lock
.DEFAULT_GOAL := help

help:
	@echo "make demo     set up, run the whole study on the embedded sample, print what came out"
	@echo "make test     set up, then format check, lint, type check and every test"
	@echo "make docs     set up, then the documentation as a site that needs no network: site/index.html"
	@echo "make install  set up only, into .venv; then: source .venv/bin/activate"
	@echo "make format   format the code"
	@echo "make lock     resolve requirements.lock and requirements-extras.lock anew from pyproject.toml"

demo: install
	salvoc doctor
	dvc repro
	@sed '/^## How to read it/,$$d; /^|/d; /^###/d' reports/study/results.md | cat -s
	@echo "All of it:    reports/study/report.html (in a browser), reports/study/results.md"
	@echo "First:        source .venv/bin/activate"
	@echo "Browse:       salvoc app    (shows everything at http://127.0.0.1:5151)"
	@echo "Try:          dvc exp run -S aug.threshold=0.05 && dvc exp show --only-changed"

test: .venv/extras
	ruff format --check .
	ruff check .
	mypy
	pytest -n 2 --dist loadfile --no-loadscope-reorder

# The theme tells of its end in 2027 on every run; we know.
docs: install
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet --config-file docs/mkdocs.yml
	@echo "site/index.html"

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("salvoc needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(shell grep '^uv==' requirements.lock)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

# Only tests need every extra: some are AGPL-3.0, and `make demo` and `make install` bring none of these.
.venv/extras: .venv/installed requirements-extras.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --requirement requirements-extras.lock
	touch $@

format: install
	ruff format .
	ruff check --fix .

# The extras first: dvc-s3 wants an older boto3 than the rest would take.
lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra detr --extra ray --extra s3 --extra ssh --extra yolo --upgrade \
		--no-annotate --no-header pyproject.toml --output-file requirements-extras.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra imgaug --upgrade \
		--constraints requirements-extras.lock --no-annotate --no-header pyproject.toml --output-file requirements.lock
