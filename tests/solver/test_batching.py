"""Large batches go block by block: the same images, in less memory."""

from functools import partial
from math import gcd

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import isvs_jax
from isvs_jax.solver import batching
from isvs_jax.solver.batching import map_blocks

pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(0, 4, (1, 0)), (4, 4, (1, 4)), (8, 4, (2, 4)), (10, 4, (3, 4)), (9, 4, (3, 3)),
     (7, 4, (2, 4)), (256, 21, (16, 16)),
     (97, 21, (5, 20))],
)  # fmt: skip
def test_blocks_are_equal_and_hold_at_most_so_many(count, most, expected):
    assert batching._blocks(count, most) == expected


@pytest.mark.parametrize("shape", [(7,), (2, 3), (1,), (0,), ()])
@pytest.mark.parametrize("most", [1, 3, 1000])
def test_blocks_are_put_together_in_the_order_of_the_images(shape, most):
    image = np.random.default_rng(0).random((*shape, 2, 3, 2)).astype(np.float32)
    number = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    sizes = []

    def function(image, number, two):
        sizes.append(image.size)
        scaled = image * (number * two)[..., None, None, None]
        return {"sum": scaled.sum((-3, -2, -1)), "stack": jnp.stack([scaled, -scaled])}

    whole = {"sum": lambda y: y.sum((-3, -2, -1)), "stack": lambda y: np.stack([y, -y])}
    two = jnp.float32(2)
    for key, axis in (("sum", 0), ("stack", 1)):
        of_key = partial(map_blocks, lambda *arrays, key=key: function(*arrays)[key], axis=axis, most=most)
        result = jax.jit(of_key)(image, number, two)
        expected = whole[key](image * (number * np.float32(2))[..., None, None, None])
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    devices = gcd(np.prod(shape, dtype=int).item(), jax.device_count())
    assert max(sizes) <= 12 * max(most, devices)


def test_a_large_batch_is_smoothed_as_its_images_one_by_one(monkeypatch):
    """601 is prime: the last block is filled up."""
    monkeypatch.setattr(batching, "_CPU_BLOCK", 1 << 15)
    images = 4 * np.random.default_rng(0).random((601, 6, 7, 3)).astype(np.float32)
    assert images.size > batching._CPU_BLOCK
    times = np.linspace(0.0, 1.0, len(images), dtype=np.float32)
    few = np.arange(0, len(images), 100)
    ours = np.asarray(isvs_jax.smooth(images, times, output="sparse"))
    np.testing.assert_allclose(ours[few], isvs_jax.smooth(images[few], times[few], output="sparse"), atol=2e-5)
    path, alone = (jax.device_get(isvs_jax.scale_space(x, [0.5, 1.0])) for x in (images, images[few]))
    assert path.support.vertical[-1].any()
    np.testing.assert_allclose(path.dense[:, few], alone.dense, atol=2e-5)
    np.testing.assert_array_equal(path.support.vertical[:, few], alone.support.vertical)
    stopped, alone = (jax.device_get(isvs_jax.smooth_until(x, 0.02, 1.0)) for x in (images, images[few]))
    assert stopped.reached[few].all()
    for field, expected in zip(stopped, alone, strict=True):
        np.testing.assert_allclose(field[few], expected, atol=2e-5)


def test_gradient_and_devices_with_blocks():
    """Of a batch that is split over devices each has its share of every block: nothing is gathered."""
    images = np.random.default_rng(0).random((48, 4, 5, 3)).astype(np.float32)

    def run(images, size=16):
        return map_blocks(lambda x: jnp.sin(x - x.mean((1, 2), keepdims=True)), images, most=size)

    def loss(images, size=16):
        return (run(images, size) ** 2).sum()

    expected, gradient = jax.jit(lambda images: (run(images, 48), jax.grad(loss)(images, 48)))(images)
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("batch")
    placed = jax.device_put(images, jax.NamedSharding(mesh, spec))
    for function, wanted in ((run, expected), (jax.grad(loss), gradient)):
        compiled = jax.jit(function).lower(placed).compile()
        assert "all-gather" not in compiled.as_text()
        np.testing.assert_allclose(compiled(placed), wanted, atol=1e-6)
        np.testing.assert_allclose(jax.jit(function)(images), wanted, atol=1e-6)
    shards = jax.shard_map(lambda x: run(x, 2), mesh=mesh, in_specs=spec, out_specs=spec)
    np.testing.assert_allclose(shards(images), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("output", "count", "block"),
    [("dense", 256, batching._CPU_BLOCK), ("sparse", 256, batching._CPU_BLOCK), ("sparse", 252, batching._BLOCK)],
)
def test_peak_memory_of_smoothing_a_large_batch(monkeypatch, output, count, block):
    """Arguments, results and temporaries, as compiled: under 12 times the batch is the aim."""
    monkeypatch.setattr(batching, "_CPU_BLOCK", block)
    images = jax.ShapeDtypeStruct((count, 224, 224, 3), np.float32)
    memory = jax.jit(lambda x: isvs_jax.smooth(x, 8.0, output=output)).lower(images).compile().memory_analysis()
    peak = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    assert peak < (9 if block == batching._BLOCK else 5) * 4 * images.size
