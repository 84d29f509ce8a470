"""Noise at a fixed deviation, the agreement of its draws, and weights by energy, against SciPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import entropy

from isvs_jax import SplitLBI, smooth
from isvs_jax.augment import View
from isvs_jax.training.noisy_draws import NoisyDraws, agreement, energy_weights, show_noisy

LOGITS = np.random.default_rng(0).normal(size=(5, 3, 4)) * 3


def test_the_agreement_is_that_of_scipy():
    each = softmax(LOGITS, axis=-1)
    mean = each.mean(axis=1)
    # KL of the mean from each draw: SciPy's relative entropy, the first distribution being the one averaged over.
    divergence = np.stack([entropy(mean, each[:, draw], axis=-1) for draw in range(3)]).mean(axis=0)
    expected = 10 * divergence + 0.5 * entropy(mean, axis=-1)
    np.testing.assert_allclose(agreement(jnp.asarray(LOGITS, jnp.float32), 10.0, 0.5), expected, rtol=1e-4)


def test_certain_draws_that_differ_have_finite_loss_and_gradient():
    logits = jnp.array([[[200.0, 0.0], [0.0, 200.0]]])
    value, gradient = jax.value_and_grad(lambda x: agreement(x, 1.0, 0.5).sum())(logits)
    assert float(value) == pytest.approx(100 - np.log(2) + 0.5 * np.log(2), rel=1e-4)
    assert bool(jnp.isfinite(gradient).all())


def test_noise_has_one_deviation_and_is_not_clipped():
    keys, images = jax.random.split(jax.random.key(0), 64), jnp.full((64, 8, 8, 3), 0.9)
    shown = show_noisy(keys, images, NoisyDraws(sigma=0.25, draws=2))
    deviations = np.asarray(shown - images[:, None]).reshape(128, -1)
    # A sample deviation of 192 numbers varies by 5%.
    assert deviations.std(axis=1).min() > 0.25 * 0.75
    assert deviations.std() == pytest.approx(0.25, rel=0.02)
    assert abs(np.corrcoef(deviations[0::2].ravel(), deviations[1::2].ravel())[0, 1]) < 0.05
    assert float(shown.max()) > 1.2
    # What is drawn for an example follows from its own key.
    np.testing.assert_array_equal(show_noisy(keys[3:5], images[3:5], NoisyDraws(0.25)), shown[3:5])


def test_the_view_comes_after_the_noise():
    keys, images = jax.random.split(jax.random.key(0), 2), jnp.full((2, 8, 8, 1), 0.5)
    noisy = show_noisy(keys, images, NoisyDraws(0.25))
    shown = show_noisy(keys, images, NoisyDraws(0.25, view=View(2.0), kappa=1.0))
    for draw in range(2):
        np.testing.assert_allclose(shown[:, draw], smooth(noisy[:, draw], 2.0, SplitLBI(kappa=1.0)), atol=1e-5)


def test_weights_by_energy_are_those_of_the_formula_and_have_no_gradient():
    logits = LOGITS[:, 0]
    expected = 1 / np.log1p(np.exp(np.abs(-logsumexp(logits, axis=-1))))
    np.testing.assert_allclose(energy_weights(jnp.asarray(logits, jnp.float32)), expected, rtol=1e-5)
    normalised = energy_weights(jnp.asarray(logits, jnp.float32), normalised=True)
    np.testing.assert_allclose(normalised, expected / expected.mean(), rtol=1e-5)
    assert not jax.grad(lambda x: energy_weights(x).sum())(jnp.asarray(logits, jnp.float32)).any()
    # Where exp overflows in float32, the weight is 1/|E|.
    assert float(energy_weights(jnp.array([[500.0, 0.0]]))[0]) == pytest.approx(1 / 500)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"sigma": 0.0}, r"sigma must be a finite standard deviation > 0; got 0\.0\."),
        ({"draws": 0}, r"draws must be an integer of at least 1; got 0\."),
        ({"entropy_weight": -1.0}, r"entropy_weight must be a finite number ≥ 0; got -1\.0\."),
    ],
)
def test_bad_numbers_get_a_sentence(more, sentence):
    with pytest.raises(ValueError, match=sentence):
        NoisyDraws(**more)
