"""What claims share: whom they compare, the table of accuracies, and what readers must know to judge the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from experiments.estimates import Estimate, figures
from experiments.judging import Entrant, judged
from experiments.section import Table
from experiments.study import Study, study_of_size
from experiments.trainings import training_folder
from isvs_jax._files import read_json
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation._summary import robust_label
from isvs_jax.robustness.text import grouped, radius
from isvs_jax.training.run import RESULT_FILE

Reports = Mapping[Entrant, Sequence[Report]]
"""The reports of each entrant, one a seed."""

PAIRED = (
    "Differences are of the same test images and, training by training, of the same seed: ± half of the 95% interval "
    "over trainings and test images, and where there is one training over test images alone."
)
"""What the interval of a difference is over."""


@dataclass(frozen=True)
class Comparison:
    """Entrants side by side, in one study.

    Attributes:
        study: Size, data, seeds, folder.
        entrants: Who is compared: "TRAINING", a name of `experiments/trainings.py`, or "TRAINING@BEFORE" with smoothing
            before the network, such as dense:4, when it is tested; by default the usual ones of the claim.
    """

    study: Study = field(default_factory=study_of_size)
    entrants: tuple[str, ...] = ()

    usual: ClassVar[tuple[str, ...]] = ("raw", "path", "path@dense:4")
    few: ClassVar[tuple[str, ...]] = usual

    @property
    def chosen(self) -> tuple[Entrant, ...]:
        """Those that are named; where none is, the usual ones, or a few of them at size "smoke"."""
        usual = self.few if self.study.size == "smoke" else self.usual
        return tuple(map(Entrant.parse, self.entrants or usual))

    def reports(self) -> Reports:
        """The reports of those chosen; what is missing is trained and judged first, as by `judged`."""
        return {entrant: tuple(of.values()) for entrant, of in judged(self.chosen, self.study).items()}


def first_report(reports: Reports) -> Report:
    """The first report of the first entrant, which knows what all were tested on."""
    return next(iter(reports.values()))[0]


def accuracy_columns(report: Report, wanted: Sequence[str], *, robust: bool = False) -> tuple[str, ...]:
    """Those that a report has of some labels of `isvs_jax.robustness.evaluation._summary`, then all robust ones."""
    known = figures([report])
    of_attacks = [robust_label(attack) for attack in report.attacks] if robust else []
    return (*(column for column in wanted if column in known), *of_attacks)


def accuracy_table(reports: Reports, columns: Sequence[str]) -> Table:
    """A row for each entrant, the best of each column bold."""
    found = {str(entrant): figures(several) for entrant, several in reports.items()}
    rows = {name: tuple(values[column] for column in columns) for name, values in found.items()}
    return Table("accuracy in %", tuple(columns), rows, best=(1,) * len(columns))


def difference_table(changes: Mapping[str, Mapping[str, Estimate]], columns: Sequence[str]) -> Table:
    """A row for each pair, with the number of trainings that it rests on."""
    rows: dict[str, tuple[Estimate | str, ...]] = {
        name: (str(len(row[columns[0]].values)), *(row[column] for column in columns)) for name, row in changes.items()
    }
    return Table("difference in points", ("n", *columns), rows)


def common_remarks(reports: Reports, study: Study, wanted: Sequence[Entrant] = ()) -> tuple[str, ...]:
    """On how many images and trainings figures rest, what the intervals are, who is missing, and what entrants are.

    Args:
        reports: The reports by entrant.
        study: The study.
        wanted: Who was asked for.
    """
    every = [report for several in reports.values() for report in several]
    first, counts = every[0], {str(entrant): len(several) for entrant, several in reports.items()}
    counted = f"{first.count} test images in every cell"
    attacked = next((report for report in every if report.attacks), None)
    if attacked is not None:
        counted += f", {attacked.attacks[0].worst.count} under attack"
        if attacked.doublings:
            counted += f", {attacked.doublings[0].count} with twice the steps"
    missing = [str(entrant) for entrant in wanted if entrant not in reports]
    left_out = (f"Not finished, and left out: {', '.join(missing)}.",) if missing else ()
    return (
        f"{counted}.",
        *_interval_remarks(counts),
        *_image_remarks(first.count, attacked.attacks[0].worst.count if attacked else None, max(counts.values())),
        *left_out,
        "Noise and contrast in training, and nearly blur, are corruptions of the test: in those columns and in the "
        "means they are no generalisation. Methods have equal epochs, not equal work, and at small sizes they may not "
        "have converged; the best of many rows is flattered.",
        f"Judged at commit {', '.join(dict.fromkeys(_commits(every)))}; the command below drew it.",
        *cost_remarks(reports, study),
        *starting_remarks(study),
        *_entrant_remarks(tuple(reports), study),
    )


def cost_remarks(reports: Reports, study: Study) -> tuple[str, ...]:
    """What the trainings and their tests took, by the clock and of processors, where it is known."""
    every = [report for several in reports.values() for report in several]
    kept = {
        training_folder(study.root, entrant.training, seed) / RESULT_FILE for entrant in reports for seed in study.seeds
    }
    said = []
    for what, parts in (
        ("trainings", [read_json(file) for file in sorted(kept) if file.exists()]),
        ("tests", [{"processor_seconds": 0.0} | one for report in every for one in report.made.get("sessions", ())]),
    ):
        if parts:
            clock, processor = (sum(part.get(name, 0.0) for part in parts) for name in ("seconds", "processor_seconds"))
            of_processor = f" ({processor / 60:.0f} of the processor)" if processor else ""
            said.append(f"{what} {clock / 60:.0f} min{of_processor}")
    return (f"Cost by the clock: {', '.join(said)}.",) if said else ()


def starting_remarks(study: Study) -> tuple[str, ...]:
    """What trainings start from, where they do not start from nothing."""
    if study.model.weights is None:
        return ()
    # A run is known by its folder's last names, such as trainings/raw/0; a file by its own.
    path = Path(study.model.weights)
    name = "/".join(path.absolute().parts[-3:]) if path.is_dir() else path.name
    return (
        f"All trainings start from {name}, a {study.model.name} that was trained before: {study.epochs} epochs at a "
        f"learning rate of at most {study.learning_rate:g}.",
    )


def warning_remarks(reports: Reports) -> tuple[str, ...]:
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


def _entrant_remarks(entrants: Sequence[Entrant], study: Study) -> tuple[str, ...]:
    """What must be said of some kinds of entrant."""
    found = []
    if any("adversarial" in entrant.training for entrant in entrants):
        radius_and_steps = f"ε = {radius(study.training_epsilon)}, {study.training_steps} steps"
        found.append(f"Adversarial training: {radius_and_steps}, a radius that may be among those of the test.")
    if any((entrant.before or "").startswith("by-noise") for entrant in entrants):
        found.append(
            "by-noise: no way of attack differentiates the choice of time, so these robust accuracies are upper "
            "bounds; most clean images are not smoothed."
        )
    return tuple(found)
