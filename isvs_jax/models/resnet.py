"""The residual networks of He et al. for small images: 20, 32, 44, 56, ... layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp

# The statistics of ImageNet, with which many published networks were trained, whatever their images.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_BORDER = ((1, 1), (1, 1))


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

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        self._check(images.shape)
        hidden = (images - jnp.asarray(self.mean, images.dtype)) / jnp.asarray(self.std, images.dtype)
        hidden = nn.Conv(16, (3, 3), padding=_BORDER, use_bias=False, precision=self.precision, name="conv1")(hidden)
        hidden = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9, name="bn1")(hidden))
        for stage, width in enumerate((16, 32, 64), start=1):
            for number in range((self.depth - 2) // 6):
                stride = 2 if stage > 1 and number == 0 else 1
                block = _Block(width, stride, self.precision, name=f"layer{stage}_{number}")
                hidden = block(hidden, train)
        return nn.Dense(self.num_classes, precision=self.precision, name="linear")(hidden.mean((-3, -2)))

    def _check(self, shape: tuple[int, ...]) -> None:
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth is {self.depth}; it may be 8, 14, 20, ..., 2 more than a multiple of 6.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, shape[-1]):
                raise ValueError(f"{name} has {len(values)} values; it may have 1 or {shape[-1]}, one a channel.")
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std}; it may hold positive numbers.")


class _Block(nn.Module):
    """Two convolutions and a shortcut."""

    width: int
    stride: int
    precision: str | None

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool) -> jax.Array:
        hidden = inputs
        for number, stride in ((1, self.stride), (2, 1)):
            # The border is said: "SAME" would shift a convolution of stride 2 by a pixel.
            hidden = nn.Conv(
                self.width,
                (3, 3),
                (stride, stride),
                padding=_BORDER,
                use_bias=False,
                precision=self.precision,
                name=f"conv{number}",
            )(hidden)
            hidden = nn.BatchNorm(use_running_average=not train, momentum=0.9, name=f"bn{number}")(hidden)
            if number == 1:
                hidden = nn.relu(hidden)
        return nn.relu(hidden + _shortcut(inputs, self.width, self.stride))


def _shortcut(inputs: jax.Array, width: int, stride: int) -> jax.Array:
    missing = width - inputs.shape[-1]
    kept = inputs[:, ::stride, ::stride]
    return jnp.pad(kept, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))
