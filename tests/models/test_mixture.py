"""The mixture of two classifiers: its ends, its gradient, and the ball in which a margin decides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.models import mixture
from isvs_jax.robustness import pgd

WEIGHTS = jax.random.normal(jax.random.key(0), (2, 12, 3))
IMAGES = jax.random.uniform(jax.random.key(1), (6, 2, 2, 3))


def _linear(weights):
    return jax.tree_util.Partial(lambda w, x: 4 * x.reshape(len(x), -1) @ w, weights)


G, H = map(_linear, WEIGHTS)


def test_it_is_the_logarithm_of_the_mixed_probabilities():
    for alpha in (0.0, 0.3, 1.0):
        probabilities = (1 - alpha) * jax.nn.softmax(G(IMAGES)) + alpha * jax.nn.softmax(H(IMAGES))
        np.testing.assert_allclose(mixture(G, H, alpha)(IMAGES), jnp.log(probabilities), atol=1e-5)


@pytest.mark.parametrize(("alpha", "alone"), [(0.0, G), (1.0, H)])
def test_at_its_ends_value_and_gradient_are_those_of_one(alpha, alone):
    def loss(model, images):
        return jax.nn.log_softmax(model(images))[:, 0].sum()

    np.testing.assert_allclose(
        jax.grad(loss, 1)(mixture(G, H, alpha), IMAGES), jax.grad(loss, 1)(alone, IMAGES), atol=1e-5
    )


def test_a_margin_of_h_over_a_ball_holds_the_mixture_whatever_g_says():
    """g answers with another class everywhere, with certainty; h is a half-space whose margin is known."""
    alpha, epsilon = 0.7, 0.05

    def g(images):
        return jnp.tile(jnp.array([50.0, 0.0]), (len(images), 1))

    def h(images):
        return jnp.stack([jnp.zeros(len(images)), 30 * (images.mean((1, 2, 3)) - 0.5)], axis=1)

    # tanh(z/2) is the margin of two classes whose logits differ by z: (1 − α)/α at the edge of the ball.
    needed = 2 * np.arctanh((1 - alpha) / alpha) / 30 + epsilon + 0.5
    images = np.array([needed + 0.005, needed - 0.005], np.float32)[:, None, None, None] * np.ones((2, 4, 4, 1))
    images, labels = images.astype(np.float32), np.array([1, 1])
    model = mixture(g, h, alpha)
    assert model(images).argmax(1).tolist() == [1, 1]
    attacked = pgd(model, images, labels, jax.random.key(0), epsilon=epsilon, num_steps=10)
    assert model(attacked).argmax(1).tolist() == [1, 0]


def test_what_cannot_be_mixed_gets_a_sentence():
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\]; got 1.5\."):
        mixture(G, H, 1.5)
    with pytest.raises(TypeError, match=r"robust must be a function from images to logits; got 3\."):
        mixture(G, 3, 0.5)
    with pytest.raises(ValueError, match=r"robust must have the classes of accurate, logits \(6, 3\); got"):
        mixture(G, lambda x: jnp.zeros((len(x), 4)), 0.5)(IMAGES)
