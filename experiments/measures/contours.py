"""What smoothing keeps: contours of the image, and noise."""

import numpy as np

from isvs_jax import Edges

STRONGEST = 0.1
"""Which share of its edges are the contours of an image."""


def differences(images: np.ndarray) -> Edges:
    """Forward differences in float64: [..., H, W-1, C] and [..., H-1, W, C]."""
    values = np.asarray(images, np.float64)
    return Edges(values[..., :, 1:, :] - values[..., :, :-1, :], values[..., 1:, :, :] - values[..., :-1, :, :])


def contours(images: np.ndarray, share: float = STRONGEST) -> Edges:
    """The strongest edges of each image, |Dx| being the norm across channels.

    Args:
        images: x, [N, H, W, C].
        share: Of all edges, in (0, 1].

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
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; it may be in (0, 1].")
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
        share: Of the edges that are contours.

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
