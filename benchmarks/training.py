"""What a training step costs, in a Python loop and in a scan, beside the path of the same images.

python benchmarks/training.py [--width 16] [--batch-size 128] [--steps 8]
"""

import argparse
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from isvs_jax import scale_space
from isvs_jax.models import CNN
from isvs_jax.training import OptimizerConfig, init_state, make_optimizer, make_train_step, plain_batch


def seconds(run: Callable[[], object]) -> float:
    """The best of three, after one call that compiles."""
    jax.block_until_ready(run())
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(run())
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    model = CNN(num_classes=10, width=options.width)
    optimizer = make_optimizer(OptimizerConfig(), 1000)
    state = init_state(model, optimizer, (32, 32, 3), seed=0)
    images = jax.random.uniform(jax.random.key(0), (options.batch_size, 32, 32, 3))
    batch = plain_batch(images, jnp.arange(options.batch_size) % 10)
    key = jax.random.key(1)
    train_step = make_train_step(model, optimizer)
    step = jax.jit(train_step)
    scan = jax.jit(lambda state: jax.lax.scan(lambda s, _: train_step(s, batch, key), state, None, options.steps))

    def loop() -> object:
        current = state
        for _ in range(options.steps):
            current, _ = step(current, batch, key)
        return current.params

    count = options.batch_size * options.steps
    print(f"{jax.devices()[0].device_kind}, width {options.width}, batches of {options.batch_size} images 32×32×3")
    print(f"single steps: {count / seconds(loop):.0f} images/s")
    print(f"in a scan:    {count / seconds(lambda: scan(state)[0].params):.0f} images/s")
    path = seconds(lambda: scale_space(images, [4.0, 8.0]).dense)
    print(f"path to t=8:  {options.batch_size / path:.0f} images/s")


if __name__ == "__main__":
    main()
