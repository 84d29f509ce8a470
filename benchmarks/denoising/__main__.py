"""The path as a denoiser beside total variation, each at its best parameter for each image: docs/denoising.md.

    python -m benchmarks.denoising --data DATA/natural --out results/denoising
    python -m benchmarks.denoising --data DATA/natural --out results/denoising_choice --choose

The first makes the tables and the picture of the page: Set12 and BSD68 (grey), and the Kodak photographs of even number
(colour, 256×256 pixels of the middle). The second is how ν, κ and the penalty were chosen, on the Kodak photographs of
odd number in grey. Without --data, photographs of scikit-image. The noise is white, Gaussian, not clipped, seeded by
the name of the image.

OUT/denoising.json is written after every image, and a run that was stopped goes on from there.
"""

import argparse
import os
import platform
from datetime import date
from pathlib import Path

import jax
import skimage

from benchmarks.denoising.images import cases
from benchmarks.denoising.methods import GRID, SETTINGS
from benchmarks.denoising.record import run
from benchmarks.denoising.report import picture, ranking, tables


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.denoising", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with set12, bsd68_gray and kodak (default: scikit-image's)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the record, the tables and the picture")
    parser.add_argument("--picture", type=Path, help="file of the picture (default: OUT/denoising.png)")
    parser.add_argument("--sigmas", type=int, nargs="+", default=[15, 25, 50], help="standard deviations, times 255")
    parser.add_argument("--every", type=int, default=2, help="of BSD68 and Kodak one image in so many")
    parser.add_argument("--choose", action="store_true", help="compare the flows of a grid instead")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    todo = cases(arguments.data, arguments.sigmas, arguments.every, arguments.choose)
    record = run(arguments.out / "denoising.json", todo, GRID if arguments.choose else SETTINGS)
    report = ranking(record["cases"], todo) if arguments.choose else tables(record["cases"], todo)
    report += (
        f"\n{platform.machine()}, {os.cpu_count()} cores, JAX {jax.__version__}, scikit-image {skimage.__version__}, "
        f"{date.today()}; {record['seconds']:.0f} s\n"
    )
    (arguments.out / "denoising.md").write_text(report)
    if not arguments.choose:
        picture(record["cases"], todo, arguments.picture or arguments.out / "denoising.png")
    print(report)


if __name__ == "__main__":
    main()
