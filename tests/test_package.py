"""What a user of the bare package meets: a light import, public names, examples that run."""

import doctest
import importlib
import subprocess
import sys

import pytest

import isvs_jax

CORE = ["_edges", "_flow", "_regions", "_scale_space", "_smooth"]
HEAVY = (
    "flax",
    "optax",
    "tensorflow",
    "tensorflow_datasets",
    "matplotlib",
    "PIL",
    "sklearn",
    "scipy.optimize",
    "grain",
)


def test_import_brings_nothing_heavy():
    code = f"import sys, isvs_jax, isvs_jax.robustness; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_import_starts_no_device():
    code = "import isvs_jax, jax._src.xla_bridge as bridge; print(bridge.backends_are_initialized())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_the_referee_is_there_when_asked_for():
    code = "import isvs_jax; print(len(isvs_jax.robustness.CORRUPTIONS), hasattr(isvs_jax, 'training'))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["15", "False"]


def test_every_public_name_is_there_and_documented():
    for name in isvs_jax.__all__:
        assert getattr(isvs_jax, name).__doc__, name


@pytest.mark.parametrize("name", CORE)
def test_examples_of_the_docstrings_run(name):
    module = importlib.import_module(f"isvs_jax.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
