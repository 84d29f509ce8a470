"""The evaluation of one model, as plain data that goes to JSON and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isvs_jax._checks import brief, check_path
from isvs_jax._files import read_json
from isvs_jax.robustness.certification import CertifiedSummary
from isvs_jax.robustness.corruptions import CATEGORIES, CORRUPTIONS
from isvs_jax.robustness.evaluation.cells import (
    AttackResult,
    Cell,
    DoublingCheck,
    EpsilonCurve,
    ResolutionCell,
    rebuilt,
)
from isvs_jax.robustness.evaluation.examples import ShownExample
from isvs_jax.robustness.evaluation.statistics import share_interval
from isvs_jax.robustness.evaluation.store import REPORT
from isvs_jax.robustness.text import ball_name, grouped, norm_name, percent

FORMAT = 4
"""The version of the JSON form. Files of versions 2 and 3 are read too; a field with a default needs no new version."""
_OLDER = (2, 3)

# What `to_dict` adds for readers of the file, and `from_dict` leaves out.
DERIVED = ("summary", "classes")


@dataclass(frozen=True, repr=False)
class Report:
    """The evaluation of one model on one set of images.

    Attributes:
        name: The name of the model.
        preprocessing: What the model does to images in [0, 1] before its first layer, in words.
        source: Where the corrupted images come from: "regenerated", or what their loader says ("official", "tfds").
        count: The number of clean images.
        image_shape: The shape of an image, (H, W, C).
        num_classes: The number of classes, K.
        clean: The images as they are.
        corruptions: The cells by corruption and severity.
        resolutions: The cells of low resolution.
        attacks: The robust accuracies.
        curves: The ε-curves.
        doublings: What twice the steps change.
        settings: What was tested, by the groups of `evaluate`, as numbers and strings.
        made: Versions, seeds, hashes, and the sessions in which cells were made: machine, command, commit and date.
        warnings: Every sentence on why a figure may be wrong, each once with its place: those given, and those of the
            attacks, of the ε-curves and of twice the steps.
        class_names: The names of the classes; () where they are not known.
        examples: A few of the images on which the model fails most, where the report was made in a folder.
        certified: Figures of certificates, which are of smoothed classifiers and stand apart from those of attacks.
    """

    name: str
    preprocessing: str
    source: str
    count: int
    image_shape: tuple[int, ...]
    num_classes: int
    clean: Cell
    corruptions: dict[str, dict[int, Cell]] = field(default_factory=dict)
    resolutions: tuple[ResolutionCell, ...] = ()
    attacks: tuple[AttackResult, ...] = ()
    curves: tuple[EpsilonCurve, ...] = ()
    doublings: tuple[DoublingCheck, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    examples: tuple[ShownExample, ...] = ()
    certified: tuple[CertifiedSummary, ...] = ()

    def __post_init__(self) -> None:
        said = tuple(dict.fromkeys([*self.warnings, *self.attack_sentences()]))
        object.__setattr__(self, "warnings", said)

    def __repr__(self) -> str:
        """The figures in a few lines."""
        figures = [f"clean {percent(self.clean.accuracy)}% of {self.count} images"]
        if self.corruptions:
            mean = percent(self.mean_accuracy(list(self.corruptions)))
            figures.append(f"corruptions {mean}%, the mean of {len(self.corruptions)}, {self.source}")
        figures += [
            f"robust {percent(attack.worst.accuracy)}%, {ball_name(attack.norm, attack.epsilon)}, "
            f"{attack.worst.count} images"
            for attack in self.attacks
        ]
        figures.append(f"{len(self.warnings)} warnings")
        return "\n  ".join([f"Report({self.name!r})", *figures])

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities of the table."""
        return tuple(sorted({severity for row in self.corruptions.values() for severity in row}))

    @property
    def is_complete(self) -> bool:
        """Whether the table is the benchmark's: the fifteen corruptions at five severities."""
        return tuple(self.corruptions) == CORRUPTIONS and self.severities == (1, 2, 3, 4, 5)

    def corruption_errors(self) -> dict[str, float]:
        """The mean error over the severities by corruption."""
        return {
            name: 1 - float(np.mean([cell.accuracy for cell in row.values()])) for name, row in self.corruptions.items()
        }

    def mean_accuracy(self, names: Sequence[str]) -> float:
        """The mean accuracy over corruptions and severities, each cell weighing the same."""
        return float(np.mean([cell.accuracy for name in names for cell in self.corruptions[name].values()]))

    def mean_accuracy_interval(self, names: Sequence[str]) -> tuple[float, float] | None:
        """Its 95% interval over examples, Wilson's; None where the cells are not of the same examples."""
        cells = [cell for name in names for cell in self.corruptions[name].values()]
        if len({cell.count for cell in cells}) != 1:
            return None
        return share_interval(np.mean([cell.mask for cell in cells], axis=0), len(cells))

    def attack_warnings(self, attack: AttackResult) -> tuple[str, ...]:
        """Every sentence on why a robust accuracy may be too high: the attacks', the ε-curve's, the doubling's."""
        curves = [f"ε-curve: {text}" for curve in self.curves if curve.norm == attack.norm for text in curve.warnings]
        return tuple(dict.fromkeys([*attack.worst.warnings, *self.doubling_warnings(attack), *curves]))

    def doubling_warnings(self, attack: AttackResult) -> tuple[str, ...]:
        """What twice the steps say of one ball."""
        ball = (attack.norm, attack.epsilon)
        found = [doubling for doubling in self.doublings if (doubling.norm, doubling.epsilon) == ball]
        return tuple(f"twice the steps: {text}" for doubling in found for text in doubling.warnings)

    def attack_sentences(self) -> tuple[str, ...]:
        """Every sentence on attacks and their checks, with the balls or the curve that it is of."""
        said = [(ball_name(entry.norm, entry.epsilon), text) for entry in self.attacks for text in entry.worst.warnings]
        said += [(f"ε-curve, {norm_name(curve.norm)}", text) for curve in self.curves for text in curve.warnings]
        said += [
            (f"twice the steps, {ball_name(check.norm, check.epsilon)}", text)
            for check in self.doublings
            for text in check.warnings
        ]
        return tuple(f"{where}: {text}" for where, text in grouped(said))

    def other_warnings(self) -> tuple[str, ...]:
        """The warnings that are not of attacks."""
        of_attacks = self.attack_sentences()
        return tuple(text for text in self.warnings if text not in of_attacks)

    def groups(self) -> dict[str, list[str]]:
        """The corruptions of the table by category, in the order noise, blur, weather, digital."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.corruptions, key=list(CATEGORIES).index):
            found.setdefault(CATEGORIES[name], []).append(name)
        return {category: found[category] for category in ("noise", "blur", "weather", "digital") if category in found}

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, strings and numbers, fit for JSON."""
        return {"format": FORMAT} | dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Report:
        """The report that `to_dict` gave, whether or not it went through JSON since.

        Raises:
            ValueError: It is not such a dictionary.
        """
        found = values.get("format") if isinstance(values, dict) else None
        if found not in (*_OLDER, FORMAT):
            formats = ", ".join(map(str, (*_OLDER, FORMAT)))
            raise ValueError(f"report must have one of the formats {formats}; got {brief(found)}.")
        given = {name: value for name, value in values.items() if name not in ("format", *DERIVED)}
        return rebuilt(cls, _from_format_2(given) if found == 2 else given, "report")


