"""What readers must know to judge figures of trainings and the referee, as sentences made from the reports."""

from collections.abc import Mapping

from experiments.entrants import Entrant
from isvs_jax.robustness import Report


def common_remarks(reports: Mapping[Entrant, tuple[Report, ...]]) -> tuple[str, ...]:
    """On how many images and trainings figures rest, and what the intervals are."""
    every = [report for several in reports.values() for report in several]
    first, trainings = every[0], min(len(several) for several in reports.values())
    counted = f"{first.count} test images in every cell"
    if first.attacks:
        counted += f", {first.attacks[0].count} under attack"
    intervals = (
        f"± half of Student's 95% interval over {trainings} trainings that differ in their seed"
        if trainings > 1
        else "one training each; ± half of the 95% interval over test images, which says nothing of other seeds"
    )
    return (f"{counted}.", f"{intervals}.")
