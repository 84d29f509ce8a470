"""The tables of docs/denoising.md and docs/notes/denoising.md, and the picture."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.denoising.images import Case
from isvs_jax.plotting import COLOURS


class Group(NamedTuple):
    """What was measured on the images of one set and noise level: PSNR and best parameter of every method."""

    name: str
    level: int
    psnr: dict[str, np.ndarray]
    best: dict[str, np.ndarray]


def groups(found: dict, todo: list[Case]) -> Iterator[Group]:
    """The measurements, one set and noise level after another."""
    for name, level in dict.fromkeys((case.group, case.level) for case in todo):
        rows = [found[case.key] for case in todo if (case.group, case.level) == (name, level)]
        psnr, best = ({method: np.array([row[method][k] for row in rows]) for method in rows[0]} for k in (0, 1))
        yield Group(name, level, psnr, best)


def dense_methods(group: Group) -> list[str]:
    """The methods that take a dense image from a path."""
    return [method for method in group.psnr if method.startswith(("u(t)", "mean of u"))]


def compared(differences: np.ndarray) -> str:
    """Mean difference with its 95% interval over the images (Student), and how many are above and below 0."""
    interval = ""
    if len(differences) > 1:
        half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
        interval = f" ± {half:.2f}"
    return f"{differences.mean():+.2f}{interval} ({(differences > 0).sum()}:{(differences < 0).sum()})"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def tables(found: dict, todo: list[Case]) -> str:
    """Mean PSNR of every method, the differences of u(t) and its means to ROF, and the best parameters."""
    means, differences, parameters = [], [], []
    for group in groups(found, todo):
        start = [group.name, str(len(group.psnr["ROF"])), str(group.level)]
        dense = dense_methods(group)
        means.append([*start, *(f"{values.mean():.2f}" for values in group.psnr.values())])
        differences.append([*start, *(compared(group.psnr[method] - group.psnr["ROF"]) for method in dense)])
        # Weights go with σ, times with 1/σ.
        scaled = [group.best["ROF"] / (group.level / 255), *(group.best[m] * group.level / 255 for m in dense)]
        parameters.append([*start, *(f"{np.median(v):.2f} ({v.min():.2f} to {v.max():.2f})" for v in scaled)])
    head = ["set", "images", "σ·255"]
    return "\n".join(
        [
            markdown([*head, *group.psnr], means),
            markdown([*head, *dense], differences),
            markdown([*head, "weight/σ, ROF", *(f"t·σ, {method}" for method in dense)], parameters),
        ]
    )


def ranking(found: dict, todo: list[Case]) -> str:
    """Mean difference to ROF of every flow of the grid at each noise level, and over them, the best first."""
    measured = list(groups(found, todo))
    scores = {m: [(g.psnr[m] - g.psnr["ROF"]).mean() for g in measured] for m in dense_methods(measured[0])}
    rows = [
        [method, *(f"{value:+.3f}" for value in (np.mean(differences), *differences))]
        for method, differences in sorted(scores.items(), key=lambda item: -np.mean(item[1]))
    ]
    return markdown(["taken from the path", "mean", *(f"σ·255 = {group.level}" for group in measured)], rows)


def picture(found: dict, todo: list[Case], path: Path) -> None:
    """The difference to ROF of each image against the PSNR of ROF."""
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    panels = ("u(t), κ = 1, ν = 0.1", "u(t), κ = 0.5, ν = 0.03/σ", "mean of u, κ = 0.5, ν = 0.03/σ")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    levels, sets = (list(dict.fromkeys(column)) for column in zip(*((c.level, c.group) for c in todo), strict=True))
    for name, level, values, _ in groups(found, todo):
        style = {"color": COLOURS[levels.index(level)], "marker": "os^"[sets.index(name)], "s": 14, "alpha": 0.7}
        for ax, method in zip(axes, panels, strict=True):
            ax.scatter(values["ROF"], values[method] - values["ROF"], label=f"{name}, σ = {level}/255", **style)
    for ax, method in zip(axes, panels, strict=True):
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set_title(method, fontsize=9)
        ax.set_xlabel("PSNR of ROF in dB")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("difference to ROF in dB")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    figure.savefig(path, dpi=100)
