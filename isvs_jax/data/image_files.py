"""The one reader of image files, and images of any size brought to one. Pillow is imported where it is needed.

One rule gives the scale of pixel values, by the mode of the file and never by the values: 8 bits are 0 to 255, deeper
integers are 0 to 65535, and floats are in [0, 1].
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._checks import check_integer
from isvs_jax._extras import optional

SUFFIXES = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])

# The tag of a camera's orientation; what sets each of its values upright, by the names of Pillow's transpositions.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_ON_THE_SIDE = (5, 6, 7, 8)

KEPT, RESIZED = "sizes kept", "central squares resized to {size}×{size}"


def read_image(path: Path, *, max_side: int | None = None, any_size: bool = False) -> np.ndarray:
    """Read an image file: upright as its camera says, what is transparent laid on white.

    Args:
        path: The file.
        max_side: The longest side in pixels, to which a larger image is shrunk; None keeps its size.
        any_size: Whether to read images so large that Pillow takes them for an attack.

    Returns:
        Pixels [H, W, C], C = 1 where the file is grey and 3 otherwise: uint8 for a file of 8 bits, float32 in [0, 1]
        for one of more.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: Pillow is not installed.
        ValueError: The file cannot be read as an image, or holds values outside of its scale; it is named.
    """
    with _opened(path, any_size) as image:
        image.load()
        upright = _UPRIGHT.get(_orientation(image))
        if upright is not None:
            image = image.transpose(getattr(optional("PIL.Image").Transpose, upright))
    if image.mode[0] in "IF":
        values = _deep_values(np.asarray(image), path)
        if max_side is not None and max(values.shape) > max_side:
            values = np.clip(np.asarray(_shrunk(optional("PIL.Image").fromarray(values), max_side)), 0, 1)
        return values[..., None]
    if max_side is not None and max(image.size) > max_side:
        image = _shrunk(image, max_side)
    if _is_transparent(image):
        image = image.convert("RGBA")
        white = optional("PIL.Image").new("RGBA", image.size, "white")
        image = optional("PIL.Image").alpha_composite(white, image)
    pixels = np.asarray(image.convert("L" if _channels(image) == 1 else "RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def image_shape(path: Path, *, channels_only: bool = False) -> tuple[int, int, int]:
    """Find the shape of `read_image(path)`, from the head of the file where that says it.

    Args:
        path: The image file.
        channels_only: Whether height and width do not matter, so that the orientation need not be looked up: some
            formats keep it behind the pixels.
    """
    with _opened(path, any_size=False) as image:
        width, height = image.size
        turned = not channels_only and _orientation(image) in _ON_THE_SIDE
        return (width, height, _channels(image)) if turned else (height, width, _channels(image))


@contextmanager
def _opened(path: Path, any_size: bool) -> Iterator[Any]:
    """The opened image; whatever decoding a foreign file raises becomes one sentence."""
    pillow = optional("PIL.Image")
    limit = pillow.MAX_IMAGE_PIXELS
    if any_size:
        pillow.MAX_IMAGE_PIXELS = None
    try:
        with pillow.open(path) as image:
            yield image
    except (FileNotFoundError, IsADirectoryError, PermissionError, MemoryError):
        raise
    except optional("PIL").UnidentifiedImageError as error:
        raise ValueError(f"{path} must be an image file that Pillow reads; got another file.") from error
    except Exception as error:
        raise ValueError(f"{path} must be a whole image file; got an error of its decoder: {error}.") from error
    finally:
        if any_size:
            pillow.MAX_IMAGE_PIXELS = limit


def _orientation(image: Any) -> int:
    """The orientation that a camera noted, or 1; whatever else its notes hold, broken or not, is left alone."""
    with contextlib.suppress(Exception):
        value = image.getexif().get(_ORIENTATION, 1)
        return value if isinstance(value, int) else 1
    return 1


def _is_transparent(image: Any) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _channels(image: Any) -> int:
    return 1 if image.mode[0] in "IF" or (image.mode in ("1", "L") and not _is_transparent(image)) else 3


def _deep_values(values: np.ndarray, path: Path) -> np.ndarray:
    """Grey values of more than 8 bits as float32 in [0, 1]."""
    low, high = values.min(), values.max()
    top, what = (65535, "integers from 0 to 65535") if values.dtype.kind in "iu" else (1, "finite floats in [0, 1]")
    if not (low >= 0 and high <= top):
        raise ValueError(f"{path} must hold {what}; got values from {low} to {high}.")
    return values.astype(np.float32) / np.float32(top)


def _shrunk(image: Any, max_side: int) -> Any:
    scale = max_side / max(image.size)
    if image.mode in ("P", "1"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, optional("PIL.Image").Resampling.LANCZOS)


def as_levels(pixels: np.ndarray) -> np.ndarray:
    """Round what `read_image` gives to the 256 grey levels, uint8."""
    return pixels if pixels.dtype == np.uint8 else np.round(pixels * 255).astype(np.uint8)


def stacked(images: list[np.ndarray], image_size: int | None, default_size: int) -> tuple[np.ndarray, str]:
    """Bring images of any size to one array, and say in a phrase what was done to them.

    Args:
        images: Arrays [H, W, C] of one dtype; grey and colour may be mixed.
        image_size: The common height and width; None keeps the images where all share one shape, and takes
            `default_size` otherwise.
        default_size: The size of images that differ.
    """
    channels = max(image.shape[-1] for image in images)
    shapes = {image.shape[:2] for image in images}
    if image_size is None and len(shapes) == 1:
        shape = (*shapes.pop(), channels)
        return np.stack([fitted(image, shape) for image in images]), KEPT
    size = default_size if image_size is None else image_size
    return np.stack([fitted(image, (size, size, channels)) for image in images]), RESIZED.format(size=size)


def fitted(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring an image to a shape [H, W, C]: grey ones to more channels, and to another size where that is a square.

    Raises:
        ValueError: The image has another size and the shape is no square.
    """
    height, width, channels = shape
    if image.shape[:2] != (height, width) and height != width:
        raise ValueError(f"images must all be {height}×{width} pixels; got one of {image.shape[0]}×{image.shape[1]}.")
    image = np.broadcast_to(image, (*image.shape[:2], channels))
    return image if image.shape[:2] == (height, width) else _central_square(np.ascontiguousarray(image), height)


def _central_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W, C] to [size, size, C]: the largest centred square, resampled with antialiasing."""
    pillow = optional("PIL.Image")
    height, width, channels = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = pillow.fromarray(pixels[..., 0] if channels == 1 else pixels)
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), pillow.Resampling.BICUBIC, box=box)).reshape(size, size, channels)


def check_size(image_size: int | None, least: int = 1) -> int | None:
    """`image_size` as a Python integer, or None; raise where it is neither."""
    return None if image_size is None else check_integer("image_size", image_size, least)
