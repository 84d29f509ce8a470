"""What a training run carries from step to step, and one step as a pure function of a device's share of a batch."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from isvs_jax.augment.basic import augment
from isvs_jax.augment.views import show_views
from isvs_jax.models import Variables, init
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.objective import Apply, make_loss


class Batch(NamedTuple):
    """The examples of a step, or a device's share of them.

    Attributes:
        images: [B, K, H, W, C], uint8 in 0..255 or floats in [0, 1]: the K versions in which an example is shown, or
            with K = 1 the image itself, of which the step makes the versions.
        labels: int32 [B], the classes.
        versions: int32 [B, K], the versions chosen: 0 the image itself, k the k-th view.
        positions: int32 [B], the row of each example in the batch of all devices. What is random about an example
            follows from its position, so that it does not depend on how many devices there are.
    """

    images: jax.Array
    labels: jax.Array
    versions: jax.Array
    positions: jax.Array


def plain_batch(images: jax.Array, labels: jax.Array) -> Batch:
    """A batch of images [B, H, W, C] that are shown as they are.

    Example:
        >>> plain_batch(jnp.zeros((2, 8, 8, 1)), jnp.array([0, 1])).images.shape
        (2, 1, 8, 8, 1)
    """
    size = len(labels)
    return Batch(images[:, None], labels, jnp.zeros((size, 1), jnp.int32), jnp.arange(size, dtype=jnp.int32))


@flax.struct.dataclass
class TrainState:
    """The state of a run: all that the rest of it depends on.

    Whatever is random in a step is a function of (key, step, position in the batch).

    Attributes:
        params: The parameters.
        batch_stats: The batch statistics.
        opt_state: The state of the optimizer.
        average: The moving average of {"params", "batch_stats"}, or an empty dictionary where the run keeps none.
        step: The number of steps done.
        key: The key of the run.
    """

    params: Any
    batch_stats: Any
    opt_state: Any
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
        optimizer: An optimizer of Optax.
        image_shape: The shape [H, W, C] of an image.
        seed: The seed of the parameters and of everything random to come.
        variables: The parameters and batch statistics to start from; by default they are drawn from the seed.
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


class Metrics(NamedTuple):
    """The metrics of a step, scalars.

    Attributes:
        loss: The mean loss.
        accuracy: The accuracy on the first version of each example, as shown.
        grad_norm: The norm of the gradient.
    """

    loss: jax.Array
    accuracy: jax.Array
    grad_norm: jax.Array


TrainStep = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


class _Keys(NamedTuple):
    """The keys of a step: one for each example in augmentation and objective, one for the dropout of a device."""

    augment: jax.Array
    objective: jax.Array
    dropout: jax.Array


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    config: TrainConfig = TrainConfig(),
    *,
    axis_name: str | None = None,
    chosen_before: bool = False,
) -> TrainStep:
    """The step of a run: versions, augmentation, objective, its gradient, an update.

    It is written for one device. Mapped over an axis (`jax.shard_map`, `jax.pmap`), each device takes its share of the
    batch, gradients and metrics are averaged over `axis_name`, and so are the batch statistics of models that have an
    `axis_name`; the result is that of one device with the whole batch.

    Args:
        model: A module called as model(images, train=True) with mutable batch statistics.
        optimizer: An optimizer of Optax.
        config: The run; its inputs, augmentation, objective, ema_decay and accumulate are used here.
        axis_name: The axis that the step is mapped over; None where it is not mapped.
        chosen_before: Whether the images of a batch come in the versions chosen for them; else the step makes these.

    Returns:
        A pure function (state, batch, key) → (state, metrics), to be jitted by its caller.

    Example:
        >>> from isvs_jax.models import CNN
        >>> model, optimizer = CNN(10, width=4), optax.adamw(1e-3)
        >>> state = init_state(model, optimizer, (8, 8, 1), seed=0)
        >>> step = jax.jit(make_train_step(model, optimizer))
        >>> batch = plain_batch(jnp.zeros((2, 8, 8, 1)), jnp.array([0, 1]))
        >>> state, metrics = step(state, batch, jax.random.key(1))
        >>> int(state.step)
        1
    """
    module = model.clone(axis_name=axis_name) if hasattr(model, "axis_name") else model
    loss_fn = make_loss(config.objective, label_smoothing=config.optimizer.label_smoothing)

    def part(state: TrainState, batch_stats: Any, batch: Batch, keys: _Keys) -> tuple[Any, Any, Metrics]:
        """Gradient, batch statistics and metrics of a part of a device's share."""
        images = augment(keys.augment, shown(batch, config.inputs, chosen_before=chosen_before), config.augmentation)
        apply = _apply(module, keys.dropout)

        def loss(params: Any) -> tuple[jax.Array, Any]:
            return loss_fn(apply, params, batch_stats, images, batch.labels, keys.objective)

        (value, (logits, updated)), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        accuracy = jnp.mean(jnp.argmax(logits, -1) == batch.labels, dtype=jnp.float32)
        return grads, updated, Metrics(value, accuracy, jnp.zeros(()))

    def train_step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        keys = _split(key, batch.positions, axis_name)
        grads, batch_stats, metrics = _accumulated(part, state, batch, keys, config.accumulate)
        if axis_name is not None:
            grads, batch_stats, metrics = jax.lax.pmean((grads, batch_stats, metrics), axis_name)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = _averaged(state, {"params": params, "batch_stats": batch_stats}, config.ema_decay)
        state = dataclasses.replace(
            state, params=params, batch_stats=batch_stats, opt_state=opt_state, average=average, step=state.step + 1
        )
        return state, metrics._replace(grad_norm=optax.tree.norm(grads))

    return train_step


