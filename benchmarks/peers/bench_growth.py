"""How the cost of `smooth` grows: with the pixels, the batch and the time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import isvs_jax

# Side, batch, t; one of them grows, from where starting a computation costs less than the computation.
POINTS = [
    *[("pixels", side, (side, 1, 2.0)) for side in (64, 96, 128, 192, 256, 384, 512, 768, 1024)],
    *[("batch", batch, (32, batch, 4.0)) for batch in (8, 16, 32, 64, 128, 256)],
    *[("t", t, (32, 32, t)) for t in (2.0, 4.0, 8.0, 16.0, 32.0)],
]


@pytest.mark.parametrize(("axis", "value", "at"), POINTS, ids=[f"{axis}-{value:g}" for axis, value, _ in POINTS])
def test_growth(axis: str, value: float, at: tuple[int, int, float], benchmark: Any, images_of: Callable) -> None:
    side, batch, time = at
    # One photograph at every size: the same scene, so the same steps.
    images = jnp.asarray(images_of(side, batch) if side == 32 else resized(images_of(1024, 1), side))
    benchmark.group = f"growth with {axis}"

    def run() -> None:
        jax.block_until_ready(isvs_jax.smooth(images, time))

    benchmark.pedantic(run, rounds=2 if side > 512 else 5, iterations=1, warmup_rounds=1)
    amount = side * side if axis == "pixels" else value
    benchmark.extra_info.update(growth=axis, amount=amount, side=side, batch=batch, t=time)


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Images [B, side, side, C]."""
    from skimage.transform import resize

    return np.stack([resize(image, (side, side), anti_aliasing=True) for image in images]).astype(np.float32)
