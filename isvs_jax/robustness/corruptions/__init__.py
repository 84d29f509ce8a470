"""The nineteen common corruptions of ImageNet-C at five severities, compiled and batched.

Fifteen are for testing (`CORRUPTIONS`), four for validation (`VALIDATION_CORRUPTIONS`); `CATEGORIES` says of each
whether it is noise, blur, weather or digital. `corrupt` applies them.
"""

from isvs_jax.robustness.corruptions._corrupt import corrupt
from isvs_jax.robustness.corruptions._tables import (
    CATEGORIES,
    CORRUPTIONS,
    VALIDATION_CORRUPTIONS,
)

__all__ = ["CATEGORIES", "CORRUPTIONS", "VALIDATION_CORRUPTIONS", "corrupt"]
