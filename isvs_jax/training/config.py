"""The configuration of a training run: all that its outcome depends on, and apart from it where and how it is done."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from isvs_jax._checks import check_choice, check_integer, check_number
from isvs_jax.augment.basic import Augmentation
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.objective import Objective
from isvs_jax.training.optimizer import OptimizerConfig

Mapping = Literal["shard_map", "pmap"]

# NumPy's generators and JAX's keys both take seeds of 32 bits.
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class ModelChoice:
    """Which network is trained, and what it starts from.

    Attributes:
        name: One of `isvs_jax.models.MODELS`.
        dtype: The dtype of the computation; parameters are float32 in both.
        weights: The weights that training starts from: a PyTorch state dict of this network, as
            `isvs_jax.models.import_resnet` takes it, or the folder of a run of this network. None draws parameters from
            the seed.

    Raises:
        ValueError: The weights are an empty text.
    """

    name: str = "cnn"
    dtype: Literal["float32", "bfloat16"] = "float32"
    weights: str | None = None

    def __post_init__(self) -> None:
        if self.weights == "":
            raise ValueError("weights must be a file of weights, the folder of a run, or None; got ''.")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run depends on, besides the model and the data.

    Attributes:
        epochs: The number of passes over the training images, at least 1.
        batch_size: The number of images in a step, over all devices. The rest of an epoch that fills no batch is left
            out, another one in each epoch.
        seed: The seed of the initial parameters, the order, the versions chosen, the augmentation and the attacks, from
            0 to 2³² − 1.
        inputs: The way in which smoothed images are used.
        objective: The loss that is minimised.
        optimizer: The optimizer and its schedule.
        augmentation: The crops, mirror images, contrast and noise.
        ema_decay: The decay of the moving average of parameters and batch statistics, in [0, 1); 0 keeps none. It
            starts lower, at (1 + step)/(10 + step). Where there is an average, it is what is evaluated.
        accumulate: The number of parts that a device's share of a batch is divided into, one after another, for batches
            that do not fit into memory; batch statistics are those of the parts.

    Raises:
        TypeError: A number is none, or not an integer where one is asked for.
        ValueError: A number is out of range, or the objective does not go with the inputs.
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
            check_integer(name, getattr(self, name))
        check_integer("seed", self.seed, 0, _LARGEST_SEED)
        check_number("ema_decay", self.ema_decay, "[0, 1)")
        several = self.inputs.way == "several"
        if (self.objective.name == "consistency") != several:
            raise ValueError(
                "objective must be 'consistency', which compares versions of an image, where the way of the inputs is "
                f"'several', and only there; got {self.objective.name!r} with {self.inputs.way!r}."
            )

    def steps_per_epoch(self, num_examples: int) -> int:
        """The number of full batches in an epoch.

        Raises:
            ValueError: There are fewer examples than a batch takes.
        """
        if num_examples < self.batch_size:
            raise ValueError(
                f"batch_size must be at most {num_examples}, the number of training images; got {self.batch_size}."
            )
        return num_examples // self.batch_size

    def num_steps(self, num_examples: int) -> int:
        """The number of steps of the whole run."""
        return self.epochs * self.steps_per_epoch(num_examples)


@dataclass(frozen=True)
class Resources:
    """Where and how a run is done; its outcome depends on none of it, but for rounding.

    Attributes:
        mapping: How the step is mapped over the devices: by `jax.shard_map` on a mesh, or by `jax.pmap`.
        devices: The number of devices of each process to use; None uses all.
        workers: 0 gathers batches in threads; a larger number gathers them in as many processes.
        prefetch: The number of batches gathered ahead.
        checkpoint_steps: The number of steps between checkpoints; None saves after every epoch. There is always one at
            the end.
        keep: The number of checkpoints kept, besides the best.
        log_steps: The number of steps that a line of the log is the mean of; an epoch's end ends a line too.

    Raises:
        TypeError: A number is not an integer.
        ValueError: A number is out of range, or a choice is unknown.
    """

    mapping: Mapping = "shard_map"
    devices: int | None = None
    workers: int = 0
    prefetch: int = 4
    checkpoint_steps: int | None = None
    keep: int = 2
    log_steps: int = 50

    def __post_init__(self) -> None:
        check_choice("mapping", self.mapping, get_args(Mapping))
        check_integer("workers", self.workers, 0)
        for name in ("prefetch", "keep", "log_steps"):
            check_integer(name, getattr(self, name))
        for name in ("devices", "checkpoint_steps"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name))
