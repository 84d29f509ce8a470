"""Pictures of a comparison: paths of a few test images, and accuracies side by side."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from isvs_jax import SplitLBI, scale_space
from isvs_jax.comparison.report import mean_accuracy, rows
from isvs_jax.comparison.results import Results
from isvs_jax.comparison.settings import Settings
from isvs_jax.data import Dataset, as_float
from isvs_jax.plotting import scale_space_strip

TIMES = (1.0, 2.0, 4.0, 8.0, 16.0)
_IMAGES = 4
# Colours that people with colour-blindness tell apart (Okabe and Ito).
_COLOURS = ("#999999", "#0072B2", "#56B4E9", "#D9B44A", "#009E73", "#44D0A0")


def draw_paths(dataset: Dataset, settings: Settings, file: Path) -> None:
    """A few test images, and each of them along its path, dense and sparse."""
    chosen = np.linspace(0, len(dataset.test) - 1, min(_IMAGES, len(dataset.test))).astype(int)
    images = jnp.asarray(as_float(dataset.test.images[chosen]))
    path = scale_space(images, TIMES, SplitLBI(kappa=settings.kappa, nu=settings.nu))
    figure = scale_space_strip(
        images, path, names=[dataset.class_names[label] for label in dataset.test.labels[chosen]]
    )
    figure.suptitle(
        f"The inverse scale space path of test images ({dataset.name}), κ = {settings.kappa:g}, ν = {settings.nu:g}"
    )
    figure.savefig(file, dpi=110)


def draw_accuracies(results: Results, settings: Settings, contestants: list[str], file: Path) -> None:
    """Grouped bars: a group a row of the table, a bar a contestant, with the interval where a row is one test."""
    groups = rows(settings)
    figure = Figure(figsize=(max(8.0, 0.28 * len(groups) * (len(contestants) + 1)), 4.8), layout="constrained")
    axes = figure.subplots()
    width = 0.84 / len(contestants)
    for index, name in enumerate(contestants):
        heights = 100 * np.array([mean_accuracy(results, name, group) for _, group in groups])
        places = np.arange(len(groups)) + (index - (len(contestants) - 1) / 2) * width
        axes.bar(places, heights, width, label=name, color=_COLOURS[index % len(_COLOURS)])
        for place, height, (_, group) in zip(places, heights, groups, strict=True):
            if len(group) == 1:
                cell = results.cell(name, str(group[0]))
                reach = [[height - 100 * cell["low"]], [100 * cell["high"] - height]]
                axes.errorbar(place, height, yerr=np.maximum(reach, 0), color="black", linewidth=0.8)
    axes.set_xticks(range(len(groups)), [title.replace("_", " ") for title, _ in groups], rotation=35, ha="right")
    axes.set_ylabel("accuracy in %")
    axes.set_ylim(0, 100)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.grid(axis="y", linewidth=0.4)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    how = "test images" if not settings.validation else "held-out training images"
    axes.set_title(f"Trained on raw images and along the path, {how} of {results.values['data']['name']}")
    figure.legend(loc="outside lower center", ncols=min(len(contestants), 3), frameon=False)
    figure.savefig(file, dpi=110)
