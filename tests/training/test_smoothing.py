import jax
import numpy as np
import pytest

from isvs_jax import SplitLBI, smooth
from isvs_jax.augment.views import View
from isvs_jax.filters.linear import gaussian_blur
from isvs_jax.training.smoothing import default_batch_size, padded, smoothed_batches, smoothed_views

VIEWS = (View(2.0), View(1.0, "sparse"), View(1.0), View(0.8, "blur"))


def test_each_view_is_the_smoothed_image() -> None:
    images = np.asarray(jax.random.uniform(jax.random.key(0), (5, 8, 6, 3)))
    solver = SplitLBI(kappa=4.0, nu=0.2)
    stack = smoothed_views(images, VIEWS, solver, batch_size=2, progress=False)
    assert stack.shape == (4, 5, 8, 6, 3)
    assert stack.dtype == np.float16
    for view, found in zip(VIEWS, stack, strict=True):
        if view.kind == "blur":
            expected = gaussian_blur(images, view.strength)
        else:
            expected = smooth(images, view.strength, solver, view.kind)
        # Half precision has 11 bits: half a unit in the last place of numbers below 2.
        np.testing.assert_allclose(found, expected, atol=2**-11)


def test_batches_begin_where_they_are_asked_to() -> None:
    images = np.asarray(jax.random.uniform(jax.random.key(0), (5, 8, 6, 3)))
    whole = smoothed_views(images, VIEWS[:1], batch_size=2, progress=False)
    found = list(smoothed_batches(images, VIEWS[:1], SplitLBI(), batch_size=2, start=2))
    assert [start for start, _ in found] == [2, 4]
    np.testing.assert_array_equal(np.concatenate([batch for _, batch in found], axis=1), whole[:, 2:])


def test_uint8_and_no_views() -> None:
    images = np.full((3, 8, 8, 1), 51, np.uint8)
    np.testing.assert_allclose(smoothed_views(images, VIEWS[:1], progress=False), 0.2, atol=2**-12)
    assert smoothed_views(images, (), progress=False).shape == (0, 3, 8, 8, 1)


@pytest.mark.parametrize(("shape", "size"), [((32, 32, 3), 256), ((224, 224, 3), 27), ((4000, 3000, 3), 1)])
def test_large_images_go_in_small_batches(shape: tuple[int, ...], size: int) -> None:
    assert default_batch_size(shape) == size


def test_padding() -> None:
    np.testing.assert_array_equal(padded(np.ones((2, 1)), 3), [[1], [1], [0]])
