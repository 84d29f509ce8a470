"""How the error grows, against a law that is known, and how sure a network is, against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from isvs_jax.robustness import Attacks, evaluate
from isvs_jax.robustness.evaluation.error_growth import certainty_warnings, growth_sentence, power_law


@pytest.mark.parametrize("exponent", [0.7, 1.0, 2.5])
def test_a_power_law_is_found_from_the_radii_before_it_saturates(exponent):
    radii = np.array([0, 0.01, 0.02, 0.04, 0.08, 0.5])
    accuracy = 0.9 - np.minimum(0.9, 3 * radii**exponent)
    law = power_law(radii, accuracy)
    assert (law.factor, law.exponent) == pytest.approx((3, exponent))
    # An added error of half the clean accuracy or more has begun to saturate.
    assert law.num_radii == (3 * radii[1:] ** exponent < 0.45).sum()
    assert f"ε^{exponent:.2f}" in growth_sentence(radii, accuracy)


def test_nothing_is_said_of_too_few_radii():
    assert power_law([0.0, 0.1, 0.5], [0.9, 0.7, 0.0]) is None
    assert power_law([0.1, 0.2, 0.3], [0.9, 0.8, 0.7]) is None
    assert growth_sentence([0.0, 0.1, 0.5], [0.9, 0.0, 0.0]).startswith("Fewer than two radii")
    with pytest.raises(ValueError, match="accuracy must have a value for each of 2 radii; got 3"):
        power_law([0.0, 0.1], [0.9, 0.8, 0.7])


@pytest.mark.parametrize(("scale", "sentences"), [(2.0, 0), (1000.0, 1)])
def test_a_network_that_is_too_sure_is_said_to_be(scale, sentences):
    def model(images):
        return scale * jnp.stack([images.mean((1, 2, 3)), 1 - images.mean((1, 2, 3))], axis=1)

    grey = np.array([0.2, 0.4, 0.6, 0.9], np.float32)
    images = np.tile(grey[:, None, None, None], (1, 8, 8, 1))
    report = evaluate(
        model,
        images,
        np.array([1, 1, 0, 0]),
        jax.random.key(0),
        name="grey",
        corruptions=None,
        resolutions=(),
        attacks=Attacks(("apgd-ce",), epsilons=(0.01,), num_steps=2),
        checks=None,
        progress=False,
    )
    means = np.stack([grey, 1 - grey], axis=1).astype(np.float64)
    expected = entropy(softmax(scale * means, axis=1), axis=1).mean()
    # Logits of 1,000 in float32 are 6e-5 apart.
    assert report.clean.entropy == pytest.approx(expected, abs=1e-4)
    assert sum("mean entropy" in text for text in report.warnings) == sentences
    assert certainty_warnings(None) == ()
