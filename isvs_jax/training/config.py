"""The configuration of a training run: all that its outcome depends on, and apart from it where and how it is done."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from isvs_jax.augment.basic import Augmentation
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.objective import Objective
from isvs_jax.training.optimizer import OptimizerConfig

Mapping = Literal["shard_map", "pmap"]
Smoothing = Literal["auto", "step", "cache"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run depends on, besides the model and the data.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step, over all devices; the rest of an epoch that fills no batch is left out, another one
            each epoch.
        seed: Of the initial parameters, the order, the versions chosen, the augmentation and the attacks.
        inputs: How the path is used.
        objective: What is minimised.
        optimizer: Optimizer and schedule.
        augmentation: Crops, mirror images, noise.
        ema_decay: Decay of the moving average of parameters and batch statistics, in [0, 1); 0 for none. It starts
            lower, at (1 + step)/(10 + step), and is what is evaluated.
        accumulate: Parts that a device's share of a batch is divided into, one after another, for batches that do not
            fit; batch statistics are those of the parts.
    """

    epochs: int = 20
    batch_size: int = 128
    seed: int = 0
    inputs: Inputs = field(default_factory=Inputs)
    objective: Objective = field(default_factory=Objective)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    ema_decay: float = 0.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name} is {value}; it may be a positive integer.")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}; it may be in [0, 1).")
        several = self.inputs.way == "several"
        if (self.objective.name == "consistency") != several:
            raise ValueError(
                f"objective 'consistency' compares several versions of an image and goes with way 'several', but the "
                f"objective is {self.objective.name!r} and the way {self.inputs.way!r}; both or neither may be given."
            )

    def steps_per_epoch(self, num_examples: int) -> int:
        """Full batches in an epoch.

        Raises:
            ValueError: There are fewer examples than a batch takes.
        """
        if num_examples < self.batch_size:
            raise ValueError(
                f"batch_size is {self.batch_size}, but there are {num_examples} training images; "
                f"it may be {num_examples} or less."
            )
        return num_examples // self.batch_size

    def num_steps(self, num_examples: int) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch(num_examples)


@dataclass(frozen=True)
class Resources:
    """Where and how a run is done; its outcome depends on none of it, but for rounding.

    Attributes:
        mapping: How the step is mapped over the devices: `jax.shard_map` on a mesh, or `jax.pmap`.
        devices: How many devices of each process to use; None uses all.
        smoothing: Where views are computed: "step" on the accelerator inside every step; "cache" once beforehand, in
            half precision; "auto" measures both, takes the step where the views cost less than 15% of it, and says so.
        cache_dir: Where smoothed sets are kept for later runs; None keeps them in memory.
        workers: 0 gathers batches in threads; more in so many processes of their own.
        prefetch: Batches gathered ahead.
        checkpoint_steps: Steps between checkpoints; None saves after every epoch. There is always one at the end.
        keep: Checkpoints kept, besides the best.
        log_steps: Steps that a line of the log is the mean of; an epoch's end ends a line too.
    """

    mapping: Mapping = "shard_map"
    devices: int | None = None
    smoothing: Smoothing = "auto"
    cache_dir: str | None = None
    workers: int = 0
    prefetch: int = 4
    checkpoint_steps: int | None = None
    keep: int = 2
    log_steps: int = 50

    def __post_init__(self) -> None:
        for name, known in (("mapping", get_args(Mapping)), ("smoothing", get_args(Smoothing))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it may be {' or '.join(map(repr, known))}.")
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}; it may be 0 (threads) or a positive number of processes.")
        for name in ("devices", "prefetch", "checkpoint_steps", "keep", "log_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it may be a positive integer.")
