"""The strength at which a filter moves images as far as the path does: by residual energy."""

from collections.abc import Callable
from typing import Literal

import jax
import numpy as np

from isvs_jax._checks import ArrayLike, check_choice, check_number
from isvs_jax._images import as_image
from isvs_jax.filters.linear import gaussian_blur, low_pass, radii
from isvs_jax.filters.total_variation import rof

FilterKind = Literal["blur", "lowpass", "rof"]
FILTERS: dict[str, Callable[[jax.Array, float], jax.Array]] = {"blur": gaussian_blur, "lowpass": low_pass, "rof": rof}
"""The filters by their names: functions of images and a strength."""

# The search for a strength ends at this relative difference of energies.
_TOLERANCE = 1e-4
_LONGEST_SEARCH = 40


def matched_strength(kind: FilterKind, images: ArrayLike, energy: float) -> float:
    """Find the strength at which a filter removes a given energy: mean |x − filtered x|² over all pixels and channels.

    Filters of equal residual energy move the images equally far; what differs is what they remove. The search is a
    bisection, to one part in ten thousand of the energy. The energies of "lowpass" are finitely many: its strength is
    the cut-off of the nearest one, half-way between two frequencies.

    Args:
        kind: "blur", "lowpass" or "rof".
        images: float [..., H, W, C] in [0, 1], on which energies are measured.
        energy: The energy > 0 of the view to be matched.

    Returns:
        The sigma or weight with four digits, or the cut-off with six. More would differ from machine to machine, by
        the rounding of the images, and a run that is gone on with on another would look like one of other settings.

    Raises:
        TypeError: `images` is not of a floating dtype, or `energy` is no number.
        ValueError: No strength removes that energy, or an argument is out of range.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
        >>> taken = float(((images - gaussian_blur(images, 0.8)) ** 2).mean())
        >>> abs(matched_strength("blur", images, taken) - 0.8) < 1e-3
        True
    """
    check_choice("kind", kind, FILTERS)
    energy = check_number("energy", energy, "(0, inf)")
    images = as_image(images, "images", any_range=True)
    height, width = images.shape[-3:-1]

    def taken(strength: float) -> float:
        residual = np.asarray(images, np.float64) - np.asarray(FILTERS[kind](images, strength), np.float64)
        return float(np.mean(residual**2))

    if kind == "lowpass":
        return float(f"{_nearest_cutoff(taken, energy, height, width):.6g}")
    if kind == "blur":
        # From a kernel of one pixel to one so wide that it leaves the mean alone.
        strength = _bisected(taken, energy, kind, 0.1, 4.0 * max(height, width))
    else:
        # From no change to be seen to a weight that leaves the mean alone.
        strength = _bisected(taken, energy, kind, 1e-6, float(height * width))
    return float(f"{strength:.4g}")


def _bisected(taken: Callable[[float], float], energy: float, kind: str, low: float, high: float) -> float:
    """The strength in (low, high) at which the energy taken away, which grows with it, is the one given."""
    least, most = taken(low), taken(high)
    _check_reachable(energy, kind, least, most)
    for step in range(_LONGEST_SEARCH):
        # Energies are nearly powers of the strength: every other step interpolates between the logarithms.
        share = np.log(energy / least) / np.log(most / least) if step % 2 and least > 0 else 0.5
        middle = low ** (1 - share) * high**share
        found = taken(middle)
        if abs(found - energy) <= _TOLERANCE * energy:
            break
        if found < energy:
            low, least = middle, found
        else:
            high, most = middle, found
    return middle


def _nearest_cutoff(taken: Callable[[float], float], energy: float, height: int, width: int) -> float:
    """The cut-off, half-way between two frequencies, whose energy is the nearest to the one given."""
    radius = np.unique(radii(height, width).round(9))
    inside = np.append(radius[radius < 1], 1)
    cutoffs = (inside[1:] + inside[:-1]) / 2
    _check_reachable(energy, "lowpass", taken(cutoffs[-1]), taken(cutoffs[0]))
    # Energies fall along the cut-offs: `low` takes as much or more, `high` as much or less.
    low, high = 0, len(cutoffs) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(cutoffs[middle]) >= energy else (low, middle)
    return min((cutoffs[low], cutoffs[high]), key=lambda cutoff: abs(taken(cutoff) - energy))


def _check_reachable(energy: float, kind: str, least: float, most: float) -> None:
    if not least <= energy <= most:
        raise ValueError(
            f"energy must be between {least:.6g} and {most:.6g}, which {kind!r} removes from these images; "
            f"got {energy:.6g}."
        )
