"""Training of classifiers on raw images and along the inverse scale space path."""

from isvs_jax.training.augmentation import Augmentation, augment
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.evaluate import correct, evaluate
from isvs_jax.training.inputs import Inputs, View
from isvs_jax.training.loop import train
from isvs_jax.training.optimizer import OptimizerConfig, make_optimizer
from isvs_jax.training.run_folder import ConfigurationChangedError, claim
from isvs_jax.training.smoothing import smoothed_views
from isvs_jax.training.state import Batch, TrainState, init_state
from isvs_jax.training.step import make_train_step

__all__ = [
    "Augmentation",
    "Batch",
    "ConfigurationChangedError",
    "Inputs",
    "OptimizerConfig",
    "TrainConfig",
    "TrainState",
    "View",
    "augment",
    "claim",
    "correct",
    "evaluate",
    "init_state",
    "make_optimizer",
    "make_train_step",
    "smoothed_views",
    "train",
]
