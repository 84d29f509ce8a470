"""The table: every method with all figures of the referee."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.claims.comparison import Comparison, common_remarks, first_report, warning_remarks
from experiments.estimates import Estimate, figures
from experiments.section import Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Derived from another figure of the table.
_LEFT_OUT = ("low resolution, chance-corrected",)


@dataclass(frozen=True)
class Methods(Comparison):
    """Every method with all figures of the referee."""

    usual: ClassVar = (
        "raw",
        "noise",
        "contrast",
        "noise_contrast",
        "augmix",
        "adversarial",
        "blur",
        "lowpass",
        "rof",
        "fixed",
        "path",
        "coarse_to_fine",
        "consistency",
        "mixed",
        "scale_mix",
        "scale_mix_blur",
        "augmix_path",
        "augmix_blur",
        "path_noise",
        "mixed_noise",
        "mixed_noise_contrast",
        "consistency_noise_contrast",
        "path_augmix",
        "path_adversarial",
        "mixed_noise@dense:8",
        "mixed_noise@by-noise:4,8",
    )
    few: ClassVar = (
        "raw",
        "noise",
        "augmix",
        "adversarial",
        "blur",
        "path",
        "mixed_noise",
        "path_augmix",
        "path@dense:8",
    )


def run(claim: Methods) -> Section:
    """Train and judge what is missing; the table and a picture of it."""
    reports = claim.reports()
    found = {str(entrant): figures(several) for entrant, several in reports.items()}
    columns = tuple(
        label
        for label in next(iter(found.values()))
        if label not in _LEFT_OUT and all(label in values for values in found.values())
    )
    first = first_report(reports)
    return Section(
        "methods",
        "All methods",
        "Where each method wins and where it loses: every method with all figures of the referee.",
        (methods_table(found, columns),),
        {
            "methods": (
                heat_map(found, [column for column in columns if "ECE" not in column]),
                "Accuracy in %; the colour is the difference to the first row, in points.",
            )
        },
        (
            *common_remarks(reports, claim.study, claim.chosen),
            "n: trainings. ECE: expected calibration error, less is better; all else is accuracy.",
            *(
                (
                    f"Behind a defence (a name with @) robust accuracy is the worst case over its ways of attack; "
                    f"else of {', '.join(first.settings['attacks']['names'])}.",
                )
                if first.attacks
                else ()
            ),
            *warning_remarks(reports),
        ),
    )


def methods_table(found: Mapping[str, Mapping[str, Estimate]], columns: Sequence[str]) -> Table:
    """Methods by figures, and on how many trainings each row rests."""
    rows: dict[str, tuple[Estimate | str, ...]] = {
        name: (str(len(values[columns[0]].values)), *(values[column] for column in columns))
        for name, values in found.items()
    }
    best = (0, *(-1 if "ECE" in column else 1 for column in columns))
    return Table("in %", ("n", *columns), rows, best)


def heat_map(found: Mapping[str, Mapping[str, Estimate]], columns: Sequence[str]) -> "Figure":
    """Means as numbers, coloured by their difference to the first row."""
    from isvs_jax.plotting.axes import new_figure

    means = 100 * np.array([[values[column].mean for column in columns] for values in found.values()])
    changes = means - means[:1]
    reach = max(1.0, float(np.abs(changes).max()))
    figure = new_figure((2.4 + 0.72 * len(columns), 1.8 + 0.3 * len(found)))
    ax = figure.add_subplot()
    shown = ax.imshow(changes, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto")
    for (row, column), value in np.ndenumerate(means):
        colour = "white" if abs(changes[row, column]) > 0.7 * reach else "black"
        ax.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right", fontsize=8)
    ax.set_yticks(range(len(found)), list(found), fontsize=8)
    figure.colorbar(shown, ax=ax, label="points above the first row")
    return figure
