"""A model's entry for RobustBench: the fields of its model_info files, where a report is of what they ask for.

References:
    Croce et al., "RobustBench: a standardized adversarial robustness benchmark", NeurIPS 2021,
    https://github.com/RobustBench/robustbench, section "Adding a new model" and folder model_info.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from isvs_jax._checks import check_choice, check_integer
from isvs_jax._files import write_json
from isvs_jax.robustness.evaluation.cells import AttackResult
from isvs_jax.robustness.evaluation.protocol import standard
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.text import ball_name, radius

Threat = Literal["Linf", "L2", "corruptions"]

# The images of each data set that the leaderboard is over, and the radii of its balls.
_COUNTS = {"cifar10": 10_000, "cifar100": 10_000, "imagenet": 5_000}
_SIDES = {"cifar10": 32, "cifar100": 32}
_CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}
_RADII = {
    ("cifar10", "Linf"): 8 / 255,
    ("cifar10", "L2"): 0.5,
    ("cifar100", "Linf"): 8 / 255,
    ("imagenet", "Linf"): 4 / 255,
}


def robustbench_entry(
    report: Report,
    *,
    dataset: str,
    threat: Threat,
    title: str,
    authors: str,
    link: str,
    venue: str,
    architecture: str,
    additional_data: bool,
    number_forward_passes: int = 1,
    reported: float | None = None,
    footnote: str | None = None,
) -> dict[str, Any]:
    """The fields of a model_info file of RobustBench.

    Args:
        report: The report of the model.
        dataset: "cifar10", "cifar100" or "imagenet": which images the report is of; the caller answers for it.
        threat: "Linf" or "L2" for the accuracy under AutoAttack, "corruptions" for that on CIFAR-10-C or CIFAR-100-C.
        title: The title of the paper.
        authors: Its authors.
        link: Its address.
        venue: Where it appeared, such as "ICML 2024".
        architecture: The architecture, such as "WideResNet-28-10".
        additional_data: Whether more data than the training images were used.
        number_forward_passes: The forward passes of a prediction.
        reported: The accuracy in percent that the paper reports; None is that of the report.
        footnote: A remark.

    Returns:
        The entry, its accuracies as texts in percent, as RobustBench writes them.

    Raises:
        ValueError: There is no such leaderboard, or the report is not of what it asks for: the standard AutoAttack on
            all of its images in its ball, or the published corruptions. All that is missing is said.
    """
    check_choice("dataset", dataset, _COUNTS)
    check_choice("threat", threat, ("Linf", "L2", "corruptions"))
    passes = check_integer("number_forward_passes", number_forward_passes)
    if threat == "corruptions":
        wrong, value, epsilon = _corruptions_missing(report, dataset), None, None
        value = None if wrong else report.mean_accuracy(list(report.corruptions))
    else:
        if (dataset, threat) not in _RADII:
            raise ValueError(f"threat must be one that RobustBench has for {dataset}, 'Linf'; got {threat!r}.")
        epsilon = _RADII[dataset, threat]
        attack = _attack(report, threat, epsilon)
        wrong, value = _attack_missing(report, dataset, threat, attack), attack.worst.accuracy if attack else None
    wrong = _images_missing(report, dataset) + wrong
    if wrong or value is None:
        raise ValueError(f"report must be of what RobustBench's {dataset}, {threat}, is over; got {'; '.join(wrong)}.")
    measured = f"{100 * value:.2f}"
    entry = {
        "link": link,
        "name": title,
        "authors": authors,
        "additional_data": bool(additional_data),
        "number_forward_passes": passes,
        "dataset": dataset,
        "venue": venue,
        "architecture": architecture,
        "eps": None if epsilon is None else radius(epsilon),
        "clean_acc": f"{100 * report.clean.accuracy:.2f}",
        "reported": measured if reported is None else f"{reported:.2f}",
        "corruptions_acc" if threat == "corruptions" else "autoattack_acc": measured,
    }
    if threat != "corruptions":
        # RobustBench marks so what a stronger attack breaks; here it is what the referee warns of.
        entry["unreliable"] = bool(attack and report.attack_warnings(attack))
    return entry | ({} if footnote is None else {"footnote": footnote})


def write_robustbench_entry(report: Report, file: str | os.PathLike[str], **about: Any) -> dict[str, Any]:
    """Write `robustbench_entry(report, **about)` to a file, and return it.

    Raises:
        ValueError: As in `robustbench_entry`; nothing is written.
    """
    entry = robustbench_entry(report, **about)
    write_json(Path(file), entry)
    return entry


def _images_missing(report: Report, dataset: str) -> list[str]:
    found = []
    if report.count != _COUNTS[dataset]:
        found.append(f"{report.count:,} images for {_COUNTS[dataset]:,}")
    if report.num_classes != _CLASSES[dataset]:
        found.append(f"{report.num_classes} classes for {_CLASSES[dataset]}")
    side = _SIDES.get(dataset)
    if side is not None and tuple(report.image_shape) != (side, side, 3):
        found.append(f"images {report.image_shape} for {(side, side, 3)}")
    return found


def _corruptions_missing(report: Report, dataset: str) -> list[str]:
    found = [] if dataset in _SIDES else ["ImageNet-C, whose files no published checksums can verify"]
    if not report.is_complete:
        found.append("another table than the 15 corruptions at five severities")
    if report.source != "official":
        found.append(f"{report.source or 'no'} corruptions for the published files")
    counts = {cell.count for row in report.corruptions.values() for cell in row.values()}
    return found + ([] if counts <= {_COUNTS[dataset]} else [f"cells of {sorted(counts)} images"])


def _attack(report: Report, threat: str, epsilon: float) -> AttackResult | None:
    norm = threat.lower()
    return next((a for a in report.attacks if a.norm == norm and abs(a.epsilon - epsilon) < 1e-6), None)


def _attack_missing(report: Report, dataset: str, threat: str, attack: AttackResult | None) -> list[str]:
    found = []
    if report.made.get("defence") is not None:
        found.append("a defence before the network, which RobustBench takes no optimisation loops and no rounding for")
    if attack is None:
        return [*found, f"no attack within {ball_name(threat.lower(), _RADII[dataset, threat])}"]
    if attack.worst.count != _COUNTS[dataset]:
        found.append(f"{attack.worst.count:,} images under attack for {_COUNTS[dataset]:,}")
    used, usual = report.settings.get("attacks", {}), standard()["attacks"]
    for key, what in (("names", "attacks"), ("num_steps", "steps"), ("num_queries", "queries")):
        value = getattr(usual, key)
        if used.get(key) != (list(value) if isinstance(value, tuple) else value):
            found.append(f"{what} {used.get(key)} for {value} of the standard AutoAttack")
    return found
