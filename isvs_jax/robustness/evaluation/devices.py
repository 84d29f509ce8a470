"""Batches of one shape, laid over the devices at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.tree_util import Partial

from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, is_correct

_AXIS = "batch"


@dataclass(frozen=True)
class Layout:
    """How batches lie on devices: the batch axis is cut into equal parts, everything else is on all of them."""

    mesh: Mesh
    batch_size: int

    @classmethod
    def over(cls, devices: Sequence[jax.Device], batch_size: int) -> Layout:
        """A layout over devices.

        Raises:
            ValueError: the batch cannot be cut into equal parts.
        """
        if batch_size % len(devices):
            raise ValueError(f"batch_size is {batch_size}; over {len(devices)} devices it may be a multiple of them.")
        mesh = jax.make_mesh((len(devices),), (_AXIS,), axis_types=(AxisType.Auto,), devices=tuple(devices))
        return cls(mesh, batch_size)

    @property
    def cut(self) -> NamedSharding:
        """The sharding of a batch."""
        return NamedSharding(self.mesh, PartitionSpec(_AXIS))

    def put(self, array: np.ndarray) -> jax.Array:
        """A batch on the devices."""
        return jax.device_put(array, self.cut)

    def everywhere(self, tree: Any) -> Any:
        """Arrays, whole, on each device."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def fitted(self, count: int) -> Layout:
        """A layout whose batches are not larger than `count` examples need."""
        devices = self.mesh.size
        return dataclasses.replace(self, batch_size=min(self.batch_size, -(-count // devices) * devices))

    def filled(self, count: int) -> int:
        """The largest batch size that `count` examples fill, a multiple of the devices where there are enough."""
        devices = self.mesh.size
        return min(self.batch_size, count // devices * devices or count)

    def batches(self, count: int) -> Iterator[tuple[np.ndarray, int]]:
        """Rows in pieces of exactly batch_size, the last filled up, and how many of them are real."""
        for begin in range(0, count, self.batch_size):
            rows = np.minimum(np.arange(begin, begin + self.batch_size), count - 1)
            yield rows, min(self.batch_size, count - begin)

    def sharded(self, logits_fn: LogitsFn, batch_size: int) -> LogitsFn:
        """The function with its batch laid over the devices, for attacks, which form their batches themselves."""
        if self.mesh.size == 1 or batch_size % self.mesh.size:
            return logits_fn
        return Partial(_Constrained(self.cut), logits_fn)


@dataclass(frozen=True)
class _Constrained:
    sharding: NamedSharding

    def __call__(self, logits_fn: LogitsFn, images: jax.Array) -> jax.Array:
        return logits_fn(jax.lax.with_sharding_constraint(images, self.sharding))


def on_devices(logits_fn: LogitsFn, layout: Layout) -> LogitsFn:
    """The function as a pytree whose arrays are on every device."""
    tree = as_pytree(logits_fn)
    leaves, structure = jax.tree.flatten(tree)
    moved = [layout.everywhere(leaf) if isinstance(leaf, jax.Array | np.ndarray) else leaf for leaf in leaves]
    return jax.tree.unflatten(structure, moved)


@dataclass(frozen=True)
class Answers:
    """What a network said of examples: whether it was right, how sure it was, whether its logits were finite."""

    correct: np.ndarray
    confidence: np.ndarray
    finite: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """Those of several batches, one after another."""
        names = [entry.name for entry in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@jax.jit
def _ask(logits_fn: LogitsFn, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    logits = logits_fn(images).astype(jnp.float32)
    return is_correct(logits, labels), jax.nn.softmax(logits).max(axis=1), jnp.isfinite(logits).all(axis=1)


def ask(logits_fn: LogitsFn, images: jax.Array, labels: jax.Array, real: int) -> Answers:
    """The answers to the real examples of a batch; compiled once a function and shape."""
    return Answers(*(np.asarray(part)[:real] for part in _ask(logits_fn, images, labels)))