def shown(batch: Batch, inputs: Inputs, *, chosen_before: bool) -> jax.Array:
    """The examples of a batch in the versions chosen for them, float32 [B, K, H, W, C] in [0, 1].

    Args:
        batch: The examples.
        inputs: The way to use smoothed images.
        chosen_before: Whether the images of the batch are these versions already.
    """
    images = batch.images.astype(jnp.float32)
    if batch.images.dtype == jnp.uint8:
        images = images / 255
    if chosen_before or not inputs.views:
        return images
    raw = images[:, 0]
    versions = jnp.concatenate([raw[None], show_views(raw, inputs.views, inputs.solver)])
    return versions[batch.versions, jnp.arange(len(raw))[:, None]]


def _apply(module: nn.Module, dropout_key: jax.Array) -> Apply:
    def apply(params: Any, batch_stats: Any, images: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": batch_stats}
        rngs = {"dropout": dropout_key}
        logits, updated = module.apply(variables, images, train=train, mutable=["batch_stats"], rngs=rngs)
        return logits, updated.get("batch_stats", {})

    return apply


def _split(key: jax.Array, positions: jax.Array, axis_name: str | None) -> _Keys:
    augment_key, objective_key, dropout_key = jax.random.split(key, 3)
    if axis_name is not None:
        dropout_key = jax.random.fold_in(dropout_key, jax.lax.axis_index(axis_name))
    for_each = jax.vmap(jax.random.fold_in, (None, 0))
    return _Keys(for_each(augment_key, positions), for_each(objective_key, positions), dropout_key)


def _accumulated(
    part: Callable[[TrainState, Any, Batch, _Keys], tuple[Any, Any, Metrics]],
    state: TrainState,
    batch: Batch,
    keys: _Keys,
    count: int,
) -> tuple[Any, Any, Metrics]:
    """The mean gradient and metrics over `count` equal parts; the batch statistics go from one part to the next."""
    if count == 1:
        return part(state, state.batch_stats, batch, keys)

    def divided(leaf: jax.Array) -> jax.Array:
        return leaf.reshape(count, len(leaf) // count, *leaf.shape[1:])

    parts = jax.tree.map(divided, (batch, keys.augment, keys.objective))

    def one(carry: Any, item: Any) -> tuple[Any, None]:
        total, batch_stats, index = carry
        rows, augment_keys, objective_keys = item
        own = _Keys(augment_keys, objective_keys, jax.random.fold_in(keys.dropout, index))
        grads, batch_stats, metrics = part(state, batch_stats, rows, own)
        total = jax.tree.map(jnp.add, total, (grads, metrics))
        return (total, batch_stats, index + 1), None

    zero = (jax.tree.map(jnp.zeros_like, state.params), Metrics(*(jnp.zeros(()),) * 3))
    start = (zero, state.batch_stats, jnp.zeros((), jnp.int32))
    # XLA on CPUs runs the gradients of convolutions slowly inside loops.
    (total, batch_stats, _), _ = jax.lax.scan(one, start, parts, unroll=jax.default_backend() == "cpu")
    grads, metrics = jax.tree.map(lambda leaf: leaf / count, total)
    return grads, batch_stats, metrics


def _averaged(state: TrainState, variables: Any, decay: float) -> Any:
    if not decay:
        return state.average
    step = state.step.astype(jnp.float32)
    return optax.incremental_update(variables, state.average, 1 - jnp.minimum(decay, (1 + step) / (10 + step)))
