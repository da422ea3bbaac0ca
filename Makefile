# make demo   the main job on a small made-up data set, in ./cvtk-demo
# make test   everything that must hold before a change is kept
# make quick  the quick ones of these tests, within a minute
#
# Each makes .venv and installs what it needs; run again, it starts at once.
# Another Python (3.10 to 3.13): make test PYTHON=python3.12   (after make clean)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two tests run side by side, each file in one process, so that what a file trains is trained once. The files
# keep their order, in which those that train come first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
READY := $(VENV)/.ready
# The original MMDetection, which tests/test_original.py puts before its fork.
ORIGINAL := $(VENV)/original

.PHONY: demo test quick lint format bench zoo clean help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make lint   ruff and mypy;  make format   ruff's formatter"
	@echo "make bench  the benchmarks;  make zoo   every architecture of the catalogue (hours)"
	@echo "make clean  removes .venv and caches"

# No compiler is needed: mmcv's operators are left out where pip builds it, and cvtk brings its own.
$(READY): pyproject.toml scenes/pyproject.toml constraints.txt hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "cvtk needs Python 3.10 to 3.13. Name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[mmdet,export,openvino,serve,dev]" ./scenes
	$(BIN)/python -m pip check
	@touch $@

$(ORIGINAL): $(READY)
	$(BIN)/python -m pip install -q --no-deps --upgrade --target $@ mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0

demo: $(READY)
	$(BIN)/cvtk demo --output cvtk-demo --force

test: lint $(ORIGINAL)
	$(PYTEST)

quick: $(READY)
	$(PYTEST) -m "not train and not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	@for script in $(filter-out $(addprefix benchmarks/,zoo.py export_table.py accuracy.py peer.py),$(wildcard benchmarks/*.py)); do \
		echo "== $$script"; $(BIN)/python $$script || exit 1; done

zoo: $(READY)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[zoo]"
	$(BIN)/python benchmarks/zoo.py
	$(BIN)/python benchmarks/export_table.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
