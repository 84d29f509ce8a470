"""Eight CPU devices for every test, and strictness where a test asks for it."""

from collections.abc import Iterator

import jax
import pytest

from tests import compilation

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
    """Compile fast rather than well, in a whole module."""
    with compilation.cheap_compilation():
        yield


@pytest.fixture(scope="module", autouse=True)
def _compiled_as_asked_for(request: pytest.FixtureRequest) -> None:
    """What was compiled cheaply for one module is not used by another that did not ask for it."""
    if "cheap_compilation" not in request.fixturenames and compilation.used_cheaply():
        jax.clear_caches()
