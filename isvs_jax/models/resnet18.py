"""ResNet-18 for small images, the network of much of the robustness literature."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax.models.layers import IMAGENET_MEAN, IMAGENET_STD, Layers, stages


class ResNet18(nn.Module):
    """ResNet-18 with a 3×3 stem and no pooling after it, as it is used for 32×32 images.

    (x − mean)/std → conv 64 → 2 blocks of 64 → 2 of 128 ↓2 → 2 of 256 ↓2 → 2 of 512 ↓2 → mean over pixels → dense K,

    with the block relu(s(x) + bn(conv(relu(bn(conv(x)))))). The shortcut s is the identity, or a 1×1 convolution with
    batch normalisation where the shape changes (option B).

    Attributes:
        num_classes: K, the number of logits.
        blocks: of each stage; every stage but the first halves the image and doubles the width.
        width: of the first stage.
        mean: of each channel of the input in [0, 1], or one for all.
        std: likewise.
        dtype: of the computation (bfloat16 on accelerators); parameters, batch statistics and logits are float32.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: of products, as in `jax.lax.Precision`; None takes what is fastest on the accelerator.
        zero_init: Whether the last scale of each block starts at 0, so that the network starts as its shortcuts.

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

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = layers.standardise(images, self.mean, self.std)
        hidden = layers.convolution(self.width, 3, name="conv1")(hidden)
        hidden = nn.relu(layers.batch_norm(name="bn1")(hidden))
        for stage, number, width, stride in stages(self.blocks, self.width):
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
        return nn.relu(hidden + self.layers.shortcut(inputs, self.width, self.stride, name="shortcut"))
