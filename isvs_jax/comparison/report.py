"""The report of a comparison in Markdown."""

from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax.comparison.conditions import Condition, conditions
from isvs_jax.comparison.results import Results
from isvs_jax.comparison.settings import Settings

_TITLES = {"clean": "clean", "low_resolution": "low resolution {level:g}×", "pgd_linf": "PGD L∞ ε = {level:g}/255"}


def rows(settings: Settings) -> list[tuple[str, list[Condition]]]:
    """The rows of the table: a title, and the conditions whose mean it shows."""
    groups: list[tuple[str, list[Condition]]] = []
    for condition in conditions(settings):
        if condition.kind == "corruption" and groups and groups[-1][0] == condition.name:
            groups[-1][1].append(condition)
        elif condition.kind == "corruption":
            groups.append((condition.name, [condition]))
        else:
            groups.append((_TITLES[condition.name].format(level=condition.level), [condition]))
    corrupted = [condition for condition in conditions(settings) if condition.kind == "corruption"]
    if corrupted:
        last = max(index for index, (_, group) in enumerate(groups) if group[0].kind == "corruption")
        groups.insert(last + 1, ("mean of the corruptions", corrupted))
    return groups


def mean_accuracy(results: Results, contestant: str, group: list[Condition]) -> float:
    """The mean of a contestant's accuracies under some conditions."""
    return float(np.mean([results.cell(contestant, str(condition))["accuracy"] for condition in group]))


def table(results: Results, settings: Settings, contestants: list[str]) -> str:
    """Accuracies in percent, a row a test and a column a contestant, the best of each row in bold."""
    lines = []
    for title, group in rows(settings):
        values = [mean_accuracy(results, name, group) for name in contestants]
        shown = [f"{100 * value:.1f}" for value in values]
        best = max(shown, key=float)
        lines.append([title, *(f"**{text}**" if text == best else text for text in shown)])
    return markdown(["accuracy in %", *contestants], lines)


def markdown(header: list[str], lines: list[list[str]]) -> str:
    """A Markdown table whose columns are lined up."""
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]

    def row(cells: list[str]) -> str:
        first, *rest = cells
        return f"| {first.ljust(widths[0])} |" + "".join(
            f" {cell.rjust(width)} |" for cell, width in zip(rest, widths[1:], strict=True)
        )

    rule = f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])
    return "\n".join([row(header), rule, *map(row, lines)])


def write_report(results: Results, settings: Settings, contestants: list[str], file: Path) -> None:
    """Write report.md."""
    values = results.values
    smoothed = any("smoothed" in name for name in contestants)
    sections = [
        f"# {' and '.join(values['trainings'])}: {values['data']['name']}\n",
        table(results, settings, contestants) + "\n",
        _reading(results, settings, smoothed),
        "![accuracies](accuracies.png)\n\n![paths](path.png)\n",
        "## What these numbers do not show\n\n" + _limits(values, settings, smoothed),
        "## Trainings\n\n" + _trainings(values),
        "## Every test with its interval\n\n" + _every_test(results, settings, contestants) + "\n",
        _after_attacks(results, settings, contestants) + "\n",
        "## How it was made\n\n" + _made(values) + "\n",
    ]
    file.write_text("\n".join(sections))


def _reading(results: Results, settings: Settings, smoothed: bool) -> str:
    counts = sorted({cell["images"] for cells in results.values["results"].values() for cell in cells.values()})
    inputs = settings.path_inputs()
    parts = [f"Each number is of the same {' or '.join(map(str, counts))} test images (the fewer for the attacks).\n"]
    shown = ", ".join(map(str, inputs.views))
    share = f", raw with probability {inputs.raw_share:g}" if inputs.way == "random" else ""
    parts.append(
        f"- **raw**: trained on the images themselves. **path**: trained along the path, way `{inputs.way}`, views "
        f"{shown}{share}; both are tested on images as they come."
    )
    if settings.noise > 0:
        parts.append(
            f"- **+ noise**: the same with Gaussian noise in training, standard deviation up to {settings.noise:g}."
        )
    if smoothed:
        parts.append(
            f"- **smoothed**: the same network, its input smoothed to {settings.smoothed_view()} at test time too, "
            "a method of its own. Its PGD rows are the worst case, example by example, of three attacks: the gradient "
            "through the unrolled flow, the identity in the backward pass, and images made against the network "
            "without smoothing."
        )
    parts.append(
        "- A PGD row counts an image as wrong that was wrong without attack, or was fooled within a smaller radius."
    )
    parts.append(f"- A corruption's row is the mean over severities {', '.join(map(str, settings.severities))}.\n")
    return "\n".join(parts)


