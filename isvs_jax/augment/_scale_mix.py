"""Bands of images with random gains: an equaliser from the large-scale features of an image to its finest detail."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, brief, check_choice, check_number, example_keys
from isvs_jax._images import as_batch, compute_dtype
from isvs_jax.augment.bands import between, blur_bands, check_sigmas
from isvs_jax.augment.groups import in_groups
from isvs_jax.augment.views import check_strengths, with_numbers
from isvs_jax.solver._scale_space import scale_space
from isvs_jax.solver.split_lbi import SplitLBI

Bands = Literal["path", "blur", "either"]
# A batch of which a part is followed is divided into so many groups.
_GROUPS = 8


class _Ranges(NamedTuple):
    """What is drawn, hashable: the arguments of `scale_mix` of the same names; the probabilities last."""

    gain: float
    coarse: tuple[float, float]
    contrast: tuple[float, float]
    noise: float
    gain_probability: float
    coarse_probability: float
    contrast_probability: float
    cut_probability: float
    noise_probability: float


class _Drawn(NamedTuple):
    """What was drawn for each example.

    Attributes:
        weights: The factors of its bands, float32 [B, K + 1].
        contrast: The factor of all of them, float32 [B].
        noise: Its noise, float32 [B, H, W, C].
        is_banded: Whether its bands are weighted differently, bool [B].
        is_path: Whether its bands are those of the path, bool [B].
    """

    weights: jax.Array
    contrast: jax.Array
    noise: jax.Array
    is_banded: jax.Array
    is_path: jax.Array


def scale_mix(
    key: ArrayLike,
    images: ArrayLike,
    *,
    times: Sequence[float] = (1.0, 2.0, 4.0, 8.0),
    solver: SplitLBI = SplitLBI(),
    bands: Bands = "path",
    sigmas: Sequence[float] = (2.65, 1.56, 0.96, 0.66),
    gain: float = 0.5,
    coarse: tuple[float, float] = (0.5, 1.2),
    contrast: tuple[float, float] = (0.3, 1.2),
    noise: float = 0.1,
    gain_probability: float = 1.0,
    coarse_probability: float = 1.0,
    contrast_probability: float = 1.0,
    cut_probability: float = 0.5,
    noise_probability: float = 1.0,
) -> jax.Array:
    """Weight the bands of every image at random: its coarsest one, its details, its contrast; and add noise.

    With m the mean of each channel and x = b₀ + b₁ + ... + b_K the bands of `path_bands` or `blur_bands`, the result is
    m + G·[g₀(b₀ − m) + g₁b₁ + ... + g_K b_K] + noise, clipped to [0, 1]. The contrasts G and g₀ are uniform, the
    logarithms of the gains g₁, ..., g_K Gaussian. A cut draws one of the bands but the finest, each as likely as the
    others, and drops all finer ones. Each part is drawn with its probability, and 1, or nothing, where it is not.

    All is drawn for each example: what becomes of it depends on its own key and pixels alone, not on its batch. Only
    those examples are followed along their paths whose bands are those of the path and weighted differently, each once
    and to the last time.

    Args:
        key: A PRNG key for each example, [B], or one, of which they are split off; others for every batch.
        images: float [B, H, W, C] in [0, 1].
        times: The K times between the bands of the path, positive and strictly increasing (static).
        solver: The flow and how it is integrated; kappa and nu may not be traced.
        bands: Whose bands: "path", "blur" (Gaussian bands, the control), or "either", one of the two for each example
            with equal chances.
        sigmas: The standard deviations in pixels between the Gaussian bands, strictly falling (static); for "either" as
            many as times. The default has the residual energies of the default times on images of 32 × 32 pixels; for
            others see `matched_sigmas`.
        gain: The standard deviation of the logarithms of the gains, ≥ 0: 0.5 is a factor of 1.65 (static).
        coarse: The range of g₀, the contrast of the coarsest band, two factors ≥ 0 (static).
        contrast: The range of G, the contrast of the whole image, two factors ≥ 0 (static).
        noise: The largest standard deviation of Gaussian noise on the scale of [0, 1]; that of each example is uniform
            in [0, noise] (static).
        gain_probability: The probability of the gains of an example, in [0, 1]; so the next ones (static).
        coarse_probability: Of the contrast of its coarsest band.
        contrast_probability: Of its contrast.
        cut_probability: Of its cut.
        noise_probability: Of its noise.

    Returns:
        Images of the same shape and dtype, in [0, 1], differentiable. An image with a NaN is NaN, and changes no other.

    Raises:
        TypeError: `key` is no PRNG key, `images` is not of a floating dtype, or a number is none.
        ValueError: A shape, a range or a choice does not fit.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 3))
        >>> mixed = scale_mix(jax.random.key(1), images, bands="blur")
        >>> mixed.shape, bool((mixed >= 0).all() & (mixed <= 1).all())
        ((4, 8, 8, 3), True)
    """
    images = as_batch(images)
    keys = example_keys(key, len(images))
    check_choice("bands", bands, get_args(Bands))
    moments, widths = check_strengths("times", times, "time"), check_sigmas(sigmas)
    if any(late <= early for early, late in pairwise(moments)):
        raise ValueError(f"times must be strictly increasing; got {moments}.")
    if bands == "either" and len(moments) != len(widths):
        raise ValueError(f"sigmas must be as many as times, {len(moments)}, for bands 'either'; got {widths}.")
    ranges = _Ranges(
        check_number("gain", gain, "[0, inf)", unit="standard deviation"),
        _checked_range("coarse", coarse),
        _checked_range("contrast", contrast),
        check_number("noise", noise, "[0, inf)", unit="standard deviation"),
        check_number("gain_probability", gain_probability, "[0, 1]", unit="probability"),
        check_number("coarse_probability", coarse_probability, "[0, 1]", unit="probability"),
        check_number("contrast_probability", contrast_probability, "[0, 1]", unit="probability"),
        check_number("cut_probability", cut_probability, "[0, 1]", unit="probability"),
        check_number("noise_probability", noise_probability, "[0, 1]", unit="probability"),
    )
    return _scale_mix(keys, images, moments, with_numbers(solver), bands, widths, ranges)


@partial(jax.jit, static_argnames=("times", "solver", "bands", "sigmas", "ranges"))
def _scale_mix(
    keys: jax.Array,
    images: jax.Array,
    times: tuple[float, ...],
    solver: SplitLBI,
    bands: Bands,
    sigmas: tuple[float, ...],
    ranges: _Ranges,
) -> jax.Array:
    drawn = jax.vmap(
        partial(
            _draw,
            shape=images.shape[1:],
            num_details=len(sigmas) if bands == "blur" else len(times),
            bands=bands,
            ranges=ranges,
        )
    )(keys)
    values = images.astype(compute_dtype(images.dtype))
    mean = values.mean((1, 2), keepdims=True)
    detail = values - mean if bands == "path" else _weighted(blur_bands(values, sigmas), mean, drawn.weights)
    if bands != "blur":
        detail = _along_paths(values, mean, drawn, detail, times, solver, share=_followed_share(bands, ranges))
    mixed = mean + drawn.contrast.astype(values.dtype)[:, None, None, None] * detail + drawn.noise.astype(values.dtype)
    return jnp.clip(mixed, 0, 1).astype(images.dtype)


def _draw(key: jax.Array, shape: tuple[int, ...], num_details: int, bands: Bands, ranges: _Ranges) -> _Drawn:
    # All at once, Gaussian, the first made uniform by their distribution: compiles faster than draws one by one.
    numbers = jax.random.normal(key, (12 + num_details + prod(shape),), jnp.float32)
    chances, (coarse, contrast, cut, level, _, _) = jax.scipy.special.ndtr(numbers[:12]).reshape(2, 6)
    logarithms, noise = numbers[12 : 12 + num_details], numbers[12 + num_details :].reshape(shape)
    has_gain, has_coarse, has_contrast, has_cut, has_noise = chances[:5] <= jnp.array(ranges[4:], jnp.float32)
    gains = jnp.exp(jnp.where(has_gain, ranges.gain, 0.0) * logarithms)
    # The uniform number may have been rounded to 1.
    kept = jnp.where(has_cut, jnp.minimum((num_details * cut).astype(jnp.int32), num_details - 1), num_details)
    details = jnp.where(jnp.arange(num_details) < kept, gains, 0)
    return _Drawn(
        jnp.append(jnp.where(has_coarse, _within(ranges.coarse, coarse), 1), details),
        jnp.where(has_contrast, _within(ranges.contrast, contrast), 1),
        jnp.where(has_noise, ranges.noise * level, 0) * noise,
        has_gain | has_coarse | has_cut,
        (chances[5] < 0.5) | (bands == "path"),
    )


def _along_paths(
    values: jax.Array,
    mean: jax.Array,
    drawn: _Drawn,
    others: jax.Array,
    times: tuple[float, ...],
    solver: SplitLBI,
    share: float,
) -> jax.Array:
    """The weighted bands of those whose bands are the path's; of the others what is given."""

    def followed(values: jax.Array, mean: jax.Array, weights: jax.Array) -> jax.Array:
        return _weighted(between(scale_space(values, times, solver).dense, values), mean, weights)

    everyone = (values, mean, drawn.weights)
    if share == 1:
        return followed(*everyone)
    if share == 0:
        return others

    def of_group(examples: jax.Array) -> jax.Array:
        return followed(*(array[examples] for array in everyone))

    kinds = (drawn.is_path & drawn.is_banded).astype(jnp.int32)
    return in_groups([of_group], kinds, others, -(-len(values) // _GROUPS))


def _followed_share(bands: Bands, ranges: _Ranges) -> float:
    """The share of examples that is expected to be followed."""
    plain = (1 - ranges.gain_probability) * (1 - ranges.coarse_probability) * (1 - ranges.cut_probability)
    return (1 - plain) * (0.5 if bands == "either" else 1)


def _weighted(bands: jax.Array, mean: jax.Array, weights: jax.Array) -> jax.Array:
    """Σ gₖbₖ with the mean taken off the coarsest band: of bands [K + 1, B, ...] and weights [B, K + 1]."""
    centred = bands.at[0].add(-mean)
    factors = jnp.moveaxis(weights, 0, 1).astype(bands.dtype)
    return (factors[..., None, None, None] * centred).sum(0)


def _within(ends: tuple[float, float], share: jax.Array) -> jax.Array:
    return ends[0] + (ends[1] - ends[0]) * share


def _checked_range(name: str, ends: tuple[float, float]) -> tuple[float, float]:
    what = f"{name} must be two factors, the least and the most"
    if not isinstance(ends, (tuple, list)) or len(ends) != 2:
        raise ValueError(f"{what}; got {brief(ends)}.")
    least, most = (check_number(f"each of {name}", end, "[0, inf)", unit="factor") for end in ends)
    if least > most:
        raise ValueError(f"{what}; got {brief(ends)}.")
    return least, most
