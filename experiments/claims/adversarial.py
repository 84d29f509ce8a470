"""Claim 2: trained along the path, a network resists adversarial noise; with a defence, the worst case is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.claims.comparison import Comparison, Reports, common_remarks, first_report, warning_remarks
from experiments.estimates import Estimate, estimate_of_shares, figures
from experiments.section import Section, Table
from isvs_jax.robustness.evaluation import AttackResult, unpacked
from isvs_jax.robustness.evaluation._summary import robust_label
from isvs_jax.robustness.text import radius

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLEAN = "clean"


@dataclass(frozen=True)
class Adversarial(Comparison):
    """Adversarial noise: robust accuracy, for a defence the worst case over the ways of attacking it."""

    usual: ClassVar = ("raw", "noise", "path", "mixed_noise", "mixed_noise@dense:8", "adversarial", "path_adversarial")
    few: ClassVar = ("raw", "path", "path@dense:8", "adversarial")


def run(claim: Adversarial) -> Section:
    """Train and judge what is missing; tables and pictures."""
    reports = claim.reports()
    defended = {entrant: several for entrant, several in reports.items() if entrant.before is not None}
    attacks = first_report(reports).settings["attacks"]
    return Section(
        "adversarial",
        "Adversarial noise",
        "Trained along the path, a network keeps more of its accuracy under adversarial noise. Smoothing before the "
        "network is counted by the worst case, example by example, over the ways of attacking it.",
        (robust_table(reports), *(ways_tables(defended) if defended else ())),
        {
            "epsilon": (
                epsilon_figure(reports),
                "Accuracy against the radius of the attack. Left: the figures of the table. Right: the ε-curve, on "
                "fewer images and of PGD, for a defence of all ways: it must fall to nothing. Mean over trainings, "
                "bars from the least to the greatest.",
            )
        },
        (
            *common_remarks(reports, claim.study, claim.chosen),
            f"Attacks: {', '.join(attacks['names'])} of {attacks['num_steps']} steps and "
            f"{attacks['num_queries']} queries, L∞; each image counts as robust where none of them succeeds.",
            *(("A defence is attacked in every way of the second table, one after another.",) if defended else ()),
            *warning_remarks(reports),
        ),
    )


def robust_table(reports: Reports) -> Table:
    """Accuracy without attack, on all images and on those attacked, and within each ball."""
    found = {entrant: figures(several) for entrant, several in reports.items()}
    labels = tuple(robust_label(attack) for attack in first_report(reports).attacks)
    rows = {
        str(entrant): (
            found[entrant][_CLEAN],
            estimate_of_shares([_mask(report.attacks[0], _CLEAN) for report in several]),
            *(found[entrant][label] for label in labels),
        )
        for entrant, several in reports.items()
    }
    columns = (_CLEAN, "clean, images under attack", *labels)
    return Table("accuracy in %", columns, rows, best=(1,) * len(columns))


def ways_tables(reports: Reports) -> tuple[Table, Table]:
    """Of defended entrants what is left after each way of attack, in order, and what each way took."""
    ways = tuple(first_report(reports).attacks[0].worst.masks)
    left: dict[str, Sequence[Estimate | str]] = {}
    taken: dict[str, Sequence[Estimate | str]] = {}
    for entrant, several in reports.items():
        for index, attack in enumerate(several[0].attacks):
            name = f"{entrant}, ε = {radius(attack.epsilon)}"
            masks = [[_mask(report.attacks[index], way) for way in ways] for report in several]
            left[name] = tuple(estimate_of_shares(column) for column in zip(*masks, strict=True))
            taken[name] = tuple(
                estimate_of_shares([before & ~after for before, after in zip(befores, afters, strict=True)])
                for befores, afters in zip(*(list(zip(*masks, strict=True))[i:] for i in (0, 1)), strict=False)
            )
    return (
        Table("right after each way, one after another, in %", ways, left),
        Table("broken by this way first, % of images", ways[1:], taken),
    )


def epsilon_figure(reports: Reports) -> "Figure":
    """Accuracy against ε: robust accuracies, and the ε-curves where all have one."""
    from isvs_jax.plotting import accuracy_by_severity
    from isvs_jax.plotting.axes import new_figure

    first = first_report(reports)
    chance = 1 / first.num_classes
    curves = all(report.curves for several in reports.values() for report in several)
    figure = new_figure((10.0 if curves else 5.0, 3.6))
    axes = figure.subplots(1, 2 if curves else 1, squeeze=False)[0]
    robust = {
        str(entrant): [
            [_mask(report.attacks[0], _CLEAN).mean(), *(attack.worst.accuracy for attack in report.attacks)]
            for report in several
        ]
        for entrant, several in reports.items()
    }
    accuracy_by_severity(robust, [0, *(255 * attack.epsilon for attack in first.attacks)], chance=chance, ax=axes[0])
    axes[0].set_title(f"all attacks, {first.attacks[0].worst.count} images", fontsize=9)
    if curves:
        radii = [255 * epsilon for epsilon in first.curves[0].epsilons]
        lines = {
            str(entrant): [[cell.accuracy for cell in report.curves[0].cells] for report in several]
            for entrant, several in reports.items()
        }
        accuracy_by_severity(lines, radii, chance=chance, ax=axes[1])
        axes[1].set_xscale("symlog", linthresh=radii[1])
        axes[1].set_xticks(radii, [f"{place:.4g}" for place in radii])
        axes[1].set_xlim(-0.2 * radii[1], 1.5 * radii[-1])
        axes[1].minorticks_off()
        axes[1].set_title(f"ε-curve, {first.curves[0].cells[0].count} images", fontsize=9)
        axes[1].get_legend().remove()
    for ax in axes:
        ax.set_xlabel("ε in 255ths, L∞")
    return figure


def _mask(attack: AttackResult, name: str) -> np.ndarray:
    return unpacked(attack.worst.masks[name], attack.worst.count)
