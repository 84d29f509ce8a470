"""What smoothing keeps of the contours of images and of noise in them, and filters of equal residual energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import jax.numpy as jnp
import numpy as np

from isvs_jax import Edges, SplitLBI
from isvs_jax._checks import check_number
from isvs_jax.augment import View, show_views
from isvs_jax.filters import matched_strength
from isvs_jax.filters.matching import FilterKind

STRONGEST = 0.1
"""Which share of its edges are the contours of an image."""

FILTERS: tuple[FilterKind, ...] = get_args(FilterKind)
"""The filters that the path is compared with."""


@dataclass(frozen=True)
class Kept:
    """What a view keeps, a value an image: float64 [N].

    Attributes:
        view: The view.
        energy: What the view takes away of the clean image, the mean square.
        noisy_energy: What it takes away of the noisy image.
        contour_error: The contour error of the clean image, smoothed.
        noisy_contour_error: The contour error of the noisy image, smoothed, against the clean one.
        noise_left: ‖F(x + n) − F(x)‖²/‖n‖².
        psnr: The ratio of the smoothed noisy image to the clean one, in dB.
    """

    view: View
    energy: np.ndarray
    noisy_energy: np.ndarray
    contour_error: np.ndarray
    noisy_contour_error: np.ndarray
    noise_left: np.ndarray
    psnr: np.ndarray


def differences(images: np.ndarray) -> Edges:
    """Forward differences in float64: [..., H, W-1, C] and [..., H-1, W, C]."""
    values = np.asarray(images, np.float64)
    return Edges(values[..., :, 1:, :] - values[..., :, :-1, :], values[..., 1:, :, :] - values[..., :-1, :, :])


def contours(images: np.ndarray, share: float = STRONGEST) -> Edges:
    """The strongest edges of each image, |Dx| being the norm across channels.

    Args:
        images: x, [N, H, W, C].
        share: The share of all edges that are contours, in (0, 1].

    Returns:
        bool [N, H, W-1, 1] and [N, H-1, W, 1]; edges as strong as the weakest of them are among them, edges of
        strength 0 never.

    Raises:
        ValueError: `share` is not in (0, 1].

    Example:
        >>> step = np.repeat([0.0, 1.0], 4).reshape(1, 1, 8, 1)
        >>> contours(step).horizontal[0, 0, :, 0].nonzero()[0].tolist()
        [3]
    """
    check_number("share", share, "(0, 1]")
    strengths = Edges(*(np.linalg.norm(field, axis=-1, keepdims=True) for field in differences(images)))
    every = np.concatenate([field.reshape(len(field), -1) for field in strengths], axis=1)
    count = max(1, round(share * every.shape[1]))
    weakest = np.sort(every, axis=1)[:, -count][:, None, None, None]
    return Edges(*((field >= weakest) & (field > 0) for field in strengths))


def contour_error(images: np.ndarray, smoothed: np.ndarray, share: float = STRONGEST) -> np.ndarray:
    """‖Du − Dx‖/‖Dx‖ over the contours of x: 0 where they are kept as they are, 1 where nothing is left of them.

    Args:
        images: x, without noise, [N, H, W, C].
        smoothed: u, the same shape.
        share: The share of all edges that are contours.

    Returns:
        float64 [N]; 0 for a flat image, which has none.
    """
    at = contours(images, share)
    wanted, found = differences(images), differences(smoothed)

    def energy(fields: Edges) -> np.ndarray:
        return sum(np.sum(np.where(where, field, 0) ** 2, (1, 2, 3)) for where, field in zip(at, fields, strict=True))

    total = energy(wanted)
    off = energy(Edges(*(one - other for one, other in zip(found, wanted, strict=True))))
    return np.sqrt(off / np.where(total > 0, total, 1))


def noise_left(smoothed: np.ndarray, smoothed_noisy: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """‖F(x + n) − F(x)‖²/‖n‖²: the share of the energy of noise that smoothing lets through.

    Args:
        smoothed: F(x), [N, H, W, C].
        smoothed_noisy: F(x + n).
        noise: n.

    Returns:
        float64 [N]; 1 for the identity.
    """
    through = np.asarray(smoothed_noisy, np.float64) - smoothed
    return np.sum(through**2, (1, 2, 3)) / np.sum(np.asarray(noise, np.float64) ** 2, (1, 2, 3))


def psnr(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of images [N, H, W, C], the peak at 1: float64 [N]."""
    return -10 * np.log10(np.mean((np.asarray(images, np.float64) - clean) ** 2, axis=(1, 2, 3)))


def energy_taken(images: np.ndarray, smoothed: np.ndarray) -> np.ndarray:
    """What smoothing takes away, the mean of (x − u)² over pixels and channels: float64 [N]."""
    return np.mean((np.asarray(images, np.float64) - smoothed) ** 2, axis=(1, 2, 3))


def shown(images: np.ndarray, views: Sequence[View], solver: SplitLBI) -> np.ndarray:
    """`show_views` as NumPy: float32 [V, N, H, W, C]."""
    return np.asarray(show_views(jnp.asarray(images), tuple(views), solver))


def kept(images: np.ndarray, noise: np.ndarray, views: Sequence[View], solver: SplitLBI) -> tuple[Kept, ...]:
    """What views keep of images without and with noise.

    Args:
        images: x, float32 [N, H, W, C] in [0, 1].
        noise: n, the same shape; x + n is not clipped.
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
        views: Views of the path.
        solver: The flow.

    Raises:
        ValueError: No strength of a filter takes away that energy.
    """
    energies = [energy_taken(images, smoothed).mean() for smoothed in shown(images, views, solver)]
    return {
        view: tuple(View(matched_strength(kind, images, float(energy)), kind) for kind in FILTERS)
        for view, energy in zip(views, energies, strict=True)
    }
