"""Claim 6: large scales come first, along the path and in what a network trained on it looks at."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import ClassVar

import numpy as np

from experiments.claims import scales_pictures
from experiments.claims.comparison import Comparison, starting_remarks
from experiments.estimates import Estimate, estimate
from experiments.judging import NothingFinishedError, referee_images
from experiments.measures.cue_conflict import Decisions, Hybrids, Pairs, decisions, hybrids, pairs
from experiments.measures.entry_order import (
    LONGER,
    SquareEntries,
    entries,
    first_entry,
    square,
    square_entries,
    straight_entry,
    stripe,
)
from experiments.measures.occlusion import evidence, occlusion_drops
from experiments.section import Section, Table
from experiments.study import Study, check_seeds
from experiments.trainings import check_training, train_one, training_folder, trainings
from isvs_jax import data
from isvs_jax._checks import check_integer, check_number
from isvs_jax.augment import View
from isvs_jax.models import LogitsFn
from isvs_jax.robustness.evaluation import mean_interval, wilson
from isvs_jax.training import load_classifier
from isvs_jax.training.run import RESULT_FILE

# Along a side.
_PATCHES = 8


@dataclass(frozen=True)
class Scales(Comparison):
    """Large scales first: shape against texture, and the order of entry.

    Attributes:
        entrants: The trainings that are compared, on hybrids as they are; by default the usual ones of the claim.
        splits: What large scales are in hybrids: views of the path, or Gaussian blurs by a number of pixels.
        nus: The values of ν of the paths on which squares enter.
        sides: The sides of the squares in pixels.
        heights: The heights of the squares.
        ground: The height and width of the images with squares.
        stripe_nus: The values of ν of the paths on which a wide low stripe and a narrow high one enter.
        occluded: The number of test images of which patches are covered, to see where networks find their evidence.
    """

    entrants: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("blur:1", "blur:2", "blur:3", "blur:4", "dense:1", "dense:2", "dense:4", "dense:8")
    nus: tuple[float, ...] = (0.01, 0.1, 1.0)
    sides: tuple[int, ...] = (2, 4, 8, 16)
    heights: tuple[float, ...] = (0.25, 0.5, 1.0)
    ground: int = 48
    stripe_nus: tuple[float, ...] = (0.01, 0.02, 0.03, 0.1, 1.0)
    occluded: int = 100

    usual: ClassVar = ("raw", "noise", "blur", "path", "mixed_noise")
    few: ClassVar = usual

    def __post_init__(self) -> None:
        for name in ("splits", "nus", "sides", "heights", "stripe_nus"):
            if not getattr(self, name):
                raise ValueError(f"{name} must be one or more; got none.")
        for name in ("heights", "nus", "stripe_nus"):
            for number in getattr(self, name):
                check_number(name, number, "(0, inf)")
        check_integer("occluded", self.occluded, 2)
        # Raises a ValueError where a view or a side is wrong.
        for text in self.splits:
            View.parse(text)
        for side in self.sides:
            square(side, 1.0, self.ground)


def run(claim: Scales) -> Section:
    """Train what is missing, show hybrids to the networks, follow squares and stripes; tables and pictures."""
    study, known = claim.study, trainings(claim.study)
    names = tuple(map(str, claim.chosen))
    check_seeds(study)
    _check_names(names, known)
    solver = known["path"].inputs.solver
    examples = referee_images(study)
    of = pairs(data.as_float(examples.images), examples.labels)
    made = dict(zip(claim.splits, hybrids(of, [View.parse(text) for text in claim.splits], solver), strict=True))
    networks = _networks(names, study)
    seen = {
        name: {text: [decisions(network, hybrid.images, of) for network in several] for text, hybrid in made.items()}
        for name, several in networks.items()
    }
    squares = square_entries(claim.nus, claim.sides, claim.heights, claim.ground)
    return Section(
        "scales",
        "Large scales first",
        "Large, high-contrast structures enter first, and a network that was trained along the path decides by the "
        "large scales of an image where these contradict the small ones.",
        (
            *cue_tables(seen, made),
            evidence_table(networks, of, claim.occluded),
            squares_table(squares, claim),
            stripes_table(claim.stripe_nus),
        ),
        scales_pictures.pictures(of, made, shape_shares(seen), squares, claim.sides, claim.heights),
        (
            *_remarks(of, {name: len(row[claim.splits[0]]) for name, row in seen.items()}, names, squares),
            *starting_remarks(study),
        ),
    )


def shape_shares(seen: Mapping[str, Mapping[str, Sequence[Decisions]]]) -> dict[str, dict[str, Estimate | str]]:
    """The share of decisions for A's class among those for A's or B's, by training and split.

    The interval is Student's over trainings; where there is one training, Wilson's over images.
    """
    return {name: {text: _shape_share(several) for text, several in row.items()} for name, row in seen.items()}


def cue_tables(
    seen: Mapping[str, Mapping[str, Sequence[Decisions]]], made: Mapping[str, Hybrids]
) -> tuple[Table, Table, Table]:
    """What the hybrids are, the shape shares, and how many decisions were for either class."""
    columns = tuple(made)
    either = {
        name: tuple(
            estimate([one.either / one.count for one in row[text]], wilson(row[text][0].either, row[text][0].count))
            for text in columns
        )
        for name, row in seen.items()
    }
    facts = {
        "energy of A that its large scales hold, %": tuple(f"{100 * made[text].large_share:.1f}" for text in columns),
        "energy cut off at 0 and 1, %": tuple(f"{100 * made[text].clipped:.2f}" for text in columns),
    }
    shares = {name: tuple(row[text] for text in columns) for name, row in shape_shares(seen).items()}
    return (
        Table("hybrids, by what large scales are", columns, facts),
        Table("shape share: decisions for A's class among those for A's or B's, %", columns, shares),
        Table("decisions for A's or B's class among all, %", columns, either),
    )


def squares_table(found: SquareEntries, claim: Scales) -> Table:
    """First and whole entry of every square, for every ν."""
    rows = {
        f"{side} px × {height:g}": (
            *(f"{found.first[nu][i, j]:.3f} … {_time(found.whole[nu][i, j])}" for nu in claim.nus),
            f"{found.limit[i, j]:.3f}",
        )
        for i, side in enumerate(claim.sides)
        for j, height in enumerate(claim.heights)
    }
    columns = (*(f"ν = {nu:g}: t of first … last edge" for nu in claim.nus), "ν → 0: whole at")
    return Table("square, side × height", columns, rows)


def stripes() -> np.ndarray:
    """A wide low stripe, 50 px × 0.5, and a narrow high one, 5 px × 1."""
    return np.stack([stripe(50, 0.5, 512), stripe(5, 1.0, 512)])


def stripes_table(nus: Sequence[float]) -> Table:
    """The wide low stripe and the narrow high one: which comes first."""
    images = stripes()
    rows = {}
    for nu in nus:
        expected = first_entry(images, nu)
        (wide, narrow), _ = entries(images, nu, LONGER * float(expected.max()))
        rows[f"ν = {nu:g}"] = (
            f"{wide:.3f}",
            f"{expected[0]:.3f}",
            f"{narrow:.3f}",
            f"{expected[1]:.3f}",
            "wide, low" if wide < narrow else "narrow, high",
        )
    return Table(
        "stripes",
        ("wide, low (50 px × 0.5): t", "predicted", "narrow, high (5 px × 1.0): t", "predicted", "first"),
        rows,
    )


def crossing(low: float = 1e-3, high: float = 10.0) -> float:
    """The ν at which the stripes of `stripes` enter together, by bisection of t₁."""
    images = stripes()
    for _ in range(30):
        middle = sqrt(low * high)
        wide, narrow = first_entry(images, middle)
        low, high = (middle, high) if wide < narrow else (low, middle)
    return sqrt(low * high)


def _shape_share(several: Sequence[Decisions]) -> Estimate | str:
    if not all(one.either for one in several):
        return "no decision for either"
    return estimate([one.shape_share for one in several], wilson(several[0].large, several[0].either))


def _time(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "later"


def _check_names(names: Sequence[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"entrants must be trainings here, some of {', '.join(known)}; got {unknown}.")


def _networks(names: Sequence[str], study: Study) -> dict[str, list[LogitsFn]]:
    """The classifiers of each training, one a seed; who is not finished is left out where only that is asked for."""
    found: dict[str, list[LogitsFn]] = {}
    for seed, name in product(study.seeds, names):
        folder = training_folder(study.root, name, seed)
        if study.finished_only:
            if not (folder / RESULT_FILE).exists():
                continue
            check_training(folder, study)
        else:
            train_one(name, study, seed)
        found.setdefault(name, []).append(load_classifier(folder))
    if not found:
        raise NothingFinishedError(
            f"finished_only is set, but {study.root} holds no finished training of {', '.join(names)}."
        )
    return {name: found[name] for name in names if name in found}


def evidence_table(networks: Mapping[str, Sequence[LogitsFn]], of: Pairs, count: int) -> Table:
    """How the evidence of each training goes with contours and with texture, over the patches of an image."""
    images, labels = of.large[:count], of.large_labels[:count]
    patches = max(number for number in range(1, _PATCHES + 1) if not any(side % number for side in images.shape[1:3]))
    rows = {}
    for name, several in networks.items():
        found = [evidence(occlusion_drops(network, images, labels, patches), images) for network in several]
        each = [[one.contours, one.texture, one.contours - one.texture] for one in found]
        rows[name] = tuple(_correlation([values[place] for values in each]) for place in range(3))
    title = "rank correlation of evidence with what lies in a patch, times 100"
    return Table(title, ("contours", "texture", "contours less texture"), rows)


def _correlation(each: Sequence[np.ndarray]) -> Estimate:
    """Student's interval over trainings; where there is one training, over images."""
    return estimate([float(one.mean()) for one in each], mean_interval(each[0], -2.0, 2.0), least=-2.0)


