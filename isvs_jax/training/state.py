"""What a training run carries from step to step."""

from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from isvs_jax.models import Variables, init


class Batch(NamedTuple):
    """Images float [B, H, W, C] in [0, 1] and labels int32 [B]."""

    images: jax.Array
    labels: jax.Array


@flax.struct.dataclass
class TrainState:
    """Parameters, batch statistics, optimizer state, the step to come and the key from which each step folds its own.

    Order, augmentation and choice of views are functions of (key, step): a state says all that the rest of a run
    depends on.
    """

    params: Any
    batch_stats: Any
    opt_state: Any
    step: jax.Array
    key: jax.Array

    @property
    def variables(self) -> Variables:
        """What the model is applied with."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def init_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    image_shape: tuple[int, int, int],
    seed: int,
) -> TrainState:
    """The state before the first step.

    Args:
        model: A module called as model(images, train=...).
        optimizer: Of Optax.
        image_shape: [H, W, C].
        seed: Of the parameters and of everything random to come.
    """
    init_key, run_key = jax.random.split(jax.random.key(seed))
    variables = init(model, init_key, image_shape)
    params = variables["params"]
    return TrainState(
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
        step=jnp.zeros((), jnp.int32),
        key=run_key,
    )
