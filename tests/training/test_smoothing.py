import jax
import numpy as np

from isvs_jax import SplitLBI, smooth
from isvs_jax.training import View, smoothed_views

VIEWS = (View(2.0), View(1.0, "sparse"), View(1.0), View(2.0, "sparse"))


def test_each_view_is_the_smoothed_image() -> None:
    images = np.asarray(jax.random.uniform(jax.random.key(0), (5, 8, 6, 3)))
    solver = SplitLBI(kappa=4.0, nu=0.2)
    stack = smoothed_views(images, VIEWS, solver, batch_size=2, progress=False)
    assert stack.shape == (4, 5, 8, 6, 3)
    assert stack.dtype == np.float16
    for view, found in zip(VIEWS, stack, strict=True):
        expected = smooth(images, view.time, solver, view.output)
        # Half precision has 11 bits: half a unit in the last place of numbers below 2.
        np.testing.assert_allclose(found, expected, atol=2**-11)


def test_uint8_and_no_views() -> None:
    images = np.full((3, 8, 8, 1), 51, np.uint8)
    np.testing.assert_allclose(smoothed_views(images, VIEWS[:1], progress=False), 0.2, atol=2**-12)
    assert smoothed_views(images, (), progress=False).shape == (0, 3, 8, 8, 1)
