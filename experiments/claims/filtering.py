"""Claim 4: at equal residual energy the path keeps more of contours and less of noise than frequency filters do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from experiments.claims.comparison import (
    Comparison,
    accuracy_columns,
    accuracy_table,
    common_remarks,
    first_report,
    warning_remarks,
)
from experiments.estimates import Estimate, estimate_over_images
from experiments.judging import referee_images
from experiments.measures.smoothing import FILTERS, Kept, energy_taken, equals, kept, shown
from experiments.section import Section, Table
from experiments.trainings import trainings
from isvs_jax import SplitLBI, data
from isvs_jax._checks import check_integer, check_number
from isvs_jax.augment import View
from isvs_jax.filters import low_pass
from isvs_jax.plotting.axes import as_shown, look, new_figure
from isvs_jax.robustness.evaluation import mean_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACCURACIES = ("clean", "all corruptions", "noise", "blur", "fog", "contrast", "low resolution, mean")
# Strengths along the curves, from little smoothing to much.
_CURVES: Mapping[str, tuple[View, ...]] = {
    "path, dense": tuple(View(float(time)) for time in (24, 16, 12, 8, 6, 4, 3, 2, 1)),
    "path, sparse": tuple(View(float(time), "sparse") for time in (24, 16, 12, 8, 6, 4, 3)),
    "blur": tuple(View(sigma, "blur") for sigma in (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0)),
    "lowpass": tuple(View(cutoff, "lowpass") for cutoff in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1)),
    "rof": tuple(View(weight, "rof") for weight in (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4)),
}


@dataclass(frozen=True)
class Filtering(Comparison):
    """Against frequency filtering at equal residual energy: contours, noise, accuracies.

    Attributes:
        views: The views of the path that filters are matched to.
        images: At most so many test images are filtered.
        sigma: The standard deviation of the noise that is added to them.
    """

    views: tuple[str, ...] = ("dense:2", "dense:4", "dense:8", "sparse:8")
    images: int = 64
    sigma: float = 0.08

    usual: ClassVar = ("raw", "blur", "lowpass", "rof", "path")
    few: ClassVar = ("raw", "blur", "path")

    def __post_init__(self) -> None:
        check_integer("images", self.images, 2)
        check_number("sigma", self.sigma, "(0, inf)")
        if not self.views or not all(View.parse(text).is_path for text in self.views):
            raise ValueError(f"views must be one or more views of the path, such as dense:4; got {self.views}.")


@dataclass(frozen=True)
class Match:
    """Views of the path, each with the filters of equal energy, and what they keep.

    Attributes:
        where: The images on which energies are equal: "clean" or "noisy".
        rows: By view of the path, what it keeps and what each of `FILTERS` keeps.
    """

    where: str
    rows: Mapping[View, Sequence[Kept]]


def run(claim: Filtering) -> Section:
    """Filter, then train and judge what is missing; tables and pictures."""
    solver = trainings(claim.study)["path"].inputs.solver
    images = data.as_float(referee_images(claim.study).images[: claim.images])
    noise = claim.sigma * np.asarray(jax.random.normal(jax.random.key(0), images.shape), np.float32)
    views = tuple(map(View.parse, claim.views))
    matches = (
        match("clean", images, images, noise, views, solver),
        match("noisy", images + noise, images, noise, views, solver),
    )
    reports = claim.reports()
    columns = accuracy_columns(first_report(reports), _ACCURACIES, robust=True)
    return Section(
        "filtering",
        "Against frequency filtering",
        "At equal residual energy the path keeps more of the contours of an image, and less of the noise in it, than "
        "frequency filters, and a network trained on it is more robust.",
        (*(table for each in matches for table in match_tables(each)), accuracy_table(reports, columns)),
        pictures(images, noise, solver, [each.rows for each in matches]),
        (
            f"Contours and noise: {len(images)} test images, ± half of the 95% interval over them; Gaussian noise of "
            f"standard deviation {claim.sigma:g}, not clipped.",
            "Contour error: ‖Du − Dx‖/‖Dx‖ over the strongest tenth of the edges of the clean image x. Noise left: "
            "‖F(x + n) − F(x)‖²/‖n‖². PSNR: of F(x + n) to x.",
            f"{100 * _fine_share(images):.1f}% of the energy of these images, without their means, lies beyond half "
            "of the Nyquist frequency: where that is little, as in images that were enlarged, a frequency filter has "
            "little to lose.",
            *(f"Accuracies: {remark}" for remark in common_remarks(reports, claim.study, claim.chosen)),
            *warning_remarks(reports),
        ),
    )


def match(
    where: str,
    measured_on: np.ndarray,
    images: np.ndarray,
    noise: np.ndarray,
    views: Sequence[View],
    solver: SplitLBI,
) -> Match:
    """What views of the path, and filters of equal energy on some images, keep.

    Args:
        where: What these images are called.
        measured_on: The images on which energies are made equal.
        images: The images without noise, [N, H, W, C].
        noise: The noise that is added to them, the same shape.
        views: Views of the path.
        solver: The flow.
    """
    found = equals(measured_on, views, solver)
    alone = dict(zip(views, kept(images, noise, views, solver), strict=True))
    return Match(where, {view: (alone[view], *kept(images, noise, filters, solver)) for view, filters in found.items()})


def match_tables(match: Match) -> tuple[Table, ...]:
    """Strengths, contour errors, noise left and PSNR: a row for each view of the path."""
    noisy = match.where == "noisy"
    columns = ("path", *FILTERS)
    strengths = {
        str(view): (f"{np.sqrt(_energy(row[0], noisy).mean()):.4f}", *(f"{one.view.strength:.3g}" for one in row[1:]))
        for view, row in match.rows.items()
    }
    errors = {
        str(view): tuple(_share(one.noisy_contour_error if noisy else one.contour_error) for one in row)
        for view, row in match.rows.items()
    }
    left = {str(view): tuple(_share(one.noise_left) for one in row) for view, row in match.rows.items()}
    ratios = {str(view): tuple(_decibels(one.psnr) for one in row) for view, row in match.rows.items()}
    of = f"equal energy on {match.where} images"
    return (
        Table(f"{of}: strengths", ("root mean square taken away", *FILTERS), strengths),
        Table(f"{of}: contour error in %" + (", of the noisy image" if noisy else ""), columns, errors),
        Table(f"{of}: noise left in %", columns, left),
        Table(f"{of}: PSNR of the noisy image in dB", columns, ratios),
    )


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


def _energy(one: Kept, noisy: bool) -> np.ndarray:
    return one.noisy_energy if noisy else one.energy


def _share(values: np.ndarray) -> Estimate:
    return estimate_over_images(values, 0.0, float("inf"))


def _decibels(values: np.ndarray) -> str:
    low, high = mean_interval(values, low=-float("inf"), high=float("inf"))
    return f"{values.mean():.1f} ± {(high - low) / 2:.1f}"


def _fine_share(images: np.ndarray) -> float:
    """The share of the energy of images, without their means, beyond half of the Nyquist frequency."""
    below = np.asarray(low_pass(jnp.asarray(images), 0.5))
    return float(energy_taken(images, below).sum() / images.var(axis=(1, 2)).mean(axis=-1).sum())


def _percent(values: np.ndarray) -> tuple[float, float]:
    """Mean and half of the 95% interval over images, times 100."""
    low, high = mean_interval(values, -np.inf, np.inf)
    return 50 * (low + high), 50 * (high - low)
