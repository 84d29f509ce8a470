"""Eight CPU devices for every test, fast compilation, and strictness where a test asks for it."""

from collections.abc import Iterator

import jax
import pytest

from tests import compilation

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--optimised", action="store_true", help="compile as users do (slower)")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("optimised"):
        compilation.compile_fast()


@pytest.fixture
def strict() -> Iterator[None]:
    """Neither a dtype nor a number of axes is promoted in silence."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def strict_dtypes(strict: None) -> None:
    """Temporary."""


@pytest.fixture
def x64() -> Iterator[None]:
    """float64 exists."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def cheap_compilation() -> None:
    """Temporary."""
