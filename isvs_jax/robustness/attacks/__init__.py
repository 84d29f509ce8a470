"""Adversarial attacks on any function from images to logits."""

from isvs_jax.robustness.attacks._apgd import apgd
from isvs_jax.robustness.attacks._autoattack import AutoAttackResult, autoattack, autoattack_report
from isvs_jax.robustness.attacks._fab import FabResult, fab, fab_minimal
from isvs_jax.robustness.attacks._pgd import fgsm, pgd
from isvs_jax.robustness.attacks._square import square

__all__ = [
    "AutoAttackResult",
    "FabResult",
    "apgd",
    "autoattack",
    "autoattack_report",
    "fab",
    "fab_minimal",
    "fgsm",
    "pgd",
    "square",
]
