"""Optimizers and learning-rate schedules, all of them Optax's."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import optax

from isvs_jax._checks import check_choice, check_number

Name = Literal["adamw", "sgd"]
Schedule = Literal["one_cycle", "cosine"]

# Parameters of several axes that are biases, scales or positions: those of attention and of vision transformers.
_SPARED = ("bias", "scale", "position_embedding", "class_token")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer of a run.

    Attributes:
        name: "adamw", or "sgd" with Nesterov momentum 0.9.
        learning_rate: The peak of the schedule, a positive number.
        weight_decay: The decay of the kernels, ≥ 0: decoupled for AdamW, added to the gradient for SGD. Norms, biases,
            position embeddings and class tokens are spared.
        schedule: "one_cycle", which rises for 30% of the run, or "cosine", which rises for 5% of it; both fall to about
            0. A run of one step takes it at the peak.
        label_smoothing: The share of every target that is spread evenly over the classes, in [0, 1).
        clip_norm: The norm that larger gradients are scaled down to; None clips nothing.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of range, or a choice is unknown.
    """

    name: Name = "adamw"
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    schedule: Schedule = "one_cycle"
    label_smoothing: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        check_choice("name", self.name, get_args(Name))
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_number("learning_rate", self.learning_rate, "(0, inf)")
        check_number("weight_decay", self.weight_decay, "[0, inf)")
        check_number("label_smoothing", self.label_smoothing, "[0, 1)")
        if self.clip_norm is not None:
            check_number("clip_norm", self.clip_norm, "(0, inf)")


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """The optimizer of a run of `num_steps` steps.

    Example:
        >>> optimizer = make_optimizer(OptimizerConfig(), num_steps=100)
        >>> state = optimizer.init({"kernel": jax.numpy.ones((3, 3))})
    """
    rate = make_schedule(config, num_steps)
    clip = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    if config.name == "adamw":
        return optax.chain(*clip, optax.adamw(rate, weight_decay=config.weight_decay, mask=decayed))
    return optax.chain(
        *clip,
        optax.add_decayed_weights(config.weight_decay, mask=decayed),
        optax.sgd(rate, momentum=0.9, nesterov=True),
    )


def make_schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """The learning rate as a function of the step, from 0 to num_steps − 1.

    Example:
        >>> float(make_schedule(OptimizerConfig(learning_rate=0.5, schedule="cosine"), num_steps=1)(0))
        0.5
    """
    if num_steps == 1:
        # A schedule that rises from 0 would leave the parameters of a single step where they are.
        return optax.constant_schedule(config.learning_rate)
    if config.schedule == "one_cycle":
        return optax.cosine_onecycle_schedule(num_steps, config.learning_rate)
    return optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, max(1, num_steps // 20), num_steps)


def decayed(params: Any) -> Any:
    """Which parameters weight decay applies to: kernels, but not norms, biases and positions.

    Args:
        params: A pytree of arrays.

    Returns:
        A pytree of bool: false for parameters of one axis, and for those named after a bias, a scale or a position.

    Example:
        >>> decayed({"kernel": jax.numpy.ones((3, 2, 4)), "bias": jax.numpy.ones((2, 4))})
        {'bias': False, 'kernel': True}
    """

    def is_kernel(path: tuple[Any, ...], leaf: jax.Array) -> bool:
        name = getattr(path[-1], "key", None) if path else None
        return leaf.ndim > 1 and name not in _SPARED

    return jax.tree_util.tree_map_with_path(is_kernel, params)
