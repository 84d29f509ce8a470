"""Pictures of filters beside the path: images at equal energy, and contours against noise."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.measures.matching import Kept, kept, shown
from isvs_jax import SplitLBI
from isvs_jax.augment.views import View
from isvs_jax.plotting._axes import as_shown, look, new_figure
from isvs_jax.robustness.evaluation.metrics import mean_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Strengths along the curves, from little smoothing to much.
_CURVES: Mapping[str, tuple[View, ...]] = {
    "path, dense": tuple(View(float(time)) for time in (24, 16, 12, 8, 6, 4, 3, 2, 1)),
    "path, sparse": tuple(View(float(time), "sparse") for time in (24, 16, 12, 8, 6, 4, 3)),
    "blur": tuple(View(sigma, "blur") for sigma in (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0)),
    "lowpass": tuple(View(cutoff, "lowpass") for cutoff in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1)),
    "rof": tuple(View(weight, "rof") for weight in (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4)),
}


def pictures(
    images: np.ndarray, noise: np.ndarray, solver: SplitLBI, matches: Sequence[Mapping[View, Sequence[Kept]]]
) -> dict[str, tuple["Figure", str]]:
    """The trade-off, and one image in all versions, clean and noisy, each at the strengths matched on such images."""
    clean, noisy = ([[one.view for one in row] for row in rows.values()] for rows in matches)
    # All at once, so that a path is followed once.
    found = {
        one.view: one for one in kept(images, noise, [view for views in _CURVES.values() for view in views], solver)
    }
    curves = {name: [found[view] for view in views] for name, views in _CURVES.items()}
    return {
        "trade_off": (
            trade_off(curves),
            "Left: error at contours against noise left, a point for each strength, means over images; lower left is "
            "better, and what is beyond 105% is not shown. Right: PSNR of smoothed noisy images against what was taken "
            "away; on a vertical line all take away as much. Bars: 95% intervals over images.",
        ),
        "clean": (
            strip(images, clean, solver),
            "One test image; in each column what is taken away of all test images has the same energy.",
        ),
        "noisy": (strip(images + noise, noisy, solver), "The same image with noise, matched on noisy images."),
    }


def trade_off(curves: Mapping[str, Sequence[Kept]]) -> "Figure":
    """Contour error against noise left, and PSNR against the energy taken away, a line for each filter."""
    figure = new_figure((9.6, 4.0))
    left, right = figure.subplots(1, 2)
    for number, (name, points) in enumerate(curves.items()):
        style = look(number) | {"linewidth": 1.2, "elinewidth": 0.7, "label": name}
        noise, error = (
            np.array([_percent(getattr(one, what)) for one in points]).T for what in ("noise_left", "contour_error")
        )
        left.errorbar(noise[0], error[0], xerr=noise[1], yerr=error[1], **style)
        ratio = np.array([_percent(one.psnr / 100) for one in points]).T
        taken = [np.sqrt(one.noisy_energy.mean()) for one in points]
        right.errorbar(taken, ratio[0], yerr=ratio[1], **style)
    left.set(xlabel="noise left in %", ylabel="contour error in %")
    left.set_xlim(0, 105)
    left.set_ylim(0, 105)
    right.set(xlabel="root mean square taken away of noisy images", ylabel="PSNR in dB", xlim=(0, None))
    for ax in (left, right):
        ax.grid(alpha=0.3)
        ax.legend(fontsize=8)
    return figure


def strip(images: np.ndarray, rows: Sequence[Sequence[View]], solver: SplitLBI) -> "Figure":
    """The first image: as it is, then in each column a view of the path above filters of equal energy."""
    height, width = images.shape[1:3]
    count = len(rows[0])
    figure = new_figure((1.6 * (1 + len(rows)), 1.75 * count * height / width))
    axes = figure.subplots(count, 1 + len(rows), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    views = [view for row in rows for view in row]
    # Of all images, which compiles nothing that is not compiled already.
    titled = [("original", images[0])]
    titled += [
        (f"{view.kind}:{view.strength:.3g}", one[0])
        for view, one in zip(views, shown(images, views, solver), strict=True)
    ]
    for ax, (title, image) in zip([axes[0, 0], *axes.T[1:].flat], titled, strict=True):
        ax.imshow(**as_shown(image, (0.0, 1.0), "image"), interpolation="nearest")
        ax.set_title(title, fontsize=8)
    return figure


def _percent(values: np.ndarray) -> tuple[float, float]:
    """Mean and half of the 95% interval over images, times 100."""
    low, high = mean_interval(values, -np.inf, np.inf)
    return 50 * (low + high), 50 * (high - low)
