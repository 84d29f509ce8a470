"""What all pictures share: their axes, their colours, and the checks of what they show."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike, as_numbers, check_choice
from isvs_jax._extras import optional
from isvs_jax._images import as_image
from isvs_jax.solver._scale_space import ScaleSpace
from isvs_jax.solver._smooth import OUTPUTS, Output
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.regions import piecewise_constant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000")
"""The palette of Okabe and Ito, which people with any colour vision tell apart."""

# Lines differ in more than their colour: they are told apart in grey too.
_DASHES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def look(number: int) -> dict[str, Any]:
    """The colour, dashes and marker of the line with this number; all three differ between neighbours."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 4,
    }


def new_figure(size: tuple[float, float]) -> "Figure":
    """Make a figure that pyplot does not know.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    figure: Figure = optional("matplotlib.figure").Figure(figsize=size, layout="constrained")
    return figure


def one_axes(ax: "Axes | None", size: tuple[float, float]) -> "Axes":
    """The given axes, or those of a new figure.

    Raises:
        TypeError: `ax` is no matplotlib Axes.
    """
    if ax is None:
        return new_figure(size).add_subplot()
    _check_axes(ax, "ax")
    return ax


def grid_of_axes(axes: ArrayLike, shape: tuple[int, int], size: tuple[float, float]) -> np.ndarray:
    """The given axes as an array [rows, columns], or those of a new figure.

    Raises:
        TypeError: `axes` holds something that is no matplotlib Axes.
        ValueError: They are not as many as needed, or of several figures.
    """
    if axes is None:
        return np.asarray(new_figure(size).subplots(*shape, squeeze=False))
    given = np.asarray(axes, object)
    if given.size != shape[0] * shape[1] or (given.ndim > 1 and given.shape != shape):
        raise ValueError(
            f"axes must be {shape[0]} rows of {shape[1]} axes, or {shape[0] * shape[1]} axes in a row; got shape "
            f"{given.shape}."
        )
    for ax in given.flat:
        _check_axes(ax, "axes")
    if len({id(ax.figure.figure) for ax in given.flat}) > 1:
        raise ValueError("axes must belong to one figure, which is returned; got axes of several.")
    return given.reshape(shape)


def figure_of(ax: "Axes") -> "Figure":
    """The figure, or that around the subfigure, of axes."""
    # A figure is its own `figure`, a subfigure names the figure around it.
    figure: Figure = ax.figure.figure
    return figure


def as_shown(image: np.ndarray, limits: tuple[float, float], name: str) -> dict[str, Any]:
    """The arguments of `Axes.imshow` for an image [H, W, C]; `limits` and all beyond them are black and white."""
    low, high = limits
    channels = image.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"{name} must have 1 channel (grey) or 3 (red, green, blue); got {channels}.")
    shown = np.clip((np.asarray(image, np.float32) - low) / (high - low), 0, 1)
    return {"X": shown[..., 0] if channels == 1 else shown, "cmap": "gray", "vmin": 0, "vmax": 1}


def check_limits(limits: tuple[float, float], image: np.ndarray, name: str) -> tuple[float, float]:
    """Raise a ValueError unless `limits` are two increasing numbers with the mean of the image between them."""
    values = as_values(limits, "limits")
    if values.shape != (2,) or not np.isfinite(values).all() or not values[0] < values[1]:
        raise ValueError(f"limits must be two increasing numbers, the values of black and white; got {limits!r}.")
    mean = float(np.asarray(image, np.float64).mean())
    if not values[0] <= mean <= values[1]:
        raise ValueError(
            f"{name} must have its mean within limits {values.tolist()}, or it is shown black or white; got mean "
            f"{mean:.6g}. Scale it, or give other limits."
        )
    return float(values[0]), float(values[1])


def flat_path(image: ArrayLike, path: ScaleSpace, name: str = "image") -> tuple[jax.Array, ScaleSpace]:
    """Images as [N, H, W, C] and their path as [T, N, ...], whatever leading axes they had.

    Raises:
        TypeError: `path` is no `ScaleSpace`, `image` not of a floating dtype, or one of them traced.
        ValueError: `path` is not that of these images: their shape or their means differ, or `image` is not finite.
    """
    path, image = flat_support(path), concrete_image(image, name)
    if path.dense.shape[1:] != (image.size // np.prod(image.shape[-3:]), *image.shape[-3:]):
        raise ValueError(
            f"path must be scale_space({name}, times); got path.dense {path.dense.shape} (one leading axis of times, "
            f"then the images in a row) for {name} of shape {image.shape}."
        )
    image = image.reshape(path.dense.shape[1:])
    _check_means(image, path, name)
    return image, path


def _check_means(image: jax.Array, path: ScaleSpace, name: str) -> None:
    """Raise a ValueError unless every image of a flat path has the mean of its image: the flow keeps it."""
    values = as_numpy(image)
    wanted, found = (shown.mean(axis=(-3, -2), dtype=np.float64) for shown in (values, as_numpy(path.dense)))
    # What float32 loses along a path is far less; half precision rounds every pixel.
    allowed = max(1e-4, float(jnp.finfo(image.dtype).eps)) * np.abs(values).max(axis=(-3, -2, -1))[:, None]
    apart = np.abs(found - wanted) > allowed
    if apart.any():
        place = tuple(np.argwhere(apart)[0])
        raise ValueError(
            f"path must be scale_space({name}, times), which keeps the mean of its image; got mean {found[place]:.6g} "
            f"in path.dense and {wanted[place[1:]]:.6g} in {name}."
        )


def concrete_image(image: ArrayLike, name: str) -> jax.Array:
    """`image` as an array [..., H, W, C] of a floating dtype whose values are there and finite."""
    if isinstance(image, ScaleSpace):
        raise TypeError(f"{name} must be an array [..., H, W, C]; got a ScaleSpace.")
    image = as_image(image, name, any_range=True)
    _check_concrete(image, name)
    if not np.isfinite(as_numpy(image)).all():
        raise ValueError(f"{name} must be finite; got values that are not.")
    return image


def as_values(values: ArrayLike, name: str) -> np.ndarray:
    """`values` as float64.

    Raises:
        TypeError: They hold something that is no real number, or are traced.
    """
    _check_concrete(values, name)
    return np.asarray(as_numbers(values, name), np.float64)


def _check_concrete(value: Any, name: str) -> None:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        raise TypeError(f"{name} must have values, outside of jit, vmap and grad; got a traced one.")


def flat_support(path: ScaleSpace) -> ScaleSpace:
    """A path with the leading axes of its images in a row: fields [T, N, ...]; `stable` must hold throughout."""
    if not isinstance(path, ScaleSpace):
        raise TypeError(f"path must be a ScaleSpace, as isvs_jax.scale_space returns; got {type(path).__name__}.")
    _check_concrete(path, "path")
    if path.times.ndim != 1 or path.dense.ndim < 4 or path.dense.shape[0] != path.times.size or 0 in path.dense.shape:
        raise ValueError(
            "path must have times [T] and dense [T, ..., H, W, C] with one image or more; got shapes "
            f"{path.times.shape} and {path.dense.shape}. scale_space takes a batch as it is, without vmap."
        )
    if not np.asarray(path.stable).all():
        times = np.asarray(path.times, np.float64)[~np.asarray(path.stable)].tolist()
        raise ValueError(f"path must be stable, or its images are not those of the flow; got unstable times {times}.")

    def flat(field: jax.Array) -> jax.Array:
        return field.reshape(field.shape[0], -1, *field.shape[-3:])

    return path._replace(dense=flat(path.dense), support=Edges(*(flat(edge) for edge in path.support)))


def outputs_along(image: jax.Array, path: ScaleSpace, outputs: Sequence[Output]) -> dict[str, np.ndarray]:
    """For each output the images [T, N, H, W, C] of a flat path, float32 or float64."""
    if isinstance(outputs, str) or not outputs or len(set(outputs)) < len(tuple(outputs)):
        raise ValueError(f"outputs must hold one or more of {', '.join(OUTPUTS)}, each once; got {outputs!r}.")
    for output in outputs:
        check_choice("outputs", output, OUTPUTS)
    images = {
        output: path.dense if output == "dense" else piecewise_constant(image, path.support) for output in outputs
    }
    return {output: as_numpy(values) for output, values in images.items()}


def as_numpy(values: ArrayLike) -> np.ndarray:
    """NumPy of float64 where the values came so, else of float32."""
    values = np.asarray(values)
    return values if values.dtype == np.float64 else values.astype(np.float32)


def check_names(names: Sequence[str] | None, count: int, of: str) -> Sequence[str]:
    """`names`, or empty ones; as many as there are images."""
    if names is None:
        return [""] * count
    if isinstance(names, str) or len(names) != count:
        raise ValueError(
            f"names must hold {count} {'name' if count == 1 else 'names'}, one for each {of}; got {names!r}."
        )
    return names


def _check_axes(ax: object, name: str) -> None:
    if not (hasattr(ax, "plot") and hasattr(ax, "figure")):
        raise TypeError(
            f"{name} must be a matplotlib Axes, or several where several are drawn; got {type(ax).__name__}."
        )
