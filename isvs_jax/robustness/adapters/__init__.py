"""Models of any kind as functions to logits: of JAX in another form, of PyTorch, and of NumPy."""

from isvs_jax.robustness.adapters._adapt import adapt
from isvs_jax.robustness.adapters._from_host import from_host
from isvs_jax.robustness.adapters._from_torch import from_torch

__all__ = ["adapt", "from_host", "from_torch"]
