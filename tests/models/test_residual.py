"""The residual networks against their description, and their names in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.models import ResNet, ResNet18, ResNet50, Variables, WideResNet, import_resnet, logits_fn
from isvs_jax.models.pytorch import ResidualNetwork, export_names
from tests.models.drawing import drawn as drawn_of
from tests.models.drawing import shapes


def drawn(model: ResNet, seed: int) -> Variables:
    """Kernels and biases drawn, the normalisations as at the start (cheaper than compiling init)."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    constants = {"mean": 0.0, "var": 1.0, "scale": 1.0, "bias": 0.0}

    def leaf(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        value = constants.get(path[-1].key)
        return np.float32(rng.normal(0, 0.2, shape.shape)) if value is None else np.full(shape.shape, value, np.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


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
    "model",
    [
        ResNet18(5, blocks=(1, 2), width=4, stem="photograph"),
        WideResNet(16, 2, num_classes=5),
        ResNet50(5, blocks=(2, 1), width=4),
    ],
)
def test_weights_go_to_pytorch_s_names_and_back(model: ResidualNetwork) -> None:
    variables = drawn_of(model, (32, 32, 3))
    state_dict = export_names(variables)
    assert len(state_dict) == len(jax.tree.leaves(variables))
    jax.tree.map(np.testing.assert_array_equal, import_resnet(state_dict, model), variables)
    with pytest.raises(ValueError, match=r"state_dict must be that of .*5\D*, not \(9,\)"):
        import_resnet(state_dict, model.clone(num_classes=9))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (ResNet(18), r"depth must be 8, 14, 20, .*; got 18"),
        (ResNet(mean=(0.5, 0.5)), r"mean must hold one value .*; got \(0\.5, 0\.5\)"),
        (ResNet(std=(0.0,)), r"std must hold positive numbers; got \(0\.0,\)"),
        (WideResNet(12), r"depth must be 10, 16, 22, .*; got 12"),
        (WideResNet(4), r"depth must be 10, 16, 22, .*; got 4"),
        (WideResNet(10, 0), "widen must be 1 or more; got 0"),
        (ResNet18(blocks=(2, 0)), r"blocks must hold .*; got \(2, 0\)"),
        (ResNet18(stem="large"), "stem must be one of 'small', 'photograph'; got 'large'"),
        (ResNet18(num_classes=0), "num_classes must be 1 or more; got 0"),
        (ResNet50(width=0), "width must be 1 or more; got 0"),
    ],
)
def test_bad_arguments_are_refused(model: ResidualNetwork, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shapes(model, (8, 8, 3))
