"""Claim 8: where contours are wider than a pixel, the path gives more than a blur that takes away as much energy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from experiments.claims.ablation import dot_plot
from experiments.claims.comparison import PAIRED, common_remarks, difference_table
from experiments.estimates import Estimate, difference, differences, estimate, estimate_over_images, figures
from experiments.judging import Entrant, NothingFinishedError, judged, referee_images
from experiments.measures.smoothing import FILTERS, contour_error, equals, shown
from experiments.section import Section, Table
from experiments.study import Study, study_of_size
from experiments.trainings import trainings
from isvs_jax._checks import check_integer
from isvs_jax.data import as_float
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation.classes import class_figures, class_names
from isvs_jax.training.methods import PATH_VIEWS

_USUAL = (("blur", "path"), ("lowpass", "path"), ("rof", "path"), ("raw", "path"), ("raw", "blur"))
_SMOKE = (("blur", "path"), ("raw", "path"))
_HEIGHTS = (64, 96, 128)
_COLUMNS = ("clean", "all corruptions", "noise", "blur", "weather", "digital", "contrast", "low resolution, mean")
_DRAWN = ("clean", "all corruptions", "blur", "contrast")
_ALL = "all corruptions"

_CONTOURS = (
    "Contour error: ‖Du − Dx‖/‖Dx‖ over the strongest tenth of the edges, the mean of at most {count} test images; "
    "filters of equal energy on these. ± half of the 95% interval over images."
)

BySeed = Mapping[Entrant, Mapping[int, Report]]
"""Reports by entrant and seed."""


@dataclass(frozen=True)
class Sizes:
    """Image sizes: the path against filters of equal energy, on images of several heights.

    Attributes:
        study: Size, data, seeds, folder. The trainings of each height are in a folder of it.
        heights: The heights (and widths) of the images in pixels; () for 64, 96 and 128 at size "photographs", and for
            those of the study alone at other sizes.
        pairs: The pairs that are compared, first the base and then who is set against it; () for the usual ones. What
            is said of single corruptions and classes is of the first.
        images: At most so many test images of each height are smoothed, to see what is kept of their contours; 0 leaves
            that out.
    """

    study: Study = field(default_factory=study_of_size)
    heights: tuple[int, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    images: int = 64

    def __post_init__(self) -> None:
        for height in self.heights:
            check_integer("each of heights", height)
        check_integer("images", self.images, 0)
        if len(set(self.heights)) < len(self.heights):
            raise ValueError(f"heights must differ; got {self.heights}.")

    @property
    def studies(self) -> tuple[Study, ...]:
        """One study for each height."""
        heights = self.heights or (_HEIGHTS if self.study.size == "photographs" else ())
        if not heights:
            return (self.study,)
        return tuple(
            replace(self.study, out=self.study.root / str(height), data=replace(self.study.data, image_size=height))
            for height in heights
        )

    @property
    def compared(self) -> tuple[tuple[Entrant, Entrant], ...]:
        """The pairs that are named, or the usual ones."""
        named = self.pairs or (_SMOKE if self.study.size == "smoke" else _USUAL)
        return tuple((Entrant.parse(base), Entrant.parse(other)) for base, other in named)


def run(claim: Sizes) -> Section:
    """Train and judge what is missing; tables and a picture."""
    wanted = tuple(dict.fromkeys(entrant for pair in claim.compared for entrant in pair))
    studies, found = _judged(claim, wanted)
    first = next(iter(next(iter(next(iter(found.values())).values())).values()))
    columns = tuple(column for column in _COLUMNS if column in figures([first]))
    changes = {
        _row(base, other, label): differences(reports.get(other, {}), reports.get(base, {}), columns)
        for base, other in claim.compared
        for label, reports in found.items()
    }
    changes = {name: row for name, row in changes.items() if row}
    pair = claim.compared[0]
    drawn = tuple(column for column in _DRAWN if column in columns)
    return Section(
        "sizes",
        "At several sizes of image",
        "Where contours are wider than a pixel, a network trained along the path is more robust than one trained on "
        "filters that take away as much energy.",
        (difference_table(changes, columns), _accuracies(found, columns), *_details(pair, found), *_contours(claim)),
        {"differences": (dot_plot(changes, drawn), "Differences in points, with 95% intervals.")} if changes else {},
        (
            *_remarks(found, studies, wanted),
            f"{PAIRED} n: trainings.",
            *((_CONTOURS.format(count=claim.images),) if claim.images else ()),
            f"Each filter takes away as much energy as the path in its place, on the training images of its size; κ = "
            f"{claim.study.kappa:g}.",
        ),
    )


def _judged(claim: Sizes, wanted: Sequence[Entrant]) -> tuple[dict[str, Study], dict[str, BySeed]]:
    """By image size the study, and what there is of those wanted.

    Of a look at what is finished, sizes with nothing are left out.
    """
    studies: dict[str, Study] = {}
    found: dict[str, BySeed] = {}
    for study in claim.studies:
        try:
            reports = judged(wanted, study, attacks=False)
        except NothingFinishedError:
            continue
        height, width, _ = next(iter(next(iter(reports.values())).values())).image_shape
        label = f"{height}×{width}"
        studies[label], found[label] = study, reports
    if not found:
        raise NothingFinishedError(f"finished_only is set, but {claim.study.root} holds no finished report.")
    return studies, found


def _row(base: Entrant, other: Entrant, label: str) -> str:
    return f"{base} → {other}, {label}"


def _accuracies(found: Mapping[str, BySeed], columns: Sequence[str]) -> Table:
    rows: dict[str, tuple[Estimate | str, ...]] = {}
    for label, reports in found.items():
        for entrant, by_seed in reports.items():
            values = figures(tuple(by_seed.values()))
            rows[f"{entrant}, {label}"] = (str(len(by_seed)), *(values[column] for column in columns))
    return Table("accuracy in %", ("n", *columns), rows)


def _details(pair: tuple[Entrant, Entrant], found: Mapping[str, BySeed]) -> tuple[Table, ...]:
    """The differences of one pair for every corruption, and for every class over all corruptions."""
    base, other = pair
    both = {
        label: [(reports[other][seed], reports[base][seed]) for seed in reports[other] if seed in reports[base]]
        for label, reports in found.items()
        if base in reports and other in reports
    }
    both = {label: pairs for label, pairs in both.items() if pairs}
    if not both:
        return ()
    report = next(iter(both.values()))[0][0]
    title = f"{base} → {other}, in points"
    by_corruption = {
        name: tuple(difference(*zip(*pairs, strict=True), name) for pairs in both.values())
        for name in report.corruptions
    }
    tables = [Table(title, tuple(both), by_corruption)]
    by_class = {label: _by_class(pairs) for label, pairs in both.items()}
    if all(by_class.values()):
        names = class_names(report)
        rows = {name: tuple(row[number] for row in by_class.values()) for number, name in enumerate(names)}
        tables.append(Table(f"{title}, all corruptions", tuple(both), rows))
    return tuple(tables)


def _by_class(pairs: Sequence[tuple[Report, Report]]) -> list[Estimate | str]:
    """The difference of the accuracy of each class over all corruptions, with Student's interval over trainings."""
    each = [[_class_accuracies(report) for report in pair] for pair in pairs]
    if any(row is None for pair in each for row in pair):
        return []
    values = np.array(each, np.float64)
    changes = (values[:, 0] - values[:, 1]).T
    return ["" if np.isnan(row).any() else estimate(row.tolist(), least=-1.0) for row in changes]


