"""How the cost grows: exponents by regression of logarithms, with intervals, and a picture of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Exponent(NamedTuple):
    """cost ∝ amount^value; low and high end of the interval of 95%."""

    value: float
    low: float
    high: float
    scale: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def exponent(amounts: np.ndarray, costs: np.ndarray) -> Exponent:
    """Least squares of log cost on log amount; Student's interval of the slope."""
    from scipy import stats

    fit = stats.linregress(np.log(amounts), np.log(costs))
    half = stats.t.ppf(0.975, len(amounts) - 2) * fit.stderr
    return Exponent(float(fit.slope), float(fit.slope - half), float(fit.slope + half), float(np.exp(fit.intercept)))


def exponents(points: dict[str, list[tuple[float, float]]]) -> dict[str, Exponent]:
    """By axis from (amount, seconds); the pixels also as n·log₂ n."""
    found = {}
    for axis, pairs in points.items():
        # Two points leave nothing to judge the slope by.
        if len(pairs) < 3:
            continue
        amounts, costs = np.array(sorted(pairs)).T
        found[axis] = exponent(amounts, costs)
        if axis == "pixels":
            found["pixels × log pixels"] = exponent(amounts * np.log2(amounts), costs)
    return found


def plot(points: dict[str, list[tuple[float, float]]], fits: dict[str, Exponent], file: Path) -> None:
    """One panel an axis: what was measured, what was fitted, and the line of exponent 1 through the last point."""
    from matplotlib.figure import Figure

    axes_of = [axis for axis in points if axis in fits]
    figure = Figure(figsize=(4 * len(axes_of), 3.4), layout="constrained")
    for axes, axis in zip(figure.subplots(1, len(axes_of), squeeze=False)[0], axes_of, strict=True):
        amounts, costs = np.array(sorted(points[axis])).T
        linear = amounts * np.log2(amounts) if axis == "pixels" else amounts
        axes.loglog(amounts, costs, "o", color="C0", label="measured")
        fit = fits[axis]
        axes.loglog(amounts, fit.scale * amounts**fit.value, "-", color="C0", label=f"exponent {fit.value:.2f}")
        name = "n log n" if axis == "pixels" else "linear"
        axes.loglog(amounts, costs[-1] * linear / linear[-1], ":", color="0.4", label=name)
        axes.set_xlabel({"pixels": "pixels n", "batch": "images in the batch", "t": "time t"}[axis])
        if axis != "pixels":
            axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
            axes.minorticks_off()
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel("seconds")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
