"""Weather corruptions against NumPy, SciPy and scikit-image, given the same random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import skimage.color

from isvs_jax.robustness import corrupt
from isvs_jax.robustness.corruptions import weather
from isvs_jax.robustness.corruptions._operators import motion, motion_weights
from isvs_jax.robustness.corruptions._tables import table_rows
from isvs_jax.robustness.corruptions.weather import PHOTOGRAPHS, texture


@pytest.mark.parametrize("severity", range(1, 6))
def test_brightness(severity, grey_levels, images, key):
    output = corrupt(images, "brightness", severity, key, table=224)
    hsv = skimage.color.rgb2hsv(grey_levels / 255.0)
    hsv[..., 2] = np.clip(hsv[..., 2] + table_rows("brightness", 224)[severity - 1, 0], 0, 1)
    np.testing.assert_allclose(output, skimage.color.hsv2rgb(hsv), atol=2e-6)


def diamond_square(uniform: np.ndarray, size: int, decay: float) -> np.ndarray:
    """The plasma fractal on a full grid with strides, reading the uniform numbers level by level."""
    plane, step, wibble, used = np.zeros((size, size)), size, 100.0, 0
    while step >= 2:
        half, count = step // 2, (size // step) ** 2
        noise = wibble**2 * uniform[used : used + 3 * count].reshape(3, size // step, size // step)
        used += 3 * count
        corner = plane[::step, ::step]
        centre = corner + np.roll(corner, -1, 0) + np.roll(corner, -1, 1) + np.roll(corner, (-1, -1), (0, 1))
        plane[half::step, half::step] = centre / 4 + noise[0]
        centre = plane[half::step, half::step]
        across = centre + np.roll(centre, 1, 0) + corner + np.roll(corner, -1, 1)
        down = centre + np.roll(centre, 1, 1) + corner + np.roll(corner, -1, 0)
        plane[::step, half::step] = across / 4 + noise[1]
        plane[half::step, ::step] = down / 4 + noise[2]
        step, wibble = half, wibble / decay
    plane -= plane.min()
    return plane / plane.max()


@pytest.mark.parametrize("decay", [1.4, 3.0])
def test_plasma(decay, key):
    uniform = np.asarray(jax.random.uniform(key, (64 * 64 - 1,), minval=-1.0), np.float64)
    output = jax.jit(weather.plasma, static_argnums=1)(key, 64, jnp.float32(decay))
    np.testing.assert_allclose(output, diamond_square(uniform, 64, decay), atol=1e-5)


def test_fog(grey_levels, images, key):
    keys = jax.random.split(key, 3)
    weight, decay = table_rows("fog", 64)[3]
    run = jax.jit(lambda level: weather.fog(images, keys, level, table_rows("fog", 64)))
    output = run(jnp.int32(3))
    for level, image_key, foggy in zip(grey_levels / 255.0, keys, output, strict=True):
        uniform = np.asarray(jax.random.uniform(image_key, (64 * 64 - 1,), minval=-1.0), np.float64)
        mist = diamond_square(uniform, 64, decay)[:32, :40, None]
        expected = (level + weight * mist) * level.max() / (level.max() + weight)
        np.testing.assert_allclose(foggy, expected, atol=1e-5)


def test_snow(grey_levels, key):
    # Square, as the original's crop takes the height for both sides.
    levels = grey_levels[:, :, :32] / 255.0
    keys = jax.random.split(key, 3)
    table = table_rows("snow", 32)
    mean, deviation, zoom, threshold, _, _, share = table[3]
    weights, counts = motion_weights(table[:, 4:6])
    run = jax.jit(lambda level: weather.snow(jnp.asarray(levels, jnp.float32), keys, level, table))
    output = run(jnp.int32(3))
    for level, image_key, snowy in zip(levels, keys, output, strict=True):
        layer_key, angle_key = jax.random.split(image_key)
        layer = mean + deviation * np.asarray(jax.random.normal(layer_key, (32, 32, 1)), np.float64)[..., 0]
        cropped = int(np.ceil(32 / zoom))
        first = (32 - cropped) // 2
        layer = scipy.ndimage.zoom(layer[first : first + cropped, first : first + cropped], zoom, order=1)
        trim = (len(layer) - 32) // 2
        layer = layer[trim : trim + 32, trim : trim + 32]
        layer = np.clip(np.where(layer < threshold, 0, layer), 0, 1)
        angle = jax.random.uniform(angle_key, (), minval=-135.0, maxval=-45.0)
        layer = jax.jit(motion)(
            jnp.asarray(layer, jnp.float32)[None, ..., None],
            angle[None],
            jnp.asarray(weights[3], jnp.float32),
            jnp.int32(counts[3]),
        )[0]
        grey = (level @ [0.299, 0.587, 0.114])[..., None]
        expected = share * level + (1 - share) * np.maximum(level, 1.5 * grey + 0.5)
        expected = expected + layer + np.rot90(layer, 2)
        np.testing.assert_allclose(snowy, expected, atol=1e-5)


def test_frost_has_the_statistics_of_the_photographs(key):
    black = jnp.zeros((400, 32, 32, 3))
    # At the first severity the image has weight 1 and the frost 0.2.
    frost = np.asarray(corrupt(black, "frost", 1, key, table=32)) / 0.2
    rows = np.unique(PHOTOGRAPHS, axis=0) / 255
    kinds = np.abs(frost.std((1, 2)).mean(-1)[:, None] - rows[:, 3]).argmin(1)
    shares = np.bincount(kinds, minlength=4) / len(frost)
    # One of the four kinds stands for two of the five photographs; 400 images.
    np.testing.assert_allclose(np.sort(shares), [0.2, 0.2, 0.2, 0.4], atol=4 * np.sqrt(0.24 / 400))
    for kind, row in enumerate(rows):
        chosen = frost[kinds == kind]
        # The mean of an image drifts by row[4], and clipping moves the mean and takes of the contrast.
        error = 4 * row[4] / np.sqrt(len(chosen)) + 0.5 / 255
        np.testing.assert_allclose(chosen.mean((0, 1, 2)), row[:3], atol=error)
        np.testing.assert_allclose(chosen.std((1, 2)).mean(), row[3], rtol=0.1)


def test_frost_spectrum_decays_as_said(key):
    exponents = jnp.repeat(jnp.array([2.4, 1.2]), 32)
    planes = np.asarray(jax.jit(texture, static_argnums=(1, 2))(jax.random.split(key, 64), 64, 64, exponents))[..., 0]
    np.testing.assert_allclose(planes.mean((1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(planes.std((1, 2)), 1, atol=1e-4)
    window = np.outer(np.hanning(64), np.hanning(64))
    power = np.abs(np.fft.fft2(planes * window)) ** 2
    wave = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    low, high = (wave > 0.04) & (wave < 0.08), (wave > 0.16) & (wave < 0.32)
    for exponent, part in zip((2.4, 1.2), (power[:32], power[32:]), strict=True):
        decay = -np.log(part[:, high].mean() / part[:, low].mean()) / np.log(4)
        assert 0.65 * exponent < decay < 1.05 * exponent
