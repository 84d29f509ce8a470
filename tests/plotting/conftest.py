"""Two images and their path."""

import numpy as np
import pytest

from isvs_jax import scale_space

TIMES = (0.5, 3.0, 12.0)


@pytest.fixture(scope="module")
def images():
    """A square and a noisy square, 8 × 7, grey: [2, H, W, 1]."""
    square = np.zeros((8, 7, 1), np.float32)
    square[2:6, 2:5] = 0.9
    return np.stack([square, square + 0.1 * np.random.default_rng(0).normal(size=square.shape).astype(np.float32)])


@pytest.fixture(scope="module")
def path(images):
    return scale_space(images, TIMES)
