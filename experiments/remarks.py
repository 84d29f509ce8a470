"""What readers must know to judge figures of trainings and the referee, as sentences made from the reports."""

from collections.abc import Mapping, Sequence

from experiments.entrants import Entrant
from isvs_jax.robustness import Report
from isvs_jax.robustness.report.text import grouped, radius


def common_remarks(reports: Mapping[Entrant, tuple[Report, ...]], wanted: Sequence[Entrant] = ()) -> tuple[str, ...]:
    """On how many images and trainings figures rest, what the intervals are, and who is missing.

    Args:
        reports: By entrant, one a seed.
        wanted: Who was asked for.
    """
    every = [report for several in reports.values() for report in several]
    first, counts = every[0], {str(entrant): len(several) for entrant, several in reports.items()}
    counted = f"{first.count} test images in every cell"
    attacked = next((report.attacks[0] for report in every if report.attacks), None)
    if attacked is not None:
        counted += f", {attacked.count} under attack"
    missing = [str(entrant) for entrant in wanted if entrant not in reports]
    left_out = (f"Not finished, and left out: {', '.join(missing)}.",) if missing else ()
    return (f"{counted}.", *_interval_remarks(counts), *left_out)


def warning_remarks(reports: Mapping[Entrant, tuple[Report, ...]]) -> tuple[str, ...]:
    """Every sentence on why a robust accuracy may be too high, with the entrants and seeds that it is of."""
    said = [
        (f"{report.name}, ε = {radius(attack.epsilon)}", text)
        for several in reports.values()
        for report in several
        for attack in report.attacks
        for text in report.attack_warnings(attack)
    ]
    unchecked = any(report.attacks and not report.doublings for several in reports.values() for report in several)
    return (
        *(f"\\* {where}: {text}" for where, text in grouped(said)),
        *(("Twice the steps were not tried: whether the attacks had converged is not known.",) if unchecked else ()),
    )


def _interval_remarks(counts: Mapping[str, int]) -> tuple[str, ...]:
    """What ± means, for entrants of one training and of several."""
    of_images = "± half of the 95% interval over test images, which says nothing of other seeds."
    if set(counts.values()) == {1}:
        return (f"One training each; {of_images}",)
    most = max(counts.values())
    found = [f"± half of Student's 95% interval over {most} trainings that differ in their seed."]
    for fewer in sorted(set(counts.values()) - {most}, reverse=True):
        names = ", ".join(name for name, count in counts.items() if count == fewer)
        found.append(f"{fewer} trainings only: {names}." if fewer > 1 else f"One training only: {names}: {of_images}")
    return tuple(found)
