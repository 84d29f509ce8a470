"""The residual networks of He et al. for small images: 20, 32, 44, 56, ... layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax.models.layers import IMAGENET_MEAN, IMAGENET_STD, Layers, stages


class ResNet(nn.Module):
    """A CIFAR residual network with shortcuts without parameters (option A).

    (x − mean)/std → conv 16 → n blocks of 16 → n blocks of 32 ↓2 → n blocks of 64 ↓2 → mean over pixels → dense K,

    with depth = 6n + 2 and a block relu(x + bn(conv(relu(bn(conv(x)))))). Where a block halves the image, its shortcut
    keeps every second pixel and fills the missing channels with zeros, as many before as behind.

    Attributes:
        depth: 8, 14, 20, 32, 44, 56, ...: 2 more than a multiple of 6.
        num_classes: K, the number of logits.
        mean: of each channel of the input in [0, 1], or one for all.
        std: likewise.
        precision: of the convolutions, as in `jax.lax.Precision`. The default keeps float32 on accelerators that
            would round to fewer bits; None takes what is fastest there.
        dtype: of the computation (bfloat16 on accelerators); parameters, batch statistics and logits are float32.
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
            raise ValueError(f"depth is {self.depth}; it may be 8, 14, 20, ..., 2 more than a multiple of 6.")
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = layers.standardise(images, self.mean, self.std)
        hidden = layers.convolution(16, 3, name="conv1")(hidden)
        hidden = nn.relu(layers.batch_norm(name="bn1")(hidden))
        for stage, number, width, stride in stages(((self.depth - 2) // 6,) * 3, 16):
            hidden = _Block(width, stride, layers, self.zero_init, name=f"layer{stage}_{number}")(hidden)
        return layers.pooled_logits(hidden, self.num_classes, name="linear")


class _Block(nn.Module):
    """Two convolutions and a shortcut."""

    width: int
    stride: int
    layers: Layers
    zero_init: bool

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        hidden = self.layers.two_convolutions(inputs, self.width, self.stride, zero=self.zero_init)
        return nn.relu(hidden + _shortcut(inputs, self.width, self.stride))


def _shortcut(inputs: jax.Array, width: int, stride: int) -> jax.Array:
    missing = width - inputs.shape[-1]
    kept = inputs[:, ::stride, ::stride]
    return jnp.pad(kept, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))
