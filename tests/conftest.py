"""Eight CPU devices for every test, and strictness where a test asks for it."""

from collections.abc import Iterator

import jax
import pytest

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture
def strict_dtypes() -> Iterator[None]:
    """No dtype is promoted in silence."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def x64() -> Iterator[None]:
    """float64 exists."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def cheap_compilation() -> Iterator[None]:
    """Compile fast rather than well: for modules with many programs on tiny images.

    The programs are the same; LLVM makes less of an effort with them.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
