"""Tiny networks, and variables for them without compiling an initialisation."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np

from isvs_jax.models import CNN, ResNet, ResNet18, ResNet50, Variables, VisionTransformer, WideResNet

# One of each kind, as small as it can be.
TINY: dict[str, nn.Module] = {
    "cnn": CNN(5, width=2),
    "resnet8": ResNet(depth=8, num_classes=5),
    "resnet18": ResNet18(5, blocks=(1, 1), width=4),
    "wrn10_1": WideResNet(10, 1, num_classes=5),
    "resnet50": ResNet50(5, blocks=(1, 1), width=4),
    "vit": VisionTransformer(5, (16, 16), patch=4, width=8, depth=1, heads=2),
}


def shapes(model: nn.Module, image_shape: tuple[int, int, int]) -> Variables:
    """Shapes and dtypes of a model's variables."""
    image = jax.ShapeDtypeStruct((1, *image_shape), np.float32)
    return jax.eval_shape(model.init, jax.random.key(0), image)


def drawn(model: nn.Module, image_shape: tuple[int, int, int], seed: int = 0) -> Variables:
    """Variables of which no two are equal, so that a swap would show; variances and scales about 1."""
    rng = np.random.default_rng(seed)

    def leaf(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        if name == "kernel":
            # Variance about 2/fan-in: neither saturates nor dies on the way.
            return rng.normal(0, (2 / np.prod(shape.shape[:-1])) ** 0.5, shape.shape).astype(np.float32)
        value = rng.normal(0, 0.1, shape.shape)
        return (np.exp(value) if name in ("var", "scale") else value).astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes(model, image_shape))
