"""The path of small images by the kernel and by XLA: bytes and operations counted, and on a GPU both timed.

    python benchmarks/on_chip.py
    python benchmarks/on_chip.py --sizes 28x28x1 --batches 128 --time 8

Prints JSON. The bytes of XLA are its own count for one compiled stage on the platform at hand; where that is a CPU, a
GPU fuses a little differently. A stage is one solve with its step.
"""

import argparse
import json
from collections.abc import Callable

import jax
import jax.numpy as jnp

from isvs_jax import SplitLBI, smooth
from isvs_jax.accelerator.speed import seconds
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.integrator import choose_integrator
from isvs_jax.solver.stabilised import Stage, next_stage, set_out


def cost(function: Callable, *shapes: object) -> tuple[float, float]:
    """Bytes and operations of a compiled function, by XLA's own count."""
    analysis = jax.jit(function).lower(*shapes).compile().cost_analysis()
    return analysis["bytes accessed"], analysis["flops"]


def count(size: tuple[int, int, int], until: float, batch: int = 128) -> dict[str, object]:
    """Bytes of device memory and operations of an image's path, by XLA and by the kernel."""
    height, width, channels = size
    flow, steps = SplitLBI().flow, choose_integrator(SplitLBI(), jnp.zeros(size), until, None)
    solves = steps.solves()
    planar = jax.ShapeDtypeStruct((batch, channels, height, width), jnp.float32)
    edges = Edges(
        jax.ShapeDtypeStruct((batch, channels, height, width - 1), jnp.float32),
        jax.ShapeDtypeStruct((batch, channels, height - 1, width), jnp.float32),
    )
    numbers = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((3,), (batch,), (1, batch))]
    stage, operations = cost(
        lambda x, stage, row, h: next_stage(flow, x, stage, (row, h)), planar, Stage(edges, edges), *numbers[:2]
    )
    first, _ = cost(lambda x, times: set_out(flow, x, times, steps.plan), planar, numbers[2])
    image, side = 4 * height * width * channels, max(16, 1 << (max(height, width) - 1).bit_length())
    plane, bordered = 4 * channels * side**2, 4 * channels * (side + 2) * (side + 8)
    # z of two stages and v: written back at most once, where the caches need the place.
    workspace = 4 * plane + 2 * bordered
    # In: x and z; out: u and z.
    own = 3 * plane + bordered + 2 * plane
    # Loads and stores of v, x, u, z and the matrices, which L1 or L2 serves.
    cached = 23 * plane
    return {
        "size": size,
        "solves": solves,
        "image_bytes": image,
        "xla_bytes_per_stage_in_images": round(stage / batch / image, 1),
        "xla_bytes_per_path": round(solves * stage / batch),
        "kernel_bytes_per_path_at_least": round(first / batch + own),
        "kernel_bytes_per_path_at_most": round(first / batch + own + workspace),
        "kernel_workspace_bytes": workspace + bordered,
        "kernel_cached_bytes_per_stage": cached,
        "operations_per_stage": round(operations / batch),
        "operations_of_products_per_stage": 8 * channels * side**3,
    }


def timed(size: tuple[int, int, int], batch: int, until: float) -> dict[str, object]:
    """Milliseconds of a batch by the kernel and by XLA, and how far their images differ."""
    images = jax.random.uniform(jax.random.key(0), (batch, *size))
    by = [jax.jit(lambda x, s=SplitLBI(on_chip=on): smooth(x, until, s)) for on in (True, False)]
    kernel, xla = (seconds(function, images, repetitions=20)[0] for function in by)
    error = float(jnp.abs(by[0](images) - by[1](images)).max())
    return {"size": size, "batch": batch, "kernel_ms": 1e3 * kernel, "xla_ms": 1e3 * xla, "largest_difference": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["32x32x3", "64x64x3"], help="height x width x channels")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 128, 1024])
    parser.add_argument("--time", type=float, default=4.0)
    args = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in args.sizes]
    device = jax.devices()[0]
    report: dict[str, object] = {"device": device.device_kind, "time": args.time}
    report["counted"] = [count(size, args.time) for size in sizes]
    if device.platform == "gpu":
        report["timed"] = [timed(size, batch, args.time) for size in sizes for batch in args.batches]
    else:
        report["timed"] = "there is no GPU here"
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
