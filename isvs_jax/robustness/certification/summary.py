"""Figures of a certificate: certified accuracy at radii, average certified radius, abstentions, and every class."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from isvs_jax._checks import brief, check_number
from isvs_jax.robustness._inputs import check_labels
from isvs_jax.robustness.certification._certificate import Certificate
from isvs_jax.robustness.certification.bounds import ABSTAINS, certified_radius, implied_linf

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

    @property
    def worst_class(self) -> tuple[tuple[int, float], ...]:
        """At each radius the class with the least certified accuracy, and that."""
        rows = np.asarray(self.by_class)
        return tuple((self.classes[row], float(rows[row, place])) for place, row in enumerate(rows.argmin(axis=0)))

    def as_dict(self) -> dict[str, Any]:
        """Lists, numbers and strings, as JSON gives them back."""
        return dataclasses.asdict(self)


def certified_summary(certificate: Certificate, labels: np.ndarray, radii: Sequence[float] = RADII) -> CertifiedSummary:
    """Sum up a certificate.

    Args:
        certificate: The certificate of N images.
        labels: Integers [N].
        radii: Increasing radii ≥ 0, in L2.

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
    )


def _wilson(successes: int, count: int) -> tuple[float, float]:
    interval = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def certified_markdown(name: str, certificate: Certificate, summary: CertifiedSummary) -> str:
    """A section in Markdown: what was asked, the table, every class, and what the figures are not."""
    before = certificate.defence or "nothing"
    asked = (
        f"σ = {certificate.sigma:g} on the scale of [0, 1], n0 = {certificate.n0:,}, n = {certificate.n:,}, "
        f"α = {certificate.alpha:g}; before the network: {before}; {summary.count:,} images."
    )
    weight = certificate.mixture_weight
    mixture = f"\nOf the mixture in which the smoothed classifier has the share {weight:g}.\n" if weight < 1 else ""
    rows = [
        ["radius in L2", *(f"{radius:g}" for radius in summary.radii)],
        ["---"] * (len(summary.radii) + 1),
        ["the L∞ radius that it implies, of 255", *(f"{255 * radius:.2f}" for radius in summary.linf_radii)],
        ["certified accuracy", *(f"{100 * share:.1f}" for share in summary.accuracy)],
        ["95% interval", *(f"{100 * low:.1f} to {100 * high:.1f}" for low, high in summary.intervals)],
        ["worst class", *(f"{100 * share:.1f} (class {label})" for label, share in summary.worst_class)],
        [
            "mean less worst class",
            *(f"{100 * (a - b):.1f}" for a, (_, b) in zip(summary.accuracy, summary.worst_class, strict=True)),
        ],
        *(
            [f"class {label}", *(f"{100 * share:.1f}" for share in shares)]
            for label, shares in zip(summary.classes, summary.by_class, strict=True)
        ),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"""## Certified accuracy: {name}

{asked}
{mixture}
{table}

Average certified radius {summary.average_radius:.3f}, of at most {summary.largest_radius:.3f} that n allows; it
abstains on {100 * summary.abstained:.1f}% of the images that were drawn n times. {_no_class(certificate)}These figures
are of the smoothed classifier and of balls in L2: they are no accuracies under attack, and stand in no column with
those.
"""


def _no_class(certificate: Certificate) -> str:
    broken = int(certificate.no_class.sum())
    return f"The logits of {broken:,} draws were not finite; they count as wrong. " if broken else ""
