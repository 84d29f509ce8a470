"""The configuration of a training run."""

from dataclasses import dataclass, field

from isvs_jax.training.augmentation import Augmentation
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.optimizer import OptimizerConfig


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run depends on, besides the model and the data.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step; the rest of an epoch that fills no batch is left out, another one each epoch.
        seed: Of the initial parameters, the order and the augmentation.
        inputs: How the path is used.
        optimizer: Optimizer and schedule.
        augmentation: Crops, mirror images, noise.
    """

    epochs: int = 20
    batch_size: int = 128
    seed: int = 0
    inputs: Inputs = field(default_factory=Inputs)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name} is {value}; it may be a positive integer.")

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
