"""Adversarial attacks on any function from images to logits."""

from isvs_jax.robustness.attacks.apgd import apgd
from isvs_jax.robustness.attacks.autoattack import AutoAttackResult, autoattack, autoattack_report
from isvs_jax.robustness.attacks.convergence import DoublingCheck, Reach, doubling_check, doubling_warnings, step_reach
from isvs_jax.robustness.attacks.curve import EpsilonCurve, curve_warnings, epsilon_curve, full_radius
from isvs_jax.robustness.attacks.fab import FabResult, fab, fab_minimal
from isvs_jax.robustness.attacks.fgsm import fgsm
from isvs_jax.robustness.attacks.pgd import pgd
from isvs_jax.robustness.attacks.square import square

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
