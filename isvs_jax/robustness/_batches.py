"""Batches of one shape: how rows are filled up to whole batches, and how a batch lies on devices."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.tree_util import Partial

from isvs_jax._checks import brief

_AXIS = "batch"


def filled(rows: np.ndarray, batch_size: int) -> tuple[np.ndarray, int]:
    """Fill row numbers up to whole batches with the first of them, so that one shape is compiled.

    Args:
        rows: Integers [N], N ≥ 1.
        batch_size: The size of a batch, ≥ 1.

    Returns:
        The rows [M], M the next multiple of the batch size, and N, how many of them are real.

    Example:
        >>> filled(np.array([4, 7, 9]), 2)
        (array([4, 7, 9, 4]), 3)
    """
    return np.concatenate([rows, np.full(-len(rows) % batch_size, rows[0])]), len(rows)


def batches(rows: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Cut row numbers into batches of exactly `batch_size`, the last filled up, each with how many rows are real.

    Example:
        >>> [(batch.tolist(), real) for batch, real in batches(np.array([4, 7, 9]), 2)]
        [([4, 7], 2), ([9, 4], 1)]
    """
    if len(rows):
        whole, real = filled(rows, batch_size)
        for begin in range(0, len(whole), batch_size):
            yield whole[begin : begin + batch_size], min(batch_size, real - begin)


@dataclass(frozen=True)
class Layout:
    """How batches lie on devices: the batch axis is cut into equal parts, everything else is on all of them.

    Attributes:
        mesh: The devices.
        batch_size: The images on the devices at a time, a multiple of the devices.
    """

    mesh: Mesh
    batch_size: int

    @classmethod
    def over(cls, devices: Sequence[jax.Device], batch_size: int) -> Layout:
        """Lay batches over devices.

        Raises:
            ValueError: The batch cannot be cut into equal parts.
        """
        if batch_size % len(devices):
            raise ValueError(f"batch_size must be a multiple of the {len(devices)} devices; got {brief(batch_size)}.")
        mesh = jax.make_mesh((len(devices),), (_AXIS,), axis_types=(AxisType.Auto,), devices=tuple(devices))
        return cls(mesh, batch_size)

    @property
    def cut(self) -> NamedSharding:
        """The sharding of a batch."""
        return NamedSharding(self.mesh, PartitionSpec(_AXIS))

    def put(self, array: np.ndarray) -> jax.Array:
        """Put a batch on the devices."""
        return jax.device_put(array, self.cut)

    def everywhere(self, tree: Any) -> Any:
        """Put arrays, whole, on each device."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def fitted(self, count: int) -> Layout:
        """A layout whose batches are not larger than `count` examples need."""
        devices = self.mesh.size
        return dataclasses.replace(self, batch_size=min(self.batch_size, -(-count // devices) * devices))

    def whole_size(self, count: int) -> int:
        """The largest batch size that `count` examples fill, a multiple of the devices where there are enough."""
        devices = self.mesh.size
        return min(self.batch_size, count // devices * devices or count)

    def batches(self, count: int) -> Iterator[tuple[np.ndarray, int]]:
        """The batches of the first `count` rows."""
        return batches(np.arange(count), self.batch_size)

    def sharded(self, function: Callable[..., jax.Array], batch_size: int) -> Callable[..., jax.Array]:
        """The function with its batch laid over the devices, for attacks, which form their batches themselves."""
        if self.mesh.size == 1 or batch_size % self.mesh.size:
            return function
        return Partial(_Constrained(self.cut), function)


@dataclass(frozen=True)
class _Constrained:
    sharding: NamedSharding

    def __call__(self, function: Callable[..., jax.Array], images: jax.Array) -> jax.Array:
        return function(jax.lax.with_sharding_constraint(images, self.sharding))
