"""The blurs against SciPy, scikit-image and plain loops, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.interpolate
import scipy.ndimage
import skimage.filters

from isvs_jax.robustness import corrupt
from isvs_jax.robustness.corruptions._operators import motion, motion_weights, zoom_coordinates
from isvs_jax.robustness.corruptions._tables import table_rows
from isvs_jax.robustness.corruptions.blur import _shuffle_sources, disk_kernel

SEVERITIES = range(1, 6)
# float32 sums of at most 1,681 terms in [0, 1].
ROUNDING = 2e-6


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_blur(severity, grey_levels, images, key):
    output = corrupt(images, "gaussian_blur", severity, key, table=224)
    sigma = table_rows("gaussian_blur", 224)[severity - 1, 0]
    for image, level in zip(output, grey_levels, strict=True):
        expected = skimage.filters.gaussian(level / 255.0, sigma=sigma, channel_axis=-1)
        np.testing.assert_allclose(image, expected, atol=ROUNDING)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_defocus_blur(severity, grey_levels, images, key):
    output = corrupt(images, "defocus_blur", severity, key, table=224)
    kernel = disk_kernel(*table_rows("defocus_blur", 224)[severity - 1])
    expected = scipy.ndimage.correlate(grey_levels / 255.0, kernel[None, :, :, None], mode="mirror")
    np.testing.assert_allclose(output, expected, atol=ROUNDING)


@pytest.mark.parametrize(("radius", "alias_blur"), [(0.3, 0.4), (1.5, 0.1), (3, 0.5), (10, 0.5)])
def test_disk_kernel(radius, alias_blur):
    reach = 8 if radius <= 8 else 10
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (np.hypot(rows, columns) <= radius) / (np.hypot(rows, columns) <= radius).sum()
    taps = np.exp(-(np.arange(-2, 3) ** 2) / (2 * alias_blur**2)) if radius > 8 else None
    taps = np.exp(-(np.arange(-1, 2) ** 2) / (2 * alias_blur**2)) if taps is None else taps
    taps = taps / taps.sum()
    expected = scipy.ndimage.correlate(disk, np.outer(taps, taps), mode="mirror")
    np.testing.assert_allclose(disk_kernel(radius, alias_blur), expected, atol=1e-12)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.11, 1.75, 2.25, 3.0, 4.5])
@pytest.mark.parametrize("size", [28, 32, 45])
def test_zoom_coordinates(size, factor):
    line = np.random.default_rng(0).normal(size=size)
    cropped = int(np.ceil(size / factor))
    first = (size - cropped) // 2
    zoomed = scipy.ndimage.zoom(line[first : first + cropped], factor, order=1)
    trim = (len(zoomed) - size) // 2
    expected = zoomed[trim : trim + size]
    np.testing.assert_allclose(np.interp(zoom_coordinates(size, factor), np.arange(size), line), expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoom_blur(severity, grey_levels, images, key):
    output = corrupt(images, "zoom_blur", severity, key, table=224)
    end, step = table_rows("zoom_blur", 224)[severity - 1]
    total = grey_levels / 255.0
    pixels = [np.arange(32), np.arange(40)]
    factors = np.arange(1, end, step)
    for factor in factors:
        points = np.meshgrid(zoom_coordinates(32, factor), zoom_coordinates(40, factor), indexing="ij")
        for index, level in enumerate(grey_levels / 255.0):
            total[index] += scipy.interpolate.interpn(pixels, level, np.stack(points, -1))
    np.testing.assert_allclose(output, total / (len(factors) + 1), atol=5 * ROUNDING)


def test_motion():
    rng = np.random.default_rng(3)
    images = rng.uniform(size=(4, 12, 15, 2))
    angles = np.array([-45.0, 3.7, 88.0, -134.0])
    weights, counts = motion_weights(np.array([[6, 1.5], [9, 2.5]]))
    assert counts.tolist() == [13, 19]
    output = jax.jit(motion)(
        jnp.asarray(images, jnp.float32), jnp.asarray(angles, jnp.float32), jnp.asarray(weights[0], jnp.float32), 13
    )
    taps = np.exp(-(np.arange(13) ** 2) / (2 * 1.5**2))
    for image, angle, blurred in zip(images, angles, output, strict=True):
        expected = np.zeros_like(image)
        for tap, weight in enumerate(taps / taps.sum()):
            down = int(np.ceil(tap * np.sin(np.deg2rad(angle)) - 0.5))
            right = int(np.ceil(tap * np.cos(np.deg2rad(angle)) - 0.5))
            rows = np.clip(np.arange(12) + down, 0, 11)
            columns = np.clip(np.arange(15) + right, 0, 14)
            expected += weight * image[rows][:, columns]
        np.testing.assert_allclose(blurred, expected, atol=ROUNDING)


def test_motion_blur_angles_fill_their_range(key):
    spot = jnp.zeros((64, 25, 25, 1)).at[:, 12, 12].set(1)
    output = np.asarray(corrupt(spot, "motion_blur", 5, key, table=32))[..., 0]
    rows, columns = np.mgrid[-12:13, -12:13]
    mass = output.sum((1, 2))
    angles = np.rad2deg(np.arctan2((output * rows).sum((1, 2)) / mass, -(output * columns).sum((1, 2)) / mass))
    assert np.abs(angles).max() < 47  # offsets are rounded to whole pixels
    assert angles.min() < -35
    assert angles.max() > 35


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_shuffle_is_the_loop_of_the_originals(reach, key):
    height, width = 18, 23
    offset = np.asarray(jax.random.randint(key, (2, height * width), -reach, reach)).reshape(2, height, width)
    pixels = np.arange(height * width).reshape(height, width)
    for row in range(height - reach, reach, -1):
        for column in range(width - reach, reach, -1):
            pixels[row, column] = pixels[row + offset[0, row, column], column + offset[1, row, column]]
    sources = jax.jit(_shuffle_sources, static_argnums=(1, 2))(key, height, width, jnp.int32(reach))
    np.testing.assert_array_equal(sources, pixels.ravel())


def test_glass_blur_only_moves_pixels_inside_the_frame(images, key):
    # At 32 pixels the first severity's blur, sigma 0.05, is the identity.
    output = np.asarray(corrupt(images, "glass_blur", 1, key, table=32))
    np.testing.assert_array_equal(output[:, :2], images[:, :2])
    np.testing.assert_array_equal(output[:, :, :2], images[:, :, :2])
    assert (output != np.asarray(images)).any()
    assert np.isin(output, np.asarray(images)).all()
