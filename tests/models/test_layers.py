"""What all networks share: the compute dtype, the axis of batch statistics, the normalisation of images."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Jaxpr, jaxprs_in_params
from jax.sharding import PartitionSpec as P

from isvs_jax.models.layers import Layers
from tests.models.drawing import TINY, drawn, shapes

AXIS = "devices"
NORMALISED = [name for name in TINY if name != "vit"]


def equations(jaxpr: Jaxpr) -> Iterator[Any]:
    """All equations, those of inner functions too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner)


def traced(name: str, *, train: bool, **attributes: Any) -> list[Any]:
    """The equations of a network over a device's images."""
    model = TINY[name].clone(**attributes)
    images = jax.ShapeDtypeStruct((2, 16, 16, 3), np.float32)
    axes = [(AXIS, 2)] if train and attributes.get("axis_name") else None

    def function(variables: Any, images: jax.Array) -> Any:
        return model.apply(variables, images, train=train, mutable=["batch_stats"])

    return list(equations(jax.make_jaxpr(function, axis_env=axes)(shapes(model, (16, 16, 3)), images).jaxpr))


@pytest.mark.parametrize("name", TINY)
def test_all_but_the_last_layer_computes_in_bfloat16(name: str) -> None:
    found = traced(name, train=True, dtype="bfloat16")
    products = [e for e in found if e.primitive.name in ("conv_general_dilated", "dot_general")]
    factors = [{str(var.aval.dtype) for var in e.invars} for e in products]
    assert factors[:-1] == [{"bfloat16"}] * (len(products) - 1)
    assert factors[-1] == {"float32"}


@pytest.mark.parametrize("name", ["resnet18", "wrn10_1", "vit"])
def test_bfloat16_is_near_float32(name: str) -> None:
    model = TINY[name]
    variables = drawn(model, (16, 16, 3))
    images = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    exact, rounded = (
        np.asarray(jax.jit(model.clone(dtype=dtype).apply)(variables, images)) for dtype in ("float32", "bfloat16")
    )
    assert exact.dtype == rounded.dtype == np.float32
    # Steps of 1/256, in a handful of layers one after another.
    error = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 6 / 256


@pytest.mark.parametrize("name", NORMALISED)
def test_every_normalisation_is_averaged_over_the_axis_in_training_only(name: str) -> None:
    norms = sum(
        path[-1].key == "mean" for path, _ in jax.tree_util.tree_leaves_with_path(shapes(TINY[name], (16, 16, 3)))
    )
    counts = {
        (train, axis): sum(e.primitive.name == "psum" for e in traced(name, train=train, axis_name=axis))
        for train in (True, False)
        for axis in (AXIS, None)
    }
    assert counts == {(True, AXIS): norms, (True, None): 0, (False, AXIS): 0, (False, None): 0}


def test_devices_together_are_one_device(x64: None) -> None:
    """Loss, gradient and statistics of shards, under shard_map and pmap, are those of the batch.

    In float64, where a term that is missing cannot pass for rounding: parameters and what is compared are float32.
    """
    model = TINY["resnet18"].clone(dtype="float64", num_classes=3)
    variables = drawn(model, (8, 8, 3))
    images = np.random.default_rng(2).random((8, 8, 8, 3), np.float32)
    labels = np.arange(8) % 3

    def step(variables: Any, images: jax.Array, labels: jax.Array, axis: str | None) -> Any:
        def loss(params: Any) -> Any:
            network = model.clone(axis_name=axis)
            given = {"params": params, "batch_stats": variables["batch_stats"]}
            logits, moved = network.apply(given, images, train=True, mutable=["batch_stats"])
            losses = -jnp.take_along_axis(jax.nn.log_softmax(logits.astype(jnp.float64)), labels[:, None], 1)
            return losses.mean(), moved

        (value, moved), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        if axis is None:
            return value, gradient, moved
        return jax.lax.pmean(value, axis), jax.lax.pmean(gradient, axis), moved

    expected = jax.jit(step, static_argnums=3)(variables, images, labels, None)

    mesh = jax.make_mesh((4,), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:4])
    sharded = jax.shard_map(
        lambda v, x, y: step(v, x, y, AXIS),
        mesh=mesh,
        in_specs=(P(), P(AXIS), P(AXIS)),
        out_specs=P(),
        check_vma=False,
    )
    mapped = jax.pmap(
        lambda v, x, y: step(v, x, y, AXIS), AXIS, in_axes=(None, 0, 0), out_axes=None, devices=jax.devices()[:4]
    )
    split = (images.reshape(4, 2, 8, 8, 3), labels.reshape(4, 2))
    for found in (jax.jit(sharded)(variables, images, labels), mapped(variables, *split)):
        # Logits and gradients are float32 at the end: their rounding, added up.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected)


def test_images_are_standardised_in_float32() -> None:
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    out = Layers(train=False, dtype="bfloat16").standardise(images, mean, std)
    expected = (images - np.float32(mean)) / np.float32(std)
    np.testing.assert_array_equal(out, expected.astype(jnp.bfloat16))


@pytest.mark.parametrize(
    ("images", "mean", "error", "said"),
    [
        (
            np.zeros((2, 4, 4, 3), np.uint8),
            (0.5,),
            TypeError,
            r"images must be floats in \[0, 1\]; got dtype uint8\. Divide bytes by 255",
        ),
        (np.zeros((4, 4, 3), np.float32), (0.5,), ValueError, r"images must be \[B, H, W, C\]; got shape \(4, 4, 3\)"),
        (
            np.zeros((2, 4, 4, 1), np.float32),
            (0.5,) * 3,
            ValueError,
            r"mean must hold one value for all channels or 1, one a channel; got \(0\.5, 0\.5, 0\.5\)",
        ),
    ],
)
def test_images_that_do_not_fit_are_refused(images: np.ndarray, mean: tuple, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        Layers(train=False).standardise(images, mean, (0.5,))
