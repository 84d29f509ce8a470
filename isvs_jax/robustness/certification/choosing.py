"""Denoised smoothing: where along the path noisy images are classified best, and filters that move them as far."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_integer, check_key, check_names, check_number
from isvs_jax.augment.views import View
from isvs_jax.filters.matching import FILTERS, FilterKind, matched_strength
from isvs_jax.robustness._inputs import check_images, check_labels
from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.certification.sampler import make_sampler
from isvs_jax.robustness.certification.tally import Tally, vote
from isvs_jax.robustness.defences import Defence, smoothing_defence, view_defence
from isvs_jax.solver.split_lbi import SplitLBI

TIMES_SIGMA = (0.4, 0.57, 0.8, 1.13, 1.6)
"""The products t·σ that are tried: noise of deviation σ enters the path at times in proportion to 1/σ."""


class SmoothingChoice(NamedTuple):
    """Where along the path noisy images are classified best.

    Attributes:
        defence: The smoothing.
        time: Its time t.
        kappa: Its κ.
        tried: The share of noisy images that were classified right, by the time and κ that were tried.
        without: The share without smoothing.
    """

    defence: Defence
    time: float
    kappa: float
    tried: dict[tuple[float, float], float]
    without: float


def choose_smoothing(
    logits_fn: LogitsFn,
    images: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    sigma: float,
    times_sigma: Sequence[float] = TIMES_SIGMA,
    kappas: Sequence[float] = (1.0,),
    solver: SplitLBI = SplitLBI(),
    draws: int = 8,
    batch_size: int | None = None,
) -> SmoothingChoice:
    """Choose the time and κ of the path for noise of deviation σ, on images that are not certified afterwards.

    The path with κs and t/s of an image times s is s times the path: to noise of another deviation belongs a time in
    proportion to 1/σ. The times c/σ are tried, with every κ, on the same noise; the one with the largest share of right
    answers is taken, the earlier one of two.

    Args:
        logits_fn: The network, a function from images [B, H, W, C] to logits [B, K].
        images: Floats [N, H, W, C] in [0, 1], held out: neither trained on nor certified.
        labels: Integers [N].
        key: A PRNG key.
        sigma: The standard deviation of the noise on the scale of [0, 1].
        times_sigma: The products c = t·σ.
        kappas: The values of κ.
        solver: The path, but for its κ.
        draws: How many noisy versions of an image are shown.
        batch_size: The noisy images on the devices at a time.

    Returns:
        The choice, with what was tried.

    Raises:
        TypeError: An argument is of another kind.
        ValueError: Nothing is to be tried, or an argument is out of range.

    Example:
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> images, labels = jnp.full((2, 4, 4, 1), 0.6), np.array([0, 0])
        >>> key = jax.random.key(0)
        >>> choose_smoothing(logits_fn, images, labels, key, sigma=0.25, times_sigma=(0.5,)).time
        2.0
    """
    sigma = check_number("sigma", sigma, "(0, inf)")
    draws = check_integer("draws", draws)
    products = [check_number("each of times_sigma", value, "(0, inf)") for value in times_sigma]
    strengths = [check_number("each of kappas", value, "(0, inf)") for value in kappas]
    for name, values in (("times_sigma", products), ("kappas", strengths)):
        if not values:
            raise ValueError(f"{name} must hold at least one number; got none.")

    def right(defence: Defence | None) -> float:
        work, num_classes = make_sampler(logits_fn, images, key, sigma, defence, batch_size, None, (draws,))
        true = np.asarray(check_labels(labels, len(work.images), num_classes))
        tally = Tally.empty(len(true), num_classes)
        vote(work, key, draws, tally, lambda count: None)
        return float(tally.votes[np.arange(len(true)), true].mean() / draws)

    def smoothing(time: float, kappa: float) -> Defence:
        return smoothing_defence(time, dataclasses.replace(solver, kappa=kappa))

    without = right(None)
    candidates = [(float(f"{c / sigma:.6g}"), kappa) for kappa in strengths for c in sorted(products)]
    tried = {candidate: right(smoothing(*candidate)) for candidate in candidates}
    time, kappa = max(tried, key=lambda candidate: tried[candidate])
    return SmoothingChoice(smoothing(time, kappa), time, kappa, tried, without)


def matched_filters(
    defence: Defence,
    images: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    sigma: float,
    kinds: Iterable[str] = ("blur", "rof"),
) -> dict[str, Defence]:
    """Filters that take as much energy of noisy images away as a defence does: what it is compared with.

    Args:
        defence: The defence, of the path for example.
        images: Floats [N, H, W, C] in [0, 1], held out.
        key: A PRNG key.
        sigma: The standard deviation of the noise on the scale of [0, 1].
        kinds: Names of filters, "blur", "lowpass" or "rof".

    Returns:
        A defence for each kind, whose description names the strength that was found.

    Raises:
        TypeError: An argument is of another kind.
        ValueError: There is no such filter, or none of its strengths takes as much away.

    Example:
        >>> images = jnp.full((2, 8, 8, 1), 0.5)
        >>> found = matched_filters(view_defence(View.parse("blur:0.7")), images, jax.random.key(0), sigma=0.1)
        >>> found["blur"].description.startswith("filter, blur:0.7")
        True
    """
    sigma = check_number("sigma", sigma, "(0, inf)")
    names = check_names("kinds", tuple(kinds), FILTERS)
    clean = check_images(images)
    noisy = clean + sigma * jax.random.normal(check_key(key), clean.shape, clean.dtype)
    energy = float(jnp.mean((noisy - defence.forward(noisy)) ** 2))
    found = {}
    for kind in names:
        filtered = cast(FilterKind, kind)
        found[kind] = view_defence(View(matched_strength(filtered, noisy, energy), filtered))
    return found
