"""What a training run carries from step to step."""

from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from isvs_jax.models import Variables, init


class Batch(NamedTuple):
    """Examples of a step, or a device's share of them.

    Attributes:
        images: [B, K, H, W, C], uint8 in 0..255 or floats in [0, 1]: the K versions in which an example is shown, or
            with K = 1 the image itself, of which the step makes the versions.
        labels: int32 [B].
        versions: int32 [B, K]: 0 the image itself, k the k-th view.
        positions: int32 [B], the row in the batch of all devices. What is random about an example follows from its
            position, so that it does not depend on how many devices there are.
    """

    images: jax.Array
    labels: jax.Array
    versions: jax.Array
    positions: jax.Array


def plain_batch(images: jax.Array, labels: jax.Array) -> Batch:
    """A batch of images [B, H, W, C] shown as they are.

    Example:
        >>> plain_batch(jnp.zeros((2, 8, 8, 1)), jnp.array([0, 1])).images.shape
        (2, 1, 8, 8, 1)
    """
    size = len(labels)
    return Batch(images[:, None], labels, jnp.zeros((size, 1), jnp.int32), jnp.arange(size, dtype=jnp.int32))


@flax.struct.dataclass
class TrainState:
    """Parameters, batch statistics, optimizer state, their moving average, the step to come and the key of the run.

    Whatever is random in a step is a function of (key, step, position in the batch): a state says all that the rest of
    a run depends on.
    """

    params: Any
    batch_stats: Any
    opt_state: Any
    # The moving average of {"params", "batch_stats"}, or an empty dictionary where the run keeps none.
    average: Any
    step: jax.Array
    key: jax.Array

    @property
    def last_variables(self) -> Variables:
        """The parameters and batch statistics of the last step."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def variables(self) -> Variables:
        """What the trained model is applied with: the moving average where there is one, else the last step's."""
        return self.average or self.last_variables


def init_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    image_shape: tuple[int, int, int],
    seed: int,
    *,
    variables: Variables | None = None,
    average: bool = False,
) -> TrainState:
    """The state before the first step.

    Args:
        model: A module called as model(images, train=...).
        optimizer: Of Optax.
        image_shape: [H, W, C].
        seed: Of the parameters and of everything random to come.
        variables: Parameters and batch statistics to start from; by default drawn from the seed.
        average: Whether a moving average is kept.
    """
    init_key, run_key = jax.random.split(jax.random.key(seed))
    # Copies: the state that goes into a step is used up, and no buffer may be given away twice.
    variables = init(model, init_key, image_shape) if variables is None else jax.tree.map(jnp.copy, variables)
    params, batch_stats = variables["params"], variables.get("batch_stats", {})
    return TrainState(
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        average=jax.tree.map(jnp.copy, {"params": params, "batch_stats": batch_stats}) if average else {},
        step=jnp.zeros((), jnp.int32),
        key=run_key,
    )
