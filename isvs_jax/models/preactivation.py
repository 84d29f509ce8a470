"""Residual networks with normalisation before the convolutions: Wide ResNet and PreAct ResNet-18."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax._checks import check_choice
from isvs_jax.models.layers import BORDERS, IMAGENET_MEAN, IMAGENET_STD, Border, Layers
from isvs_jax.models.residual import stages

Activation = str
"""The name of an activation, "relu" or "silu"."""

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {"relu": nn.relu, "silu": nn.silu}


class WideResNet(nn.Module):
    """A residual network with normalisation before the convolutions, WRN-depth-widen, for small images.

    (x − mean)/std → conv 16 → n blocks of 16k → n of 32k ↓2 → n of 64k ↓2 → a(bn) → mean over pixels → dense K,

    with depth = 6n + 4, k = widen, the activation a and the block x + conv(a(bn(conv(a(bn(x)))))). Where the shape
    changes, the shortcut is a 1×1 convolution of a(bn(x)), which both branches share.

    Attributes:
        depth: The number of layers: 10, 16, 22, 28, 34, 40, ..., 4 more than a multiple of 6.
        widen: The factor k of the widths, 1 or more.
        num_classes: The number K of logits.
        mean: The mean of each channel of the input in [0, 1], or one for all.
        std: The standard deviation of each channel, or one for all.
        dtype: The dtype of the computation.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: The precision of products; None takes what is fastest on the accelerator.
        activation: "relu", or "silu", x·sigmoid(x), as in the networks of Gowal et al. (2020).
        border: Where a 3×3 convolution of stride 2 is widened: "centred" by a pixel on every side, or "end" by a pixel
            below and on the right, as in those networks.

    Example:
        >>> images = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
        >>> logits, variables = jax.eval_shape(WideResNet(40, 2).init_with_output, jax.random.key(0), images)
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        2243546

    References:
        Zagoruyko, Komodakis, "Wide residual networks", BMVC 2016.
        He, Zhang, Ren, Sun, "Identity mappings in deep residual networks", ECCV 2016.
        Gowal, Qin, Uesato, Mann, Kohli, "Uncovering the limits of adversarial training against norm-bounded adversarial
        examples", arXiv:2010.03593 (activation and border).
    """

    depth: int = 28
    widen: int = 10
    num_classes: int = 10
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None
    activation: Activation = "relu"
    border: Border = "centred"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        if self.depth < 10 or (self.depth - 4) % 6:
            raise ValueError(f"depth must be 10, 16, 22, ..., 4 more than a multiple of 6; got {self.depth}.")
        if self.widen < 1:
            raise ValueError(f"widen must be 1 or more; got {self.widen}.")
        _check_form(self.activation, self.border)
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = layers.standardise(images, self.mean, self.std)
        hidden = layers.convolution(16, 3, name="conv1")(hidden)
        for stage, number, width, stride in stages(((self.depth - 4) // 6,) * 3, 16 * self.widen):
            block = _Block(
                width,
                stride,
                layers,
                self.activation,
                self.border,
                shortcut_name="convShortcut",
                name=f"block{stage}_layer_{number}",
            )
            hidden = block(hidden)
        hidden = _ACTIVATIONS[self.activation](layers.batch_norm(name="bn1")(hidden))
        return layers.pooled_logits(hidden, self.num_classes, name="fc")


class PreActResNet18(nn.Module):
    """ResNet-18 with normalisation before the convolutions and a 3×3 stem, for small images.

    (x − mean)/std → conv 64 → 2 blocks of 64 → 2 of 128 ↓2 → 2 of 256 ↓2 → 2 of 512 ↓2 → mean over pixels → dense K,

    with the activation a and the block s(x) + conv(a(bn(conv(a(bn(x)))))). The shortcut s is the identity, or a
    convolution where the shape changes.

    Attributes:
        num_classes: The number K of logits.
        blocks: The number of blocks of each stage; every stage but the first halves the image and doubles the width.
        width: The width of the first stage.
        mean: The mean of each channel of the input in [0, 1], or one for all.
        std: The standard deviation of each channel, or one for all.
        dtype: The dtype of the computation.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: The precision of products; None takes what is fastest on the accelerator.
        activation: "relu" or "silu", as in `WideResNet`.
        border: "centred" or "end", as in `WideResNet`.
        final_norm: Whether a(bn) stands before the mean over pixels.
        shared: Whether the convolution of a shortcut takes a(bn(x)), which both branches share, in place of x.
        shortcut_size: The size of that convolution, 1 or 3.

    Example:
        >>> images = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
        >>> logits, variables = jax.eval_shape(PreActResNet18().init_with_output, jax.random.key(0), images)
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        11171146

    References:
        He, Zhang, Ren, Sun, "Identity mappings in deep residual networks", ECCV 2016.
        Rice, Wong, Kolter, "Overfitting in adversarially robust deep learning", ICML 2020 (final_norm, shared).
        Gowal et al., as for `WideResNet` (activation, border, shortcut_size).
    """

    num_classes: int = 10
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None
    activation: Activation = "relu"
    border: Border = "centred"
    final_norm: bool = False
    shared: bool = False
    shortcut_size: int = 1

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        _check_form(self.activation, self.border)
        if self.shortcut_size not in (1, 3):
            raise ValueError(f"shortcut_size must be 1 or 3; got {self.shortcut_size}.")
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = layers.standardise(images, self.mean, self.std)
        hidden = layers.convolution(self.width, 3, name="conv1")(hidden)
        shortcut = self.shared, self.shortcut_size
        for stage, number, width, stride in stages(self.blocks, self.width):
            name = f"layer{stage}_{number}"
            hidden = _Block(width, stride, layers, self.activation, self.border, *shortcut, name=name)(hidden)
        if self.final_norm:
            hidden = _ACTIVATIONS[self.activation](layers.batch_norm(name="bn")(hidden))
        return layers.pooled_logits(hidden, self.num_classes, name="linear")


class _Block(nn.Module):
    """Two convolutions, each after its normalisation, and a shortcut of the inputs before or after the first."""

    width: int
    stride: int
    layers: Layers
    activation: Activation
    border: Border
    shared: bool = True
    shortcut_size: int = 1
    shortcut_name: str = "shortcut_0"

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        layers, border, activate = self.layers, self.border, _ACTIVATIONS[self.activation]
        activated = activate(layers.batch_norm(name="bn1")(inputs))
        shortcut = inputs
        if self.stride != 1 or inputs.shape[-1] != self.width:
            size, name = self.shortcut_size, self.shortcut_name
            convolution = layers.convolution(self.width, size, self.stride, name=name, border=border)
            shortcut = convolution(activated if self.shared else inputs)
        hidden = layers.convolution(self.width, 3, self.stride, name="conv1", border=border)(activated)
        hidden = activate(layers.batch_norm(name="bn2")(hidden))
        return shortcut + layers.convolution(self.width, 3, name="conv2")(hidden)


def _check_form(activation: str, border: str) -> None:
    check_choice("activation", activation, _ACTIVATIONS)
    check_choice("border", border, BORDERS)
