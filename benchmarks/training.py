"""Images a second of training: raw, along the path, and along it as it was done before, all in one run.

    python benchmarks/training.py
    python benchmarks/training.py --networks cnn --kappas 5 --scan 8

- "path": the step follows only those who are shown smoothed, each to its own time.
- "whole path": every image is followed to every time, and then one of them is taken.
- "ready views": views lie ready in half precision, as a cache could hold them.

Prints one line of JSON for each step: images a second, the milliseconds of CPU time that an image takes (which other
programs on the machine disturb less), and how many programs were compiled for all of its keys. The images are those of
CIFAR-10 where ISVS_JAX_DATA is set (see `benchmarks/common.py`), otherwise noise.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from common import cifar_images

from isvs_jax import models
from isvs_jax.augment import View, draw_versions, show_views
from isvs_jax.training import (
    Batch,
    Inputs,
    OptimizerConfig,
    TrainConfig,
    TrainState,
    init_state,
    make_optimizer,
    make_train_step,
    plain_batch,
)

VIEWS = (View(2.0), View(4.0), View(8.0))
Step = Callable[[TrainState, Batch, jax.Array], Any]


def steps_of(model: Any, optimizer: Any, kappas: Sequence[float]) -> dict[str, Step]:
    """The steps that are compared by their names."""
    raw = make_train_step(model, optimizer)

    def ready_views(state: TrainState, batch: Batch, key: jax.Array) -> Any:
        return raw(state, batch._replace(images=batch.images.astype(jnp.float16)), key)

    def whole_path(inputs: Inputs) -> Step:
        def step(state: TrainState, batch: Batch, key: jax.Array) -> Any:
            count, images = len(batch.labels), jnp.asarray(batch.images)
            versions = jnp.concatenate([images[None], show_views(images, VIEWS, inputs.solver)])
            chosen = versions[draw_versions(key, count, len(VIEWS)), jnp.arange(count)]
            return raw(state, batch._replace(images=chosen), key)

        return step

    steps: dict[str, Step] = {"raw": raw, "ready views": ready_views}
    for kappa in kappas:
        inputs = Inputs("random", VIEWS, solver_kappa=kappa)
        steps[f"path, κ = {kappa:g}"] = make_train_step(model, optimizer, TrainConfig(inputs=inputs))
        steps[f"whole path, κ = {kappa:g}"] = whole_path(inputs)
    return steps


def measure(name: str, batch: Batch, kappas: Sequence[float], repetitions: int, scan: int) -> None:
    """Print what each step of one network costs; all of them are taken in turn, the first turn left out."""
    model, optimizer = models.build(name, 10, batch.images.shape[-1]), make_optimizer(OptimizerConfig(), 1000)
    state = init_state(model, optimizer, batch.images.shape[1:], seed=0)
    steps = steps_of(model, optimizer, kappas)
    if scan:
        raw = steps["raw"]
        steps[f"raw, {scan} in a scan"] = lambda state, batch, key: jax.lax.scan(
            lambda state, key: raw(state, batch, key), state, jax.random.split(key, scan)
        )
    jitted = {step: jax.jit(function) for step, function in steps.items()}
    wall, cpu = dict.fromkeys(steps, float("inf")), dict.fromkeys(steps, float("inf"))
    for repetition, key in enumerate(jax.random.split(jax.random.key(0), repetitions + 1)):
        for step, function in jitted.items():
            begun, spent = time.perf_counter(), time.process_time()
            jax.block_until_ready(function(state, batch, key))
            if repetition:
                wall[step] = min(wall[step], time.perf_counter() - begun)
                cpu[step] = min(cpu[step], time.process_time() - spent)
    for step, function in jitted.items():
        count = len(batch.labels) * (scan if "scan" in step else 1)
        line = {
            "network": name,
            "step": step,
            "images/s": round(count / wall[step], 1),
            "ms CPU an image": round(1e3 * cpu[step] / count, 2),
            "compiled": function._cache_size(),
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)


def main() -> None:
    """Measure every network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["cnn", "resnet20"])
    parser.add_argument("--kappas", type=float, nargs="+", default=[5.0, 1.0])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--scan", type=int, default=0, help="raw steps in one scan, measured too")
    arguments = parser.parse_args()
    count = arguments.batch_size
    batch = plain_batch(jax.random.uniform(jax.random.key(0), (count, 32, 32, 3)), jnp.arange(count) % 10)
    if "ISVS_JAX_DATA" in os.environ:
        pixels, labels = cifar_images(count, "train")
        batch = plain_batch(jnp.asarray(pixels / 255, jnp.float32), jnp.asarray(labels))
    for network in arguments.networks:
        measure(network, batch, arguments.kappas, arguments.repetitions, arguments.scan)


if __name__ == "__main__":
    main()
