"""A small convolutional network."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax.models.initialisers import lecun_normal
from isvs_jax.models.layers import Layers


class CNN(nn.Module):
    """Five 3×3 convolutions with batch normalisation, two of them of stride 2, averaged over the image.

    (x − mean)/std → conv w → conv 2w ↓2 → conv 2w → conv 4w ↓2 → conv 4w → mean over pixels → dense K.

    A 32×32 colour image takes 7.3 million multiplications at width 16 and 28 million at width 32.

    Attributes:
        num_classes: The number K of logits.
        width: The number w of channels of the first layer.
        mean: The mean of each channel of the input in [0, 1], or one for all. The numbers bring the input to about mean
            0 and variance 1; they are round ones on purpose, the same for every data set, so that a checkpoint needs
            nothing beside it.
        std: The standard deviation of each channel, or one for all.
        dtype: The dtype of the computation (bfloat16 on accelerators); parameters, batch statistics and logits are
            float32.
        axis_name: The device axis over which batch statistics are averaged in training; None: each device its own.
        precision: The precision of the convolutions, as in `jax.lax.Precision`; None takes what is fastest on the
            accelerator.

    Example:
        >>> model = CNN(num_classes=10, width=8)
        >>> images = jax.ShapeDtypeStruct((4, 32, 32, 1), jnp.float32)
        >>> logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
        >>> logits.shape
        (4, 10)
    """

    num_classes: int
    width: int = 16
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        if self.width < 1:
            raise ValueError(f"width must be 1 or more; got {self.width}.")
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        hidden = layers.standardise(images, self.mean, self.std)
        for factor, stride in ((1, 1), (2, 2), (2, 1), (4, 2), (4, 1)):
            hidden = nn.Conv(
                factor * self.width,
                (3, 3),
                (stride, stride),
                use_bias=False,
                dtype=self.dtype,
                precision=self.precision,
                kernel_init=lecun_normal(),
            )(hidden)
            # Small data sets have few batches: the statistics keep a short memory.
            hidden = nn.relu(layers.batch_norm()(hidden))
        return layers.pooled_logits(hidden, self.num_classes)
