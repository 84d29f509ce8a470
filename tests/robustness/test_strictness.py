"""No dtype and no rank is promoted in silence by corruptions, low resolution and attacks: their programs are traced."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from isvs_jax.robustness import CATEGORIES, apgd, corrupt, fab, fgsm, low_resolution, pgd, square
from isvs_jax.robustness.attacks.noise import noise_report

KEY = jax.random.key(0)

pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize(("dtype", "channels", "quantize"), [("float32", 1, False), ("bfloat16", 3, True)])
def test_corruptions(dtype, channels, quantize):
    images = jnp.full((2, 9, 11, channels), 0.5, dtype)
    for name in CATEGORIES:
        made = jax.eval_shape(lambda i, name=name: corrupt(i, name, 3, KEY, table=32, quantize=quantize), images)
        assert (made.shape, made.dtype) == (images.shape, images.dtype), name


@pytest.mark.parametrize("quality", [None, 75])
def test_low_resolution(quality):
    images = jnp.full((2, 8, 12, 3), 0.5, jnp.float16)
    for down in ("area", "nearest", "bicubic"):
        made = jax.eval_shape(partial(low_resolution, factor=2, down=down, up=down, jpeg_quality=quality), images)
        assert (made.shape, made.dtype) == (images.shape, images.dtype)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks(patterns, norm):
    network, images, labels = patterns
    for attack, options in (
        (fgsm, {}),
        (pgd, {"num_steps": 2, "loss": "dlr", "restarts": 2}),
        (apgd, {"num_steps": 2, "loss": "targeted_dlr"}),
        (fab, {"num_steps": 2, "restarts": 2}),
        (square, {"num_queries": 2}),
    ):
        run = partial(attack, network, epsilon=0.1, norm=norm, **options)
        assert jax.eval_shape(run, images, labels, KEY).shape == images.shape
    noise_report(network, images, labels, KEY, epsilon=0.1, norm=norm, num_draws=2)
