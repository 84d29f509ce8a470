"""No dtype and no rank is promoted in silence by corruptions and low resolution: their programs are traced."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from isvs_jax.robustness import CATEGORIES, corrupt, low_resolution

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
