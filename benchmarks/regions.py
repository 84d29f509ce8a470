"""The sparse image beside the path it belongs to: time of the steps, of the components and of the means, and the ratio.

    python benchmarks/regions.py --sizes 32 224 1024 --time 4

The photographs are those of scikit-image, or with --tfds-dir CIFAR-10 for size 32. A step of the solver and what comes
after the path are timed in turn in one process, the fastest of --repetitions each, so that other programs weigh on
both. The ratio is (components + means) / (--solves steps). --worst also times the supports with the longest components,
on which more rounds are needed. Prints one line of JSON a case.
"""

import argparse
import json
import os
import platform

import jax
import jax.numpy as jnp
import numpy as np
from common import fastest, photographs

from isvs_jax import Edges, SplitLBI, piecewise_constant, scale_space
from isvs_jax.solver.euler import euler_step
from isvs_jax.solver.flow import to_planar
from isvs_jax.solver.regions import components


def longest_supports(size: int) -> dict[str, Edges]:
    """Supports of one image whose components are long: a snake over all rows, a comb, and random mazes."""
    rows, columns = np.ones((size, size - 1), bool), np.ones((size - 1, size), bool)
    snake = columns.copy()
    snake[0::2, -1], snake[1::2, 0] = False, False
    comb = columns.copy()
    comb[:, -1] = False
    rng = np.random.default_rng(0)
    maze = rng.random(rows.shape) < 0.5, rng.random(columns.shape) < 0.5
    cases = {"snake": (~rows, snake), "comb": (~rows, comb), "maze": maze, "one": (~rows, ~columns)}
    return {name: Edges(h[None, ..., None], v[None, ..., None]) for name, (h, v) in cases.items()}


def measure(images: np.ndarray, supports: dict[str, Edges], arguments: argparse.Namespace) -> None:
    """Print the cases of one size."""
    solver = SplitLBI()
    on_device = jnp.asarray(images)
    planar = to_planar(on_device)
    state, size = solver.flow.start(planar), jnp.float32(solver.default_step_size)
    # Enough steps that the start of a run does not count, few enough to be repeated.
    steps = int(np.clip(4e6 / images.size, 1, 20))

    @jax.jit
    def path(state):
        return jax.lax.fori_loop(
            0, steps, lambda _, state: euler_step(solver.flow, solver.scheme, planar, state, size), state
        )

    label = jax.jit(lambda support: components(*(~edge[..., 0] for edge in support)))
    for name, support in supports.items():
        support = jax.tree.map(jnp.asarray, support)
        runs = {
            "step": lambda: path(state),
            "components": lambda support=support: label(support),
            "sparse": lambda support=support: piecewise_constant(on_device, support),
        }
        seconds = fastest(runs, arguments.repetitions)
        steps_of_path = arguments.solves * seconds["step"] / steps
        case = {
            "size": images.shape[1],
            "images": len(images),
            "support": name,
            "path_ms": 1e3 * steps_of_path,
            "components_ms": 1e3 * seconds["components"],
            "means_ms": 1e3 * (seconds["sparse"] - seconds["components"]),
            "ratio": seconds["sparse"] / steps_of_path,
        }
        figures = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in case.items()}
        print(json.dumps(figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 224, 1024], help="pixels a side")
    parser.add_argument("--images", type=int, help="images a batch (default: 128 up to 32 pixels, 4 up to 512, else 1)")
    parser.add_argument("--time", type=float, default=4.0, help="time t of the path whose support is taken")
    parser.add_argument("--solves", type=int, default=40, help="steps the path is counted as")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--tfds-dir", help="folder of prepared TFDS data sets")
    parser.add_argument("--tfds-name", default="cifar10", help="data set in that folder, 32×32×3")
    parser.add_argument("--worst", action="store_true", help="also the longest components")
    arguments = parser.parse_args()
    print(json.dumps({"device": str(jax.devices()[0]), "cores": os.cpu_count(), "machine": platform.processor()}))
    for size in arguments.sizes:
        count = arguments.images or (128 if size <= 32 else 4 if size <= 512 else 1)
        images = photographs(size, count, arguments.tfds_dir, arguments.tfds_name)
        path = scale_space(images, [arguments.time])
        measure(images, {f"t={arguments.time:g}": jax.tree.map(lambda edges: edges[0], path.support)}, arguments)
        if arguments.worst:
            measure(images[:1], longest_supports(size), arguments)


if __name__ == "__main__":
    main()
