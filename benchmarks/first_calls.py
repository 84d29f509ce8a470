"""Seconds to the first result of a process: of the import, and of the first call, which compiles.

    JAX_PLATFORMS=cpu python benchmarks/first_calls.py

Each call is the first of a process of its own: without JAX's persistent cache, then with an empty one, which it fills,
then with that. Seconds are those of all cores together, which other programs disturb less than those of the clock. What
is attacked has random weights. Writes a table in Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

_KEPT = ("without a cache", "into an empty cache", "from the cache")


def first_image() -> Callable[[], object]:
    import jax

    from isvs_jax import smooth

    image = jax.random.uniform(jax.random.key(0), (32, 32, 3))
    return lambda: smooth(image, 4.0)


def first_gradient() -> Callable[[], object]:
    import jax

    from isvs_jax import smooth

    image = jax.random.uniform(jax.random.key(0), (32, 32, 3))
    gradient = jax.jit(jax.grad(lambda image: smooth(image, 4.0).var()))
    return lambda: gradient(image)


def attacked(name: str, *, smoothed: bool) -> Callable[[], object]:
    import jax

    from isvs_jax import models, robustness, smooth

    model = models.build("resnet20", 10)
    network = models.logits_fn(model, models.init(model, jax.random.key(0), (32, 32, 3)))
    images = jax.random.uniform(jax.random.key(1), (16, 32, 32, 3))
    labels = network(images).argmax(-1)
    attack = getattr(robustness, name)

    def logits_fn(images: jax.Array) -> jax.Array:
        return network(smooth(images, 2.0) if smoothed else images)

    return lambda: attack(logits_fn, images, labels, jax.random.key(2), epsilon=4 / 255)


CASES: dict[str, Callable[[], Callable[[], object]]] = {
    "`smooth`, one image of 32×32×3": first_image,
    "its gradient": first_gradient,
    "`pgd`, 16 images, ResNet-20": lambda: attacked("pgd", smoothed=False),
    "`apgd`, the same": lambda: attacked("apgd", smoothed=False),
    "`pgd` through the path": lambda: attacked("pgd", smoothed=True),
}


def first(case: str) -> None:
    """Print the seconds of the import, of what is made ready, and of the first call."""
    began = time.process_time()
    import jax

    import isvs_jax  # noqa: F401 - its import is what is timed

    imported = time.process_time()
    call = CASES[case]()
    ready = time.process_time()
    jax.block_until_ready(call())
    called = time.process_time()
    jax.block_until_ready(call())
    again = time.process_time() - called
    print(json.dumps({"import": imported - began, "call": called - ready, "again": again}))


def in_process(case: str, folder: str | None) -> dict[str, float]:
    """The seconds of a case in a process of its own, with the cache in a folder."""
    kept = {"JAX_ENABLE_COMPILATION_CACHE": str(folder is not None).lower()}
    if folder is not None:
        kept |= {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"}
    command = [sys.executable, __file__, "--first", case]
    done = subprocess.run(command, env=os.environ | kept, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", choices=CASES, metavar="CASE", help="time one case in this process")
    asked = parser.parse_args()
    if asked.first is not None:
        first(asked.first)
        return
    print(f"| seconds of the first call | {' | '.join(_KEPT)} | a second call |\n|---|{'---|' * 4}")
    imports = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            taken = [in_process(case, place) for place in (None, folder, folder)]
        imports += [seconds["import"] for seconds in taken]
        cells = [f"{seconds['call']:.1f}" for seconds in taken]
        print(f"| {case} | {' | '.join(cells)} | {taken[0]['again']:.3f} |", flush=True)
    print(f"\nThe import takes {min(imports):.1f} s of one of {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
