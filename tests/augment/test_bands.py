"""Bands: differences of the images of the path, or of SciPy's Gaussian blurs, that sum to the image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from isvs_jax import SplitLBI, smooth
from isvs_jax.augment import blur_bands, matched_sigmas, path_bands

TIMES = (0.5, 1.0, 2.0)
SIGMAS = (2.0, 1.0, 0.5)
SOLVER = SplitLBI(kappa=1.0)


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(0), (3, 9, 7, 2))


def differences(levels, images):
    ends = np.concatenate([levels, images[None]]).astype(np.float64)
    return np.concatenate([ends[:1], np.diff(ends, axis=0)])


def test_bands_of_the_path_are_what_enters_between_two_times(strict, images) -> None:
    bands = np.asarray(path_bands(images, TIMES, SOLVER))
    levels = np.stack([smooth(images, time, SOLVER) for time in TIMES])
    np.testing.assert_allclose(bands, differences(levels, images), atol=5e-6)
    np.testing.assert_allclose(bands.sum(0), images, atol=1e-6)
    # The first has the mean of each channel, the others none.
    means = bands.mean((2, 3))
    np.testing.assert_allclose(means[0], images.mean((1, 2)), atol=1e-5)
    np.testing.assert_allclose(means[1:], 0, atol=1e-5)
    jitted = jax.jit(lambda images: path_bands(images, TIMES, SOLVER))
    np.testing.assert_allclose(jitted(images), bands, atol=5e-6)
    np.testing.assert_allclose(jax.vmap(jitted, out_axes=1)(images), bands, atol=5e-6)
    # What is added to a band is taken from another.
    weights = np.arange(4, dtype=np.float32).reshape(-1, 1, 1, 1, 1)
    slope = jax.jit(jax.grad(lambda images: (jitted(images) * weights).sum()))(images)
    assert np.isfinite(slope).all()
    assert jax.eval_shape(jitted, images.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_gaussian_bands_are_differences_of_the_blurs_of_scipy(strict, images) -> None:
    bands = blur_bands(images, SIGMAS)
    blurred = [ndimage.gaussian_filter(np.asarray(images, np.float64), (0, s, s, 0), mode="reflect") for s in SIGMAS]
    np.testing.assert_allclose(bands, differences(np.stack(blurred), images), atol=1e-6)
    np.testing.assert_allclose(bands.sum(0), images, atol=1e-6)


def test_matched_widths_move_the_images_as_far(images) -> None:
    sigmas = matched_sigmas(images, TIMES, SOLVER)
    for sigma, time in zip(sigmas, TIMES, strict=True):
        blurred = ndimage.gaussian_filter(np.asarray(images, np.float64), (0, sigma, sigma, 0), mode="reflect")
        energy = np.mean((np.asarray(smooth(images, time, SOLVER), np.float64) - images) ** 2)
        np.testing.assert_allclose(np.mean((blurred - images) ** 2), energy, rtol=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: path_bands(np.zeros((2, 4, 4), np.uint8), TIMES), TypeError, "images must .*; got dtype uint8"),
        (lambda: path_bands(np.zeros((4, 4, 1), np.float32), (2.0, 1.0)), ValueError, "times must be strictly incr"),
        (lambda: blur_bands(np.zeros((4, 4, 1), np.float32), (1.0, 1.0)), ValueError, "sigmas must be strictly fall"),
        (lambda: blur_bands(np.zeros((4, 4, 1), np.float32), ()), ValueError, r"sigmas must be one or more .*; got \("),
        (
            lambda: blur_bands(np.zeros((4, 4, 1), np.float32), (0.0,)),
            ValueError,
            "each of sigmas must be a finite num",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        call()
