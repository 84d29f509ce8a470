"""Denoising along the path: PSNR or error against time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from isvs_jax._checks import ArrayLike, check_choice
from isvs_jax.plotting._axes import as_numpy, concrete_image, figure_of, flat_path, look, one_axes, outputs_along
from isvs_jax.solver._scale_space import ScaleSpace
from isvs_jax.solver._smooth import Output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Measure = Literal["psnr", "rmse"]
_LABELS = {"psnr": "PSNR in dB", "rmse": "root mean square error"}


def denoising_curves(
    noisy: ArrayLike,
    clean: ArrayLike,
    path: ScaleSpace,
    outputs: Sequence[Output] = ("dense", "sparse"),
    *,
    measure: Measure = "psnr",
    name: str = "",
    ax: "Axes | None" = None,
) -> "Figure":
    """How near the path of a noisy image comes to the clean one, against time.

    "rmse" is the root of the mean of (u − clean)², "psnr" is −20 log₁₀ of that: the peak is 1. Of several images the
    line is the mean of the measure, and the band goes from the least to the greatest. A cross marks the best recorded
    time; the horizontal line is the noisy image itself.

    Args:
        noisy: The images that the path was made of, float [..., H, W, C].
        clean: What they were without noise, the same shape.
        path: `scale_space(noisy, times)`.
        outputs: "dense", "sparse" or both: a line each.
        measure: "psnr" or "rmse".
        name: Goes before the names of the lines in the legend, for several calls on one Axes.
        ax: The matplotlib Axes to draw on; None makes a figure.

    Returns:
        The Figure.

    Raises:
        TypeError: `noisy` or `clean` is not of a floating dtype, `path` no `ScaleSpace`, or `ax` no Axes.
        ValueError: Shapes do not fit, a choice is unknown, `path` is that of other images (seen by their means), or a
            PSNR is infinite because images are equal.
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from isvs_jax import scale_space
        >>> clean = jnp.zeros((8, 8, 1)).at[2:6, 2:6].set(1.0)
        >>> noisy = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
        >>> figure = denoising_curves(noisy, clean, scale_space(noisy, [1.0, 4.0]))
        >>> [text.get_text().split(",")[0] for text in figure.axes[0].get_legend().get_texts()]
        ['noisy', 'dense', 'sparse']
    """
    check_choice("measure", measure, get_args(Measure))
    noisy, clean = concrete_image(noisy, "noisy"), concrete_image(clean, "clean")
    if clean.shape != noisy.shape:
        raise ValueError(f"clean has shape {clean.shape} and noisy {noisy.shape}; they may have the same shape.")
    noisy, path = flat_path(noisy, path, "noisy")
    reference = as_numpy(clean.reshape(noisy.shape)).astype(np.float64)
    along = outputs_along(noisy, path, outputs)
    untouched = _distances(as_numpy(noisy), reference, measure).mean()
    curves = {output: _distances(images, reference, measure) for output, images in along.items()}
    times = np.asarray(path.times)
    before = f"{name}, " if name else ""
    ax = one_axes(ax, (5.0, 3.4))
    # Lines that other calls left on these axes keep their looks.
    number = len(ax.lines)
    ax.axhline(untouched, label=f"{before}noisy, {_number(untouched, measure)}", **look(number) | {"marker": ""})
    for index, (output, values) in enumerate(curves.items()):
        mean = values.mean(axis=1)
        best = int(mean.argmax() if measure == "psnr" else mean.argmin())
        style = look(number + 1 + index)
        label = f"{before}{output}, {_number(mean[best], measure)} at t = {times[best]:g}"
        ax.plot(times, mean, label=label, **style)
        ax.scatter(times[best], mean[best], s=90, marker="x", color=style["color"], linewidths=2, zorder=3)
        if values.shape[1] > 1:
            ax.fill_between(
                times, values.min(axis=1), values.max(axis=1), color=style["color"], alpha=0.15, linewidth=0
            )
    ax.set(xlabel="time t", ylabel=_LABELS[measure])
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure_of(ax)


def _distances(images: np.ndarray, reference: np.ndarray, measure: Measure) -> np.ndarray:
    """The measure of every image [..., N, H, W, C] against [N, H, W, C], in float64."""
    error = np.sqrt(np.square(images - reference).mean(axis=(-3, -2, -1)))
    if measure == "rmse":
        return error
    if not error.all():
        raise ValueError("an image equals its clean one, so that its PSNR is infinite; measure='rmse' draws it.")
    return -20 * np.log10(error)


def _number(value: float, measure: Measure) -> str:
    return f"{value:.1f} dB" if measure == "psnr" else f"{value:.3g}"