def check_reports(reports: Any) -> tuple[Report, ...]:
    """The reports as a tuple.

    Raises:
        TypeError: They are no sequence of reports.
    """
    found = tuple(reports) if isinstance(reports, Iterable) and not isinstance(reports, str) else (reports,)
    if not isinstance(reports, Iterable) or not all(isinstance(report, Report) for report in found):
        raise TypeError(f"reports must be a sequence of Report; got {brief(reports)}.")
    return found


def check_report(report: Any) -> None:
    """Raise a TypeError unless it is a report."""
    if not isinstance(report, Report):
        raise TypeError(f"report must be a Report, as of evaluate or read_report; got {brief(report)}.")


def read_report(path: str | os.PathLike[str]) -> Report:
    """The report of a report.json, or of the folder that it is in.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is not of this format, or cut.
    """
    file = check_path("path", path)
    file = file / REPORT if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"path must be a report.json or the folder of one; got {file}, which is not there.")
    values = read_json(file)
    try:
        return Report.from_dict(values)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file} must be a report of this referee; got something else: {error}") from error


# What the settings of format 2 were called, by what they are called now.
_SETTINGS = {
    "corruptions": {"names": "corruptions", "severities": "severities", "table": "parameters", "quantize": "quantize"},
    "attacks": {
        "names": "attacks",
        "count": "attack_count",
        "num_steps": "attack_steps",
        "num_queries": "attack_queries",
        "individually": "individually",
    },
    "checks": {"count": "curve_count", "num_steps": "curve_steps", "doubling": "doubling"},
}


def _from_format_2(values: dict[str, Any]) -> dict[str, Any]:
    """The same report in today's form: an attack's cell and the groups of settings were not there."""
    given = values.get("settings", {})
    settings: dict[str, Any] = {
        group: {name: given[old] for name, old in names.items() if old in given} for group, names in _SETTINGS.items()
    }
    for group, name, old in (("attacks", "epsilons", "epsilons"), ("checks", "curve", "curve")):
        if old in given:
            by_norm = given[old]
            settings[group] |= {name: by_norm.get("linf", []), f"{name}_l2": by_norm.get("l2", [])}
    if "resolutions" in given:
        settings["resolutions"] = given["resolutions"]
    attacks = []
    for entry in values.get("attacks", []):
        kept = {name: entry[name] for name in ("norm", "epsilon", "cumulative", "kind", "reaches")}
        cell = {name: entry[name] for name in ("count", "seconds", "warnings", "masks")}
        attacks.append(kept | {"worst": cell | {"correct": entry["robust"]}})
    return values | {"settings": settings, "attacks": attacks}
