"""Residual networks: those of He et al. for small images, ResNet-18 and ResNet-50, and the wide ones.

All of them normalise images in [0, 1] themselves and compute in `dtype`, which may be bfloat16 on accelerators that are
fast in it; parameters, batch statistics and logits are float32. `precision` is one of `jax.lax.Precision`.
"""

from collections.abc import Iterator
from typing import Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax._checks import check_choice
from isvs_jax.models.layers import IMAGENET_MEAN, IMAGENET_STD, Layers

Stem = Literal["small", "photograph"]


class ResNet(nn.Module):
    """A CIFAR residual network with shortcuts without parameters (option A).

    (x − mean)/std → conv 16 → n blocks of 16 → n blocks of 32 ↓2 → n blocks of 64 ↓2 → mean over pixels → dense K,

    with depth = 6n + 2 and a block relu(x + bn(conv(relu(bn(conv(x)))))). Where a block halves the image, its shortcut
    keeps every second pixel and fills the missing channels with zeros, as many before as behind.

    Attributes:
        depth: The number of layers: 8, 14, 20, 32, 44, 56, ..., 2 more than a multiple of 6.
        num_classes: The number K of logits.
        mean: The mean of each channel of the input in [0, 1], or one for all.
        std: The standard deviation of each channel, or one for all.
        precision: The precision of products. The default keeps float32 on accelerators that would round to fewer bits.
        dtype: The dtype of the computation.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        zero_init: Whether the last scale of each block starts at 0, so that the network starts as its shortcuts.

    Example:
        >>> model = ResNet(depth=8, num_classes=10)
        >>> images = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
        >>> logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
        >>> logits.shape
        (4, 10)

    References:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2.
    """

    depth: int = 20
    num_classes: int = 10
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    precision: str | None = "highest"
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    zero_init: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth must be 8, 14, 20, ..., 2 more than a multiple of 6; got {self.depth}.")
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = layers.standardise(images, self.mean, self.std)
        hidden = layers.convolution(16, 3, name="conv1")(hidden)
        hidden = nn.relu(layers.batch_norm(name="bn1")(hidden))
        for stage, number, width, stride in stages(((self.depth - 2) // 6,) * 3, 16):
            block = _BasicBlock(width, stride, layers, self.zero_init, projects=False, name=f"layer{stage}_{number}")
            hidden = block(hidden)
        return layers.pooled_logits(hidden, self.num_classes, name="linear")


class ResNet18(nn.Module):
    """ResNet-18, with the 3×3 stem of much of the robustness literature or the stem for photographs.

    (x − mean)/std → stem 64 → 2 blocks of 64 → 2 of 128 ↓2 → 2 of 256 ↓2 → 2 of 512 ↓2 → mean over pixels → dense K,

    with the block relu(s(x) + bn(conv(relu(bn(conv(x)))))). The shortcut s is the identity, or a 1×1 convolution with
    batch normalisation where the shape changes (option B).

    Attributes:
        num_classes: The number K of logits.
        blocks: The number of blocks of each stage; every stage but the first halves the image and doubles the width.
        width: The width of the first stage.
        mean: The mean of each channel of the input in [0, 1], or one for all.
        std: The standard deviation of each channel, or one for all.
        dtype: The dtype of the computation.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: The precision of products; None takes what is fastest on the accelerator.
        zero_init: Whether the last scale of each block starts at 0, so that the network starts as its shortcuts.
        stem: "small" for a 3×3 convolution, which keeps the size of small images; "photograph" for conv 7×7 ↓2 and
            max pool 3×3 ↓2, as the network was published for photographs.

    Example:
        >>> images = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
        >>> logits, variables = jax.eval_shape(ResNet18().init_with_output, jax.random.key(0), images)
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        11173962

    References:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016.
    """

    num_classes: int = 10
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None
    zero_init: bool = False
    stem: Stem = "small"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        check_choice("stem", self.stem, get_args(Stem))
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = _stem(layers, layers.standardise(images, self.mean, self.std), self.width, self.stem)
        for stage, number, width, stride in stages(self.blocks, self.width):
            block = _BasicBlock(width, stride, layers, self.zero_init, projects=True, name=f"layer{stage}_{number}")
            hidden = block(hidden)
        return layers.pooled_logits(hidden, self.num_classes, name="linear")


class ResNet50(nn.Module):
    """ResNet-50 for photographs, in the version 1.5, which halves the image in the 3×3 convolution of a block.

    (x − mean)/std → conv 7×7 64 ↓2 → max pool 3×3 ↓2 → 3 blocks of 64 → 4 of 128 ↓2 → 6 of 256 ↓2 → 3 of 512 ↓2
    → mean over pixels → dense K.

    A block of width w is relu(s(x) + bn(conv 1×1 4w(relu(bn(conv 3×3 w(relu(bn(conv 1×1 w(x))))))))); the shortcut s is
    the identity, or a 1×1 convolution with batch normalisation where the shape changes.

    Attributes:
        num_classes: The number K of logits.
        blocks: The number of blocks of each stage; every stage but the first halves the image and doubles the width.
            (3, 4, 23, 3) is ResNet-101.
        width: The width of the 3×3 convolutions of the first stage.
        mean: The mean of each channel of the input in [0, 1], or one for all.
        std: The standard deviation of each channel, or one for all.
        dtype: The dtype of the computation.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: The precision of products; None takes what is fastest on the accelerator.
        zero_init: Whether the last scale of each block starts at 0, so that the network starts as its shortcuts.

    Example:
        >>> images = jax.ShapeDtypeStruct((4, 224, 224, 3), jnp.float32)
        >>> logits, variables = jax.eval_shape(ResNet50().init_with_output, jax.random.key(0), images)
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        25557032

    References:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016.
        Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677 (zero_init).
    """

    num_classes: int = 1000
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None
    zero_init: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = _stem(layers, layers.standardise(images, self.mean, self.std), self.width, "photograph")
        for stage, number, width, stride in stages(self.blocks, self.width):
            hidden = _Bottleneck(width, stride, layers, self.zero_init, name=f"layer{stage}_{number}")(hidden)
        return layers.pooled_logits(hidden, self.num_classes, name="fc")


def _stem(layers: Layers, images: jax.Array, width: int, kind: Stem) -> jax.Array:
    """The first convolution with what follows it, as a part of the network that calls."""
    size, stride = (7, 2) if kind == "photograph" else (3, 1)
    hidden = layers.convolution(width, size, stride, name="conv1")(images)
    hidden = nn.relu(layers.batch_norm(name="bn1")(hidden))
    return nn.max_pool(hidden, (3, 3), (2, 2), padding=((1, 1), (1, 1))) if kind == "photograph" else hidden


class _BasicBlock(nn.Module):
    """Two convolutions and a shortcut, which projects where the shape changes or has no parameters."""

    width: int
    stride: int
    layers: Layers
    zero_init: bool
    projects: bool

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        hidden = self.layers.convolution(self.width, 3, self.stride, name="conv1")(inputs)
        hidden = nn.relu(self.layers.batch_norm(name="bn1")(hidden))
        hidden = self.layers.convolution(self.width, 3, name="conv2")(hidden)
        hidden = self.layers.batch_norm(name="bn2", zero=self.zero_init)(hidden)
        if self.projects:
            return nn.relu(hidden + _projected(self.layers, inputs, self.width, self.stride, name="shortcut"))
        return nn.relu(hidden + _padded(inputs, self.width, self.stride))


class _Bottleneck(nn.Module):
    """Three convolutions, 1×1, 3×3 and 1×1, and a shortcut."""

    width: int
    stride: int
    layers: Layers
    zero_init: bool

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        hidden = self.layers.convolution(self.width, 1, name="conv1")(inputs)
        hidden = nn.relu(self.layers.batch_norm(name="bn1")(hidden))
        hidden = self.layers.convolution(self.width, 3, self.stride, name="conv2")(hidden)
        hidden = nn.relu(self.layers.batch_norm(name="bn2")(hidden))
        hidden = self.layers.convolution(4 * self.width, 1, name="conv3")(hidden)
        hidden = self.layers.batch_norm(name="bn3", zero=self.zero_init)(hidden)
        return nn.relu(hidden + _projected(self.layers, inputs, 4 * self.width, self.stride, name="downsample"))


def _projected(layers: Layers, inputs: jax.Array, width: int, stride: int, *, name: str) -> jax.Array:
    """The identity, or where the shape changes a 1×1 convolution with batch normalisation (option B)."""
    if stride == 1 and inputs.shape[-1] == width:
        return inputs
    return layers.batch_norm(name=f"{name}_1")(layers.convolution(width, 1, stride, name=f"{name}_0")(inputs))


def _padded(inputs: jax.Array, width: int, stride: int) -> jax.Array:
    """Every `stride`-th pixel, with zeros for the channels that are missing (option A)."""
    missing = width - inputs.shape[-1]
    kept = inputs[:, ::stride, ::stride]
    return jnp.pad(kept, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))


def stages(blocks: tuple[int, ...], width: int) -> Iterator[tuple[int, int, int, int]]:
    """The blocks of a residual network one by one: (stage from 1, number in it from 0, width, stride).

    Every stage but the first halves the image in its first block, and is twice as wide as the one before.

    Example:
        >>> list(stages((1, 2), 16))
        [(1, 0, 16, 1), (2, 0, 32, 2), (2, 1, 32, 1)]
    """
    if not blocks or min(blocks) < 1:
        raise ValueError(f"blocks must hold a number of 1 or more for each stage; got {blocks}.")
    if width < 1:
        raise ValueError(f"width must be 1 or more; got {width}.")
    for stage, count in enumerate(blocks, start=1):
        for number in range(count):
            yield stage, number, width * 2 ** (stage - 1), 2 if stage > 1 and number == 0 else 1
