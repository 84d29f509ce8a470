"""Classifiers in Flax Linen, as functions of (parameters, batch statistics)."""

from isvs_jax._extras import unavailable

try:
    from isvs_jax.models._build import MODELS, build
    from isvs_jax.models._mixture import mixture
    from isvs_jax.models.classifier import LogitsFn, Variables, count_parameters, init, logits_fn
    from isvs_jax.models.cnn import CNN
    from isvs_jax.models.preactivation import PreActResNet18, WideResNet
    from isvs_jax.models.pytorch import import_resnet, read_state_dict
    from isvs_jax.models.residual import ResNet, ResNet18, ResNet50
    from isvs_jax.models.vision_transformer import VisionTransformer
except ModuleNotFoundError as error:
    __getattr__ = unavailable(error)

__all__ = [
    "CNN",
    "MODELS",
    "LogitsFn",
    "PreActResNet18",
    "ResNet",
    "ResNet18",
    "ResNet50",
    "Variables",
    "VisionTransformer",
    "WideResNet",
    "build",
    "count_parameters",
    "import_resnet",
    "init",
    "logits_fn",
    "mixture",
    "read_state_dict",
]
