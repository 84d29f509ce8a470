"""Images that all corruption tests share, so that each corruption compiles once for one shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage


@pytest.fixture(autouse=True)
def _strict(strict: None) -> None:
    """No corruption leaves a dtype or a number of axes to be promoted."""


@pytest.fixture(scope="session")
def grey_levels() -> np.ndarray:
    """Three smooth colour images with sharp edges, black, white and grey parts: uint8 [3, 32, 40, 3]."""
    rng = np.random.default_rng(7)
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=(3, 32, 40, 3)), (0, 2, 2, 0))
    levels = 128 + 900 * noise
    levels[:, 8:20, 10:25] += 80
    levels[0, :6, :9] = 0
    levels[1, -5:, -9:] = 255
    levels[2, 10:14, 30:38] = levels[2, 10:14, 30:38, :1]
    return np.clip(levels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def images(grey_levels: np.ndarray) -> jax.Array:
    """The same as float32 in [0, 1]."""
    return jnp.asarray(grey_levels / np.float32(255))


@pytest.fixture(scope="session")
def key() -> jax.Array:
    return jax.random.key(11)
