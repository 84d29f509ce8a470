"""A photograph of millions of pixels beside one call of `denoise_tv_chambolle`: seconds of each, and peak memory.

    JAX_PLATFORMS=cpu python benchmarks/large_photograph.py --sizes 1024x1024 3000x4000

Each is a process of its own, ours first: the dense images of a path to --time as uint8, band by band as
`python -m isvs_jax` does it, with compiling; then scikit-image's function at its defaults, on the image as float32.
Memory is what was resident at most, the image and the libraries included. Seconds are those of the clock, and in
brackets those of all cores, which other programs disturb less. Prints a line of JSON a size.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np


def photograph(height: int, width: int) -> np.ndarray:
    """A photograph of scikit-image in mirrored copies, uint8."""
    from skimage import data

    one = data.astronaut()
    repeats = (-(-height // one.shape[0]), -(-width // one.shape[1]))
    row = np.concatenate([one[:, :: 1 - 2 * (k % 2)] for k in range(repeats[1])], axis=1)
    return np.concatenate([row[:: 1 - 2 * (k % 2)] for k in range(repeats[0])])[:height, :width]


def ours(image: np.ndarray, until: float) -> None:
    from isvs_jax import SplitLBI
    from isvs_jax.photograph.pictures import pictures_of

    pictures_of(image, [until], SplitLBI(), ("dense",))


def chambolle(image: np.ndarray, until: float) -> None:
    from skimage.restoration import denoise_tv_chambolle

    denoise_tv_chambolle(image / np.float32(255), channel_axis=-1)


def once(name: str, height: int, width: int, until: float) -> None:
    """Print what one way takes."""
    image = photograph(height, width)
    began, busy = time.perf_counter(), time.process_time()
    {"ours": ours, "chambolle": chambolle}[name](image, until)
    seconds, of_cores = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": round(seconds, 1), "of cores": round(of_cores, 1), "peak GB": round(peak, 2)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["1024x1024", "3000x4000"], metavar="HEIGHTxWIDTH")
    parser.add_argument("--time", type=float, default=4.0)
    parser.add_argument("--only", choices=("ours", "chambolle"), help="one way, in this process")
    asked = parser.parse_args()
    for size in asked.sizes:
        height, width = map(int, size.split("x"))
        if asked.only is not None:
            once(asked.only, height, width, asked.time)
            continue
        found = {}
        for name in ("ours", "chambolle"):
            command = [sys.executable, __file__, "--sizes", size, "--time", str(asked.time), "--only", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
        ratios = {what: round(found["ours"][what] / found["chambolle"][what], 2) for what in ("seconds", "of cores")}
        print(json.dumps({"size": size, "cores": os.cpu_count(), **found, "ratio": ratios}), flush=True)


if __name__ == "__main__":
    main()
