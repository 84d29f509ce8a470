"""The textbook schemes that the library is timed against do what the library's own does."""

import jax
import numpy as np
import pytest

import isvs_jax
from benchmarks.peers import errors, textbook

pytestmark = pytest.mark.usefixtures("x64")
TIME, STEPS = 1.0, 240


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    # Of so much contrast that some of the edges enter in time.
    return 3 * np.random.default_rng(0).random((2, 6, 7, 3))


@pytest.fixture
def expected(images: np.ndarray) -> np.ndarray:
    solver = isvs_jax.SplitLBI(textbook.KAPPA, textbook.NU, scheme="explicit")
    path = isvs_jax.scale_space(images, [TIME], solver, num_steps=STEPS)
    # Else the comparison would not see the shrinkage.
    assert 0.1 < np.mean(path.support.horizontal) < 0.9
    return np.asarray(path.dense[0])


def test_numpy_image_by_image(images: np.ndarray, expected: np.ndarray) -> None:
    found = np.stack([textbook.with_numpy(image, TIME, STEPS) for image in images])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_plain_jax(images: np.ndarray, expected: np.ndarray) -> None:
    found = textbook.with_jax(images, textbook.start(images), TIME, STEPS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_pytorch(images: np.ndarray, expected: np.ndarray) -> None:
    pytest.importorskip("torch", reason="PyTorch is a peer of the benchmarks only")
    np.testing.assert_allclose(textbook.with_torch(images, TIME, STEPS), expected, rtol=0, atol=1e-11)


def test_the_fewest_steps_are_the_fewest_within_the_bound() -> None:
    solver = isvs_jax.SplitLBI(textbook.KAPPA, textbook.NU, scheme="explicit")
    for time in (1.0, 4.0, 7.3):
        steps = textbook.fewest_steps(time)
        assert time / steps < solver.stability_bound <= time / (steps - 1) * (1 + 1e-12)


def test_single_precision_stays(images: np.ndarray) -> None:
    single = images.astype(np.float32)
    assert textbook.start(single).dtype == textbook.with_numpy(single[0], TIME, STEPS).dtype == np.float32


def test_the_textbook_follows_a_flow_of_its_own(images: np.ndarray) -> None:
    """More steps bring it to its own flow, and not to the one in which u is solved for."""
    coarse, fine = (
        isvs_jax.smooth(images, TIME, isvs_jax.SplitLBI(scheme="explicit"), num_steps=factor * 240) for factor in (1, 8)
    )
    own, reduced = errors.textbook_flow(images, TIME), errors.reduced_flow(images, TIME)
    to_own = [errors.relative(outcome, own, images).mean() for outcome in (coarse, fine)]
    to_reduced = [errors.relative(outcome, reduced, images).mean() for outcome in (coarse, fine)]
    assert to_own[1] < 0.3 * to_own[0]
    assert to_reduced[1] > 0.8 * to_reduced[0] > 5 * to_own[1]
    assert errors.relative(isvs_jax.smooth(images, TIME), reduced, images).max() < to_reduced[1]


def test_the_error_is_relative_to_what_is_not_the_mean() -> None:
    image = np.array([0.0, 2.0]).reshape(1, 1, 2, 1) + 5
    # ‖(1, 0)‖/‖(−1, 1)‖
    assert errors.relative(image + np.array([1.0, 0]).reshape(1, 1, 2, 1), image, image) == pytest.approx(50 * 2**0.5)
    assert errors.relative(jax.numpy.repeat(image, 3, 0), image, image).shape == (1,)
