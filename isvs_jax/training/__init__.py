"""Training of classifiers on raw images and along the inverse scale space path."""

from isvs_jax._extras import unavailable

try:
    from isvs_jax.augment._augmix import AugMixConfig, augmix
    from isvs_jax.augment.basic import Augmentation, augment
    from isvs_jax.augment.views import View, show_views
    from isvs_jax.training.batches import make_loader
    from isvs_jax.training.checkpoint import TerminatedError
    from isvs_jax.training.config import ModelChoice, Resources, TrainConfig
    from isvs_jax.training.devices import AXIS, Distributed, map_over_devices
    from isvs_jax.training.inputs import Inputs
    from isvs_jax.training.log import read_log
    from isvs_jax.training.loop import train
    from isvs_jax.training.methods import matched, method_configs
    from isvs_jax.training.noisy_draws import NoisyDraws
    from isvs_jax.training.objective import Objective, make_loss
    from isvs_jax.training.optimizer import OptimizerConfig, make_optimizer
    from isvs_jax.training.run import ConfigurationChangedError, Run, claim, execute
    from isvs_jax.training.step import Batch, Metrics, TrainState, init_state, make_train_step, plain_batch
    from isvs_jax.training.trained import correct, evaluate, load_classifier
    from isvs_jax.training.weight_arithmetic import Signature, cosines, interpolated, patched, signature
except ModuleNotFoundError as error:
    __getattr__ = unavailable(error)

__all__ = [
    "AXIS",
    "AugMixConfig",
    "Augmentation",
    "Batch",
    "ConfigurationChangedError",
    "Distributed",
    "Inputs",
    "Metrics",
    "ModelChoice",
    "NoisyDraws",
    "Objective",
    "OptimizerConfig",
    "Resources",
    "Run",
    "Signature",
    "TerminatedError",
    "TrainConfig",
    "TrainState",
    "View",
    "augment",
    "augmix",
    "claim",
    "correct",
    "cosines",
    "evaluate",
    "execute",
    "init_state",
    "interpolated",
    "load_classifier",
    "make_loader",
    "make_loss",
    "make_optimizer",
    "make_train_step",
    "map_over_devices",
    "matched",
    "method_configs",
    "patched",
    "plain_batch",
    "read_log",
    "show_views",
    "signature",
    "train",
]
