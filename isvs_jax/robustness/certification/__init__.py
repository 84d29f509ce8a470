"""Certified robustness by randomized smoothing: radii within which no image changes the class of a smoothed model."""

from isvs_jax.robustness.certification._certificate import Certificate, joined, mixed, read_certificate
from isvs_jax.robustness.certification._certify import certify, predict
from isvs_jax.robustness.certification.bounds import (
    ABSTAINS,
    certified_radius,
    implied_linf,
    leading_classes,
    lower_bound,
    soft_mixture_radius,
)
from isvs_jax.robustness.certification.choosing import SmoothingChoice, choose_smoothing, matched_filters
from isvs_jax.robustness.certification.summary import (
    RADII,
    CertifiedSummary,
    certified_markdown,
    certified_summary,
    read_summary,
)

__all__ = [
    "ABSTAINS",
    "RADII",
    "Certificate",
    "CertifiedSummary",
    "SmoothingChoice",
    "certified_markdown",
    "certified_radius",
    "certified_summary",
    "certify",
    "choose_smoothing",
    "implied_linf",
    "joined",
    "leading_classes",
    "lower_bound",
    "matched_filters",
    "mixed",
    "predict",
    "read_certificate",
    "read_summary",
    "soft_mixture_radius",
]
