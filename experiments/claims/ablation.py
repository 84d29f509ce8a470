"""Claim 5: which of the choices along the path matter, each made otherwise alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from experiments.claims.comparison import PAIRED, Reports, common_remarks
from experiments.estimates import Estimate, differences, figures
from experiments.judging import Entrant, NothingFinishedError, judged
from experiments.section import Section, Table
from experiments.study import Study, study_of_size
from experiments.trainings import VARIATIONS
from isvs_jax.plotting.axes import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE = Entrant("path")
_COMPARED = ("clean", "all corruptions", "low resolution, mean")
_BESIDE = ("fog", "contrast")


@dataclass(frozen=True)
class Choice:
    """An entrant that differs from the base in one choice.

    Attributes:
        group: The choice, such as "ν".
        label: What was chosen, such as "0.3".
        entrant: The entrant that chose it.
    """

    group: str
    label: str
    entrant: Entrant


BASE_LABELS: Mapping[str, str] = {
    "ν": "0.1",
    "κ": "5",
    "time": "t = 2, 4, 8",
    "penalty": "color",
    "output": "dense",
    "raw share": "0.5",
    "way": "random",
    "test": "as it is",
}
"""The label of the base in each group."""

CHOICES: tuple[Choice, ...] = (
    *(Choice(one.group, one.label, Entrant(one.training)) for one in VARIATIONS),
    Choice("way", "fixed, t = 4, no raw images", Entrant("fixed")),
    Choice("way", "coarse to fine", Entrant("coarse_to_fine")),
    Choice("way", "consistency", Entrant("consistency")),
    *(Choice("test", f"{before} before", Entrant("path", before)) for before in ("dense:4", "dense:8", "by-noise:4,8")),
)
"""Every choice, in the order of the tables."""

# A training each, but for the last.
_SMOKE = ("ν = 1", "output = sparse", "raw share = 0", "way = coarse to fine", "test = dense:8 before")


@dataclass(frozen=True)
class Ablation:
    """Ablation: ν, κ, time, penalty, output, share of raw images, training way, smoothing at test time.

    Attributes:
        study: Size, data, seeds, folder.
        choices: The choices that are made otherwise, each "GROUP = LABEL" or a whole "GROUP"; () for all, at size smoke
            for a few.
    """

    study: Study = field(default_factory=study_of_size)
    choices: tuple[str, ...] = ()


def run(claim: Ablation) -> Section:
    """Train and judge what is missing; a table for each choice, and a picture."""
    study = claim.study
    chosen = selected(claim.choices or (_SMOKE if study.size == "smoke" else ()))
    entrants = (BASE, *(choice.entrant for choice in chosen))
    found = judged(entrants, study, study.seeds[: study.ablation_count], attacks=False)
    if BASE not in found:
        raise NothingFinishedError(
            f"finished_only is set, but {study.root} holds no finished report of the base, {BASE}."
        )
    reports = {entrant: tuple(by_seed.values()) for entrant, by_seed in found.items()}
    compared = tuple(column for column in _COMPARED if column in figures(reports[BASE]))
    changes = {choice: differences(found.get(choice.entrant, {}), found[BASE], compared) for choice in chosen}
    changes = {choice: change for choice, change in changes.items() if change}
    if not changes:
        raise NothingFinishedError(f"finished_only is set, but {study.root} holds no choice with a seed of the base.")
    picture = dot_plot({f"{one.group}: {one.label}": row for one, row in changes.items()}, compared)
    return Section(
        "ablation",
        "Ablation",
        "Some choices along the path matter, others do not. Each differs from the base in one thing; the base is half "
        "raw images, half dense t = 2, 4 or 8, ν = 0.1, κ = 5, tested on images as they are.",
        tuple(_table(group, changes, reports) for group in dict.fromkeys(choice.group for choice in changes)),
        {"differences": (picture, "Difference to the base in points of accuracy, with 95% intervals.")},
        (
            *common_remarks(reports, study, entrants),
            f"Differences (Δ) are in points. {PAIRED}",
            "Times mean other things for another ν or penalty: what has entered by then differs too.",
        ),
    )


def selected(names: Sequence[str]) -> tuple[Choice, ...]:
    """The choices of some names, each "GROUP = LABEL" or "GROUP"; all of them for no name.

    Raises:
        ValueError: A name is none of these.
    """
    full = {f"{choice.group} = {choice.label}" for choice in CHOICES}
    unknown = [name for name in names if name not in full and name not in BASE_LABELS]
    if unknown:
        raise ValueError(f"choices must hold some of {', '.join((*BASE_LABELS, *sorted(full)))}; got {unknown}.")
    return tuple(
        choice
        for choice in CHOICES
        if not names or choice.group in names or f"{choice.group} = {choice.label}" in names
    )


def dot_plot(rows: Mapping[str, Mapping[str, Estimate]], columns: Sequence[str]) -> "Figure":
    """Differences in points with their intervals, a panel for each column.

    Args:
        rows: Differences in [-1, 1], by the name of the row, by column.
        columns: The columns, a panel for each.
    """
    figure = new_figure((1.8 + 2.4 * len(columns), 0.9 + 0.24 * len(rows)))
    axes = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    places = np.arange(len(rows))
    for number, (ax, column) in enumerate(zip(axes, columns, strict=True)):
        cells = [row[column] for row in rows.values()]
        means = np.array([cell.mean for cell in cells])
        reach = 100 * np.array([cell.reach for cell in cells]).T
        ax.axvline(0, color="0.5", linewidth=0.8)
        ax.errorbar(100 * means, places, xerr=reach, fmt="o", color=COLOURS[number], markersize=4, elinewidth=1)
        ax.set_title(column, fontsize=9)
        ax.set_xlabel("points")
        ax.grid(alpha=0.3)
    axes[0].set_yticks(places, list(rows), fontsize=8)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _table(group: str, changes: Mapping[Choice, Mapping[str, Estimate]], reports: Reports) -> Table:
    """The accuracies of one group of choices, and their differences to the base."""
    rows: dict[str, tuple[Estimate | str, ...]] = {f"{BASE_LABELS[group]} (base)": _cells(figures(reports[BASE]), {})}
    for choice, change in changes.items():
        if choice.group == group:
            rows[choice.label] = _cells(figures(reports[choice.entrant]), change)
    known = figures(reports[BASE])
    columns = [name for column in _COMPARED if column in known for name in (column, "Δ")]
    return Table(group, (*columns, *(column for column in _BESIDE if column in known)), rows)


def _cells(found: Mapping[str, Estimate], change: Mapping[str, Estimate]) -> tuple[Estimate | str, ...]:
    cells = [cell for column in _COMPARED if column in found for cell in (found[column], change.get(column, ""))]
    return (*cells, *(found[column] for column in _BESIDE if column in found))
