"""A small network with curved boundaries, and images that it classifies as their labels."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest


@pytest.fixture(autouse=True)
def _strict(strict: None) -> None:
    """No attack leaves a dtype or a number of axes to be promoted."""


class Case(NamedTuple):
    logits_fn: Callable[..., jax.Array]
    images: jax.Array
    labels: jax.Array


def _network(images: jax.Array) -> jax.Array:
    first = jax.random.normal(jax.random.key(0), (75, 24), jnp.float32).astype(images.dtype) / 4
    second = jax.random.normal(jax.random.key(1), (24, 5), jnp.float32).astype(images.dtype)
    flat = images.reshape(images.shape[0], -1)
    return jnp.tanh((flat - 0.5) @ first) @ second


@pytest.fixture(scope="session")
def case() -> Case:
    images = jax.random.uniform(jax.random.key(2), (12, 5, 5, 3))
    return Case(_network, images, jnp.argmax(_network(images), axis=1))


@pytest.fixture(scope="session")
def rounding() -> Callable[..., jax.Array]:
    """The network behind an input that is rounded to eight levels: no gradient comes through."""
    return lambda images: _network(jnp.round(images * 7) / 7)


def accuracy(logits_fn: Callable[..., jax.Array], images: jax.Array, labels: jax.Array) -> float:
    return float((logits_fn(images).argmax(1) == labels).mean())


@pytest.fixture(scope="session", name="accuracy")
def _accuracy() -> Callable[..., float]:
    return accuracy
