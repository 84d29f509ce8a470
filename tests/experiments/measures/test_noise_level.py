"""The level of noise, and smoothing by it."""

import jax
import numpy as np
import pytest
from scipy import ndimage, stats

from experiments.measures.noise_level import noise_level, noise_level_defence


def ramp(size: int) -> np.ndarray:
    """A plane, [H, W, 3]."""
    rows, columns = np.meshgrid(np.linspace(0.2, 0.6, size), np.linspace(0, 0.2, size), indexing="ij")
    return np.repeat((rows + columns)[..., None], 3, -1).astype(np.float32)


def white(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.2])
def test_the_level_of_white_noise_is_found(sigma: float) -> None:
    noisy = ramp(128) + np.float32(sigma) * white(128, 128, 3)
    found = float(noise_level(noisy))
    # 48,000 values that share pixels, 36 weights each: a standard error below one per cent.
    assert found == pytest.approx(sigma, rel=0.03)
    # The same mask by SciPy, and the median in place of the mean.
    mask = np.outer([1, -2, 1], [1, -2, 1])[..., None]
    left = ndimage.convolve(np.asarray(noisy, np.float64), mask)[1:-1, 1:-1]
    assert found == pytest.approx(np.median(np.abs(left)) / stats.norm.ppf(0.75) / np.sqrt((mask**2).sum()), rel=0.04)


def test_planes_are_no_noise_and_more_noise_is_more() -> None:
    assert float(noise_level(ramp(16))) < 1e-6
    sigmas = np.float32([0.0, 0.02, 0.04, 0.2])[:, None, None, None]
    levels = np.asarray(noise_level(ramp(16) + sigmas * white(16, 16, 3)))
    assert levels.shape == (4,)
    # The filter is linear: what it leaves is in proportion to the noise.
    np.testing.assert_allclose(levels[1:] / levels[1], [1, 2, 10], rtol=1e-3)


def test_levels_are_of_each_image_alone() -> None:
    images = ramp(12) + np.float32(0.1) * white(2, 3, 12, 12, 3)
    np.testing.assert_allclose(noise_level(images), jax.jit(jax.vmap(jax.vmap(noise_level)))(images), rtol=1e-6)


def test_smoothing_leaves_clean_images_alone_and_takes_noise_away() -> None:
    defence = noise_level_defence([1.0, 2.0])
    noise = np.float32(0.3) * white(8, 8, 3)
    images = np.stack([ramp(8), ramp(8) + noise])
    clean, smoothed = np.asarray(jax.jit(defence.forward)(images))
    np.testing.assert_array_equal(clean, images[0])
    assert np.abs(smoothed - ramp(8)).mean() < 0.6 * np.abs(noise).mean()


def test_each_image_of_a_batch_has_its_own_time_and_jit_gives_the_same() -> None:
    defence = noise_level_defence([1.0, 2.0])
    sigmas = np.float32([0.0, 0.1, 0.25, 0.5])[:, None, None, None]
    images = ramp(8) + sigmas * white(4, 8, 8, 3)
    compiled = jax.jit(defence.forward)
    together = defence.forward(images)
    assert together.dtype == images.dtype
    for alone in (
        np.concatenate([compiled(image[None]) for image in images]),
        compiled(images),
        np.asarray(compiled(images[::-1]))[::-1],
    ):
        np.testing.assert_allclose(together, alone, atol=2e-5)


@pytest.mark.parametrize("times", [[], [0.0, 1.0], [2.0, 1.0], [1.0, 1.0]])
def test_times_that_cannot_be_are_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match="times must be one or more increasing finite numbers > 0"):
        noise_level_defence(times)
