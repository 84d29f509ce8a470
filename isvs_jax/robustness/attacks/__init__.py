"""Adversarial attacks on any function from images to logits."""

from isvs_jax.robustness.attacks.fgsm import fgsm
from isvs_jax.robustness.attacks.pgd import pgd

__all__ = ["fgsm", "pgd"]
