"""Augmentations of batches of images: pure functions of keys and images, for anybody's loop."""

from isvs_jax.augment._along_path import along_path
from isvs_jax.augment._augmix import AugMixConfig, augmix
from isvs_jax.augment._scale_mix import scale_mix
from isvs_jax.augment.bands import blur_bands, matched_sigmas, path_bands
from isvs_jax.augment.basic import Augmentation, augment
from isvs_jax.augment.composition import chain, mix, per_example
from isvs_jax.augment.versions import draw_versions, show_versions
from isvs_jax.augment.views import View, show_views

__all__ = [
    "AugMixConfig",
    "Augmentation",
    "View",
    "along_path",
    "augment",
    "augmix",
    "blur_bands",
    "chain",
    "draw_versions",
    "matched_sigmas",
    "mix",
    "path_bands",
    "per_example",
    "scale_mix",
    "show_versions",
    "show_views",
]
