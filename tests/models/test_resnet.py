"""The residual network against its description."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.models import ResNet, Variables, count_parameters, logits_fn


def drawn(model: ResNet, seed: int) -> Variables:
    """Kernels and biases drawn, the normalisations as at the start (cheaper than compiling init)."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    constants = {"mean": 0.0, "var": 1.0, "scale": 1.0, "bias": 0.0}

    def leaf(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        value = constants.get(path[-1].key)
        return np.float32(rng.normal(0, 0.2, shape.shape)) if value is None else np.full(shape.shape, value, np.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


# Table 6 of He et al.
@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_parameter_counts_are_those_of_the_paper(depth: int, millions: float) -> None:
    model = ResNet(depth=depth)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert abs(count_parameters(variables) / 1e6 - millions) < 0.005


def test_blocks_that_add_nothing_leave_the_shortcuts() -> None:
    model = ResNet(depth=8, num_classes=64, mean=(0.0,), std=(1.0,))
    variables = drawn(model, 0)
    params = dict(variables["params"])
    for name, block in params.items():
        if name.startswith("layer"):
            params[name] = block | {"bn2": jax.tree.map(np.zeros_like, block["bn2"])}
    params["linear"] = {"kernel": jnp.eye(64), "bias": jnp.zeros(64)}
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    logits = model.apply(variables | {"params": params}, images)
    first = jax.lax.conv_general_dilated(
        images, params["conv1"]["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    kept = jax.nn.relu(first / jnp.sqrt(1 + 1e-5))[:, ::4, ::4].mean((1, 2))
    # 16 channels become 8 + 16 + 8 and then 16 + (8 + 16 + 8) + 16.
    np.testing.assert_allclose(logits[:, 24:40], kept, rtol=1e-5, atol=1e-6)
    assert not np.asarray(logits[:, :24]).any()
    assert not np.asarray(logits[:, 40:]).any()


def test_normalisation_is_inside() -> None:
    plain, normalised = ResNet(depth=8, mean=(0.0,), std=(1.0,)), ResNet(depth=8)
    variables = drawn(plain, 0)
    images = np.random.default_rng(1).random((2, 8, 8, 3), np.float32)
    outside = (images - np.array(normalised.mean, np.float32)) / np.array(normalised.std, np.float32)
    np.testing.assert_allclose(
        logits_fn(normalised, variables)(images), logits_fn(plain, variables)(outside), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"depth": 18}, r"depth must be 8, 14, 20, .*; got 18"),
        ({"mean": (0.5, 0.5)}, r"mean must hold one value .*; got \(0\.5, 0\.5\)"),
        ({"std": (0.0,)}, r"std must hold positive numbers; got \(0\.0,\)"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        jax.eval_shape(ResNet(**arguments).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
