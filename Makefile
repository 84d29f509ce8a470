# make demo     train two small networks on real images and judge them; results/demo/ holds the report (minutes)
# make test     the whole test suite
# make reproduce     every experiment from training to table and picture; results/SIZE/README.md shows them
#                    SIZE=smoke (minutes), cpu (many hours), photographs, gpu; a command that was stopped goes on when it is given again
# make train-smoke   a few steps of every training method
# make notebooks     execute the notebooks and save their outputs
# make bench    ours beside its peers, timed; results/bench/ holds figures, tables and a picture (about ten minutes)
# make accelerator   is the library right on the devices at hand, and how fast? results/accelerator/ holds the page (minutes)
# make lint     style and types
# make docs     the documentation site, in build/site; a warning is an error
# make wheel    build the wheel, install it in an empty environment, use it
# make clean    remove the environment and what was built
#
# Options:  make demo DATA=tfds:cifar10 ARGS="--seeds 1"     make test ARGS="-k smooth"     make bench ARGS="-k cifar"     PYTHON=python3.12

PYTHON ?= python3
DATA ?= digits
SIZE ?= smoke
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo reproduce test train-smoke notebooks bench accelerator lint docs wheel clean

demo: $(VENV)/.train
	$(BIN)/python -m experiments.demo --data "$(DATA)" $(ARGS)

# The data are those of the size unless DATA is given.
reproduce: $(VENV)/.train
	$(BIN)/python -m experiments all --size "$(SIZE)" $(if $(filter file,$(origin DATA)),,--data "$(DATA)") $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

train-smoke: $(VENV)/.test
	$(BIN)/python -m pytest -n auto tests/training/test_methods.py $(ARGS)

notebooks: $(VENV)/.notebooks
	$(BIN)/python notebooks/execute.py $(ARGS)

# With TFDS_DATA_DIR, ARGS="--tfds-name cifar10" and tensorflow-datasets installed on CIFAR-10; with SCICO_PYTHON, an interpreter that has SCICO, on that.
bench: $(VENV)/.bench
	mkdir -p results/bench
	$(BIN)/python -m pytest benchmarks/peers -o python_files="bench_*.py" -o filterwarnings=default \
		--benchmark-json=results/bench/rounds.json --benchmark-disable-gc -q $(ARGS)
	$(BIN)/python -m benchmarks.peers.report --from results/bench/rounds.json --out results/bench

# On an accelerator: first pip install "jax[cuda13]", or what JAX's installation page says for the device, in the environment.
accelerator: $(VENV)/.train
	$(BIN)/python -m isvs_jax.accelerator $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: $(VENV)/.test
	rm -rf build/wheel build/empty
	$(BIN)/python -m build --wheel --outdir build/wheel . > build.log 2>&1 || { cat build.log; exit 1; }
	rm -f build.log
	$(PYTHON) -m venv build/empty
	build/empty/bin/pip install -q --disable-pip-version-check build/wheel/*.whl
	cd build && empty/bin/python -c "import jax.numpy as jnp, isvs_jax; print(isvs_jax.smooth(jnp.eye(8)[..., None], 1.0).shape)"

clean:
	rm -rf $(VENV) build dist

# An environment holds what one extra of pyproject.toml asks for, and is brought up to date when that file changes.
$(VENV)/.%: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[$*]"
	touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "isvs_jax needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade pip
