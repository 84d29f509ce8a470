"""Figures of a certificate: certified accuracy at radii, average certified radius, abstentions, and every class."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._checks import brief, check_number
from isvs_jax._files import read_json
from isvs_jax.robustness._inputs import check_labels
from isvs_jax.robustness.certification._certificate import Certificate
from isvs_jax.robustness.certification.bounds import ABSTAINS, certified_radius, implied_linf
from isvs_jax.robustness.text import interval, percent, table

SUMMARY = "certified.json"

RADII = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The radii of the published tables, in L2 on the scale of [0, 1]."""


@dataclass(frozen=True)
class CertifiedSummary:
    """Figures of a certificate. What it says of L2 is no figure of an attack, and stands in no column with one.

    Attributes:
        radii: The radii r, in L2 on the scale of [0, 1].
        linf_radii: The L∞ radii r/√d that they imply.
        accuracy: The share of images that are certified to be classified right at each radius; an abstention is wrong.
        intervals: The 95% intervals of Wilson over the images.
        average_radius: The mean over all images of the radius, 0 where the prediction is wrong.
        abstained: The share of the images that were drawn n times for which it abstains.
        largest_radius: The largest radius that n draws can give, σ Φ⁻¹(α^(1/n)).
        count: The number of images.
        classes: The classes that have images.
        by_class: The accuracy at each radius, one row for each of the classes.
        sigma: The standard deviation of the noise, on the scale of [0, 1].
        alpha: The chance, for each image, that its radius is too large.
        n0: The number of draws that choose a class.
        n: The number of draws that bound its probability.
        no_class: The number of draws whose logits were not finite.
        defence: What stands between noise and network; "" for nothing.
        mixture_weight: 1, or the share of the smoothed classifier in a mixture.
        name: What is certified, in words.
    """

    radii: tuple[float, ...]
    linf_radii: tuple[float, ...]
    accuracy: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    average_radius: float
    abstained: float
    largest_radius: float
    count: int
    classes: tuple[int, ...]
    by_class: tuple[tuple[float, ...], ...]
    sigma: float
    alpha: float
    n0: int
    n: int
    no_class: int
    defence: str = ""
    mixture_weight: float = 1.0
    name: str = ""

    @property
    def worst_class(self) -> tuple[tuple[int, float], ...]:
        """At each radius the class with the least certified accuracy, and that."""
        rows = np.asarray(self.by_class)
        return tuple((self.classes[row], float(rows[row, place])) for place, row in enumerate(rows.argmin(axis=0)))

    def as_dict(self) -> dict[str, Any]:
        """Lists, numbers and strings, as JSON gives them back."""
        return dataclasses.asdict(self)


