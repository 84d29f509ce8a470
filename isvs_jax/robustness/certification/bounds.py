"""The statistics of randomized smoothing: bounds of a probability from counts, and the radii that follow.

All of it is computed on the host in float64 by SciPy. In float32 the bound of a class that won every draw is too high,
and so is its radius: a certificate must not be rounded upwards.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtrc, betaincinv, ndtri

from isvs_jax._checks import brief, check_integer, check_number

ABSTAINS = -1
"""The prediction where the draws decide nothing."""


def lower_bound(counts: np.ndarray, draws: np.ndarray | int, alpha: float) -> np.ndarray:
    """The one-sided Clopper-Pearson bound: the p that a class with so many of the draws has at least.

    It is the `alpha` quantile of Beta(k, n − k + 1), and 0 for k = 0. The chance that p is larger than the true
    probability is at most alpha.

    Args:
        counts: Integers k of any shape, 0 ≤ k ≤ n.
        draws: Integers n ≥ 1 that broadcast with them.
        alpha: The chance of error, in (0, 1).

    Returns:
        float64 of their shape, in [0, 1).

    Raises:
        ValueError: A count is not from 0 to its number of draws, or alpha is out of range.

    Example:
        >>> lower_bound(np.array([0, 99, 100]), 100, 0.001).round(4).tolist()
        [0.0, 0.9114, 0.9333]

    References:
        Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
        Biometrika 26 (1934).
    """
    alpha = check_number("alpha", alpha, "(0, 1)")
    counts, draws = np.broadcast_arrays(np.asarray(counts), np.asarray(draws))
    if not ((counts >= 0) & (counts <= draws)).all() or not (draws >= 1).all():
        raise ValueError(f"counts must be from 0 to their numbers of draws, at least 1; got {brief(counts)}.")
    some = np.maximum(counts, 1).astype(np.float64)
    return np.where(counts > 0, betaincinv(some, draws - some + 1, alpha), 0.0)


def certified_radius(
    counts: np.ndarray, draws: np.ndarray | int, *, sigma: float, alpha: float, weight: float = 1.0
) -> np.ndarray:
    """The L2 radius σ Φ⁻¹(p) within which a class with so many of the draws wins, 0 where nothing is certified.

    With a `weight` w it is σ Φ⁻¹(w p), the radius of the mixture (1 − w) g + w h of any g with the smoothed h whose
    draws were counted. Let g give all to another class j, and let h give j all that it does not give the class: the
    mixture still decides for the class where w h > 1 − w + w (1 − h). Both sides are means over Gaussian draws, so Φ⁻¹
    of each changes by at most ‖δ‖₂/σ, and with Φ⁻¹(1 − w p) = −Φ⁻¹(w p) the two meet at ‖δ‖₂ = σ Φ⁻¹(w p).

    Args:
        counts: Integers k of any shape.
        draws: Integers n ≥ 1 that broadcast with them.
        sigma: The standard deviation of the noise, on the scale of [0, 1].
        alpha: The chance that a radius is too large.
        weight: The share w of the smoothed classifier, in (0, 1]; with ½ or less nothing is certified.

    Returns:
        float64 of their shape, ≥ 0.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> certified_radius(np.array([50, 99, 100]), 100, sigma=0.5, alpha=0.001).round(4).tolist()
        [0.0, 0.6746, 0.7502]

    References:
        Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019.
        Bai, Anderson, Kim, Sojoudi, "Improving the accuracy-robustness trade-off of classifiers via adaptive
        smoothing", SIAM J. Math. Data Sci. 6 (2024).
    """
    sigma = check_number("sigma", sigma, "(0, inf)")
    weight = check_number("weight", weight, "(0, 1]")
    share = weight * lower_bound(counts, draws, alpha)
    return np.where(share > 0.5, sigma * ndtri(np.maximum(share, 0.5)), 0.0)


def soft_mixture_radius(shares: np.ndarray, *, sigma: float, weight: float) -> np.ndarray:
    """The L2 radius of the mixture (1 − w) g + w h, any g, where the shares of the smoothed h are known exactly.

    R = (σ/2) min_j [Φ⁻¹(w h_y) − Φ⁻¹(w h_j + 1 − w)], y the class with the largest share and j every other: it tells
    the runners-up apart, so it is never smaller than σ Φ⁻¹(w h_y), with h_y for p, where the shares sum to 1.

    Args:
        shares: float [..., K] in [0, 1], the mean of a classifier's probabilities over Gaussian noise. Estimates must
            be replaced by bounds: a lower one for the largest, upper ones for the others.
        sigma: The standard deviation of the noise, on the scale of [0, 1].
        weight: The share w of h, in (0, 1].

    Returns:
        float64 [...], 0 where nothing is certified.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> soft_mixture_radius(np.array([0.9, 0.06, 0.04]), sigma=0.5, weight=0.8).round(3).item()
        0.316
    """
    sigma = check_number("sigma", sigma, "(0, inf)")
    weight = check_number("weight", weight, "(0, 1]")
    values = np.sort(np.asarray(shares, np.float64), axis=-1)
    if values.ndim == 0 or values.shape[-1] < 2 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"shares must be [..., K] in [0, 1] with K at least 2; got {brief(shares)}.")
    least = ndtri(weight * values[..., -1]) - ndtri(weight * values[..., -2] + 1 - weight)
    # Two classes with no share at all, or with all of it, differ by no number.
    return sigma / 2 * np.maximum(np.nan_to_num(least, nan=0.0, posinf=np.inf), 0.0)


def implied_linf(radius: np.ndarray | float, image_shape: tuple[int, ...]) -> np.ndarray:
    """The L∞ radius that an L2 radius implies, r/√d with d numbers in an image: no larger cube fits into the ball.

    Example:
        >>> (255 * implied_linf(0.25, (32, 32, 3))).round(2).item()  # of 255 grey levels
        1.15
    """
    return np.asarray(radius, np.float64) / math.sqrt(math.prod(image_shape))


def leading_classes(votes: np.ndarray, alpha: float) -> np.ndarray:
    """The class that won, where a two-sided binomial test says that the two leading ones are not even.

    Args:
        votes: Integers [N, K], how often each class was drawn.
        alpha: The level of the test.

    Returns:
        int [N], `ABSTAINS` where the p-value is above alpha.

    Example:
        >>> leading_classes(np.array([[30, 2, 0], [18, 14, 0]]), 0.001).tolist()
        [0, -1]

    References:
        Hung, Fithian, "Rank verification for exponential families", Ann. Stat. 47 (2019).
    """
    order = np.argsort(-votes, axis=1, kind="stable")
    first, second = (np.take_along_axis(votes, order[:, [place]], axis=1)[:, 0] for place in (0, 1))
    both = np.maximum(first + second, 1)
    # At an even chance the two tails are alike, and where they meet the p-value is 1.
    p_value = np.minimum(2 * bdtrc(np.maximum(first, 1) - 1.0, both, 0.5), 1.0)
    return np.where((p_value <= alpha) & (first > 0), order[:, 0], ABSTAINS)


def check_draws(n: int, alpha: float, *, tested: bool = False) -> tuple[int, float]:
    """Refuse so few draws that no outcome decides anything.

    A class that wins all of n draws has p = α^(1/n), which must exceed ½; in the test its p-value 2·2⁻ⁿ must not exceed
    alpha.

    Args:
        n: The number of draws.
        alpha: The chance of error.
        tested: Whether the draws are for `leading_classes`.

    Returns:
        Both, checked.

    Raises:
        TypeError: One is no number of its kind.
        ValueError: One is out of range; the number of draws that would do is said.

    Example:
        >>> check_draws(9, 0.001)
        Traceback (most recent call last):
            ...
        ValueError: n must be at least 10 for alpha = 0.001, or every example abstains; got 9.
    """
    n, alpha = check_integer("n", n), check_number("alpha", alpha, "(0, 1)")
    needed = math.ceil(math.log2(2 / alpha)) if tested else math.floor(math.log2(1 / alpha)) + 1
    if n < needed:
        raise ValueError(f"n must be at least {needed} for alpha = {alpha:g}, or every example abstains; got {n}.")
    return n, alpha
