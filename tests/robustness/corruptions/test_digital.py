"""Contrast, saturation, elastic transform, pixelation and JPEG against NumPy, SciPy, scikit-image and Pillow."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import skimage.color
import skimage.filters

from isvs_jax.robustness import corrupt
from isvs_jax.robustness.corruptions import digital
from isvs_jax.robustness.corruptions._tables import table_rows
from isvs_jax.robustness.corruptions.jpeg import code, quantisation_tables

Image = pytest.importorskip("PIL.Image", reason="Pillow is the reference of JPEG and pixelation")
SEVERITIES = range(1, 6)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast(severity, grey_levels, images, key):
    output = corrupt(images, "contrast", severity, key, table=224)
    levels = grey_levels / 255.0
    means = levels.mean((1, 2), keepdims=True)
    factor = table_rows("contrast", 224)[severity - 1, 0]
    np.testing.assert_allclose(output, (levels - means) * factor + means, atol=1e-6)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_saturate(severity, grey_levels, images, key):
    output = corrupt(images, "saturate", severity, key, table=224)
    factor, offset = table_rows("saturate", 224)[severity - 1]
    hsv = skimage.color.rgb2hsv(grey_levels / 255.0)
    hsv[..., 1] = np.clip(hsv[..., 1] * factor + offset, 0, 1)
    # A saturation is multiplied by up to 20, and float32 has it to 1e-7.
    np.testing.assert_allclose(output, skimage.color.hsv2rgb(hsv), atol=1e-5)


@pytest.mark.parametrize("table", [32, 224])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate(severity, table, grey_levels, images, key):
    share = table_rows("pixelate", table)[severity - 1, 0]
    expected = []
    for level in grey_levels:
        image = Image.fromarray(level).resize((int(40 * share), int(32 * share)), Image.Resampling.BOX)
        expected.append(np.asarray(image.resize((40, 32), Image.Resampling.BOX)))
    rounded = corrupt(images, "pixelate", severity, key, table=table, quantize=True)
    np.testing.assert_array_equal(np.round(255 * np.asarray(rounded)), np.stack(expected))
    # Pillow rounds after the rows and again after the columns: half a level each.
    exact = corrupt(images, "pixelate", severity, key, table=table)
    np.testing.assert_allclose(255 * np.asarray(exact), np.stack(expected), atol=1.001)


def pillow_jpeg(level: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(level.squeeze(-1) if level.shape[-1] == 1 else level).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream)).reshape(level.shape)


@pytest.mark.parametrize("shape", [(32, 40), (27, 33)])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows_to_the_bit(shape, channels, grey_levels):
    levels = grey_levels[:, : shape[0], : shape[1], :channels]
    run = jax.jit(code)
    for quality in (1, 7, 25, 49, 50, 80, 95, 100):
        steps = jnp.asarray(quantisation_tables(quality), jnp.int32)
        output = run(jnp.asarray(levels / np.float32(255)), steps)
        expected = np.stack([pillow_jpeg(level, quality) for level in levels])
        np.testing.assert_array_equal(np.round(255 * np.asarray(output)), expected)


def test_jpeg_of_noise_is_pillows_to_the_bit(key):
    """Noise fills every coefficient, and the range limits."""
    levels = np.random.default_rng(5).integers(0, 256, (2, 48, 48, 3)).astype(np.uint8)
    for severity in SEVERITIES:
        output = corrupt(jnp.asarray(levels / np.float32(255)), "jpeg_compression", severity, key, table=32)
        quality = int(table_rows("jpeg_compression", 32)[severity - 1, 0])
        expected = np.stack([pillow_jpeg(level, quality) for level in levels])
        np.testing.assert_array_equal(np.round(255 * np.asarray(output)), expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_elastic_transform(severity, grey_levels, key):
    """An affine map and a displacement, each by SciPy's bilinear interpolation in float64."""
    levels = grey_levels[:, :, :32] / 255.0
    table = table_rows("elastic_transform", 32)
    amplitude, sigma, reach = table[severity - 1]
    keys = jax.random.split(key, 3)
    run = jax.jit(lambda level: digital.elastic_transform(jnp.asarray(levels, jnp.float32), keys, level, table))
    output = run(jnp.int32(severity - 1))
    row, column = np.mgrid[:32, :32].astype(float)
    for level, image_key, moved in zip(levels, keys, output, strict=True):
        uniform = np.asarray(jax.random.uniform(image_key, (6 + 2 * 32 * 32,), minval=-1.0), np.float64)
        before = np.array([[26.0, 26, 1], [26, 6, 1], [6, 6, 1]])  # centre 16, a third of the side 10
        after = before[:, :2] + reach * uniform[:6].reshape(3, 2)
        affine = np.linalg.solve(before, after)  # (x, y, 1) · affine = (x', y')
        back = np.linalg.inv(affine[:2])
        x, y = np.moveaxis((np.stack([column, row], -1) - affine[2]) @ back, -1, 0)
        warped = [scipy.ndimage.map_coordinates(level[..., c], [y, x], order=1, mode="mirror") for c in range(3)]
        fields = uniform[6:].reshape(32, 32, 2)
        down, right = (
            amplitude * skimage.filters.gaussian(fields[..., axis], sigma, mode="reflect", truncate=3)
            for axis in range(2)
        )
        points = [row + down, column + right]
        expected = [scipy.ndimage.map_coordinates(plane, points, order=1, mode="reflect") for plane in warped]
        # Positions up to 64 have rounding errors of 4e-6, twice, and contrast is at most 1 a pixel.
        np.testing.assert_allclose(moved, np.stack(expected, -1), atol=3e-5)
