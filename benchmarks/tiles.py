"""Large images in tiles and in one piece: how far they differ, and how long each takes.

    JAX_PLATFORMS=cpu python benchmarks/tiles.py
    JAX_PLATFORMS=cpu python benchmarks/tiles.py --cases 4x224 1x1024 --nus 0.1 --repetitions 5

The two ways are timed in turn in one process, the fastest of --repetitions each; beside them denoise_tv_chambolle of
scikit-image at its defaults, on the first image. Times are those of all cores together, and those of the clock. Memory
is what the compiler allots beside arguments and results, over the size of the batch. The difference is that of the
images over the energy of x − mean. Prints a line of JSON a case.
"""

import argparse
import json
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
from common import fastest, photographs
from skimage.restoration import denoise_tv_chambolle

from isvs_jax import SplitLBI, smooth
from isvs_jax.solver.tiles import border_width, cut, longest_side


def measure(count: int, size: int, nu: float, until: float, repetitions: int) -> dict[str, object]:
    """One batch of images by tiles and in one piece."""
    images = jnp.asarray(photographs(size, count))
    runs, results, memory = {}, {}, {}
    for name, tiles in (("one piece", False), ("tiles", True)):
        solver = SplitLBI(nu=nu, tiles=tiles)
        run = jax.jit(lambda images, solver=solver: smooth(images, until, solver)).lower(images).compile()
        runs[name] = lambda run=run: run(images)
        results[name] = np.asarray(run(images))
        memory[name] = run.memory_analysis().temp_size_in_bytes / images.nbytes
    seconds, by_clock = fastest(runs, repetitions, time.process_time), fastest(runs, repetitions)
    began = time.process_time()
    denoise_tv_chambolle(np.asarray(images[0]), channel_axis=-1)
    chambolle = time.process_time() - began
    border = border_width(nu, None)
    longest = longest_side(size, size, border, at_any_cost=True)
    energy = np.linalg.norm(images - images.mean((1, 2), keepdims=True))
    return {
        "images": count,
        "size": size,
        "nu": nu,
        "time": until,
        "border": border,
        "tiles": None
        if longest is None
        else [cut(size, border, longest).starts.size, cut(size, border, longest).length],
        "by default": "tiles" if longest_side(size, size, border) else "one piece",
        "difference %": round(100 * float(np.linalg.norm(results["tiles"] - results["one piece"]) / energy), 4),
        **{f"ms of a core an image, {name}": round(1e3 * least / count, 1) for name, least in seconds.items()},
        "times faster": round(seconds["one piece"] / seconds["tiles"], 2),
        **{f"ms an image, {name}": round(1e3 * least / count, 1) for name, least in by_clock.items()},
        "over one denoise_tv_chambolle": round(min(seconds.values()) / count / chambolle, 2),
        **{f"memory, {name}": round(value, 1) for name, value in memory.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["4x224", "4x320", "1x512", "1x1024"])
    parser.add_argument("--nus", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--time", type=float, default=4.0)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps({"device": str(jax.devices()[0]), "cores": os.cpu_count(), **vars(arguments)}))
    for case in arguments.cases:
        count, size = map(int, case.split("x"))
        for nu in arguments.nus:
            print(json.dumps(measure(count, size, nu, arguments.time, arguments.repetitions)), flush=True)


if __name__ == "__main__":
    main()
