"""How many batches a second the host puts together, by where the images lie and how they are read.

    python benchmarks/loader.py
    python benchmarks/loader.py --count 5000 --size 224 --batch-size 256 --batches 50

The images are noise. "CPU" is what this process spends on a batch, which it cannot spend on dispatching steps.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from isvs_jax.data import Split
from isvs_jax.training.batches import BatchIterator, make_loader
from isvs_jax.training.config import TrainConfig


def measure(name: str, loader: BatchIterator, batches: int) -> None:
    """Print the rate of some batches after the first, which starts the readers."""
    next(loader)
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(batches):
        next(loader)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    loader.close()
    print(f"{name:44} {batches / seconds:8.0f} batches/s  {1e3 * cpu / batches:7.2f} ms CPU a batch", flush=True)


def mapped(folder: Path, name: str, array: np.ndarray) -> np.ndarray:
    """The array in a file that is mapped into memory."""
    np.save(folder / f"{name}.npy", array)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000, help="images")
    parser.add_argument("--size", type=int, default=32, help="height and width")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--batches", type=int, default=1000, help="batches that are timed")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.count, args.size, args.size, 3), np.uint8)
    labels = np.zeros(args.count, np.int32)
    epochs = 2 + 2 * args.batches * args.batch_size // args.count
    raw = TrainConfig(epochs=epochs, batch_size=args.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        in_memory = Split(images, labels)
        on_disk = Split(mapped(Path(folder), "images", images), labels)
        for prefetch in (1, 2, 4):
            measure(f"raw, in memory, {prefetch} threads", make_loader(in_memory, raw, prefetch=prefetch), args.batches)
        for prefetch in (1, 2, 4):
            measure(f"raw, mapped, {prefetch} threads", make_loader(on_disk, raw, prefetch=prefetch), args.batches)
        for workers in (1, 2):
            measure(f"raw, mapped, {workers} processes", make_loader(on_disk, raw, workers=workers), args.batches)


if __name__ == "__main__":
    main()
