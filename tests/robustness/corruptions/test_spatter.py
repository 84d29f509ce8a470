"""Spatter's stages against OpenCV, which the originals call, and against SciPy where OpenCV is absent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from isvs_jax.robustness import corrupt
from isvs_jax.robustness.corruptions._operators import gaussian_matrices
from isvs_jax.robustness.corruptions._spatter import canny, chamfer_distance, equalise, water_relief
from isvs_jax.robustness.corruptions._tables import table_rows

# Compiled: operation by operation they are slow.
canny = jax.jit(canny, static_argnums=(1, 2))
chamfer_distance = jax.jit(chamfer_distance, static_argnums=1)
equalise = jax.jit(equalise)
water_relief = jax.jit(water_relief)

NEEDS_OPENCV = "OpenCV is not in the test extra; it is the original's own tool"


@pytest.fixture(scope="module", params=[(64, 1), (64, 3), (224, 2)])
def liquid(request) -> np.ndarray:
    """Two thresholded smooth noises of 48×56 pixels, as float64."""
    mean, deviation, sigma, threshold, _, _ = table_rows("spatter", request.param[0])[request.param[1] - 1]
    noise = np.random.default_rng(1).normal(mean, deviation, (2, 48, 56))
    rows, columns = gaussian_matrices(np.array([sigma]), 48)[0], gaussian_matrices(np.array([sigma]), 56)[0]
    smooth = np.clip(rows @ noise @ columns.T, 0, 1)
    return np.where(smooth < threshold, 0, smooth)


def test_stages_are_opencvs(liquid):
    cv2 = pytest.importorskip("cv2", reason=NEEDS_OPENCV)
    levels = (255 * liquid).astype(np.uint8)
    edges = np.stack([cv2.Canny(level, 50, 150) for level in levels])
    assert edges.any()
    np.testing.assert_array_equal(canny(jnp.asarray(levels, jnp.float32), 50, 150), edges > 0)
    distance = np.stack([cv2.distanceTransform(255 - edge, cv2.DIST_L2, 5) for edge in edges])
    distance = np.minimum(distance, 20)
    ours = chamfer_distance(jnp.asarray(edges > 0), jnp.dtype("float32"))
    np.testing.assert_allclose(ours, distance, atol=1e-3)  # OpenCV's has 16 fractional bits
    blurred = np.stack([cv2.blur(plane, (3, 3)).astype(np.uint8) for plane in distance])
    equal = np.stack([cv2.equalizeHist(plane) for plane in blurred])
    np.testing.assert_array_equal(equalise(jnp.asarray(blurred, jnp.float32)), equal)
    bump = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    relief = np.stack([cv2.blur(cv2.filter2D(plane, cv2.CV_8U, bump), (3, 3)) for plane in equal])
    relief = levels * relief.astype(np.float64)
    relief /= relief.max((1, 2), keepdims=True)
    # A distance on the border of a whole number may step, which equalisation can enlarge, at a few pixels.
    difference = np.abs(np.asarray(water_relief(jnp.asarray(liquid, jnp.float32))) - relief)
    assert difference.mean() < 1e-4
    assert (difference > 1e-5).mean() < 1e-2


def test_chamfer_distance_is_nearly_euclidean(liquid):
    edges = liquid > np.quantile(liquid, 0.98)
    exact = np.minimum(scipy.ndimage.distance_transform_edt(~edges[0]), 20)
    # The 5×5 mask's weights are within 2 % of the Euclidean length.
    np.testing.assert_allclose(chamfer_distance(jnp.asarray(edges), jnp.dtype("float32"))[0], exact, rtol=0.021)


def test_no_liquid_no_change():
    assert not np.asarray(water_relief(jnp.zeros((2, 48, 56)))).any()
    np.testing.assert_array_equal(equalise(jnp.full((2, 48, 56), 20.0)), 20)


@pytest.mark.parametrize("severity", [3, 5])
def test_water_brightens_and_mud_darkens(severity, key):
    white, black = jnp.ones((4, 32, 40, 3)), jnp.zeros((4, 32, 40, 3))
    on_black = np.asarray(corrupt(black, "spatter", severity, key, table=224))
    drops = on_black.max(-1) > 0
    assert 0.02 < drops.mean() < 0.6
    colour = on_black[drops] / on_black[drops].max(-1, keepdims=True)
    expected = np.array([175, 238, 238]) / 238 if severity == 3 else np.array([63, 42, 20]) / 63
    np.testing.assert_allclose(colour, np.broadcast_to(expected, colour.shape), atol=1e-3)
    on_white = np.asarray(corrupt(white, "spatter", severity, key, table=224))
    if severity == 3:
        np.testing.assert_array_equal(on_white, 1)
    else:
        # Drops of at least 0.8 cover; nothing else is touched.
        assert ((on_white[..., 2] == 1) | (on_white[..., 2] < 0.27)).all()
