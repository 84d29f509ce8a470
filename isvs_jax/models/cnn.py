"""A small convolutional network."""

import flax.linen as nn
import jax

# The input in [0, 1] is brought to about mean 0 and variance 1. The numbers are round ones on purpose: they are a part
# of the model, the same for every data set, so that a checkpoint needs nothing beside it.
MEAN = 0.5
STD = 0.25


class CNN(nn.Module):
    """Five 3×3 convolutions with batch normalisation, two of them of stride 2, averaged over the image.

    (x − 0.5)/0.25 → conv w → conv 2w ↓2 → conv 2w → conv 4w ↓2 → conv 4w → mean over pixels → dense K.

    A 32×32 colour image takes 7.3 million multiplications at width 16 and 28 million at width 32.

    Attributes:
        num_classes: K, the number of logits.
        width: w, the channels of the first layer.

    Example:
        >>> import jax.numpy as jnp
        >>> model = CNN(num_classes=10, width=8)
        >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
        >>> model.apply(variables, jnp.zeros((4, 32, 32, 1))).shape
        (4, 10)
    """

    num_classes: int
    width: int = 16

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` normalises by the batch itself."""
        hidden = (images - MEAN) / STD
        for factor, stride in ((1, 1), (2, 2), (2, 1), (4, 2), (4, 1)):
            hidden = nn.Conv(factor * self.width, (3, 3), (stride, stride), use_bias=False)(hidden)
            # Small data sets have few batches: the statistics keep a short memory.
            hidden = nn.BatchNorm(use_running_average=not train, momentum=0.9)(hidden)
            hidden = nn.relu(hidden)
        return nn.Dense(self.num_classes)(hidden.mean((-3, -2)))
