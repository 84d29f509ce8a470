"""Why the cosine transforms of the exact solve are our own: the solve by matrices, by real FFTs and by `jax.scipy.fft`.

    JAX_PLATFORMS=cpu python benchmarks/transforms.py --sizes 32 224 512

All are timed in turn in one process, the fastest of --repetitions each, so that other programs weigh on all; SciPy's
pocketfft beside them. Of one colour image, or of --images. Prints a line of JSON a size: milliseconds a solve, and how
many times as long `jax.scipy.fft` takes as the faster of ours. Both are of one solve to rounding, which is checked.
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
from common import fastest

from isvs_jax.solver import cosine

NU = 0.1


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


def ours(right_side: jax.Array, matrix_side: int) -> jax.stages.Compiled:
    """Our solve, compiled with matrices up to that side."""
    cosine.CPU_MATRIX_SIDE = cosine.MATRIX_SIDE = matrix_side
    return jax.jit(lambda right_side: cosine.solve(right_side, jnp.float32(NU))).lower(right_side).compile()


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
            "matrices": partial(ours(on_device, size), on_device),
            "real FFT": partial(ours(on_device, 0), on_device),
            "jax.scipy.fft": partial(jax.jit(by_jax), on_device),
            "SciPy": partial(by_scipy, image),
        }
        solved = [np.asarray(run()) for run in runs.values()]
        assert all(np.allclose(other, solved[0], atol=1e-5) for other in solved[1:])
        seconds = fastest(runs, arguments.repetitions)
        ratio = seconds["jax.scipy.fft"] / min(seconds["matrices"], seconds["real FFT"])
        milliseconds = {name: round(1e3 * value, 2) for name, value in seconds.items()}
        print(json.dumps({"size": size, **milliseconds, "jax.scipy.fft / ours": round(ratio, 2)}), flush=True)


if __name__ == "__main__":
    main()
