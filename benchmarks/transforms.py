"""The exact solve by matrices, by real FFTs, by `jax.scipy.fft` and by SciPy: where the second is faster.

    JAX_PLATFORMS=cpu python benchmarks/transforms.py --sizes 128 224 512 1024 2048

All are timed in turn in one process, the fastest of --repetitions each, so that other programs weigh on all. Of one
colour image, or of --images. Prints a line of JSON a size: milliseconds a solve.
"""

import argparse
import json
import os
from functools import partial

import jax
import jax.numpy as jnp
import jax.scipy.fft
import numpy as np
import scipy.fft
from regions import fastest

from isvs_jax.solver import cosine

NU = 0.1


def spectrum(size: int) -> np.ndarray:
    rows = cosine.eigenvalues(size)
    return (1 + (rows[:, None] + rows) / NU).astype(np.float32)


def by_jax(right_side: jax.Array) -> jax.Array:
    """As `jax.scipy.fft` has it: complex FFTs."""
    forward, inverse = (partial(transform, norm="ortho") for transform in (jax.scipy.fft.dct, jax.scipy.fft.idct))
    coefficients = forward(forward(right_side, axis=-2), axis=-1) / spectrum(right_side.shape[-1])
    return inverse(inverse(coefficients, axis=-1), axis=-2)


def by_scipy(right_side: np.ndarray) -> np.ndarray:
    coefficients = scipy.fft.dctn(right_side, axes=(-2, -1), norm="ortho") / spectrum(right_side.shape[-1])
    return scipy.fft.idctn(coefficients, axes=(-2, -1), norm="ortho")


def ours(right_side: jax.Array, matrix_side: int) -> jax.stages.Compiled:
    """Compiled with that switch."""
    cosine.CPU_MATRIX_SIDE = cosine.MATRIX_SIDE = matrix_side
    return jax.jit(lambda right_side: cosine.solve(right_side, jnp.float32(NU))).lower(right_side).compile()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 128, 160, 192, 224, 256, 384, 512, 768, 1024])
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = parser.parse_args()
    print(json.dumps({"device": str(jax.devices()[0]), "cores": os.cpu_count(), "images": arguments.images}))
    for size in arguments.sizes:
        image = np.random.default_rng(0).random((arguments.images, 3, size, size), np.float32)
        on_device = jnp.asarray(image)
        runs = {
            "matrices": partial(ours(on_device, size), on_device),
            "real FFT": partial(ours(on_device, 0), on_device),
            "jax.scipy.fft": partial(jax.jit(by_jax), on_device),
            "SciPy": partial(by_scipy, image),
        }
        seconds = fastest(runs, arguments.repetitions)
        print(
            json.dumps({"size": size, **{name: round(1e3 * value, 2) for name, value in seconds.items()}}), flush=True
        )


if __name__ == "__main__":
    main()
