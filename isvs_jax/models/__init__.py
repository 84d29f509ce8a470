"""Classifiers in Flax Linen, as functions of (parameters, batch statistics)."""

from isvs_jax.models.classifier import LogitsFn, Variables, count_parameters, init, logits_fn
from isvs_jax.models.cnn import CNN
from isvs_jax.models.pytorch import import_resnet, read_state_dict
from isvs_jax.models.resnet import ResNet

__all__ = [
    "CNN",
    "LogitsFn",
    "ResNet",
    "Variables",
    "count_parameters",
    "import_resnet",
    "init",
    "logits_fn",
    "read_state_dict",
]
