"""A referee of robustness: corruptions, attacks and low resolution for any function to logits."""

from isvs_jax.robustness._hard_stop import HardStop, hard_stop
from isvs_jax.robustness.adaptive import DefenceResult, attack_defence
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
from isvs_jax.robustness.broken_defences import rounding_defence, total_variation_defence
from isvs_jax.robustness.corruptions import (
    CATEGORIES,
    CORRUPTIONS,
    VALIDATION_CORRUPTIONS,
    corrupt,
)
from isvs_jax.robustness.defences import Defence, defended, smoothing_defence
from isvs_jax.robustness.evaluation import Report, combine, evaluate, markdown, read_report
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
from isvs_jax.robustness.ways import WAYS

__all__ = [
    "CATEGORIES",
    "CORRUPTIONS",
    "INTERPOLATIONS",
    "RESOLUTIONS",
    "VALIDATION_CORRUPTIONS",
    "WAYS",
    "AutoAttackResult",
    "CorruptedImages",
    "Defence",
    "DefenceResult",
    "FabResult",
    "HardStop",
    "Report",
    "Resolution",
    "apgd",
    "attack_defence",
    "autoattack",
    "autoattack_report",
    "chance_corrected",
    "combine",
    "corrupt",
    "defended",
    "evaluate",
    "fab",
    "fab_minimal",
    "fgsm",
    "hard_stop",
    "list_imagenet_c",
    "load_cifar_c",
    "load_imagenet_c",
    "load_tfds",
    "low_resolution",
    "markdown",
    "pgd",
    "read_report",
    "rounding_defence",
    "smoothing_defence",
    "square",
    "total_variation_defence",
]
