"""How large the blocks of a batch should be: time and peak memory of smoothing it in blocks of several sizes.

    JAX_PLATFORMS=cpu python benchmarks/blocks.py --size 32 --images 256 --time 4

The blocks are timed in turn in one process, the fastest of --repetitions each, so that other programs weigh on all. The
memory is what the compiler allots: arguments, results and temporaries over the batch. Prints a line of JSON a block.
"""

import argparse
import json
import os
from functools import partial

import jax
import jax.numpy as jnp
from common import fastest, photographs

import isvs_jax
from isvs_jax.solver import batching


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--images", type=int, default=256, help="images of the batch")
    parser.add_argument("--time", type=float, default=4.0)
    parser.add_argument("--output", choices=("dense", "sparse"), default="dense")
    parser.add_argument("--blocks", type=int, nargs="+", default=[256, 128, 64, 32, 16, 8, 4], help="images a block")
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--tfds-dir", help="folder of prepared TFDS data sets; without it crops of photographs")
    parser.add_argument("--tfds-name", default="cifar10", help="data set in that folder, 32×32×3")
    arguments = parser.parse_args()
    print(json.dumps({"device": str(jax.devices()[0]), "cores": os.cpu_count(), **vars(arguments)}))
    images = jnp.asarray(photographs(arguments.size, arguments.images, arguments.tfds_dir, arguments.tfds_name))
    runs, peaks = {}, {}
    for block in arguments.blocks:
        batching._CPU_BLOCK = batching._BLOCK = block * arguments.size**2 * 3
        batching._FEWEST = 1
        jax.clear_caches()
        smoothed = jax.jit(partial(isvs_jax.smooth, time=arguments.time, output=arguments.output))
        runs[block] = smoothed.lower(images).compile()
        memory = runs[block].memory_analysis()
        total = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
        peaks[block] = total / images.nbytes
    seconds = fastest({str(block): partial(run, images) for block, run in runs.items()}, arguments.repetitions)
    for block in runs:
        milliseconds = 1e3 * seconds[str(block)] / len(images)
        print(json.dumps({"block": block, "ms_an_image": round(milliseconds, 3), "memory": round(peaks[block], 2)}))


if __name__ == "__main__":
    main()
