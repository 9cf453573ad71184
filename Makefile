# Two commands do all: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo toolbox test test-avx2 lint format bench quality clean

demo: $(VENV)/.installed
	@$(BIN)/python -m experiments.render_units --config=configs/demo.py:googlenet
	@$(BIN)/python -m experiments.render_units \
	  --config=configs/demo.py:alexnet-conv

toolbox: $(VENV)/.installed-toolbox
	@$(BIN)/python -m experiments.run_toolbox

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

# The tests of arithmetic as a CPU without AVX-512 rounds it.
test-avx2: $(VENV)/.installed-test
	@XLA_FLAGS=--xla_cpu_max_isa=AVX2 $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile \
	  tests/synthesis tests/evolution tests/probing tests/runs \
	  tests/networks/test_ops.py tests/networks/test_graph.py

lint: $(VENV)/.installed-test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(VENV)/.installed-test
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(VENV)/.installed-bench
	@$(BIN)/python -m benchmarks

# NET: squeezenet1.1 or googlenet, judged by the other; PHOTOS: a folder.
NET ?= squeezenet1.1
JUDGE ?= $(if $(filter googlenet,$(NET)),squeezenet1.1,googlenet)
quality: $(VENV)/.installed
	@$(BIN)/python -m experiments.render_units --config=configs/quality.py:$(NET)
	@$(BIN)/python -m experiments.score_pictures \
	  --manifest=out/quality/$(NET)/manifest.json --net=$(JUDGE) \
	  --photos=$(PHOTOS)

clean:
	rm -rf $(VENV) out build dist *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'jdeepvis needs Python 3.11 or newer; name one: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo 'python3 -m venv failed; on Debian: apt-get install python3-venv'; exit 1; }

$(VENV)/.installed: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(VENV)/.installed-toolbox: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[toolbox]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,probe]'
	@touch $@
