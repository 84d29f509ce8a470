"""Eight CPU devices for every test, fast compilation, and strictness where a test asks for it."""

import gc
import os
from collections.abc import Iterator

import jax
import pytest

from tests import compilation

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
# Commands that tests start keep nothing in the home of who runs them.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--optimised", action="store_true", help="compile as users do, which takes three times as long")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("optimised"):
        compilation.compile_fast()


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what the imports made: 300 000 objects, looked through again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def strict() -> Iterator[None]:
    """Neither a dtype nor a number of axes is promoted in silence."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def x64() -> Iterator[None]:
    """float64 exists."""
    with jax.enable_x64(True):
        yield
