"""Networks by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax._checks import check_choice, check_integer
from isvs_jax.models.cnn import CNN
from isvs_jax.models.layers import CIFAR10_MEAN, CIFAR10_STD, check_dtype
from isvs_jax.models.preactivation import PreActResNet18, WideResNet
from isvs_jax.models.residual import ResNet, ResNet18, ResNet50
from isvs_jax.models.vision_transformer import VisionTransformer


@dataclass(frozen=True)
class _Entry:
    """A class of networks and what the name says of it."""

    network: type[nn.Module]
    attributes: Mapping[str, Any] = field(default_factory=dict)


# The networks of Gowal et al. (2020) and those after them, trained on CIFAR with its own statistics.
_GOWAL = {"activation": "silu", "border": "end", "mean": CIFAR10_MEAN, "std": CIFAR10_STD}
_TINY = {"width": 192, "depth": 12, "heads": 3}
_SMALL = {"width": 384, "depth": 12, "heads": 6}
_BASE = {"width": 768, "depth": 12, "heads": 12}
_OF_32 = {"image_size": (32, 32), "patch": 4}
_OF_224 = {"image_size": (224, 224), "patch": 16}

_ENTRIES: Mapping[str, _Entry] = MappingProxyType(
    {
        "cnn": _Entry(CNN),
        **{f"resnet{depth}": _Entry(ResNet, {"depth": depth}) for depth in (20, 32, 44, 56)},
        "resnet18": _Entry(ResNet18),
        # For photographs of 64 to 160 pixels on few cores.
        "resnet18_slim": _Entry(ResNet18, {"width": 24, "stem": "photograph"}),
        **{
            f"wrn{depth}_{widen}": _Entry(WideResNet, {"depth": depth, "widen": widen})
            for depth, widen in ((16, 4), (16, 8), (28, 10), (34, 10), (40, 2), (40, 4))
        },
        "preact_resnet18": _Entry(PreActResNet18),
        "preact_resnet18_silu": _Entry(PreActResNet18, _GOWAL | {"final_norm": True, "shortcut_size": 3}),
        **{
            f"wrn{depth}_{widen}_silu": _Entry(WideResNet, {"depth": depth, "widen": widen} | _GOWAL)
            for depth, widen in ((28, 10), (34, 10), (70, 16))
        },
        "resnet50": _Entry(ResNet50),
        "vit_tiny": _Entry(VisionTransformer, _TINY | _OF_32),
        "vit_small": _Entry(VisionTransformer, _SMALL | _OF_32),
        # For photographs of 64 to 160 pixels on few cores, as "resnet18_slim".
        "vit_slim": _Entry(
            VisionTransformer, {"width": 128, "depth": 6, "heads": 4, "image_size": (128, 128), "patch": 16}
        ),
        "vit_tiny_224": _Entry(VisionTransformer, _TINY | _OF_224),
        "vit_small_224": _Entry(VisionTransformer, _SMALL | _OF_224),
        "vit_base_224": _Entry(VisionTransformer, _BASE | _OF_224),
    }
)

# The names that `build` knows.
MODELS: tuple[str, ...] = tuple(_ENTRIES)


def build(
    name: str,
    num_classes: int,
    channels: int = 3,
    *,
    dtype: DTypeLike = jnp.float32,
    axis_name: str | None = None,
    precision: str | None = None,
    image_size: tuple[int, int] | None = None,
) -> nn.Module:
    """The network of a name, called as model(images, train=...).

    Colour images are brought to mean 0 and variance 1 by the statistics of ImageNet, and by those of CIFAR-10 where the
    name ends with "silu"; others, and all images of the small CNN, by mean 0.5 and standard deviation 0.25. Another
    normalisation is another attribute: `build(...).clone(mean=..., std=...)`.

    Args:
        name: One of `MODELS`: "cnn"; "resnet20", 32, 44, 56 and "resnet18" for small images; "wrn28_10" and other wide
            residual networks, depth and widening; "preact_resnet18"; "wrn28_10_silu", "wrn34_10_silu", "wrn70_16_silu"
            and "preact_resnet18_silu", in the form of Gowal et al. (2020); "resnet50" for photographs, and for those of
            64 to 160 pixels on few cores "resnet18_slim" (width 24, 1.6 million parameters); "vit_tiny" and "vit_small"
            with patches of 4 pixels; with patches of 16 "vit_slim" (width 128, 6 blocks), for photographs on few cores,
            "vit_tiny_224", "vit_small_224" and "vit_base_224".
        num_classes: The number of logits.
        channels: The number of channels of an image.
        dtype: The dtype of the computation, as a string or a type; parameters, batch statistics and logits are float32.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: The precision of products, as in `jax.lax.Precision`; None takes what is fastest on the accelerator,
            which on GPUs rounds the factors of float32 products to TF32. "highest" does not.
        image_size: The (H, W) of the images. The vision transformers belong to one size, by default that of their
            names, 128×128 for "vit_slim" and else 32×32; the others take any size, and this argument is without effect
            on them.

    Returns:
        The module. Equal arguments give equal modules.

    Raises:
        TypeError: A number is not an integer.
        ValueError: A name or a number is none of these.

    Example:
        >>> model = build("wrn40_2", num_classes=10, dtype="bfloat16")
        >>> model.depth, model.widen
        (40, 2)
    """
    check_choice("name", name, MODELS)
    check_integer("num_classes", num_classes)
    check_integer("channels", channels)
    check_dtype(dtype)
    entry = _ENTRIES[name]
    attributes = dict(entry.attributes)
    if channels != 3:
        attributes |= {"mean": (0.5,), "std": (0.25,)}
    if image_size is not None and "image_size" in attributes:
        attributes["image_size"] = (int(image_size[0]), int(image_size[1]))
    # One spelling of each type, so that equal arguments give equal modules and no second compilation.
    return entry.network(
        num_classes=num_classes, dtype=jnp.dtype(dtype), axis_name=axis_name, precision=precision, **attributes
    )
