"""What is said of the total variation solvers."""

import numpy as np
import pytest

from benchmarks.peers import total_variation


@pytest.mark.parametrize("function", [total_variation.chambolle, total_variation.bregman])
def test_iterations_taken_are_the_fewest_with_the_same_outcome(function) -> None:
    # Channels stop each for itself.
    image = np.random.default_rng(0).random((8, 8, 1)).astype(np.float32)
    taken = total_variation.iterations_taken(function, image)
    assert 1 < taken < 200
    stopped, last, before = (
        function(image[None], **options)
        for options in ({}, {"eps": 0.0, "max_num_iter": taken}, {"eps": 0.0, "max_num_iter": taken - 1})
    )
    np.testing.assert_array_equal(stopped, last)
    assert not np.array_equal(stopped, before)


def test_deepinv_solves_the_same_problem() -> None:
    pytest.importorskip(
        "deepinv.models", reason="deepinv is timed where it is installed", exc_type=(ImportError, RuntimeError)
    )
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    limit = total_variation.chambolle(images, eps=0.0, max_num_iter=5000)
    assert np.abs(total_variation.deepinv(images) - limit).max() < 2e-3
