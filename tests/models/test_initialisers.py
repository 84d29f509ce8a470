"""The draws against JAX's own, and where the networks use them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.models import ResNet18, init, initialisers

NAMES = ("lecun_normal", "he_normal", "xavier_uniform")


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_jax_s(name: str) -> None:
    # A window, in and out; a fourth axis would add nothing but time to compile.
    expected = getattr(jax.nn.initializers, name)()(jax.random.key(1), (5, 3, 4), jnp.float32)
    actual = getattr(initialisers, name)()(jax.random.key(1), (5, 3, 4), jnp.float32)
    np.testing.assert_array_equal(actual, expected)


def test_normal_is_jax_s() -> None:
    expected = jax.nn.initializers.normal(0.02)(jax.random.key(1), (1, 5, 3))
    np.testing.assert_array_equal(initialisers.normal(0.02)(jax.random.key(1), (1, 5, 3)), expected)


def test_residual_networks_start_as_the_paper_says() -> None:
    """Variance 2/fan-in of the convolutions; on request each block starts as its shortcut."""
    params = init(ResNet18(3, blocks=(1,), width=16, zero_init=True), jax.random.key(0), (8, 8, 3))["params"]
    kernel = params["layer1_0"]["conv2"]["kernel"]
    # 2304 numbers: their variance is known to 3%, and half as much would be LeCun's.
    np.testing.assert_allclose(np.var(kernel), 2 / (9 * 16), rtol=0.12)
    assert not np.asarray(params["layer1_0"]["bn2"]["scale"]).any()
    assert np.asarray(params["layer1_0"]["bn1"]["scale"] == 1).all()
