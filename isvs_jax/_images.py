"""What images are, for every function that takes them: channels last, no empty batch, values near [0, 1]."""

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike

# Images have up to so many channels, red, green, blue and opacity, unless a batch axis says that more are meant.
FEW_CHANNELS = 4
# Images in [0, 1] with noise of σ = 1 stay within 7; scikit-learn's digits as they come reach 16, bytes 255.
FARTHEST = 10.0


def as_image(image: ArrayLike, name: str = "image", *, any_range: bool = False) -> jax.Array:
    """`image` as an array [..., H, W, C] of a floating dtype, in [0, 1] but for noise and what filters leave.

    The last three axes are rows, columns and channels, and nothing else is guessed. Shapes that are hardly meant so are
    refused: three axes with more than 4 channels (grey [N, H, W], or [C, H, W]), and up to 4 rows of images that are
    wider and have more channels ([N, C, H, W]).

    Args:
        image: What a caller gives.
        name: What the sentence calls it.
        any_range: Whether values may be of any size: where what is computed is linear in them.

    Raises:
        TypeError: The dtype is not a floating one.
        ValueError: The shape has fewer than three axes, an empty one or another order, or a value is far from [0, 1].
    """
    if not hasattr(image, "dtype"):
        image = np.asarray(image)
    dtype, shape = image.dtype, tuple(image.shape)
    if not jnp.issubdtype(dtype, jnp.floating):
        hint = " Divide by 255 first." if jnp.issubdtype(dtype, jnp.integer) else ""
        raise TypeError(
            f"{name} must be float16, bfloat16, float32 or float64, usually in [0, 1]; got dtype {dtype}.{hint}"
        )
    if len(shape) < 3:
        hint = f" Add the channel axis with {name}[..., None]." if len(shape) == 2 else ""
        raise ValueError(f"{name} must be [..., H, W, C]; got shape {shape}.{hint}")
    if 0 in shape:
        raise ValueError(
            f"{name} must be [..., H, W, C] with at least one row, column, channel and image; got shape {shape}."
        )
    _check_layout(name, shape)
    if not any_range:
        _check_near_unit(name, image)
    return jnp.asarray(image)


def _check_layout(name: str, shape: tuple[int, ...]) -> None:
    height, width, channels = shape[-3:]
    if len(shape) == 3 and channels > FEW_CHANNELS:
        raise ValueError(
            f"{name} must be [..., H, W, C]; got shape {shape}, one image of {channels} channels. For grey images "
            f"[N, H, W] write {name}[..., None], for [C, H, W] write jnp.moveaxis({name}, 0, -1), for one image of so "
            f"many channels {name}[None]."
        )
    if height <= FEW_CHANNELS < min(width, channels):
        raise ValueError(
            f"{name} must be [..., H, W, C]; got shape {shape}, images of {height} rows and {channels} channels. For "
            f"[..., C, H, W] write jnp.moveaxis({name}, -3, -1); images of so few rows must stand upright, rows and "
            "columns swapped."
        )


def _check_near_unit(name: str, image: ArrayLike) -> None:
    """Raise where a finite value is farther from 0 than `FARTHEST`, if a look costs next to nothing.

    NumPy arrays and arrays of CPU devices are looked at. One on an accelerator is not: the look would wait for all that
    it depends on, and a loop that calls a function for every batch would stand still there each time. Images that are
    neither finite nor far stay what they are: they come back as NaN, and change no other.
    """
    if isinstance(image, jax.core.Tracer):
        return
    if isinstance(image, jax.Array) and not (
        image.is_fully_addressable and all(device.platform == "cpu" for device in image.devices())
    ):
        return
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = values[np.isfinite(values)]
        low, high = finite.min(initial=0), finite.max(initial=0)
    if low < -FARTHEST or high > FARTHEST:
        hint = " Divide by 255 first." if low >= 0 and 16 < high <= 255 else " Bring them to [0, 1] first."
        raise ValueError(f"{name} must have values in [0, 1] or near; got values from {low:g} to {high:g}.{hint}")


def as_batch(images: ArrayLike) -> jax.Array:
    """`images` as an array [B, H, W, C] of a floating dtype, B at least 1.

    Raises:
        TypeError: The dtype is not a floating one.
        ValueError: The shape is another, or a value is far from [0, 1].
    """
    images = as_image(images, "images")
    if images.ndim != 4:
        raise ValueError(f"images must be [B, H, W, C]; got shape {images.shape}.")
    return images


def check_per_image(name: str, value: ArrayLike, leading: tuple[int, ...]) -> None:
    """Raise a ValueError unless `value` is a scalar, or one for each image of a batch with these leading axes."""
    shape = jnp.shape(value)
    if shape not in ((), leading):
        raise ValueError(f"{name} must be a scalar, or one per image with shape {leading}; got shape {shape}.")


def compute_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype in which an image is computed: float64 where it came so, else float32."""
    return jnp.dtype(jnp.float64 if dtype == jnp.float64 else jnp.float32)
