"""The noise corruptions against their distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from isvs_jax.robustness import corrupt
from isvs_jax.robustness.corruptions._tables import table_rows

SHAPE = (4, 64, 64, 3)
COUNT = int(np.prod(SHAPE))


def flat(value: float) -> jax.Array:
    return jnp.full(SHAPE, value, jnp.float32)


@pytest.mark.parametrize("severity", [1, 5])
def test_gaussian_and_speckle_noise_are_normal(severity, key):
    for name, factor in (("gaussian_noise", 1.0), ("speckle_noise", 0.5)):
        deviation = factor * table_rows(name, 32)[severity - 1, 0]
        residual = np.asarray(corrupt(flat(0.5), name, severity, key, table=32), np.float64) - 0.5
        assert np.abs(residual).max() < 0.5  # nothing is cut
        statistic = scipy.stats.kstest(residual.ravel() / deviation, "norm")
        assert statistic.pvalue > 1e-3


@pytest.mark.parametrize(("table", "severity"), [(32, 1), (32, 5), (64, 3), (224, 1), (224, 5)])
@pytest.mark.parametrize("value", [0.003, 0.2, 0.7])
def test_shot_noise_is_poisson(table, severity, value, key):
    photons = table_rows("shot_noise", table)[severity - 1, 0]
    output = np.asarray(corrupt(flat(value), "shot_noise", severity, key, table=table), np.float64)
    counts = np.round(output * photons).astype(int).ravel()
    np.testing.assert_allclose(output.ravel() * photons, counts, atol=1e-3)
    # Counts over the number of photons at white are cut to it.
    support = np.arange(int(photons) + 1)
    probability = scipy.stats.poisson.pmf(support, photons * np.float32(value))
    probability[-1] = 1 - probability[:-1].sum()
    observed = np.bincount(counts, minlength=len(support))
    common = probability * COUNT > 10
    observed = np.append(observed[common], observed[~common].sum())
    expected = np.append(probability[common], probability[~common].sum()) * COUNT
    statistic = ((observed - expected) ** 2 / np.maximum(expected, 1)).sum()
    assert scipy.stats.chi2.sf(statistic, len(expected) - 1) > 1e-3


def test_shot_noise_leaves_black_alone(key):
    assert float(corrupt(flat(0.0), "shot_noise", 5, key, table=224).max()) == 0


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_impulse_noise_has_as_much_salt_as_pepper(severity, key):
    amount = table_rows("impulse_noise", 224)[severity - 1, 0]
    output = np.asarray(corrupt(flat(0.4), "impulse_noise", severity, key, table=224))
    salt, pepper = int((output == 1).sum()), int((output == 0).sum())
    assert (output == np.float32(0.4)).sum() == COUNT - salt - pepper
    for count in (salt, pepper):
        assert scipy.stats.binomtest(count, COUNT, amount / 2).pvalue > 1e-3
    # Channels are struck independently.
    struck = output != np.float32(0.4)
    both = (struck[..., 0] & struck[..., 1]).sum()
    assert scipy.stats.binomtest(int(both), COUNT // 3, amount**2).pvalue > 1e-3
