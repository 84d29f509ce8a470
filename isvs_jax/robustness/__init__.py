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

__all__ = [
    "CATEGORIES",
    "CORRUPTIONS",
    "VALIDATION_CORRUPTIONS",
    "AutoAttackResult",
    "FabResult",
    "apgd",
    "autoattack",
    "autoattack_report",
    "corrupt",
    "fab",
    "fab_minimal",
    "fgsm",
    "pgd",
    "square",
]