def _limits(values: dict[str, Any], settings: Settings, smoothed: bool) -> str:
    lines = [
        f"- One training each, seed {settings.seed}: the intervals below are of the draw of the test images only; "
        "another seed moves the numbers too.",
        f"- {values['data']['train_images']} training images and a small network: the accuracies are far from what "
        "large networks reach.",
        f"- PGD of {settings.attack_steps} steps from one random start, fewer images: an upper bound of the robust "
        "accuracy, not a certificate; AutoAttack may find more.",
        "- No blur, low-pass, AugMix or adversarial baseline is among the columns.",
    ]
    if smoothed:
        lines.append(
            "- For the smoothed columns this is not the full referee: no gradient-free attack, no low-pass backward "
            "pass, no random noise, no restarts."
        )
    if settings.validation:
        lines.append("- The numbers are of held-out training images; the test images have not been looked at.")
    return "\n".join([*lines, *_warnings(values["results"]), ""])


def _warnings(results: dict[str, Any]) -> list[str]:
    """What hints at an attack that does not see the classifier it attacks."""
    found = []
    for contestant, cells in results.items():
        for name, cell in cells.items():
            left = list(cell.get("after", {}).values())[1:]
            if left and left[0] - left[-1] > 0.02 * cell["images"]:
                found.append(
                    f"- **Warning**: {contestant} under {name}: its own gradient leaves {left[0]} of {cell['images']} "
                    f"images right, further attacks {left[-1]}: the gradient through the flow is a poor guide here."
                )
    return found


def _trainings(values: dict[str, Any]) -> str:
    lines = []
    for name, training in values["trainings"].items():
        last = training["last_epoch"]
        lines.append(
            [
                name,
                str(last["epoch"]),
                f"{last['loss']:.3f}",
                f"{100 * last['accuracy']:.1f}",
                f"{training['seconds']:.0f}",
                str(training["parameters"]),
            ]
        )
    return markdown(["training", "epochs", "last loss", "last accuracy in %", "seconds", "parameters"], lines) + "\n"


def _every_test(results: Results, settings: Settings, contestants: list[str]) -> str:
    lines = []
    for condition in conditions(settings):
        cells = [results.cell(name, str(condition)) for name in contestants]
        lines.append(
            [
                str(condition),
                *(f"{100 * c['accuracy']:.1f} ({100 * c['low']:.1f} to {100 * c['high']:.1f})" for c in cells),
            ]
        )
    return markdown(["accuracy in % (95% interval)", *contestants], lines)


def _after_attacks(results: Results, settings: Settings, contestants: list[str]) -> str:
    lines = []
    for condition in conditions(settings):
        for name in contestants if condition.kind == "pgd" else []:
            counts = results.cell(name, str(condition))["after"]
            lines.append([name, str(condition), ", ".join(f"{attack} {left}" for attack, left in counts.items())])
    return markdown(["classifier", "test", "images right, after one attack after another"], lines)


def _made(values: dict[str, Any]) -> str:
    made, data = values["environment"], values["data"]
    hardware = made["hardware"]
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    height, width, channels = data["image_shape"]
    return "\n".join(
        [
            f"- Command: `{made['command']}`",
            f"- Data: {data['source']}; {data['train_images']} training and {data['test_images']} test images "
            f"{height}×{width}×{channels}, {len(data['classes'])} classes",
            f"- Time: {values['seconds']:.0f} seconds in all",
            f"- Machine: {hardware['processor']}, {hardware['cores']} cores, {hardware['device_count']} "
            f"{hardware['device_kind']}; {hardware['system']}",
            f"- Versions: {versions}; commit {made['commit']}",
            "- Settings: config.json; every count: metrics.json",
        ]
    )
