"""The scale space of photographs; it comes with the extra "photo" (`pip install "isvs_jax[photo]"`)."""

from isvs_jax.photograph._smooth_photograph import smooth_photograph

__all__ = ["smooth_photograph"]
