"""`augment.along_path` beside the whole path of every image, in one run: what an augmentation of half a batch costs.

    python benchmarks/along_path.py
    python benchmarks/along_path.py --batches 128 --sides 32 --kappas 1 5

Prints one line of JSON a case: the least milliseconds of each, and how many times cheaper the augmentation is.
"""

import argparse
import json
import time
from collections.abc import Callable

import jax

from isvs_jax import SplitLBI, scale_space
from isvs_jax.augment import along_path

TIMES = (2.0, 4.0, 8.0)


def fastest(runs: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """The least seconds of each run, all of them taken in turn, the first turn left out."""
    seconds = dict.fromkeys(runs, float("inf"))
    for repetition in range(repetitions + 1):
        for name, run in runs.items():
            begun = time.perf_counter()
            jax.block_until_ready(run())
            if repetition:
                seconds[name] = min(seconds[name], time.perf_counter() - begun)
    return seconds


def measure(batch: int, side: int, solver: SplitLBI, repetitions: int) -> dict[str, float]:
    """One case: random images [batch, side, side, 3], half of them shown at one of three times."""
    images, key = jax.random.uniform(jax.random.key(0), (batch, side, side, 3)), jax.random.key(1)
    augmented = jax.jit(lambda key: along_path(key, images, times=TIMES, solver=solver))
    whole = jax.jit(lambda images: scale_space(images, TIMES, solver).dense)
    seconds = fastest({"along_path": lambda: augmented(key), "scale_space": lambda: whole(images)}, repetitions)
    return {
        "batch": batch,
        "side": side,
        "kappa": float(solver.kappa),
        "nu": float(solver.nu),
        **{f"{name}_ms": round(1e3 * least, 1) for name, least in seconds.items()},
        "times_cheaper": round(seconds["scale_space"] / seconds["along_path"], 2),
    }


def main() -> None:
    """Measure every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 64, 16])
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 224], help="a side for each batch")
    parser.add_argument("--kappas", type=float, nargs="+", default=[5.0, 2.0, 1.0])
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    for batch, side in zip(arguments.batches, arguments.sides, strict=True):
        for kappa in arguments.kappas:
            print(json.dumps(measure(batch, side, SplitLBI(kappa=kappa), arguments.repetitions)), flush=True)


if __name__ == "__main__":
    main()
