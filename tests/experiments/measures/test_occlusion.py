"""Where networks find their evidence, with networks whose evidence is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from experiments.measures.occlusion import evidence, occlusion_drops
from experiments.measures.smoothing import contours, differences


def scene(count: int = 4) -> np.ndarray:
    """Weak texture everywhere and one strong square, at another place in each image."""
    rng = np.random.default_rng(0)
    images = 0.2 + 0.02 * rng.random((count, 16, 16, 1)).astype(np.float32)
    for number in range(count):
        row, column = rng.integers(1, 9, 2)
        images[number, row : row + 6, column : column + 6] += 0.6
    return images


def test_drops_equal_those_of_one_image_covered_at_a_time() -> None:
    rng = np.random.default_rng(1)
    images, weights = rng.random((5, 8, 12, 3), np.float32), rng.normal(size=(8 * 12 * 3, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 0])

    def logits(shown: np.ndarray) -> np.ndarray:
        return np.asarray(shown, np.float64).reshape(len(shown), -1) @ weights

    found = occlusion_drops(lambda shown: shown.reshape(len(shown), -1) @ jnp.asarray(weights), images, labels, 4)
    for number, image in enumerate(images):
        for row in range(4):
            for column in range(4):
                covered = image.copy()
                covered[2 * row : 2 * row + 2, 3 * column : 3 * column + 3] = image.mean((0, 1))
                log_p = [logits(one[None])[0] - np.logaddexp.reduce(logits(one[None])[0]) for one in (image, covered)]
                expected = (log_p[0] - log_p[1])[labels[number]]
                assert found[number, row, column] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_correlations_are_spearmans_over_the_patches() -> None:
    images = scene()
    drops = np.random.default_rng(2).normal(size=(4, 4, 4))
    found = evidence(drops, images)
    for number, (fields, at) in enumerate(zip(*map(_by_image, (differences(images), contours(images))), strict=True)):
        energies = np.zeros((2, 4, 4))
        for field, where in zip(fields, at, strict=True):
            for row, column in np.ndindex(field.shape[:2]):
                kind = 0 if where[row, column, 0] else 1
                energies[kind, row // 4, column // 4] += field[row, column, 0] ** 2
        for values, energy in zip((found.contours, found.texture), energies, strict=True):
            assert values[number] == pytest.approx(stats.spearmanr(drops[number].ravel(), energy.ravel()).statistic)


def _by_image(edges: tuple[np.ndarray, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(*edges, strict=True))


def test_flat_images_have_no_evidence_and_patches_must_divide_the_sides() -> None:
    flat = np.full((2, 8, 8, 1), 0.5, np.float32)
    assert evidence(np.ones((2, 4, 4)), flat).contours.tolist() == [0, 0]
    with pytest.raises(ValueError, match="patches must divide the sides of the images, 8 and 8; got 3"):
        occlusion_drops(lambda images: images[:, 0, 0], flat, np.zeros(2, int), 3)
