"""The exact solve by transforms along both axes and by elimination along the columns.

The transforms are products with matrices, with halves of them, or real FFTs.

    JAX_PLATFORMS=cpu python benchmarks/transforms.py --sizes 32 224 512

All are timed in turn in one process, the fastest of --repetitions each; beside them `jax.scipy.fft`, which takes
complex FFTs, and SciPy's pocketfft. Of one colour image, or of --images. Prints two lines of JSON a size:
nanoseconds for a number of the images, by the clock and of all cores together. All give one solution to rounding, which
is checked.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import jax.scipy.fft
import numpy as np
import scipy.fft
from common import fastest

from isvs_jax.solver import cosine

NU = 0.1
WAYS = {"transforms": cosine._by_transforms, "elimination": cosine._by_elimination}


def spectrum(size: int) -> np.ndarray:
    """The eigenvalues of I + DᵀD/ν, [size, size]."""
    rows = cosine.eigenvalues(size)
    return (1 + (rows[:, None] + rows) / NU).astype(np.float32)


def by_jax(right_side: jax.Array) -> jax.Array:
    """The solve by `jax.scipy.fft`, which takes complex FFTs."""
    coefficients = jax.scipy.fft.dctn(right_side, axes=(-2, -1), norm="ortho") / spectrum(right_side.shape[-1])
    return jax.scipy.fft.idctn(coefficients, axes=(-2, -1), norm="ortho")


def by_scipy(right_side: np.ndarray) -> np.ndarray:
    """The solve by SciPy, on the host."""
    coefficients = scipy.fft.dctn(right_side, axes=(-2, -1), norm="ortho") / spectrum(right_side.shape[-1])
    return scipy.fft.idctn(coefficients, axes=(-2, -1), norm="ortho")


def ours(solve: Callable[..., jax.Array], right_side: jax.Array, matrix: int, halved: int) -> jax.stages.Compiled:
    """One of our solves, compiled with matrices up to a side and halves of them up to another."""
    cosine.CPU_MATRIX_SIDE = cosine.MATRIX_SIDE = matrix
    cosine.HALVED_SIDES = (2, halved)
    return jax.jit(lambda right_side: solve(right_side, jnp.float32(NU))).lower(right_side).compile()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 224, 512], help="pixels a side")
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = parser.parse_args()
    print(json.dumps({"device": str(jax.devices()[0]), "cores": os.cpu_count(), "images": arguments.images}))
    for size in arguments.sizes:
        image = np.random.default_rng(0).random((arguments.images, 3, size, size), np.float32)
        on_device = jnp.asarray(image)
        runs = {
            f"{way}, {transform}": partial(ours(solve, on_device, *sides), on_device)
            for way, solve in WAYS.items()
            for transform, sides in (("matrices", (size, 0)), ("halves", (0, size)), ("real FFT", (0, 0)))
        }
        runs |= {
            "jax.scipy.fft": partial(jax.jit(by_jax), on_device),
            "SciPy": partial(by_scipy, image),
        }
        solved = [np.asarray(run()) for run in runs.values()]
        assert all(np.allclose(other, solved[0], atol=1e-5) for other in solved[1:])
        for what, clock in (("the clock", time.perf_counter), ("all cores", time.process_time)):
            seconds = fastest(runs, arguments.repetitions, clock)
            nanoseconds = {name: round(1e9 * value / image.size, 2) for name, value in seconds.items()}
            print(json.dumps({"size": size, "seconds of": what, **nanoseconds}), flush=True)


if __name__ == "__main__":
    main()
