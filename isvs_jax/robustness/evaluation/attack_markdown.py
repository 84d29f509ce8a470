"""Attacks in a report's Markdown: every robust figure with its warnings, and the checks of the attacks."""

from __future__ import annotations

from collections.abc import Sequence

from isvs_jax.robustness.evaluation.cells import AttackResult, Cell, DoublingCheck, EpsilonCurve, StepReach
from isvs_jax.robustness.evaluation.classes import figures_of
from isvs_jax.robustness.evaluation.error_growth import growth_sentence
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.text import (
    NOTHING,
    ball_name,
    capital,
    grouped,
    interval,
    norm_name,
    percent,
    radius,
    table,
)


def attack_sections(report: Report) -> list[str]:
    """The attacks within balls, the ε-curves, twice the steps, and which of these checks were not made."""
    if not report.attacks and not report.curves:
        return ["## Attacks", "Attacks were not evaluated."]
    sections = ["## Attacks"]
    for kind in ("attacks", "defence"):
        found = [attack for attack in report.attacks if attack.kind == kind]
        if found:
            sections += _attack_table(report, found)
    sections += _not_checked(report)
    for curve in report.curves:
        sections += _curve(curve)
    if report.doublings:
        sections += _doublings(report.doublings)
    return sections


def _attack_table(report: Report, found: list[AttackResult]) -> list[str]:
    names = list(found[0].worst.masks)
    rows = []
    for attack in found:
        accuracies = attack.worst.accuracies
        shown = [percent(accuracies[name]) if name in accuracies else NOTHING for name in names]
        warned = str(len(report.attack_warnings(attack)) or "none")
        ends = interval(attack.worst.interval)
        rows.append(
            [ball_name(attack.norm, attack.epsilon), *shown, f"**{percent(attack.worst.accuracy)}**", ends, warned]
        )
    counts = sorted({attack.worst.count for attack in found})
    order = "each on what those before it had left" if found[0].cumulative else "each on every image"
    what = (
        f"Accuracy in % on the first {' or '.join(map(str, counts))} images after the attacks, {order}; the worst case "
        "is over all of them, example by example."
    )
    if found[0].kind == "defence":
        what += " The model is a network behind a defence: the columns are the six ways of attacking one."
    said = [
        (f"{ball_name(attack.norm, attack.epsilon)}, {percent(attack.worst.accuracy)}%", sentence)
        for attack in found
        for sentence in report.attack_warnings(attack)
    ]
    warnings = [f"**Warning** ({where}): {sentence}" for where, sentence in grouped(said)]
    header = ["ball", *names, "worst case", "95% interval", "warnings"]
    return [what, table(header, rows), *warnings, _reaches(found[0].reaches)]


def _reaches(reaches: Sequence[StepReach]) -> str:
    """Steps × step size against ε, attack by attack."""

    def said(reach: StepReach) -> str:
        if reach.step_size is None or reach.ratio is None:
            return f"{reach.attack} {reach.num_steps} {reach.note}"
        return f"{reach.attack} {reach.num_steps} × {reach.step_size:g}ε = {reach.ratio:g}ε, {reach.note}"

    return f"Steps × step size against ε: {'; '.join(map(said, reaches))}."


def _not_checked(report: Report) -> list[str]:
    """Which checks a robust figure lacks."""
    balls = [(attack.norm, attack.epsilon) for attack in report.attacks]
    curved, doubled = (
        {curve.norm for curve in report.curves},
        {(entry.norm, entry.epsilon) for entry in report.doublings},
    )
    sentences = [
        f"No ε-curve was made in {norm_name(norm)}: nothing shows that the attacks take this model to chance there."
        for norm in dict.fromkeys(norm for norm, _ in balls if norm not in curved)
    ]
    missing = [ball_name(*ball) for ball in balls if ball not in doubled]
    if missing:
        sentences.append(f"Twice the steps were not tried ({'; '.join(missing)}): whether they suffice is not known.")
    return sentences


def _curve(curve: EpsilonCurve) -> list[str]:
    rows = [
        [radius(epsilon), percent(cell.accuracy), interval(cell.interval), _worst_class(cell)]
        for epsilon, cell in zip(curve.epsilons, curve.cells, strict=True)
    ]
    label = f"ε-curve, {norm_name(curve.norm)}"
    verdict = [f"**Warning** ({label}): {sentence}" for sentence in curve.warnings] or [
        f"No warning: the accuracy never rises with ε and falls to chance ({percent(curve.chance)}%)."
    ]
    return [
        f"### {label}",
        f"{capital(curve.attack)}, {curve.num_steps} steps, on the first {curve.cells[0].count} images. At "
        f"{radius(curve.full_radius)} every image can be turned into plain grey, so that no model can hold.",
        table(["ε", "accuracy in %", "95% interval", "worst class in %"], rows),
        *verdict,
        growth_sentence(curve.epsilons, curve.accuracy),
        _reaches(curve.reaches),
    ]


def _worst_class(cell: Cell) -> str:
    figures = figures_of("", [cell])
    return NOTHING if figures is None else percent(figures.classes[figures.worst] or 0.0)


def _doublings(doublings: Sequence[DoublingCheck]) -> list[str]:
    rows, said = [], []
    for entry in doublings:
        ball = ball_name(entry.norm, entry.epsilon)
        effort = str(entry.num_steps) if entry.num_queries is None else f"{entry.num_steps} / {entry.num_queries}"
        accuracies = (percent(entry.accuracy), percent(entry.accuracy_doubled))
        rows.append([ball, entry.attack, str(entry.count), effort, *accuracies, str(len(entry.warnings) or "none")])
        said += [(ball, sentence) for sentence in entry.warnings]
    warnings = [f"**Warning** (twice the steps, {where}): {sentence}" for where, sentence in grouped(said)]
    return [
        "### Twice the steps",
        "The attacks that made the figures, with twice the steps and queries, on those of the first images that held: "
        "an attack that has converged breaks no more. In a norm without such figures, the attack of the ε-curve.",
        table(["ball", "attacks", "images", "steps / queries", "accuracy in %", "doubled", "warnings"], rows),
        *warnings,
    ]
