"""Adversarial attacks on any function from images to logits."""

from isvs_jax.robustness.attacks._apgd import apgd
from isvs_jax.robustness.attacks._autoattack import AutoAttackResult, autoattack, autoattack_report
from isvs_jax.robustness.attacks._fab import FabResult, fab, fab_minimal
from isvs_jax.robustness.attacks._fgsm import fgsm
from isvs_jax.robustness.attacks._pgd import pgd
from isvs_jax.robustness.attacks._square import square
from isvs_jax.robustness.attacks.convergence import DoublingCheck, Reach, doubling_check, doubling_warnings, step_reach
from isvs_jax.robustness.attacks.curve import EpsilonCurve, curve_warnings, epsilon_curve, full_radius

__all__ = [
    "AutoAttackResult",
    "DoublingCheck",
    "EpsilonCurve",
    "FabResult",
    "Reach",
    "apgd",
    "autoattack",
    "autoattack_report",
    "curve_warnings",
    "doubling_check",
    "doubling_warnings",
    "epsilon_curve",
    "fab",
    "fab_minimal",
    "fgsm",
    "full_radius",
    "pgd",
    "square",
    "step_reach",
]
