"""Whether the devices at hand compute what the CPU computes: values, gradients, dtypes, sharding, the kernel."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import SplitLBI, scale_space, smooth
from isvs_jax.augment import along_path
from isvs_jax.robustness import CORRUPTIONS, corrupt
from isvs_jax.robustness.attacks import pgd

Images = jax.Array


class Check(NamedTuple):
    """One comparison.

    Attributes:
        name: What was compared.
        difference: The mean absolute difference, in units of the images' range, or as the name says.
        allowed: The largest that counts as rounding.
        note: What else there is to say.
    """

    name: str
    difference: float
    allowed: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is rounding; NaN is not."""
        return self.difference <= self.allowed


def checks(devices: list[jax.Device], size: int, count: int) -> Iterator[Callable[[], Check]]:
    """The comparisons, each to be called.

    Rounding alone changes at which step an edge enters, so a few pixels may differ by more than rounding: means are
    compared.

    Args:
        devices: The devices at hand, of one kind.
        size: The height and width of the images.
        count: The number of images.
    """
    images = np.asarray(_scene(jax.random.key(0), count, size))
    here = partial(_on, devices[0])
    there = partial(_on, _cpu())
    for dtype in ("float32", "bfloat16", "float16"):
        yield partial(_same, f"smoothed images, {dtype}", _smoothed, here, there, images.astype(jnp.dtype(dtype)))
    yield partial(_same, "piecewise constant images", _sparse, here, there, images)
    yield partial(_same, "share of edges in the support that differ", _support, here, there, images, allowed=1e-3)
    yield partial(_same, "derivative by the time", _by_time, here, there, images, allowed=1e-3)
    yield partial(_same, "derivative by the image, as a share", _by_image, here, there, images, allowed=1e-2)
    yield partial(_same, "views of `along_path`", _views, here, there, images)
    yield partial(_same, "corruptions, the mean of all", _corrupted, here, there, images, allowed=2e-3)
    yield partial(_same, "images attacked by PGD", _attacked, here, there, images, allowed=1e-3)
    yield partial(_sharded, devices, images)
    yield partial(_kernel, devices[0], images[: min(count, 2)])


def _scene(key: jax.Array, count: int, size: int) -> jax.Array:
    """Images of shading, discs and noise."""
    keys = jax.random.split(key, 3)
    rows, columns = jnp.mgrid[:size, :size] / size
    centres = jax.random.uniform(keys[0], (count, 6, 2, 1, 1))
    colours = jax.random.uniform(keys[1], (count, 6, 3))
    image = jnp.broadcast_to(0.2 + 0.5 * jnp.stack([rows, columns, rows * columns], -1), (count, size, size, 3))
    for disc in range(6):
        far = (rows - centres[:, disc, 0]) ** 2 + (columns - centres[:, disc, 1]) ** 2
        image = jnp.where((far < 0.02)[..., None], colours[:, disc, None, None], image)
    return jnp.clip(image + 0.03 * jax.random.normal(keys[2], image.shape), 0, 1)


def _cpu() -> jax.Device:
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:
        raise ValueError(
            "JAX_PLATFORMS must name the CPU too, to which results are compared; set it to cuda,cpu or tpu,cpu."
        ) from None


def _on(device: jax.Device, function: Callable[[Images], jax.Array], images: np.ndarray) -> np.ndarray:
    with jax.default_device(device):
        return np.asarray(jax.jit(function)(jax.device_put(images, device)), np.float64)


Run = Callable[[Callable[[Images], jax.Array], np.ndarray], np.ndarray]


def _same(
    name: str,
    function: Callable[[Images], jax.Array],
    here: Run,
    there: Run,
    images: np.ndarray,
    allowed: float = 1e-4,
) -> Check:
    ours, expected = here(function, images), there(function, images)
    scale = np.abs(expected).mean() if name.startswith("derivative") else 1.0
    # The dtype of the images is that of the result, which is rounded to it.
    rounding = 0.0 if images.dtype == np.float32 else float(jnp.finfo(images.dtype).eps)
    return Check(name, float(np.abs(ours - expected).mean() / scale), allowed + rounding)


def _smoothed(images: Images) -> jax.Array:
    return smooth(images, 3.0).astype(jnp.float32)


def _sparse(images: Images) -> jax.Array:
    return smooth(images, 3.0, output="sparse")


def _support(images: Images) -> jax.Array:
    return scale_space(images, [1.0, 3.0]).support.horizontal.astype(jnp.float32)


def _by_time(images: Images) -> jax.Array:
    return jax.jvp(lambda time: smooth(images, time, max_time=4.0), (jnp.float32(2.0),), (jnp.float32(1.0),))[1]


def _by_image(images: Images) -> jax.Array:
    return jax.grad(lambda images: (smooth(images, 2.0) ** 3).sum())(images)


def _views(images: Images) -> jax.Array:
    return along_path(jax.random.key(1), images)


def _corrupted(images: Images) -> jax.Array:
    keys = jax.random.split(jax.random.key(2), len(CORRUPTIONS))
    return jnp.stack([corrupt(images, name, 3, key) for name, key in zip(CORRUPTIONS, keys, strict=True)])


def _attacked(images: Images) -> jax.Array:
    weights = jax.random.normal(jax.random.key(3), (*images.shape[1:], 10)) / images[0].size ** 0.5

    def logits_fn(images: Images) -> jax.Array:
        return jnp.tensordot(smooth(images, 2.0), weights, 3)

    labels = jnp.arange(len(images)) % 10
    return pgd(logits_fn, images, labels, jax.random.key(4), epsilon=8 / 255, num_steps=5)


def _sharded(devices: list[jax.Device], images: np.ndarray) -> Check:
    """The batch split over all devices, and on one."""
    name = f"smoothed images, split over {len(devices)} devices"
    if len(devices) == 1:
        return Check(name, 0.0, 0.0, "There is one device: nothing was split.")
    batch = np.concatenate([images] * -(-len(devices) // len(images)))
    batch = batch[: len(batch) // len(devices) * len(devices)]
    mesh = jax.make_mesh((len(devices),), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices)
    split = jax.device_put(batch, jax.NamedSharding(mesh, jax.P("data")))
    ours = jax.jit(_smoothed)(split)
    kept = len(ours.sharding.device_set) == len(devices)
    expected = _on(devices[0], _smoothed, batch)
    difference = float(np.abs(np.asarray(ours, np.float64) - expected).mean())
    return Check(name, difference if kept else float("nan"), 1e-4, "" if kept else "The result was gathered.")


def _kernel(device: jax.Device, images: np.ndarray) -> Check:
    """The program that follows a path on the chip, and XLA."""
    note = "" if device.platform == "gpu" else "Interpreted: there is no GPU."
    kernel = _on(device, lambda images: smooth(images, 3.0, SplitLBI(on_chip=True)), images)
    xla = _on(device, lambda images: smooth(images, 3.0, SplitLBI(on_chip=False)), images)
    return Check("smoothed images by the on-chip program", float(np.abs(kernel - xla).mean()), 1e-4, note)
