"""The figures of a report's HTML page: the heat map, the ε-curves and the examples, drawn without anything else."""

from __future__ import annotations

import html
import math

from isvs_jax.robustness.corruptions import CATEGORIES
from isvs_jax.robustness.evaluation.cells import Cell, EpsilonCurve
from isvs_jax.robustness.evaluation.classes import class_names
from isvs_jax.robustness.evaluation.examples import ShownExample
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.text import interval, norm_name, percent, radius

# Points of the colour map viridis, from 0 to 1.
_VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
# The drawing of a curve, in its own units: its size, and where its axes begin and end.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 300, 48, 620, 14, 256


def heat_map_table(report: Report) -> str:
    """The table of corruptions: cells in the colour of their accuracy, their intervals where they are pointed at."""
    severities = "".join(f'<th scope="col">{severity}</th>' for severity in report.severities)
    rows = []
    for name, row in report.corruptions.items():
        cells = [
            _heat(name, severity, row[severity]) if severity in row else "<td>–</td>" for severity in report.severities
        ]
        label = f"{name.replace('_', ' ')} ({CATEGORIES[name]})"
        rows.append(f"<tr><td>{label}</td>{''.join(cells)}<td>{percent(report.mean_accuracy([name]))}</td></tr>")
    means = "".join(f"<td>{percent(_mean(report, severity))}</td>" for severity in report.severities)
    whole = f"<td><strong>{percent(report.mean_accuracy(list(report.corruptions)))}</strong></td>"
    rows.append(f"<tr><td><strong>mean</strong></td>{means}{whole}</tr>")
    head = f'<tr><th scope="col">corruption, severity</th>{severities}<th scope="col">mean</th></tr>'
    return f'<div class="scroll"><table class="heat"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _heat(name: str, severity: int, cell: Cell) -> str:
    red, green, blue = _colour(cell.accuracy)
    ink = "#000" if cell.accuracy > 0.55 else "#fff"
    said = (
        f"{name.replace('_', ' ')}, severity {severity}\n{percent(cell.accuracy)}%, {interval(cell.interval)}\n"
        f"{cell.count} images"
    )
    style = f"background:rgb({red},{green},{blue});color:{ink}"
    return f'<td class="cell" tabindex="0" style="{style}">{percent(cell.accuracy)}<span>{said}</span></td>'


def _colour(share: float) -> tuple[int, int, int]:
    place = min(max(share, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    below = min(int(place), len(_VIRIDIS) - 2)
    first, second = _VIRIDIS[below], _VIRIDIS[below + 1]
    red, green, blue = (round(a + (place - below) * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _mean(report: Report, severity: int) -> float:
    cells = [row[severity] for row in report.corruptions.values() if severity in row]
    return sum(cell.accuracy for cell in cells) / len(cells)


def curve_figure(curve: EpsilonCurve) -> str:
    """Accuracy against ε with its intervals, and the level of chance; ε from 0 and then by its logarithm."""
    smallest = next((epsilon for epsilon in curve.epsilons if epsilon > 0), 1.0)
    last = _place(max(curve.epsilons), smallest) or 1.0

    def across(epsilon: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * _place(epsilon, smallest) / last

    def down(share: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * share

    points = [(across(epsilon), cell) for epsilon, cell in zip(curve.epsilons, curve.cells, strict=True)]
    ticks = [f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{down(s):.1f}" y2="{down(s):.1f}"/>' for s in _LEVELS]
    ticks += [f'<text x="{_LEFT - 8}" y="{down(s) + 4:.1f}" text-anchor="end">{100 * s:.0f}</text>' for s in _LEVELS]
    ticks += [
        f'<text x="{across(epsilon):.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{radius(epsilon)}</text>'
        for epsilon in curve.epsilons
    ]
    upper = [f"{x:.1f},{down(cell.interval[1]):.1f}" for x, cell in points]
    lower = [f"{x:.1f},{down(cell.interval[0]):.1f}" for x, cell in reversed(points)]
    line = " ".join(f"{x:.1f},{down(cell.accuracy):.1f}" for x, cell in points)
    marks = [
        f'<circle cx="{x:.1f}" cy="{down(cell.accuracy):.1f}" r="5"><title>ε = {radius(epsilon)}: '
        f"{percent(cell.accuracy)}%, {interval(cell.interval)}, {cell.count} images</title></circle>"
        for (x, cell), epsilon in zip(points, curve.epsilons, strict=True)
    ]
    chance = (
        f'<line class="chance" stroke-dasharray="5 4" x1="{_LEFT}" x2="{_RIGHT}" y1="{down(curve.chance):.1f}" '
        f'y2="{down(curve.chance):.1f}"/>'
        f'<text x="{_RIGHT}" y="{down(curve.chance) - 5:.1f}" text-anchor="end">chance</text>'
    )
    said = f"Accuracy in % under {html.escape(curve.attack)} against ε, {norm_name(curve.norm)}"
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{said}">{"".join(ticks)}'
        f'<polygon class="band" points="{" ".join(upper + lower)}"/><polyline class="line" points="{line}"/>{chance}'
        f'{"".join(marks)}<text x="{(_LEFT + _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">ε</text></svg>'
        f"<figcaption>{said}; the band is the 95% interval.</figcaption></figure>"
    )


_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _place(epsilon: float, smallest: float) -> float:
    """Where a radius lies: 0 at 0, 1 at the smallest, and a unit more for each factor of four."""
    return 0.0 if epsilon == 0 else 1 + math.log(epsilon / smallest, 4)


def example_figures(report: Report) -> list[str]:
    """The examples on which the model fails most, with what it takes them for."""
    if not report.examples:
        return []
    names = class_names(report)
    shown = "".join(_example(example, names) for example in report.examples)
    attacks = {example.attack for example in report.examples if example.attack}
    how = (
        f" Attacked by {attacks.pop()}; the difference is shown around grey, so many times as large as it is."
        if attacks
        else ""
    )
    return [
        "<h2>Examples</h2>",
        "<p>Of the first images, those that most corruptions break, each under the mildest corruption that breaks "
        f"it.{html.escape(how)}</p>",
        f'<div class="examples">{shown}</div>',
    ]


def _example(example: ShownExample, names: tuple[str, ...]) -> str:
    figures = []
    for what, picture in example.images.items():
        label = {"corrupted": example.corruption, "difference": f"difference × {example.amplification:g}"}.get(
            what, what
        )
        said = ""
        if what in example.predicted:
            kind = "right" if example.predicted[what] == example.label else "wrong"
            said = f'<br><span class="{kind}">{html.escape(names[example.predicted[what]])}</span>'
        alternative = html.escape(f"image {example.index}, {label}", quote=True)
        figures.append(
            f'<figure><img alt="{alternative}" src="data:image/png;base64,{picture}">'
            f"<figcaption>{html.escape(label)}{said}</figcaption></figure>"
        )
    broken = f", wrong in {example.failed} of {example.cells} cells of corruptions" if example.cells else ""
    title = f"Image {example.index}, {names[example.label]}{broken}"
    return f'<div class="example"><p>{html.escape(title)}</p><div class="row">{"".join(figures)}</div></div>'
