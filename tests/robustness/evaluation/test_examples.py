"""The docstrings' examples run."""

import doctest
import importlib

import pytest

MODULES = ["_evaluate", "_hard_stop", "cells", "command", "comparison", "hard_stop_rule", "statistics", "store"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"isvs_jax.robustness.evaluation.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
