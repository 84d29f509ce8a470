import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from isvs_jax.robustness.attacks._model import LOSSES


def _reference(name, z, y, t):
    other = np.max(np.delete(z, y))
    falling = np.sort(z)[::-1]
    if name == "cross_entropy":
        return scipy.special.logsumexp(z) - z[y]
    if name == "margin":
        return other - z[y]
    if name == "dlr":
        return (other - z[y]) / (falling[0] - falling[2])
    return (z[t] - z[y]) / (falling[0] - (falling[2] + falling[3]) / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_their_definitions(name):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40, 6)) * 5
    labels, targets = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
    got = LOSSES[name](jnp.asarray(logits, jnp.float32), jnp.asarray(labels), jnp.asarray(targets))
    want = [_reference(name, *row) for row in zip(logits, labels, targets, strict=True)]
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["dlr", "targeted_dlr"])
def test_ratios_do_not_see_scale_or_shift(name):
    logits = jax.random.normal(jax.random.key(0), (20, 5))
    labels, targets = jnp.arange(20) % 5, (jnp.arange(20) + 2) % 5
    plain = LOSSES[name](logits, labels, targets)
    changed = LOSSES[name](1000 * logits + 7, labels, targets)
    np.testing.assert_allclose(plain, changed, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_with_equal_logits(name):
    def total(z):
        return LOSSES[name](z, jnp.array([0, 1]), jnp.array([1, 2])).sum()

    assert jnp.isfinite(jax.grad(total)(jnp.zeros((2, 5)))).all()


def test_confident_models_keep_a_dlr_gradient_where_cross_entropy_has_none():
    logits = jnp.array([[300.0, 0.0, -1.0, -2.0]])
    label = jnp.array([0])
    assert (jax.grad(lambda z: LOSSES["cross_entropy"](z, label, label).sum())(logits) == 0).all()
    assert (jax.grad(lambda z: LOSSES["dlr"](z, label, label).sum())(logits) != 0).any()
