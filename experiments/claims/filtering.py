"""Claim 4: at equal residual energy the path keeps more of contours and less of noise than frequency filters do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from experiments.accuracies import accuracy_columns, accuracy_table
from experiments.claims import filtering_pictures
from experiments.entrants import chosen_entrants
from experiments.estimates import Estimate
from experiments.judging import judged, referee_images
from experiments.measures.contours import energy_taken
from experiments.measures.matching import FILTERS, Kept, equals, kept
from experiments.remarks import common_remarks, warning_remarks
from experiments.section import Section, Table
from experiments.study import Study
from experiments.trainings import trainings
from isvs_jax import SplitLBI, data
from isvs_jax.augment.views import View
from isvs_jax.filters.linear import low_pass
from isvs_jax.robustness.evaluation.metrics import mean_interval

_USUAL = ("raw", "blur", "lowpass", "rof", "path")
_SMOKE = ("raw", "blur", "path")
_ACCURACIES = ("clean", "all corruptions", "noise", "blur", "fog", "contrast", "low resolution, mean")


@dataclass(frozen=True)
class Filtering:
    """Against frequency filtering at equal residual energy: contours, noise, accuracies.

    Attributes:
        study: Size, data, seeds, folder.
        entrants: Who is compared, "TRAINING" or "TRAINING@BEFORE"; () for the usual ones.
        views: Views of the path that filters are matched to.
        images: At most so many test images are filtered.
        sigma: Standard deviation of the noise that is added to them.
    """

    study: Study = field(default_factory=Study)
    entrants: tuple[str, ...] = ()
    views: tuple[str, ...] = ("dense:2", "dense:4", "dense:8", "sparse:8")
    images: int = 64
    sigma: float = 0.08

    def __post_init__(self) -> None:
        if self.images < 2:
            raise ValueError(f"images is {self.images}; it may be 2 or more.")
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"sigma is {self.sigma}; it may be a finite number > 0.")
        if not self.views or not all(View.parse(text).is_path for text in self.views):
            raise ValueError(f"views is {self.views}; it may hold views of the path, such as dense:4.")


@dataclass(frozen=True)
class Match:
    """Views of the path, each with the filters of equal energy, and what they keep.

    Attributes:
        where: On which images energies are equal: "clean" or "noisy".
        rows: By view of the path what it keeps, and what each of `FILTERS` does.
    """

    where: str
    rows: Mapping[View, Sequence[Kept]]


def run(claim: Filtering) -> Section:
    """Filter, then train and judge what is missing; tables and pictures."""
    size = claim.study.scale
    solver = trainings(size)["path"].inputs.solver
    images = data.as_float(referee_images(claim.study).images[: claim.images])
    noise = claim.sigma * np.asarray(jax.random.normal(jax.random.key(0), images.shape), np.float32)
    views = tuple(map(View.parse, claim.views))
    matches = (
        match("clean", images, images, noise, views, solver),
        match("noisy", images + noise, images, noise, views, solver),
    )
    entrants = chosen_entrants(claim.entrants, claim.study.size, _USUAL, _SMOKE)
    reports = judged(entrants, claim.study)
    columns = accuracy_columns(next(iter(reports.values()))[0], _ACCURACIES, robust=True)
    return Section(
        "filtering",
        "Against frequency filtering",
        "At equal residual energy the path keeps more of the contours of an image, and less of the noise in it, than "
        "frequency filters, and a network trained on it is more robust.",
        (*(table for each in matches for table in match_tables(each)), accuracy_table(reports, columns)),
        filtering_pictures.pictures(images, noise, solver, [each.rows for each in matches]),
        (
            f"Contours and noise: {len(images)} test images, ± half of the 95% interval over them; Gaussian noise of "
            f"standard deviation {claim.sigma:g}, not clipped.",
            "Contour error: ‖Du − Dx‖/‖Dx‖ over the strongest tenth of the edges of the clean image x. Noise left: "
            "‖F(x + n) − F(x)‖²/‖n‖². PSNR: of F(x + n) to x.",
            f"{100 * _fine_share(images):.1f}% of the energy of these images, without their means, lies beyond half "
            "of the Nyquist frequency: where that is little, as in images that were enlarged, a frequency filter has "
            "little to lose.",
            *(f"Accuracies: {remark}" for remark in common_remarks(reports, claim.study.scale, entrants)),
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
        measured_on: Images on which energies are made equal.
        images: Without noise, [N, H, W, C].
        noise: The same shape.
        views: Of the path.
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


def _energy(one: Kept, noisy: bool) -> np.ndarray:
    return one.noisy_energy if noisy else one.energy


def _share(values: np.ndarray) -> Estimate:
    mean = float(values.mean())
    return Estimate(mean, *mean_interval(values, high=float("inf")), (mean,))


def _decibels(values: np.ndarray) -> str:
    low, high = mean_interval(values, low=-float("inf"), high=float("inf"))
    return f"{values.mean():.1f} ± {(high - low) / 2:.1f}"


def _fine_share(images: np.ndarray) -> float:
    """The share of the energy of images, without their means, beyond half of the Nyquist frequency."""
    below = np.asarray(low_pass(jnp.asarray(images), 0.5))
    return float(energy_taken(images, below).sum() / images.var(axis=(1, 2)).mean(axis=-1).sum())
