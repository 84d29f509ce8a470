"""ResNet-50 for photographs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax.models.layers import IMAGENET_MEAN, IMAGENET_STD, Layers, stages


class ResNet50(nn.Module):
    """ResNet-50 in the version 1.5, which halves the image in the 3×3 convolution of a block.

    (x − mean)/std → conv 7×7 64 ↓2 → max pool 3×3 ↓2 → 3 blocks of 64 → 4 of 128 ↓2 → 6 of 256 ↓2 → 3 of 512 ↓2
    → mean over pixels → dense K.

    A block of width w is relu(s(x) + bn(conv 1×1 4w(relu(bn(conv 3×3 w(relu(bn(conv 1×1 w(x))))))))); the shortcut s is
    the identity, or a 1×1 convolution with batch normalisation where the shape changes.

    Attributes:
        num_classes: K, the number of logits.
        blocks: of each stage; every stage but the first halves the image and doubles the width. (3, 4, 23, 3) is
            ResNet-101.
        width: of the first stage's 3×3 convolutions.
        mean: of each channel of the input in [0, 1], or one for all.
        std: likewise.
        dtype: of the computation (bfloat16 on accelerators); parameters, batch statistics and logits are float32.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: of products, as in `jax.lax.Precision`; None takes what is fastest on the accelerator.
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
        hidden = layers.standardise(images, self.mean, self.std)
        hidden = layers.convolution(self.width, 7, 2, name="conv1")(hidden)
        hidden = nn.relu(layers.batch_norm(name="bn1")(hidden))
        hidden = nn.max_pool(hidden, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for stage, number, width, stride in stages(self.blocks, self.width):
            hidden = _Bottleneck(width, stride, layers, self.zero_init, name=f"layer{stage}_{number}")(hidden)
        return layers.pooled_logits(hidden, self.num_classes, name="fc")


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
        return nn.relu(hidden + self.layers.shortcut(inputs, 4 * self.width, self.stride, name="downsample"))