def certified_summary(
    certificate: Certificate, labels: np.ndarray, radii: Sequence[float] = RADII, *, name: str = ""
) -> CertifiedSummary:
    """Sum up a certificate.

    Args:
        certificate: The certificate of N images.
        labels: Integers [N].
        radii: Increasing radii ≥ 0, in L2.
        name: What is certified, in words.

    Raises:
        TypeError: The labels are no integers.
        ValueError: They are not one for each image, or a radius is negative.

    Example:
        >>> counts = np.array([1000, 980, 400])
        >>> certificate = Certificate(np.array([0, 1, -1]), np.array([1.2, 0.8, 0.0]), counts, np.full(3, 1000),
        ...     np.zeros(3, int), sigma=0.5, alpha=0.001, n0=100, n=1000, image_shape=(32, 32, 3))
        >>> summary = certified_summary(certificate, np.array([0, 1, 1]), (0.0, 1.0))
        >>> [round(share, 2) for share in summary.accuracy], round(summary.average_radius, 2)
        ([0.67, 0.33], 0.67)
    """
    count = len(certificate.prediction)
    true = np.asarray(check_labels(labels, count))
    wanted = tuple(check_number("each of radii", radius, "[0, inf)") for radius in radii)
    if not wanted or any(one >= other for one, other in itertools.pairwise(wanted)):
        raise ValueError(f"radii must be one or more increasing numbers; got {brief(tuple(radii))}.")
    right = certificate.prediction == true
    held = right[:, None] & (certificate.radius[:, None] >= np.asarray(wanted))
    asked = certificate.drawn > 0
    classes = np.unique(true)
    n = np.asarray(certificate.n)
    bound = certified_radius(n, n, sigma=certificate.sigma, alpha=certificate.alpha, weight=certificate.mixture_weight)
    return CertifiedSummary(
        radii=wanted,
        linf_radii=tuple(implied_linf(np.asarray(wanted), certificate.image_shape).tolist()),
        accuracy=tuple(held.mean(axis=0).tolist()),
        intervals=tuple(_wilson(int(total), count) for total in held.sum(axis=0)),
        average_radius=float(np.where(right, certificate.radius, 0).mean()),
        abstained=float((certificate.prediction[asked] == ABSTAINS).mean()) if asked.any() else 0.0,
        largest_radius=float(bound),
        count=count,
        classes=tuple(classes.tolist()),
        by_class=tuple(tuple(held[true == label].mean(axis=0).tolist()) for label in classes),
        sigma=certificate.sigma,
        alpha=certificate.alpha,
        n0=certificate.n0,
        n=certificate.n,
        no_class=int(certificate.no_class.sum()),
        defence=certificate.defence,
        mixture_weight=certificate.mixture_weight,
        name=name,
    )


def _wilson(successes: int, count: int) -> tuple[float, float]:
    # Of SciPy this part alone takes long to import.
    from scipy.stats import binomtest

    interval = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def certified_markdown(summary: CertifiedSummary) -> str:
    """A section in Markdown: what was asked, the table, every class, and what the figures are not."""
    parts = [
        f"### {summary.name or 'Certified'}, σ = {summary.sigma:g}",
        f"σ is on the scale of [0, 1]; n0 = {summary.n0:,}, n = {summary.n:,}, α = {summary.alpha:g}; between noise "
        f"and network: {summary.defence or 'nothing'}; {summary.count:,} images. Accuracies in %.",
    ]
    if summary.mixture_weight < 1:
        parts.append(f"Of the mixture in which the smoothed classifier has the share {summary.mixture_weight:g}.")
    radii = [f"r = {radius:g}" for radius in summary.radii]
    worst = [f"{percent(share)} (class {label})" for label, share in summary.worst_class]
    gaps = zip(summary.accuracy, summary.worst_class, strict=True)
    rows = [
        ["certified accuracy", *map(percent, summary.accuracy)],
        ["95% interval", *map(interval, summary.intervals)],
        ["the L∞ radius that r implies, of 255", *(f"{255 * radius:.2f}" for radius in summary.linf_radii)],
        ["worst class", *worst],
        ["mean less worst class", *(percent(mean - share) for mean, (_, share) in gaps)],
        *(
            [f"class {label}", *map(percent, shares)]
            for label, shares in zip(summary.classes, summary.by_class, strict=True)
        ),
    ]
    parts.append(table(["radius in L2", *radii], rows))
    broken = f" The logits of {summary.no_class:,} draws were not finite; they count as wrong." * bool(summary.no_class)
    parts.append(
        f"Average certified radius {summary.average_radius:.3f}, of at most {summary.largest_radius:.3f} that n "
        f"allows; it abstains on {percent(summary.abstained)}% of the images that were drawn n times.{broken} These "
        "figures are of the smoothed classifier and of balls in L2: they are no accuracies under attack."
    )
    return "\n\n".join(parts)


def read_summary(path: str | os.PathLike[str]) -> CertifiedSummary:
    """The figures in a file certified.json, or in the folder of one.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It holds something else.
    """
    file = Path(path)
    file = file / SUMMARY if file.is_dir() else file
    content = read_json(file)
    try:
        values = {name: _tuples(value) for name, value in content.items() if name != "made"}
        return CertifiedSummary(**values)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{file} must hold the figures of a certificate; got something else ({error}).") from error


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
