"""Random points: inside the ball, some on its boundary, and the same whatever the batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.attacks.noise import noise_report

KEY = jax.random.key(3)


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.2), ("l2", 1.0)])
def test_points_that_fool_lie_in_the_ball(case, norm, epsilon):
    result = noise_report(case.logits_fn, case.images, case.labels, KEY, epsilon=epsilon, norm=norm, num_draws=20)
    fooled = np.asarray(case.logits_fn(jnp.asarray(result.images)).argmax(1) != case.labels)
    np.testing.assert_array_equal(fooled, ~result.robust)
    assert 0 < fooled.sum() < len(fooled)
    delta = result.images - np.asarray(case.images)
    sizes = np.abs(delta).max((1, 2, 3)) if norm == "linf" else np.sqrt((delta**2).sum((1, 2, 3)))
    assert sizes.max() <= epsilon * (1 + 1e-5)
    assert (sizes[result.robust] == 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_other_point_is_on_the_boundary(norm):
    """A network that everything but the image fools shows the points; the first is inside, the second outermost."""
    images, labels = jnp.full((64, 3, 3, 1), 0.5), jnp.zeros(64, jnp.int32)
    order = jnp.inf if norm == "linf" else 2

    def outer(images):
        """Holds inside of 99.9% of the radius."""
        lengths = jnp.linalg.norm((images - 0.5).reshape(len(images), -1), ord=order, axis=1)
        return jnp.stack([0.0999 - lengths, jnp.zeros(len(images))], axis=1)

    found = [
        noise_report(outer, images, labels, KEY, epsilon=0.1, norm=norm, num_draws=number).robust for number in (1, 2)
    ]
    assert found[0].mean() > 0.9
    assert not found[1].any()


def test_neither_batches_nor_neighbours_matter(case):
    options = {"epsilon": 0.2, "num_draws": 10}
    whole = noise_report(case.logits_fn, case.images, case.labels, KEY, **options)
    pieces = noise_report(case.logits_fn, case.images, case.labels, KEY, batch_size=5, **options)
    np.testing.assert_array_equal(whole.robust, pieces.robust)
    np.testing.assert_allclose(whole.images, pieces.images, atol=1e-6)


def test_wrong_numbers_are_refused(case):
    for changes, said in (({"num_draws": 0}, "num_draws must be"), ({"batch_size": 0}, "batch_size must be")):
        with pytest.raises(ValueError, match=said):
            noise_report(case.logits_fn, case.images, case.labels, KEY, epsilon=0.1, **changes)
