"""Meshes with explicit axes, as `jax.make_mesh` makes them."""

from collections.abc import Callable

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from isvs_jax import Edges, piecewise_constant, scale_space, smooth, smooth_until

IMAGES = np.random.default_rng(0).random((8, 12, 10, 3), np.float32)
SUPPORTS = Edges(*(np.random.default_rng(1).random((2, 8, *shape, 1)) < 0.3 for shape in ((12, 9), (11, 10))))
FUNCTIONS: dict[str, Callable] = {
    "dense, a time an image": lambda images: smooth(images, np.linspace(1.0, 4.0, 8)),
    "sparse": lambda images: smooth(images, 2.0, output="sparse"),
    "path": lambda images: scale_space(images, [1.0, 2.0]),
    "until": lambda images: smooth_until(images, 0.2, max_time=2.0),
    "means, several supports": lambda images: piecewise_constant(images, SUPPORTS),
    "gradient": jax.grad(lambda images: (smooth(images, 2.0) ** 2).sum()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_images_split_over_explicit_axes_give_what_one_device_gives(name: str) -> None:
    mesh = jax.make_mesh((4, 2), ("data", "model"))
    assert set(mesh.axis_types) == {AxisType.Explicit}
    split = jax.device_put(IMAGES, NamedSharding(mesh, PartitionSpec("data")))
    function = jax.jit(FUNCTIONS[name])
    expected = function(IMAGES)
    with jax.set_mesh(mesh):
        found = function(split)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
    dense = found.dense if hasattr(found, "dense") else getattr(found, "image", found)
    axis = 1 if name in ("path", "means, several supports") else 0
    assert dense.sharding.spec[axis] == "data"
