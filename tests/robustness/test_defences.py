"""Defences say what they are, refuse wrong numbers, and the two broken ones fool plain PGD and not the referee.

The network behind them is trained on real images: scikit-learn's handwritten digits.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from isvs_jax import SplitLBI, smooth
from isvs_jax.filters import rof
from isvs_jax.robustness import (
    Defence,
    attack_defence,
    defended,
    pgd,
    rounding_defence,
    smoothing_defence,
    total_variation_defence,
)


def test_descriptions_tell_defences_apart():
    described = [smoothing_defence(1.0), smoothing_defence(2.0), rounding_defence(4), total_variation_defence(0.1)]
    assert len({defence.description for defence in described}) == 4


def test_broken_defences_refuse_wrong_numbers():
    with pytest.raises(ValueError, match="levels must be an integer of at least 2; got 1"):
        rounding_defence(1)
    with pytest.raises(ValueError, match="weight must be a finite number > 0; got 0"):
        total_variation_defence(0.0)


def test_total_variation_is_that_of_the_filters_in_eight_bits_and_its_low_pass_the_beginning_of_a_path():
    images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
    defence = total_variation_defence(0.1, 20)
    levels = 255 * np.asarray(defence.forward(images), np.float64)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    np.testing.assert_allclose(levels / 255, rof(images, 0.1, num_steps=20), atol=0.501 / 255)
    np.testing.assert_allclose(defence.low_pass(images), smooth(images, 0.0, SplitLBI(nu=1.0)), atol=1e-6)


# Far beyond what the network holds: undefended it keeps at most one digit in twenty.
EPSILON = 0.25


def _network(parameters, images):
    """One hidden layer of 64."""
    hidden = jax.nn.relu((2 * images - 1).reshape(len(images), -1) @ parameters[0])
    return hidden @ parameters[1]


def _step(parameters, velocity, images, labels):
    def loss(parameters):
        logits = jax.nn.log_softmax(_network(parameters, images))
        return -jnp.take_along_axis(logits, labels[:, None], 1).mean()

    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, jax.grad(loss)(parameters))
    return jax.tree.map(lambda p, v: p - 0.05 * v, parameters, velocity), velocity


@pytest.fixture(scope="module")
def trained():
    """The network after five epochs, and forty digits that it has not seen."""
    datasets = pytest.importorskip("sklearn.datasets", reason="the digits come with scikit-learn")
    digits = datasets.load_digits()
    images = jnp.asarray(digits.images[..., None] / 16, jnp.float32)
    labels = jnp.asarray(digits.target, jnp.int32)
    keys = jax.random.split(jax.random.key(0))
    parameters = [jax.random.normal(k, (64, size)) / 8 for k, size in zip(keys, (64, 10), strict=True)]
    velocity = jax.tree.map(jnp.zeros_like, parameters)
    rows = np.stack([np.random.default_rng(epoch).permutation(1700).reshape(34, 50) for epoch in range(5)])

    def step(carry, batch):
        return _step(*carry, images[batch], labels[batch]), None

    (parameters, _), _ = jax.lax.scan(step, (parameters, velocity), rows.reshape(-1, 50))
    return Partial(_network, parameters), images[1700:1740], labels[1700:1740]


def _correct(model, images, labels):
    return np.asarray(jax.jit(lambda x: model(x))(images).argmax(1) == labels)


def _accuracy(model, images, labels):
    return float(_correct(model, images, labels).mean())


def test_the_network_is_real_and_falls_without_a_defence(trained):
    network, images, labels = trained
    moved = pgd(network, images, labels, jax.random.key(0), epsilon=EPSILON, num_steps=20)
    assert _accuracy(network, images, labels) > 0.9
    assert _accuracy(network, moved, labels) <= 0.05


@pytest.mark.parametrize(
    "defence", [rounding_defence(8), total_variation_defence(0.05, 20)], ids=["rounding", "total variation"]
)
def test_a_broken_defence_fools_plain_pgd_and_not_the_referee(trained, defence: Defence):
    network, images, labels = trained
    model = defended(network, defence)
    moved = pgd(model, images, labels, jax.random.key(0), epsilon=EPSILON, num_steps=20)
    assert _accuracy(model, images, labels) >= 0.85
    assert _accuracy(model, moved, labels) > 0.5
    result = attack_defence(
        network, defence, images, labels, jax.random.key(0), epsilon=EPSILON, attacks=("apgd-ce",), num_steps=30,
        num_queries=100, num_draws=4, batch_size=40,
    )  # fmt: skip
    assert result.robust.mean() <= 0.05
    np.testing.assert_array_equal(_correct(model, result.images, labels), result.robust)
    # Only what is right without attack is attacked.
    count = int(np.sum(_correct(model, images, labels)))
    sentence = f"gradient of {count} of {count} images is exactly zero"
    assert any(sentence in warning for warning in result.warnings)
    assert any("gradient through the defence is masked" in warning for warning in result.warnings)
    said = [warning.split(":")[0] for warning in result.warnings if "exactly zero" in warning]
    assert said == ["unrolled"]