def _class_accuracies(report: Report) -> tuple[float | None, ...] | None:
    return next((entry.classes for entry in class_figures(report) if entry.label == _ALL), None)


def _contours(claim: Sizes) -> tuple[Table, ...]:
    """What the path and filters of equal energy keep of contours, at each size."""
    rows: dict[str, tuple[Estimate | str, ...]] = {}
    for study in claim.studies if claim.images else ():
        images = as_float(referee_images(study).images[: claim.images])
        solver = trainings(study)["path"].inputs.solver
        for view, filters in equals(images, PATH_VIEWS, solver).items():
            every = shown(images, (view, *filters), solver)
            errors = [contour_error(images, smoothed) for smoothed in every]
            change = errors[0] - errors[1]
            values = tuple(Estimate(float(each.mean()), None, None, (float(each.mean()),)) for each in errors)
            paired = estimate_over_images(change, -1.0, 1.0)
            rows[f"{view}, {images.shape[1]}×{images.shape[2]}"] = (*values, paired)
    return (Table("contour error in %", ("path", *FILTERS, "path less blur"), rows),) if rows else ()


def _remarks(found: Mapping[str, BySeed], studies: Mapping[str, Study], wanted: Sequence[Entrant]) -> tuple[str, ...]:
    """What must be known of all sizes, once; what is of some alone, with their names."""
    places: dict[str, list[str]] = {}
    for label, reports in found.items():
        trained = {entrant: tuple(of.values()) for entrant, of in reports.items()}
        for remark in common_remarks(trained, studies[label], wanted):
            places.setdefault(remark, []).append(label)
    return tuple(
        remark if len(labels) == len(found) else f"{', '.join(labels)}: {remark}" for remark, labels in places.items()
    )
