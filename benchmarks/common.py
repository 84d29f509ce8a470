"""What the benchmarks share: their images, and a clock that other programs disturb little."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np


def cifar_images(count: int, split: str = "test", folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first images of CIFAR-10 and their labels.

    Args:
        count: At most so many images.
        split: "test" or "train".
        folder: The folder of `test_00.webp`, ..., each 50 × 50 images side by side, and of `labels_and_mask.npz`; by
            default cifar10 in the folder that the variable ISVS_JAX_DATA names.

    Returns:
        uint8 [count, 32, 32, 3] and int32 [count].
    """
    from PIL import Image

    folder = Path(os.environ.get("ISVS_JAX_DATA", "."), "cifar10") if folder is None else folder
    tiles = sorted(folder.glob(f"{split}_*.webp"))[: -(-count // 2500)]
    if not tiles:
        sys.exit(f"ISVS_JAX_DATA must be a folder with {split}_00.webp, ... in cifar10; got none in {folder}.")
    blocks = [np.asarray(Image.open(tile).convert("RGB")).reshape(50, 32, 50, 32, 3) for tile in tiles]
    images = np.concatenate([block.transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3) for block in blocks])
    labels = np.load(folder / "labels_and_mask.npz")[f"{split}_labels"]
    return images[:count], labels[:count].astype(np.int32)


def photographs(size: int, count: int, tfds_dir: str | None = None, tfds_name: str = "cifar10") -> np.ndarray:
    """Crops of photographs, as large as they go, resized: float32 [count, size, size, 3].

    Args:
        size: The height and width.
        count: The number of images.
        tfds_dir: A folder of prepared TFDS data sets, whose images stand in for the photographs at size 32.
        tfds_name: The data set in that folder.
    """
    if size == 32 and tfds_dir is not None:
        import tensorflow_datasets as tfds

        source = tfds.data_source(tfds_name, split="test", data_dir=tfds_dir)
        return np.stack([source[k]["image"] for k in range(count)]).astype(np.float32) / 255
    from skimage import data, transform

    rng = np.random.default_rng(0)
    images = []
    for k in range(count):
        photograph = data.retina() if size > 512 else (data.astronaut, data.coffee, data.chelsea, data.rocket)[k % 4]()
        side = min(photograph.shape[:2]) // (1 + k // 4 % 4)
        top, left = (rng.integers(0, extent - side + 1) for extent in photograph.shape[:2])
        crop = photograph[top : top + side, left : left + side]
        images.append(transform.resize(crop, (size, size), anti_aliasing=True).astype(np.float32))
    return np.stack(images)


def fastest(
    runs: dict[str, Callable[[], object]], repetitions: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The least seconds of each run, all of them taken in turn, after one turn that compiles.

    By the clock `time.process_time` they are those of all cores together, which other programs disturb less.
    """
    seconds = dict.fromkeys(runs, float("inf"))
    for repetition in range(repetitions + 1):
        for name, run in runs.items():
            start = clock()
            jax.block_until_ready(run())
            if repetition:
                seconds[name] = min(seconds[name], clock() - start)
    return seconds
