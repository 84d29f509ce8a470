"""Image files and arrays of any size, brought to one size. Pillow is imported where it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])


def read_image(path: Path) -> np.ndarray:
    """An image file as uint8 [H, W, C], upright, C = 1 where the file is grey and 3 otherwise.

    Raises:
        ValueError: The file cannot be read as an image; its name is in the message.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        image.load()
        return _pixels(ImageOps.exif_transpose(image))


def image_shape(path: Path, *, channels_only: bool = False) -> tuple[int, int, int]:
    """The shape that `read_image` finds, from the head of the file where that says it.

    Args:
        path: An image file.
        channels_only: Height and width are not asked for, so the orientation need not be looked up (some formats keep
            it behind the pixels).
    """
    with _opened(path) as image:
        width, height = image.size
        turned = not channels_only and image.getexif().get(_ORIENTATION, 1) in _ON_THE_SIDE
        return (width, height, _channels(image)) if turned else (height, width, _channels(image))


# The tag of a camera's orientation, and its values for pictures that lie on their side.
_ORIENTATION = 0x0112
_ON_THE_SIDE = (5, 6, 7, 8)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read as an image ({error}): repair it or take it out of the folder."
        ) from error


def _channels(image: Any) -> int:
    return 1 if image.mode[0] in "IF" or image.mode in ("1", "L") else 3


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
    shapes = {image.shape[:2] for image in images}
    if image_size is None and len(shapes) == 1:
        shape = (*shapes.pop(), channels)
        return np.stack([fitted(image, shape) for image in images]), KEPT
    size = checked_size(default_size if image_size is None else image_size)
    return np.stack([fitted(image, (size, size, channels)) for image in images]), RESIZED.format(size=size)


KEPT, RESIZED = "sizes kept", "central squares resized to {size}×{size}"


def fitted(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """An image as [H, W, C] of the given shape: grey ones with more channels, squares resized where it is a square.

    Raises:
        ValueError: The image has another size and the shape is no square, or fewer channels are asked for.
    """
    height, width, channels = shape
    if image.shape[:2] != (height, width) and height != width:
        raise ValueError(f"an image is {image.shape[:2]} where all may be {(height, width)}.")
    image = np.broadcast_to(image, (*image.shape[:2], channels))
    return image if image.shape[:2] == (height, width) else resized(np.ascontiguousarray(image), height)


def checked_size(image_size: int) -> int:
    """`image_size`, where it can be one."""
    if image_size < 1:
        raise ValueError(f"image_size is {image_size}; it may be a positive integer.")
    return image_size
