"""Make the sliders of docs/gallery.md: photographs along their paths, one piece of HTML each, in docs/gallery.

    python docs/gallery.py

The photographs come with scikit-image; docs/gallery.md says whose they are.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data

from isvs_jax import scale_space
from isvs_jax.plotting import path_slider

FOLDER = Path(__file__).with_name("gallery")
TIMES = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0)
SIGMA = 0.1
QUALITY = 80


def main() -> None:
    """Write the pieces."""
    FOLDER.mkdir(exist_ok=True)
    for name, (text, image) in photographs().items():
        html = path_slider(image, scale_space(image, TIMES), name=text, quality=QUALITY)
        (FOLDER / f"{name}.html").write_text(f"{html}\n", encoding="utf-8")
        print(
            f"docs/gallery/{name}.html: {image.shape[0]}×{image.shape[1]} pixels, {len(html) / 1000:.0f} kB", flush=True
        )


def photographs() -> dict[str, tuple[str, np.ndarray]]:
    """By the name of the file what is to be seen, and the photograph."""
    camera = part(skimage.data.camera, 3, rows=(30, 450), columns=(60, 480))
    noise = SIGMA * np.random.default_rng(0).normal(size=camera.shape)
    return {
        "coffee": ("a cup of coffee", part(skimage.data.coffee, 3, rows=(0, 400), columns=(60, 500))),
        "astronaut": ("an astronaut", part(skimage.data.astronaut, 2, rows=(0, 290), columns=(75, 365))),
        "cat": ("a cat", part(skimage.data.chelsea, 2, rows=(20, 280), columns=(70, 360))),
        "rocket": ("a rocket", part(skimage.data.rocket, 3, rows=(0, 427), columns=(150, 580))),
        "gravel": ("gravel", part(skimage.data.gravel, 3, rows=(0, 420), columns=(0, 420))),
        "noise": ("a photographer, with noise", np.clip(camera + noise, 0, 1).astype(np.float32)),
    }


def part(load: Callable[[], np.ndarray], block: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """A part of a photograph of bytes as float32 [H, W, C] in [0, 1], made small by means over blocks of pixels."""
    pixels = load()[slice(*rows), slice(*columns)]
    height, width = (side // block for side in pixels.shape[:2])
    blocks = pixels[: height * block, : width * block].reshape(height, block, width, block, -1)
    return (blocks.mean(axis=(1, 3)) / 255).astype(np.float32)


if __name__ == "__main__":
    main()
