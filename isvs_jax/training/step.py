"""One step of training, as a pure function."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from isvs_jax.training.state import Batch, TrainState


class Metrics(NamedTuple):
    """Scalars of a step: mean loss, accuracy on the batch as it was shown, norm of the gradient."""

    loss: jax.Array
    accuracy: jax.Array
    grad_norm: jax.Array


TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def make_train_step(
    model: nn.Module, optimizer: optax.GradientTransformation, *, label_smoothing: float = 0.0
) -> TrainStep:
    """The step of a model and an optimizer: cross-entropy, its gradient, an update.

    Args:
        model: A module called as model(images, train=True) with mutable batch statistics.
        optimizer: Of Optax.
        label_smoothing: In [0, 1).

    Returns:
        A pure function (state, batch) → (state, metrics), to be jitted by its caller.

    Example:
        >>> from isvs_jax.models import CNN
        >>> from isvs_jax.training import init_state
        >>> model, optimizer = CNN(10, width=4), optax.adamw(1e-3)
        >>> state = init_state(model, optimizer, (8, 8, 1), seed=0)
        >>> step = jax.jit(make_train_step(model, optimizer))
        >>> state, metrics = step(state, Batch(jnp.zeros((2, 8, 8, 1)), jnp.array([0, 1])))
        >>> int(state.step)
        1
    """

    def loss_fn(params: object, state: TrainState, batch: Batch) -> tuple[jax.Array, tuple[jax.Array, object]]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, updated = model.apply(
            variables,
            batch.images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.fold_in(state.key, state.step)},
        )
        targets = optax.smooth_labels(jax.nn.one_hot(batch.labels, logits.shape[-1]), label_smoothing)
        loss = optax.softmax_cross_entropy(logits, targets).mean()
        return loss, (logits, updated.get("batch_stats", {}))

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (logits, batch_stats)), grads = value_and_grad(state.params, state, batch)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        accuracy = jnp.mean(jnp.argmax(logits, -1) == batch.labels, dtype=jnp.float32)
        state = dataclasses.replace(
            state,
            params=optax.apply_updates(state.params, updates),
            batch_stats=batch_stats,
            opt_state=opt_state,
            step=state.step + 1,
        )
        return state, Metrics(loss, accuracy, optax.tree.norm(grads))

    return train_step
