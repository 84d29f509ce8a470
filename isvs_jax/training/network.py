"""Which network is trained."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn

from isvs_jax import models


@dataclass(frozen=True)
class ModelChoice:
    """Which network.

    Attributes:
        name: One of `isvs_jax.models.MODELS`.
        dtype: Of the computation; parameters are float32 in both.
        weights: What training starts from: a PyTorch state dict of this network, as `isvs_jax.models.import_resnet`
            takes it, or the folder of a run of this network. None draws parameters from the seed.
    """

    name: str = "cnn"
    dtype: Literal["float32", "bfloat16"] = "float32"
    weights: str | None = None

    def __post_init__(self) -> None:
        if self.weights == "":
            raise ValueError("weights is ''; it may be a file of weights or the folder of a run.")


def build_model(choice: ModelChoice, num_classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """The network of a choice for a data set."""
    height, width, channels = image_shape
    return models.build(choice.name, num_classes, channels, dtype=choice.dtype, image_size=(height, width))
