"""Image files and arrays of any size, brought to one size. Pillow is imported where it is needed."""

from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])


def read_image(path: Path) -> np.ndarray:
    """An image file as uint8 [H, W, C], upright, C = 1 where the file is grey and 3 otherwise.

    Raises:
        ValueError: The file cannot be read as an image; its name is in the message.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            opened.load()
            return _pixels(ImageOps.exif_transpose(opened))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read as an image ({error}): repair it or take it out of the folder."
        ) from error


def _pixels(image: Any) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit grey: Pillow's own conversion to 8 bits would cut the values off at 255.
        values = np.asarray(image, np.float64)
        top = 65535 if values.max(initial=0) > 255 else 255
        return np.round(np.clip(values / top, 0, 1) * 255).astype(np.uint8)[..., None]
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    if "A" in image.mode or "transparency" in image.info:
        image = _on_white(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _on_white(image: Any) -> Any:
    from PIL import Image

    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W, C] to [size, size, C]: the largest centred square, resampled with antialiasing."""
    from PIL import Image

    height, width, channels = pixels.shape
    if (height, width) == (size, size):
        return pixels
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    box = (left, top, left + side, top + side)
    out = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(out).reshape(size, size, channels)


def stacked(images: list[np.ndarray], image_size: int | None, default_size: int) -> tuple[np.ndarray, str]:
    """Images of any size as one array, and a phrase that says what was done to them.

    Args:
        images: uint8 [H, W, C], grey and colour may be mixed.
        image_size: The common size; None keeps the images where all share one shape, else takes `default_size`.
        default_size: See above.
    """
    channels = max(image.shape[-1] for image in images)
    images = [np.broadcast_to(image, (*image.shape[:2], channels)) for image in images]
    if image_size is None and len({image.shape for image in images}) == 1:
        return np.stack(images), "sizes kept"
    size = default_size if image_size is None else image_size
    if size < 1:
        raise ValueError(f"image_size is {size}; it may be a positive integer.")
    return (
        np.stack([resized(np.ascontiguousarray(image), size) for image in images]),
        f"central squares resized to {size}×{size}",
    )
