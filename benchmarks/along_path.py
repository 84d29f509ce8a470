"""The augmentations beside the whole path of every image, in one run, and beside a training step of a ResNet-18.

    python benchmarks/along_path.py
    python benchmarks/along_path.py --shapes 128x32 --kappas 1 5 --no-step

All that is compared runs in turn, round after round. Prints one line of JSON for each shape and kappa: the median
milliseconds of each, and the median over the rounds of how many times cheaper than the whole path it is, by the clock
and by the processor time of all threads, which other programs disturb less. With the step comes the share of it that
`along_path` takes.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import jax
import jax.numpy as jnp
import optax

from isvs_jax import SplitLBI, models, scale_space
from isvs_jax.augment import along_path, augmix, chain, mix, scale_mix

TIMES = (2.0, 4.0, 8.0)
Runs = dict[str, Callable[[], object]]


def in_turn(runs: Runs, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """The seconds of each run in each round, by the clock and of the processor; the first round is left out."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            begun, busy = time.perf_counter(), time.process_time()
            jax.block_until_ready(run())
            if number:
                seconds[name].append((time.perf_counter() - begun, time.process_time() - busy))
    return seconds


def augmentations(images: jax.Array, solver: SplitLBI, *, every: bool) -> Runs:
    """What is compared, on one batch; `every` takes more than `along_path`."""
    key = jax.random.key(1)
    keys = jax.random.split(key, len(images))
    path = partial(along_path, times=TIMES, solver=solver)
    runs = {"along_path": (path, key)}
    if every:
        banded = {
            f"scale_mix {bands}": (partial(scale_mix, solver=solver, bands=bands), key)
            for bands in ("path", "either", "blur")
        }
        thirds = mix((path, augmix, partial(scale_mix, solver=solver, bands="either")))
        runs |= {"along_path, keys": (path, keys), **banded, "augmix": (augmix, key)}
        runs |= {
            "mix of three": (thirds, key),
            "mix of three, keys": (thirds, keys),
            "chain of two": (chain(path, augmix), key),
        }

    def run(function: Callable, key: jax.Array) -> Callable[[], object]:
        compiled = jax.jit(function)
        return lambda: compiled(key, images)

    return {name: run(*pair) for name, pair in runs.items()}


def training_step(images: jax.Array) -> Callable[[], object]:
    """A step of a ResNet-18 with momentum, on images as they are."""
    model, optimizer = models.build("resnet18", 10), optax.sgd(0.1, momentum=0.9)
    variables = models.init(model, jax.random.key(0), images.shape[1:])
    labels = jnp.arange(len(images)) % 10

    @jax.jit
    def step(variables, state):
        def loss(params):
            of_batch = {"params": params, "batch_stats": variables["batch_stats"]}
            logits, updated = model.apply(of_batch, images, train=True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), updated

        grads, updated = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state)
        return {"params": optax.apply_updates(variables["params"], updates), **updated}, state

    state = optimizer.init(variables["params"])
    return lambda: step(variables, state)


def measure(batch: int, side: int, solver: SplitLBI, rounds: int, *, every: bool, with_step: bool) -> dict[str, object]:
    """One case: random images [batch, side, side, 3]; half of them at one of three times for `along_path`."""
    images = jax.random.uniform(jax.random.key(0), (batch, side, side, 3))
    whole = jax.jit(lambda images: scale_space(images, TIMES, solver).dense)
    runs: Runs = {"scale_space": lambda: whole(images), **augmentations(images, solver, every=every)}
    if with_step:
        runs["step"] = training_step(images)
    seconds = in_turn(runs, rounds)

    def ratio(above: str, below: str, which: int) -> float:
        pairs = zip(seconds[above], seconds[below], strict=True)
        return float(f"{median(one[which] / other[which] for one, other in pairs):.3g}")

    others = [name for name in runs if name not in ("scale_space", "step")]
    return {
        "shape": f"{batch}x{side}",
        "kappa": float(solver.kappa),
        "nu": float(solver.nu),
        "ms": {name: round(1e3 * median(one[0] for one in taken), 1) for name, taken in seconds.items()},
        "times_cheaper": {name: ratio("scale_space", name, 0) for name in others},
        "times_cheaper_by_processor": {name: ratio("scale_space", name, 1) for name in others},
        **({"share_of_step": [ratio("along_path", "step", which) for which in (0, 1)]} if with_step else {}),
    }


def main() -> None:
    """Measure every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["128x32", "64x64", "16x224"], help="BATCHxSIDE")
    parser.add_argument("--kappas", type=float, nargs="+", default=[5.0, 2.0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", action=argparse.BooleanOptionalAction, default=True, help="a ResNet-18 beside 128x32")
    parser.add_argument(
        "--others", action=argparse.BooleanOptionalAction, default=True, help="the other augmentations beside 128x32"
    )
    arguments = parser.parse_args()
    for shape in arguments.shapes:
        batch, side = map(int, shape.split("x"))
        for kappa in arguments.kappas:
            every, with_step = (side == 32 and asked for asked in (arguments.others, arguments.step))
            row = measure(batch, side, SplitLBI(kappa=kappa), arguments.rounds, every=every, with_step=with_step)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
