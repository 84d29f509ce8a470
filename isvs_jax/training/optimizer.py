"""Optimizers and learning-rate schedules, all of them Optax's."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import optax

Name = Literal["adamw", "sgd"]
Schedule = Literal["one_cycle", "cosine"]


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer of a run.

    Attributes:
        name: "adamw", or "sgd" with Nesterov momentum 0.9.
        learning_rate: The peak of the schedule.
        weight_decay: Decoupled for AdamW, added to the gradient for SGD; norms and biases are spared.
        schedule: "one_cycle" (rises for 30% of the run) or "cosine" (rises for 5% of it); both fall to about 0.
        label_smoothing: In [0, 1).
        clip_norm: Gradients of a larger norm are scaled down to it; None clips nothing.
    """

    name: Name = "adamw"
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    schedule: Schedule = "one_cycle"
    label_smoothing: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise ValueError(f"name is {self.name!r}; it may be 'adamw' or 'sgd'.")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule is {self.schedule!r}; it may be 'one_cycle' or 'cosine'.")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate is {self.learning_rate}; it may be a positive number.")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay is {self.weight_decay}; it may be a number ≥ 0.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; it may be in [0, 1).")
        if self.clip_norm is not None and not 0 < self.clip_norm < float("inf"):
            raise ValueError(f"clip_norm is {self.clip_norm}; it may be None or a positive number.")


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
    """The learning rate as a function of the step."""
    if config.schedule == "one_cycle":
        return optax.cosine_onecycle_schedule(num_steps, config.learning_rate)
    return optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, max(1, num_steps // 20), max(2, num_steps))


def decayed(params: Any) -> Any:
    """Which parameters weight decay applies to: kernels, but not norms and biases, which have one axis."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
