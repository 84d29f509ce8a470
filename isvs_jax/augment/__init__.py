"""Augmentations of batches of images: pure functions of keys and images, for anybody's loop."""

from isvs_jax.augment._along_path import along_path
from isvs_jax.augment._augmix import AugMixConfig, augmix
from isvs_jax.augment.basic import Augmentation, augment
from isvs_jax.augment.versions import draw_versions, show_versions
from isvs_jax.augment.views import View, show_views

__all__ = [
    "AugMixConfig",
    "Augmentation",
    "View",
    "along_path",
    "augment",
    "augmix",
    "draw_versions",
    "show_versions",
    "show_views",
]