def _remarks(of: Pairs, counts: Mapping[str, int], names: Sequence[str], squares: SquareEntries) -> tuple[str, ...]:
    off = max(float(np.abs(squares.first[nu] / squares.predicted[nu] - 1).max()) for nu in squares.first)
    missing = [name for name in names if name not in counts]
    left_out = (f"Not finished, and left out: {', '.join(missing)}.",) if missing else ()
    return (
        f"{len(of.large)} hybrids of two test images of different classes: the large scales of A and the small scales "
        f"of B, made by Gaussians (blur:σ) and by the path itself (dense:t), and clipped to [0, 1].",
        "± half of Student's 95% interval over trainings that differ in their seed, or, where there is one, of "
        f"Wilson's over hybrids. Trainings: {', '.join(f'{name} {count}' for name, count in counts.items())}.",
        *left_out,
        "The large scales that a hybrid holds decide how much of A there is to see: columns are compared with care, "
        "rows within a column without. A training has seen the large scales of its own way to split: path those of "
        "dense, blur those of blur.",
        "Evidence: by how much the logarithm of the probability of the class falls when a patch (an eighth of the "
        "side) is covered by the mean colour of the image. Contours: the strongest tenth of its differences; texture: "
        "the rest. Spearman's correlation over the patches of an image, the mean over images.",
        "Squares and stripes: Split LBI with κ = 5 by Euler steps at 95% of the stability bound. The first edge of a "
        f"square enters at t₁ = ν/max|Du₀|, off by at most {100 * off:.2g}%.",
        f"The two stripes change places at ν = {crossing():.3g}.",
        "A square is whole as ν → 0 at 4/(side · height · (1 − its share of the image)). A straight edge between wide "
        "regions enters at √(ν(ν + 4))/height: "
        + ", ".join(f"{straight_entry(1.0, nu):.3g}/height for ν = {nu:g}" for nu in squares.first)
        + ".",
    )
