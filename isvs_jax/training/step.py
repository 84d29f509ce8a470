"""What a training run carries from step to step, and one step as a pure function of a device's share of a batch."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from isvs_jax._checks import brief
from isvs_jax.augment.basic import augment
from isvs_jax.models import Variables, init
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.inputs import choose, noisy_last, show
from isvs_jax.training.objective import Apply, make_loss

Array = jax.Array | np.ndarray


class Batch(NamedTuple):
    """The examples of a step, or a part of them: of a process (arrays of NumPy), of a device.

    Attributes:
        images: [B, H, W, C], uint8 in 0..255 or floats in [0, 1], as they are: the step makes the versions.
        labels: int [B], the classes.
        positions: int [B], the row of each example in the batch of all devices. What is random about an example follows
            from the key and from its position, so that it does not depend on how many devices there are.
    """

    images: Array
    labels: Array
    positions: Array


def plain_batch(images: Array, labels: Array) -> Batch:
    """A whole batch of images [B, H, W, C] and labels [B].

    Example:
        >>> plain_batch(jnp.zeros((2, 8, 8, 1)), jnp.array([0, 1])).positions.tolist()
        [0, 1]
    """
    return Batch(images, labels, jnp.arange(len(labels), dtype=jnp.int32))


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


class _Rows(NamedTuple):
    """The examples of a device and what was drawn for each: versions [B, K], and keys of all that draws again."""

    batch: Batch
    versions: jax.Array
    version_keys: jax.Array
    augment_keys: jax.Array
    objective_keys: jax.Array


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    config: TrainConfig = TrainConfig(),
    *,
    axis_name: str | None = None,
    num_steps: int | None = None,
) -> TrainStep:
    """The step of a run: versions, augmentation, objective, its gradient, an update.

    The path is followed inside, only for those who are shown smoothed: a batch holds images as they are.

    It is written for one device. Mapped over an axis (`jax.shard_map`, `jax.pmap`), each device takes its share of the
    batch, gradients and metrics are averaged over `axis_name`, and so are the batch statistics of models that have an
    `axis_name`; the result is that of one device with the whole batch.

    Args:
        model: A module called as model(images, train=True) with mutable batch statistics.
        optimizer: An optimizer of Optax.
        config: The run; its inputs, augmentation, objective, ema_decay and accumulate are used here.
        axis_name: The axis that the step is mapped over; None where it is not mapped.
        num_steps: The number of steps of the run, which its way "coarse_to_fine" divides into stages.

    Returns:
        A pure function (state, batch, key) → (state, metrics), to be jitted by its caller. It raises a TypeError or a
        ValueError, as it is traced, for a batch that does not fit.

    Raises:
        ValueError: `num_steps` is None where the way of the inputs is "coarse_to_fine".

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
    if config.inputs.way == "coarse_to_fine" and num_steps is None:
        raise ValueError("num_steps must be given for way 'coarse_to_fine', whose stages divide the run; got None.")
    module = model.clone(axis_name=axis_name) if hasattr(model, "axis_name") else model
    smoothing = config.optimizer.label_smoothing
    loss_fn = make_loss(config.objective, label_smoothing=smoothing, solver=config.inputs.solver)

    def part(state: TrainState, batch_stats: Any, rows: _Rows, dropout_key: jax.Array) -> tuple[Any, Any, Metrics]:
        """Gradient, batch statistics and metrics of a part of a device's share."""
        inputs, augmentation = config.inputs, config.augmentation
        floats = _as_float(rows.batch.images)
        shown = show(inputs, floats, rows.versions, rows.version_keys, noise=augmentation.noise)
        images = augment(rows.augment_keys, shown, augmentation, noisy=noisy_last(inputs, rows.versions))
        labels, apply = rows.batch.labels, _apply(module, dropout_key)

        def loss(params: Any) -> tuple[jax.Array, Any]:
            return loss_fn(apply, params, batch_stats, images, labels, rows.objective_keys)

        (value, (logits, updated)), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        accuracy = jnp.mean(jnp.argmax(logits, -1) == labels, dtype=jnp.float32)
        return grads, updated, Metrics(value, accuracy, jnp.zeros(()))

    def train_step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        _check_batch(batch, config.accumulate)
        versions_key, dropout_key, *row_keys = jax.random.split(key, 5)
        count, for_each = len(batch.labels), jax.vmap(jax.random.fold_in, (None, 0))
        if axis_name is not None:
            count *= jax.lax.axis_size(axis_name)
            dropout_key = jax.random.fold_in(dropout_key, jax.lax.axis_index(axis_name))
        # Drawn for the whole batch on every device, which then takes what belongs to its own examples.
        versions = choose(config.inputs, versions_key, count, state.step, num_steps)[batch.positions]
        own = _Rows(batch, versions, *(for_each(key, batch.positions) for key in row_keys))
        grads, batch_stats, metrics = _accumulated(part, state, own, dropout_key, config.accumulate)
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


def _check_batch(batch: Batch, parts: int) -> None:
    """Raise a sentence for a batch that cannot be what the step takes; by shapes and dtypes, as values are traced."""
    if not isinstance(batch, Batch):
        raise TypeError(f"batch must be a Batch, such as plain_batch(images, labels); got {brief(batch)}.")
    images, *numbers = map(jnp.asarray, batch)
    if images.ndim != 4 or not len(images):
        raise ValueError(f"images of a batch must be [B, H, W, C] with B at least 1; got shape {images.shape}.")
    if images.dtype != jnp.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"images of a batch must be uint8, or floats in [0, 1]; got dtype {images.dtype}.")
    for name, values in zip(("labels", "positions"), numbers, strict=True):
        if values.shape != images.shape[:1] or not jnp.issubdtype(values.dtype, jnp.integer):
            raise ValueError(
                f"{name} of a batch must be integers of shape {images.shape[:1]}, one for each image; got dtype "
                f"{values.dtype}, shape {values.shape}."
            )
    if len(images) % parts:
        raise ValueError(
            f"images of a batch must be a multiple of accumulate={parts}, a device's share of them; got {len(images)}."
        )


def _as_float(images: Array) -> jax.Array:
    floats = jnp.asarray(images, jnp.float32)
    return floats / 255 if images.dtype == jnp.uint8 else floats


def _apply(module: nn.Module, dropout_key: jax.Array) -> Apply:
    def apply(params: Any, batch_stats: Any, images: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": batch_stats}
        rngs = {"dropout": dropout_key}
        logits, updated = module.apply(variables, images, train=train, mutable=["batch_stats"], rngs=rngs)
        return logits, updated.get("batch_stats", {})

    return apply


def _accumulated(
    part: Callable[[TrainState, Any, _Rows, jax.Array], tuple[Any, Any, Metrics]],
    state: TrainState,
    rows: _Rows,
    dropout_key: jax.Array,
    count: int,
) -> tuple[Any, Any, Metrics]:
    """The mean gradient and metrics over `count` equal parts; the batch statistics go from one part to the next."""
    if count == 1:
        return part(state, state.batch_stats, rows, dropout_key)
    parts = jax.tree.map(lambda leaf: leaf.reshape(count, len(leaf) // count, *leaf.shape[1:]), rows)

    def one(carry: Any, rows: _Rows) -> tuple[Any, None]:
        total, batch_stats, index = carry
        grads, batch_stats, metrics = part(state, batch_stats, rows, jax.random.fold_in(dropout_key, index))
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
