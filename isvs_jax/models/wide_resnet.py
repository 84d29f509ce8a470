"""Wide residual networks of Zagoruyko and Komodakis, for small images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax.models.layers import IMAGENET_MEAN, IMAGENET_STD, Layers, stages


class WideResNet(nn.Module):
    """A residual network with normalisation before the convolutions, WRN-depth-widen.

    (x − mean)/std → conv 16 → n blocks of 16k → n of 32k ↓2 → n of 64k ↓2 → relu(bn) → mean over pixels → dense K,

    with depth = 6n + 4, k = widen and the block x + conv(relu(bn(conv(relu(bn(x)))))). Where the shape changes, the
    shortcut is a 1×1 convolution of relu(bn(x)), which both branches share.

    Attributes:
        depth: 10, 16, 22, 28, 34, 40, ...: 4 more than a multiple of 6.
        widen: k, 1 or more.
        num_classes: K, the number of logits.
        mean: of each channel of the input in [0, 1], or one for all.
        std: likewise.
        dtype: of the computation (bfloat16 on accelerators); parameters, batch statistics and logits are float32.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: of products, as in `jax.lax.Precision`; None takes what is fastest on the accelerator.

    Example:
        >>> images = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
        >>> logits, variables = jax.eval_shape(WideResNet(40, 2).init_with_output, jax.random.key(0), images)
        >>> sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        2243546

    References:
        Zagoruyko, Komodakis, "Wide residual networks", BMVC 2016.
        He, Zhang, Ren, Sun, "Identity mappings in deep residual networks", ECCV 2016.
    """

    depth: int = 28
    widen: int = 10
    num_classes: int = 10
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        if self.depth < 10 or (self.depth - 4) % 6:
            raise ValueError(f"depth is {self.depth}; it may be 10, 16, 22, ..., 4 more than a multiple of 6.")
        if self.widen < 1:
            raise ValueError(f"widen is {self.widen}; it may be 1 or more.")
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = layers.standardise(images, self.mean, self.std)
        hidden = layers.convolution(16, 3, name="conv1")(hidden)
        for stage, number, width, stride in stages(((self.depth - 4) // 6,) * 3, 16 * self.widen):
            hidden = _Block(width, stride, layers, name=f"block{stage}_layer_{number}")(hidden)
        hidden = nn.relu(layers.batch_norm(name="bn1")(hidden))
        return layers.pooled_logits(hidden, self.num_classes, name="fc")


class _Block(nn.Module):
    """Two convolutions, each after its normalisation, and a shortcut."""

    width: int
    stride: int
    layers: Layers

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        activated = nn.relu(self.layers.batch_norm(name="bn1")(inputs))
        shortcut = inputs
        if self.stride != 1 or inputs.shape[-1] != self.width:
            shortcut = self.layers.convolution(self.width, 1, self.stride, name="convShortcut")(activated)
        hidden = self.layers.convolution(self.width, 3, self.stride, name="conv1")(activated)
        hidden = nn.relu(self.layers.batch_norm(name="bn2")(hidden))
        return shortcut + self.layers.convolution(self.width, 3, name="conv2")(hidden)
