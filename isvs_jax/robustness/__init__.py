"""A referee of robustness: corruptions, attacks and low resolution for any function to logits."""

from isvs_jax.robustness.attacks import (
    AutoAttackResult,
    FabResult,
    apgd,
    autoattack,
    autoattack_report,
    fab,
    fab_minimal,
    fgsm,
    pgd,
    square,
)
from isvs_jax.robustness.corruptions import (
    CATEGORIES,
    CORRUPTIONS,
    VALIDATION_CORRUPTIONS,
    corrupt,
)
from isvs_jax.robustness.official import (
    CorruptedImages,
    list_imagenet_c,
    load_cifar_c,
    load_imagenet_c,
    load_tfds,
)
from isvs_jax.robustness.resolution import (
    INTERPOLATIONS,
    RESOLUTIONS,
    Resolution,
    chance_corrected,
    low_resolution,
)

__all__ = [
    "CATEGORIES",
    "CORRUPTIONS",
    "INTERPOLATIONS",
    "RESOLUTIONS",
    "VALIDATION_CORRUPTIONS",
    "AutoAttackResult",
    "CorruptedImages",
    "FabResult",
    "Resolution",
    "apgd",
    "autoattack",
    "autoattack_report",
    "chance_corrected",
    "corrupt",
    "fab",
    "fab_minimal",
    "fgsm",
    "list_imagenet_c",
    "load_cifar_c",
    "load_imagenet_c",
    "load_tfds",
    "low_resolution",
    "pgd",
    "square",
]
