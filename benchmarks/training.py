"""Images a second of training: raw, along the path, and along it as it was done before, all in one run.

    python benchmarks/training.py
    python benchmarks/training.py --networks cnn --kappas 5 --scan 8

The path is measured as the step follows it, only those who are shown smoothed and each to its own time, beside what a
step costs that follows every image to every time and then takes one ("whole path"), and one that finds its views ready
in half precision ("ready views"), as a cache could hold them. Prints one line of JSON for each network and kappa, in
which "compiled" counts the programs of the steps after their second key, one each.

The images are those of CIFAR-10 where ISVS_JAX_DATA is set (see `benchmarks/common.py`), otherwise noise.
"""

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from common import cifar_images, fastest

from isvs_jax import models
from isvs_jax.augment import View, draw_versions, show_views
from isvs_jax.training import (
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
Step = Callable[..., Any]


def steps_of(model: Any, optimizer: Any, kappa: float, count: int) -> dict[str, Step]:
    """The steps that are compared, each a jitted function of a state, images, labels and a key."""
    inputs = Inputs("random", VIEWS, solver_kappa=kappa)
    raw_step = make_train_step(model, optimizer)
    path_step = make_train_step(model, optimizer, TrainConfig(inputs=inputs))

    def whole_path(state: TrainState, images: jax.Array, labels: jax.Array, key: jax.Array) -> Any:
        versions = jnp.concatenate([images[None], show_views(images, VIEWS, inputs.solver)])
        chosen = versions[draw_versions(key, count, len(VIEWS)), jnp.arange(count)]
        return raw_step(state, plain_batch(chosen, labels), key)

    def ready_views(state: TrainState, images: jax.Array, labels: jax.Array, key: jax.Array) -> Any:
        return raw_step(state, plain_batch(images.astype(jnp.float16), labels), key)

    return {
        "raw": jax.jit(lambda state, images, labels, key: raw_step(state, plain_batch(images, labels), key)),
        "path": jax.jit(lambda state, images, labels, key: path_step(state, plain_batch(images, labels), key)),
        "whole path": jax.jit(whole_path),
        "ready views": jax.jit(ready_views),
    }


def measure(
    name: str, images: jax.Array, labels: jax.Array, kappa: float, repetitions: int, scan: int
) -> dict[str, object]:
    """One network and kappa: images a second of each step."""
    model, optimizer = models.build(name, 10, images.shape[-1]), make_optimizer(OptimizerConfig(), 1000)
    state = init_state(model, optimizer, images.shape[1:], seed=0)
    steps = steps_of(model, optimizer, kappa, len(images))
    keys = iter(jax.random.split(jax.random.key(0), 4 * (repetitions + 1)))
    runs: dict[str, Callable[[], object]] = {
        name: lambda step=step: step(state, images, labels, next(keys))  # type: ignore[misc]
        for name, step in steps.items()
    }
    if scan:
        raw_step, key = make_train_step(model, optimizer), jax.random.key(1)
        batch = plain_batch(images, labels)
        scanned = jax.jit(lambda state: jax.lax.scan(lambda s, _: raw_step(s, batch, key), state, None, scan)[0].params)
        runs["raw, in a scan"] = lambda: scanned(state)
    seconds = fastest(runs, repetitions)
    rates = {run: len(images) * (scan if "scan" in run else 1) / least for run, least in seconds.items()}
    return {
        "network": name,
        "batch": len(images),
        "kappa": kappa,
        **{f"{run}, images/s": round(rate, 1) for run, rate in rates.items()},
        "compiled": [step._cache_size() for step in steps.values()],  # type: ignore[attr-defined]
    }


def main() -> None:
    """Measure every network with every kappa."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["cnn", "resnet20"])
    parser.add_argument("--kappas", type=float, nargs="+", default=[5.0, 2.0, 1.0])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--scan", type=int, default=0, help="raw steps in one scan, measured too")
    arguments = parser.parse_args()
    count = arguments.batch_size
    images, labels = jax.random.uniform(jax.random.key(0), (count, 32, 32, 3)), jnp.arange(count) % 10
    if "ISVS_JAX_DATA" in os.environ:
        pixels, known = cifar_images(count, "train")
        images, labels = jnp.asarray(pixels / 255, jnp.float32), jnp.asarray(known)
    for network in arguments.networks:
        for kappa in arguments.kappas:
            line = measure(network, images, labels, kappa, arguments.repetitions, arguments.scan)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
