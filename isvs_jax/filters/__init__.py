"""What the path is compared with: Gaussian blur, ideal low-pass and total variation, matched by residual energy."""

from isvs_jax.filters.linear import gaussian_blur, gaussian_matrix, low_pass
from isvs_jax.filters.matching import matched_strength
from isvs_jax.filters.total_variation import rof

__all__ = ["gaussian_blur", "gaussian_matrix", "low_pass", "matched_strength", "rof"]
