"""A network for what does not depend on the network."""

import flax.linen as nn
import jax

from isvs_jax.models.layers import Layers
from isvs_jax.training import ModelChoice


class Minute(nn.Module):
    """Two dense layers around batch statistics: a step of it compiles several times as fast as one of convolutions."""

    num_classes: int = 10
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        layers = Layers(train, axis_name=self.axis_name)
        hidden = layers.standardise(images, (0.5,), (0.25,)).reshape(len(images), -1)
        hidden = layers.batch_norm()(nn.Dense(8, use_bias=False)(hidden))
        return nn.Dense(self.num_classes)(nn.relu(hidden))


def build_minute(choice: ModelChoice, num_classes: int, image_shape: tuple[int, int, int]) -> Minute:
    """In the place of `build_model`."""
    return Minute(num_classes)
