"""The layers that the networks are made of: what they share and how they compute."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax.models.initialisers import he_normal, lecun_normal

# The statistics of ImageNet, with which many published networks were trained, whatever their images.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The statistics of CIFAR-10 as the networks of Gowal et al. (2020) have them inside.
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2471, 0.2435, 0.2616)

Border = str
"""Where a convolution of stride 2 is widened: one of BORDERS."""

BORDERS = ("centred", "end")

_COMPUTE_DTYPES = ("bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class Layers:
    """How the layers of one network compute, and those of them that need to know.

    Parameters are float32 whatever the compute dtype, and so are batch statistics unless that is float64: each layer
    rounds its inputs and kernels to it. The statistics of a batch, softmax, the mean over pixels and the last dense
    layer are computed in float32 at least, so that logits are not rounded to bfloat16.

    Modules that a method makes belong to the module in whose `__call__` it is called, as in Linen's compact style.

    Attributes:
        train: Whether to normalise by the batch itself and to move the running statistics.
        dtype: The dtype of the computation: float32, bfloat16, float16 or float64.
        axis_name: The axis of `jax.shard_map` or `jax.pmap` over which batch statistics are averaged in training;
            None takes those of the device's own images. They are those of the whole batch where all shards have equally
            many images.
        precision: The precision of products, as in `jax.lax.Precision`; None takes what is fastest on the accelerator.
    """

    train: bool
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        check_dtype(self.dtype)

    @property
    def exact(self) -> jnp.dtype:
        """The compute dtype, float32 at least."""
        return jnp.promote_types(self.dtype, jnp.float32)

    def standardise(self, images: jax.Array, mean: tuple[float, ...], std: tuple[float, ...]) -> jax.Array:
        """(images − mean)/std, in float32 and then rounded to the compute dtype.

        Raises:
            TypeError: The images hold no floats.
            ValueError: They are not [B, H, W, C], or mean or std do not fit their channels.
        """
        if images.ndim != 4:
            raise ValueError(f"images must be [B, H, W, C]; got shape {images.shape}.")
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise TypeError(f"images must be floats in [0, 1]; got dtype {images.dtype}. Divide bytes by 255.")
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, images.shape[-1]):
                raise ValueError(
                    f"{name} must hold one value for all channels or {images.shape[-1]}, one a channel; got {values}."
                )
        if min(std) <= 0:
            raise ValueError(f"std must hold positive numbers; got {std}.")
        standardised = (images.astype(self.exact) - jnp.asarray(mean, self.exact)) / jnp.asarray(std, self.exact)
        return standardised.astype(self.dtype)

    def convolution(self, width: int, size: int, stride: int = 1, *, name: str, border: Border = "centred") -> nn.Conv:
        """A convolution without bias, as wide inside as its border, started as He et al. (2015) start it.

        With the border "end" one of stride 2 is widened by a pixel less before than behind, as by TensorFlow's "SAME"
        where the side is even.
        """
        # The border is given: "SAME" depends on the side of the image.
        before = max(size // 2 - 1, 0) if border == "end" and stride == 2 else size // 2
        widened = (before, size // 2)
        return nn.Conv(
            width,
            (size, size),
            (stride, stride),
            padding=(widened, widened),
            use_bias=False,
            dtype=self.dtype,
            precision=self.precision,
            kernel_init=he_normal(),
            name=name,
        )

    def batch_norm(self, *, name: str | None = None, zero: bool = False) -> nn.BatchNorm:
        """Batch normalisation whose running statistics keep nine tenths a step; `zero` starts its scale at 0."""
        return nn.BatchNorm(
            use_running_average=not self.train,
            momentum=0.9,
            dtype=self.dtype,
            axis_name=self.axis_name,
            scale_init=nn.initializers.zeros if zero else nn.initializers.ones,
            name=name,
        )

    def pooled_logits(self, hidden: jax.Array, num_classes: int, *, name: str | None = None) -> jax.Array:
        """The mean over pixels [B, H, W, C] and a dense layer: float32 logits [B, K]."""
        return self.logits(hidden.astype(self.exact).mean((-3, -2)), num_classes, name=name)

    def logits(self, features: jax.Array, num_classes: int, *, name: str | None = None) -> jax.Array:
        """A dense layer over features [B, C]: float32 logits [B, K]."""
        if num_classes < 1:
            raise ValueError(f"num_classes must be 1 or more; got {num_classes}.")
        dense = nn.Dense(num_classes, dtype=self.exact, precision=self.precision, kernel_init=lecun_normal(), name=name)
        return dense(features.astype(self.exact)).astype(jnp.float32)


def check_dtype(dtype: DTypeLike) -> None:
    """Raise a ValueError unless `dtype` is a floating-point type of 16 to 64 bits."""
    try:
        known = jnp.dtype(dtype).name in _COMPUTE_DTYPES
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"dtype must be one of {', '.join(_COMPUTE_DTYPES)}; got {dtype!r}.")
