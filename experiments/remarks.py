"""What readers must know to judge figures of trainings and the referee, as sentences made from the reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.entrants import Entrant
from experiments.sizes import Size
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation.text import grouped, radius


def common_remarks(
    reports: Mapping[Entrant, tuple[Report, ...]], size: Size, wanted: Sequence[Entrant] = ()
) -> tuple[str, ...]:
    """On how many images and trainings figures rest, what the intervals are, who is missing, and what entrants are.

    Args:
        reports: By entrant, one a seed.
        size: Of the study.
        wanted: Who was asked for.
    """
    every = [report for several in reports.values() for report in several]
    first, counts = every[0], {str(entrant): len(several) for entrant, several in reports.items()}
    counted = f"{first.count} test images in every cell"
    attacked = next((report for report in every if report.attacks), None)
    if attacked is not None:
        counted += f", {attacked.attacks[0].count} under attack"
        if attacked.doublings:
            counted += f", {attacked.doublings[0].count} with twice the steps"
    missing = [str(entrant) for entrant in wanted if entrant not in reports]
    left_out = (f"Not finished, and left out: {', '.join(missing)}.",) if missing else ()
    return (
        f"{counted}.",
        *_interval_remarks(counts),
        *_image_remarks(first.count, attacked.attacks[0].count if attacked else None, max(counts.values())),
        *left_out,
        "Noise and contrast in training, and nearly blur, are corruptions of the test: in those columns and in the "
        "means they are no generalisation. Methods have equal epochs, not equal work, and at small sizes they may not "
        "have converged; the best of many rows is flattered.",
        f"Judged at commit {', '.join(dict.fromkeys(_commits(every)))}; the command below drew it.",
        *starting_remarks(size),
        *_entrant_remarks(tuple(reports), size),
    )


def starting_remarks(size: Size) -> tuple[str, ...]:
    """What trainings start from, where they do not start from nothing."""
    if size.model.weights is None:
        return ()
    # A run is known by its folder's last names, such as trainings/raw/0; a file by its own.
    path = Path(size.model.weights)
    name = "/".join(path.absolute().parts[-3:]) if path.is_dir() else path.name
    return (
        f"All trainings start from {name}, a {size.model.name} that was trained before: {size.epochs} epochs at a "
        f"learning rate of at most {size.learning_rate:g}.",
    )


def _entrant_remarks(entrants: Sequence[Entrant], size: Size) -> tuple[str, ...]:
    """What must be said of some kinds of entrant."""
    found = []
    if any("adversarial" in entrant.training for entrant in entrants):
        radius_and_steps = f"ε = {radius(size.training_epsilon)}, {size.training_attack_steps} steps"
        found.append(f"Adversarial training: {radius_and_steps}, a radius that may be among those of the test.")
    if any((entrant.before or "").startswith("by-noise") for entrant in entrants):
        found.append(
            "by-noise: no way of attack differentiates the choice of time, so these robust accuracies are upper "
            "bounds; most clean images are not smoothed."
        )
    return tuple(found)


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


def _image_remarks(count: int, attacked: int | None, trainings: int) -> tuple[str, ...]:
    """What intervals over trainings leave out."""
    if trainings == 1:
        return ()
    of_attacked = "" if attacked is None else f", ± {98 / attacked**0.5:.0f} of those under attack"
    return (
        f"All trainings see the same test images: others would move a figure by up to ± {98 / count**0.5:.0f} points"
        f"{of_attacked}, which Student's interval leaves out.",
    )


def _commits(reports: Sequence[Report]) -> list[str]:
    return [session["commit"] for report in reports for session in report.made.get("sessions", ())]


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
