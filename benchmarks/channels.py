"""What a path and its gradient cost where channels are added one by one, and by one sum over their axis.

    JAX_PLATFORMS=cpu python benchmarks/channels.py
    JAX_PLATFORMS=cpu python benchmarks/channels.py --cases 1x224 4x224 --gradient

XLA shares a sum over the channels of few large images among the cores badly. The two ways are timed in turn in one
process, in one piece, the fastest of --repetitions each: by the clock, and by the processor time of all cores. Prints a
line of JSON a case.
"""

import argparse
import json
import os
import time
from functools import partial

import jax
import jax.numpy as jnp
from common import fastest, photographs

from isvs_jax import SplitLBI, smooth
from isvs_jax.solver import shrinkage

WAYS = {"one sum": 0, "one by one": 4}


def measure(count: int, size: int, until: float, repetitions: int, *, gradient: bool) -> dict[str, object]:
    """One batch of images in both ways."""
    images, solver = jnp.asarray(photographs(size, count)), SplitLBI(tiles=False)
    shrinkage._MANY_PIXELS = 1
    runs = {}
    for name, few in WAYS.items():
        shrinkage._FEW_CHANNELS = few
        jax.clear_caches()
        path = partial(smooth, time=until, solver=solver)
        asked = jax.grad(lambda images, path=path: (path(images) ** 2).sum()) if gradient else path
        runs[name] = partial(jax.jit(asked).lower(images).compile(), images)
    found: dict[str, object] = {"images": count, "size": size, "gradient": gradient}
    for what, clock in (("ms", time.perf_counter), ("ms of all cores", time.process_time)):
        seconds = fastest(runs, repetitions, clock)
        found[what] = {name: round(1e3 * seconds[name] / count, 2) for name in runs}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = ["128x32", "64x64", "1x64", "1x128", "1x224", "4x224", "1x512"]
    parser.add_argument("--cases", nargs="+", default=cases, metavar="IMAGESxSIDE")
    parser.add_argument("--time", type=float, default=4.0)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--gradient", action="store_true", help="the gradient of the sum of squares instead")
    asked = parser.parse_args()
    print(json.dumps({"device": str(jax.devices()[0]), "cores": os.cpu_count(), **vars(asked)}))
    for case in asked.cases:
        count, size = map(int, case.split("x"))
        print(json.dumps(measure(count, size, asked.time, asked.repetitions, gradient=asked.gradient)), flush=True)


if __name__ == "__main__":
    main()
