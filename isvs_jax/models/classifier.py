"""A Linen model as plain functions: variables from a key, logits from images."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

# {"params": ..., "batch_stats": ...}; the second may be empty or absent.
Variables = Mapping[str, Any]
# Images [B, H, W, C] in [0, 1] to logits [B, K].
LogitsFn = Callable[[jax.Array], jax.Array]


def init(model: nn.Module, key: jax.Array, image_shape: tuple[int, int, int]) -> Variables:
    """The variables of a model for images of a shape [H, W, C].

    Example:
        >>> from isvs_jax.models import CNN
        >>> variables = init(CNN(10, width=4), jax.random.key(0), (16, 16, 3))
        >>> sorted(variables)
        ['batch_stats', 'params']
    """
    return _init(key, model=model, image_shape=image_shape)


@functools.partial(jax.jit, static_argnames=("model", "image_shape"))
def _init(key: jax.Array, *, model: nn.Module, image_shape: tuple[int, int, int]) -> Variables:
    return model.init(key, jnp.zeros((1, *image_shape)))


def logits_fn(model: nn.Module, variables: Variables) -> LogitsFn:
    """The trained model as one function of images in [0, 1].

    The function is a `jax.tree_util.Partial`, a pytree whose leaves are the variables: jitted code that takes it as an
    argument is compiled once for all models of one architecture.

    Args:
        model: A module called as model(images, train=False).
        variables: Its parameters and batch statistics.

    Returns:
        A pure function from images [B, H, W, C] to logits [B, K].

    Example:
        >>> from isvs_jax.models import CNN
        >>> model = CNN(10, width=4)
        >>> logits = logits_fn(model, init(model, jax.random.key(0), (16, 16, 3)))
        >>> logits(jnp.zeros((2, 16, 16, 3))).shape
        (2, 10)
    """
    return jax.tree_util.Partial(_Apply(model), variables)


@dataclass(frozen=True)
class _Apply:
    """A model as a function of (variables, images); equal for equal models, so that jit knows it again."""

    model: nn.Module

    def __call__(self, variables: Variables, images: jax.Array) -> jax.Array:
        logits = self.model.apply(variables, images, train=False)
        assert isinstance(logits, jax.Array)  # nothing is mutable, so nothing else comes with them
        return logits


def count_parameters(variables: Variables) -> int:
    """The number of trained numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
