"""The docstrings' examples run, and importing the report brings nothing heavy."""

import doctest
import importlib
import subprocess
import sys

import pytest

MODULES = ["command", "environment", "evaluate", "metrics", "reach", "results", "store", "text"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"isvs_jax.robustness.report.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_import_brings_nothing_heavy() -> None:
    heavy = ("flax", "matplotlib", "tqdm", "tensorflow_datasets", "torch", "PIL", "sklearn", "scipy")
    code = f"import sys, isvs_jax.robustness.report; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # JAX itself brings SciPy.
    assert result.stdout.strip() in ("[]", "['scipy']")
