"""The hard stop rule passes what works, stops what does not, and loses no warning on the way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from isvs_jax.robustness import Defence, hard_stop


def _averaged_or_rounded(average, images):
    """Each pixel with its left neighbour, a defence that is quick to attack, or the image rounded to eight levels."""
    smooth = (images + jnp.roll(images, 1, axis=2)) / 2
    return jnp.where(average, smooth, jnp.round(images * 7) / 7)


def _defence(average: bool) -> Defence:
    """One function of an array, so that both defences are one compiled program."""
    forward = Partial(_averaged_or_rounded, jnp.array(average))
    return Defence(forward, forward)


AVERAGE = _defence(True)


def test_hard_stop_passes_what_works_and_stops_what_does_not(patterns):
    network, images, labels = patterns
    settings = {"attacks": ("apgd-ce",), "ways": ["unrolled"], "num_steps": 10, "batch_size": 12}
    key = jax.random.key(0)
    sound = hard_stop(network, AVERAGE, images, labels, key, epsilon=0.1, **settings)
    assert all("no worst case: identity, low_pass" in sentence for sentence in sound.warnings)
    assert sound.curve.accuracy[-1] == 0
    assert sound.curve.chance == 0.25
    blind = hard_stop(network, _defence(False), images, labels, key, epsilon=0.02, **settings)
    assert any("every image can be turned into grey" in sentence for sentence in blind.warnings)
    # What the attacks themselves say is not lost: the gradient that is zero, and that five ways were left out.
    for place in ("0.02", "0.5", "0.02, 20 steps"):
        said = [text for text in blind.warnings if place in text.partition(": ")[0].removeprefix("ε = ").split("; ")]
        assert any("exactly zero" in sentence for sentence in said)
        assert any("no worst case" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"labels": np.arange(12) % 4 + 1}, ValueError, "labels"),
        ({"labels": np.zeros(5, int)}, ValueError, "labels"),
        ({"labels": np.zeros((12, 1), int)}, ValueError, "labels"),
        ({"labels": np.eye(12, 4)}, ValueError, "labels"),
        ({"images": np.full((12, 8, 8, 1), 200.0, np.float32)}, ValueError, "images"),
        ({"images": np.full((12, 8, 8, 1), np.nan, np.float32)}, ValueError, "images"),
        ({"images": np.zeros((0, 8, 8, 1), np.float32), "labels": np.zeros(0, int)}, ValueError, "images"),
        ({"epsilon": 0.0}, ValueError, "epsilon"),
        ({"epsilon": 8}, ValueError, "epsilon"),
        ({"epsilon": "8/255"}, TypeError, "epsilon"),
        ({"epsilons": [0.5, 0.1]}, ValueError, "epsilons must be increasing"),
        ({"num_steps": 0}, ValueError, "num_steps"),
    ],
)
def test_what_is_wrong_is_refused_before_any_attack(patterns, change, kind, said, monkeypatch):
    monkeypatch.setattr("isvs_jax.robustness.evaluation._hard_stop.attack_defence", None)
    network, images, labels = patterns
    given = {"images": images, "labels": labels, "epsilon": 0.1} | change
    with pytest.raises(kind, match=said):
        hard_stop(network, AVERAGE, key=jax.random.key(0), **given)
