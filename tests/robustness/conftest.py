"""Patterns that a linear network tells apart."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial


def _network(weights, images):
    """A linear classifier: which of four fixed patterns the image resembles most."""
    return 20 * jnp.einsum("bhwc,khwc->bk", images - 0.5, weights)


@pytest.fixture(scope="session")
def patterns():
    """Four smooth patterns, and images of them with a margin of about 0.05 a pixel: 0.15 is far beyond it."""
    rows, columns = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8), indexing="ij")
    patterns = np.stack([np.sign(rows), np.sign(columns), np.sign(rows * columns), -np.sign(rows)])[..., None]
    patterns = patterns.astype(np.float32) / 64
    labels = np.arange(12) % 4
    noise = np.random.default_rng(0).normal(size=(12, 8, 8, 1))
    images = np.clip(0.5 + 64 * 0.08 * patterns[labels] + 0.01 * noise, 0, 1).astype(np.float32)
    return Partial(_network, jnp.asarray(patterns)), images, labels
