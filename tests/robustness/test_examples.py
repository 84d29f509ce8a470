"""The examples of the docstrings run."""

import doctest
import importlib

import pytest

MODULES = ["adaptive", "defences", "masking", "attacks.noise", "batches", "text"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"isvs_jax.robustness.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
