"""Views of the path and filters of equal residual energy, and what each keeps of images and of noise in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import jax.numpy as jnp
import numpy as np

from experiments.measures.contours import contour_error, energy_taken, noise_left, psnr
from isvs_jax import SplitLBI
from isvs_jax.augment.views import View, show_views
from isvs_jax.filters.matching import FilterKind, matched_strength

FILTERS: tuple[FilterKind, ...] = get_args(FilterKind)


@dataclass(frozen=True)
class Kept:
    """What a view keeps, a value an image: float64 [N].

    Attributes:
        view: Which.
        energy: What it takes away of the clean image, the mean square.
        noisy_energy: Of the noisy image.
        contour_error: Of the clean image, against itself.
        noisy_contour_error: Of the noisy image, against the clean one.
        noise_left: ‖F(x + n) − F(x)‖²/‖n‖².
        psnr: Of the smoothed noisy image to the clean one, in dB.
    """

    view: View
    energy: np.ndarray
    noisy_energy: np.ndarray
    contour_error: np.ndarray
    noisy_contour_error: np.ndarray
    noise_left: np.ndarray
    psnr: np.ndarray


def shown(images: np.ndarray, views: Sequence[View], solver: SplitLBI) -> np.ndarray:
    """`show_views` as NumPy: float32 [V, N, H, W, C]."""
    return np.asarray(show_views(jnp.asarray(images), tuple(views), solver))


def kept(images: np.ndarray, noise: np.ndarray, views: Sequence[View], solver: SplitLBI) -> tuple[Kept, ...]:
    """What views keep of images without and with noise.

    Args:
        images: x, float32 [N, H, W, C] in [0, 1].
        noise: n, the same shape; x + n is not clipped, so that n is the noise that it is said to be.
        views: V views.
        solver: The flow.

    Returns:
        One for each view.
    """
    noisy = images + noise
    found = []
    for view, smoothed, smoothed_noisy in zip(
        views, shown(images, views, solver), shown(noisy, views, solver), strict=True
    ):
        found.append(
            Kept(
                view,
                energy_taken(images, smoothed),
                energy_taken(noisy, smoothed_noisy),
                contour_error(images, smoothed),
                contour_error(images, smoothed_noisy),
                noise_left(smoothed, smoothed_noisy, noise),
                psnr(smoothed_noisy, images),
            )
        )
    return tuple(found)


def equals(images: np.ndarray, views: Sequence[View], solver: SplitLBI) -> dict[View, tuple[View, ...]]:
    """For each view of the path the filters that take away as much of images, in the order of `FILTERS`.

    Args:
        images: float32 [N, H, W, C], on which mean energies are measured.
        views: Of the path.
        solver: The flow.

    Raises:
        ValueError: No strength of a filter takes away that energy.
    """
    energies = [energy_taken(images, smoothed).mean() for smoothed in shown(images, views, solver)]
    return {
        view: tuple(View(matched_strength(kind, images, float(energy)), kind) for kind in FILTERS)
        for view, energy in zip(views, energies, strict=True)
    }
