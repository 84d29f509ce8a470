"""The hard stop rule passes what works, stops what does not, and loses no warning on the way."""

import jax
import jax.numpy as jnp

from isvs_jax.robustness._hard_stop import hard_stop
from isvs_jax.robustness.broken_defences import rounding_defence
from isvs_jax.robustness.defences import Defence


def _average(images):
    """Each pixel with its left neighbour: a defence that is quick to attack."""
    return (images + jnp.roll(images, 1, axis=2)) / 2


AVERAGE = Defence(_average, _average)


def test_hard_stop_passes_what_works_and_stops_what_does_not(patterns):
    network, images, labels = patterns
    settings = {"attacks": ("apgd-ce",), "ways": ["unrolled"], "num_steps": 10, "batch_size": 12}
    key = jax.random.key(0)
    sound = hard_stop(network, AVERAGE, images, labels, key, epsilon=0.1, **settings)
    assert all("no worst case: identity, low_pass" in sentence for sentence in sound.warnings)
    assert sound.curve.accuracy[-1] == 0
    assert sound.curve.chance == 0.25
    blind = hard_stop(network, rounding_defence(8), images, labels, key, epsilon=0.02, **settings)
    assert any("every image can be turned into grey" in sentence for sentence in blind.warnings)
    # What the attacks themselves say is not lost: the gradient that is zero, and that five ways were left out.
    for place in ("ε = 0.02: ", "ε = 0.5: ", "ε = 0.02, 20 steps: "):
        said = [sentence for sentence in blind.warnings if sentence.startswith(place)]
        assert any("exactly zero" in sentence for sentence in said)
        assert any("no worst case" in sentence for sentence in said)
