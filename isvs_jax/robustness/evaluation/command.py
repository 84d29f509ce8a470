"""`python -m isvs_jax.robustness`: evaluate a model from the command line, compare reports, or certify a model."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from isvs_jax import environment
from isvs_jax._command import exit_status
from isvs_jax._files import write_atomically
from isvs_jax.data import Dataset, as_float, load_data
from isvs_jax.robustness.certification import read_summary
from isvs_jax.robustness.evaluation._evaluate import evaluate
from isvs_jax.robustness.evaluation._markdown import combined_markdown, summary_table
from isvs_jax.robustness.evaluation.certified_command import certify_model
from isvs_jax.robustness.evaluation.comparison import combine
from isvs_jax.robustness.evaluation.figures import bars, epsilon_curves, heat_map
from isvs_jax.robustness.evaluation.model_source import find_model
from isvs_jax.robustness.evaluation.normaliser import Normaliser, read_normaliser
from isvs_jax.robustness.evaluation.options import PROG, Certification, Comparison, Evaluation, parse
from isvs_jax.robustness.evaluation.protocol import arguments_of
from isvs_jax.robustness.evaluation.report import Report, read_report
from isvs_jax.robustness.evaluation.report_files import write_report
from isvs_jax.robustness.evaluation.settings import Resources
from isvs_jax.robustness.evaluation.words import bound_reader, parse_defence
from isvs_jax.robustness.text import norm_name

_DOTS = 110


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""

    def work() -> None:
        chosen = parse(arguments)
        match chosen:
            case Evaluation():
                print(_evaluate(chosen))
            case Comparison():
                print(_compare(chosen))
            case Certification():
                print(certify_model(chosen))

    typed = environment.command_line() if arguments is None else shlex.join([*PROG.split(), *arguments])
    return exit_status(work, PROG, f"Go on with: {typed}")


def _evaluate(chosen: Evaluation) -> str:
    """Evaluate a model; its figures, and where the report is."""
    normaliser = _normaliser(chosen.normaliser)
    certified = tuple(map(read_summary, chosen.certified))
    defence = None if chosen.defence is None else parse_defence(chosen.defence)
    resources = Resources(chosen.batch_size)
    dataset = load_data(replace(chosen.data, limit_train=1), progress=chosen.progress)
    images, labels = _in_mixed_order(dataset, chosen)
    model = find_model(chosen, dataset.num_classes)
    before = [] if chosen.defence is None else [f"{chosen.defence} before the network"]
    within = chosen.preprocessing or model.preprocessing
    read = chosen.corruptions.read
    if read is not None:
        read = bound_reader(read, chosen.read_count, chosen.data.data_dir)
    report = evaluate(
        model.logits_fn,
        as_float(images),
        labels,
        jax.random.key(chosen.seed),
        name=chosen.name or f"{model.name}, {dataset.name}",
        preprocessing="; ".join([*before, *([within] if within else [])]),
        corruptions=replace(chosen.corruptions, read=read),
        resolutions=arguments_of(chosen.protocol)["resolutions"] if chosen.resolutions else (),
        attacks=chosen.attacks,
        checks=chosen.checks,
        defence=defence,
        num_classes=dataset.num_classes,
        class_names=dataset.class_names,
        parameters=model.parameters,
        normaliser=normaliser,
        resources=resources,
        folder=chosen.out,
        progress=chosen.progress,
    )
    report = replace(report, certified=certified)
    pictures = _draw(report, chosen.out) if chosen.pictures else []
    write_report(report, chosen.out, normaliser, pictures)
    warnings = "\n".join(f"Warning: {text}" for text in report.warnings)
    parts = [summary_table(report, normaliser), warnings, str(chosen.out / "report.html")]
    return "\n\n".join(part for part in parts if part)


def _in_mixed_order(dataset: Dataset, chosen: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """The test images and labels; those that lie sorted by class, as in folders, in an order that is drawn.

    The first images are those under attack: of sorted ones they would be of the first class.
    """
    images, labels = dataset.test.images, dataset.test.labels
    if (np.diff(labels) < 0).any() or labels[0] == labels[-1]:
        return images, labels
    if chosen.progress:
        print("The test images are sorted by class; they are taken in an order that is drawn.", file=sys.stderr)
    order = np.random.default_rng(chosen.data.draw_seed).permutation(len(labels))
    return images[order], labels[order]


def _compare(chosen: Comparison) -> Path:
    """Draw reports side by side; the folder of the pictures."""
    reports = [read_report(path) for path in chosen.reports]
    normaliser = _normaliser(chosen.normaliser)
    # Before anything is written: reports that cannot be compared are refused here.
    figures = {"bars.png": bars(reports)}
    for norm in dict.fromkeys(curve.norm for report in reports for curve in report.curves):
        figures[f"epsilon_curves_{norm}.png"] = epsilon_curves(reports, norm)
    combined = None if chosen.combine is None else combined_markdown(combine(reports, chosen.combine, normaliser))
    existing = [file for file in (*figures, "combined.md") if (chosen.out / file).exists()]
    if existing:
        place = chosen.out / existing[0]
        raise FileExistsError(f"out must be a folder without {existing[0]}; got {place}, which would be overwritten.")
    chosen.out.mkdir(parents=True, exist_ok=True)
    for file, figure in figures.items():
        figure.savefig(chosen.out / file, dpi=_DOTS)
    if combined is not None:
        write_atomically(chosen.out / "combined.md", combined)
    return chosen.out


def _draw(report: Report, folder: Path) -> list[tuple[str, str]]:
    """Write the pictures of one report; their titles and file names."""
    drawn = []
    if report.corruptions:
        heat_map(report).savefig(folder / "heat_map.png", dpi=_DOTS)
        drawn.append(("accuracy by corruption and severity", "heat_map.png"))
    for curve in report.curves:
        file = f"epsilon_curve_{curve.norm}.png"
        epsilon_curves([report], curve.norm).savefig(folder / file, dpi=_DOTS)
        drawn.append((f"accuracy under attack, {norm_name(curve.norm)}", file))
    return drawn


def _normaliser(text: str | None) -> Normaliser | None:
    if text is None:
        return None
    path, _, row = text.partition("#")
    return read_normaliser(path, row or None)
