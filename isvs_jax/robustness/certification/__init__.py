"""Certified robustness by randomized smoothing: radii within which no image changes the class of a smoothed model."""

from isvs_jax.robustness.certification._certificate import Certificate, mixed, read_certificate
from isvs_jax.robustness.certification._certify import certify, predict
from isvs_jax.robustness.certification.bounds import (
    ABSTAINS,
    certified_radius,
    implied_linf,
    leading_classes,
    lower_bound,
    soft_mixture_radius,
)

__all__ = [
    "ABSTAINS",
    "Certificate",
    "certified_radius",
    "certify",
    "implied_linf",
    "leading_classes",
    "lower_bound",
    "mixed",
    "predict",
    "read_certificate",
    "soft_mixture_radius",
]
