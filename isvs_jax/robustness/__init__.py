"""A referee of robustness: corruptions, attacks and low resolution for any function to logits."""

from isvs_jax.robustness.corruptions import (
    CATEGORIES,
    CORRUPTIONS,
    VALIDATION_CORRUPTIONS,
    corrupt,
)

__all__ = ["CATEGORIES", "CORRUPTIONS", "VALIDATION_CORRUPTIONS", "corrupt"]
