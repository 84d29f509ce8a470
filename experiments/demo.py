"""The demo: a network trained on raw images and one trained along the path, judged side by side."""

import logging
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

# Compilation leaves lines on the terminal that say nothing to the reader.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax.numpy as jnp
import numpy as np
import tyro

from experiments.claims import adversarial, corruptions, methods
from experiments.command import exit_status
from experiments.entrants import Entrant
from experiments.estimates import Estimate
from experiments.judging import check_entrants, judged
from experiments.section import Section, Table, write_section
from experiments.sizes import SIZES, Size
from experiments.study import Study
from experiments.trainings import trainings
from isvs_jax import SplitLBI, data, environment, scale_space
from isvs_jax.data import Dataset, load_data
from isvs_jax.robustness import RESOLUTIONS
from isvs_jax.training import claim
from isvs_jax.training.trained import build_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DESCRIPTION = """Train small networks on raw images and along the path; judge them on clean, corrupted, attacked and
small images.

    python -m experiments.demo
    python -m experiments.demo --data tfds:cifar10
    python -m experiments.demo --data path/to/folder/of/class/folders --limit-train 2000
    python -m experiments.demo --entrants raw noise path path_noise path_noise@dense:8

A run that was interrupted goes on where it stopped when the same command is given again."""

_DIGITS = "digits"
_SIZE = SIZES["demo"]
_EPSILON = (
    "Accuracy against the radius of the attack. Left: figures of the table. Right: of a weaker attack, PGD, and for "
    "a defence of all ways: where there is no mistake, it falls to nothing. Of several trainings the mean, with "
    "bars from the least to the greatest."
)
_PATH = "Test images along their paths, κ = 5, ν = 0.1: dense, u(t), and sparse, its projection onto the support."
_TIMES = (1.0, 2.0, 4.0, 8.0, 16.0)
_SHOWN = 3


@dataclass(frozen=True)
class Demo:
    """Raw images and the path, side by side.

    Attributes:
        data: "digits" (embedded), "tfds:NAME" such as "tfds:cifar10", "prepared:FOLDER", or a folder with a folder of
            images for each class.
        data_dir: Where TFDS keeps its data sets; by default ~/tensorflow_datasets.
        image_size: Height and width; by default 16 for the digits, 32 for images of several sizes, else their own.
        limit_train: At most so many training images, drawn at random.
        limit_test: At most so many test images, drawn at random; the first of them are attacked.
        model: Which network, one of `isvs_jax.models.MODELS`.
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: The largest.
        seeds: Of the trainings; with two or more, intervals are over trainings.
        entrants: Who is compared: "TRAINING", one of `experiments/trainings.py`, or "TRAINING@BEFORE" with smoothing
            before the network, such as dense:4, when it is tested.
        out: Folder of the report, numbers, pictures and trainings; by default results/demo for the digits, else
            results/demo-NAME. It belongs to one choice of images and trainings; seeds and entrants may be added.
        progress: Whether to show bars.
    """

    data: str = _DIGITS
    data_dir: str | None = None
    image_size: int | None = None
    limit_train: int = _SIZE.data.limit_train or 0
    limit_test: int = _SIZE.corrupted_count
    model: str = _SIZE.model.name
    epochs: int = _SIZE.epochs
    batch_size: int = _SIZE.batch_size
    learning_rate: float = _SIZE.learning_rate
    seeds: tuple[int, ...] = _SIZE.seeds
    entrants: tuple[str, ...] = ("raw", "path", "path@dense:4")
    out: Path | None = None
    progress: bool = True

    @property
    def folder(self) -> Path:
        """Where the results go."""
        if self.out is not None:
            return self.out
        name = "demo" if self.data == _DIGITS else f"demo-{re.sub(r'[^A-Za-z0-9]+', '-', self.data).strip('-')}"
        return Path("results") / name

    @property
    def study(self) -> Study:
        """What the experiments know of it."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "entrants"}
        # Other images than those of the size come as they are.
        chosen |= {"out": self.folder, "data": None if self.data == _DIGITS else self.data}
        return Study(size="demo", **chosen)


def run(demo: Demo) -> Section:
    """Train and judge what is missing; tables and pictures."""
    entrants = [Entrant.parse(text) for text in demo.entrants]
    study = demo.study
    check_entrants(entrants, study.scale)
    dataset = _taken(study)
    for number, entrant in enumerate(entrants, start=1):
        print(f"{number} of {len(entrants)}: {entrant}", flush=True)
        judged([entrant], study)
    whole = methods.run(methods.Methods(study, demo.entrants))
    corrupted = corruptions.run(corruptions.Corruptions(study, demo.entrants))
    attacked = adversarial.run(adversarial.Adversarial(study, demo.entrants))
    return Section(
        demo.folder.name,
        f"Raw images and the path: {dataset.name}",
        "A network trained on images and one trained along their inverse scale space paths, on the same clean, "
        "corrupted, attacked and small images.",
        (*whole.tables, *attacked.tables),
        {
            **whole.pictures,
            **corrupted.pictures,
            "epsilon": (attacked.pictures["epsilon"][0], _EPSILON),
            "path": (path_figure(dataset), _PATH),
        },
        tuple(dict.fromkeys((*_remarks(study.scale, dataset), *whole.remarks, *attacked.remarks))),
    )


def _taken(study: Study) -> Dataset:
    """The images, once the folder is taken for them; what can be known to be wrong is said before that."""
    size = study.scale
    dataset = load_data(replace(size.data, limit_test=size.corrupted_count), progress=study.progress)
    if dataset.num_classes < 2:
        raise ValueError(f"data is {size.data.spec!r}, which holds one class; it may hold two or more.")
    trainings(size)["raw"].steps_per_epoch(len(dataset.train))
    build_model(size.model, dataset.num_classes, dataset.image_shape)
    height, width, _ = dataset.image_shape
    factor = math.lcm(*(setting.factor for setting in RESOLUTIONS))
    if height % factor or width % factor:
        raise ValueError(
            f"images are {height}×{width}; for the test of low resolution their sides may be multiples of {factor}. "
            f"Give image_size, such as {factor * max(1, round(max(height, width) / factor))}."
        )
    chosen = asdict(size)
    # Where the data lie matters to nothing, and trainings of other seeds have folders of their own.
    del chosen["data"]["data_dir"], chosen["seeds"], chosen["ablation_seeds"]
    if claim(study.root, {"size": chosen, "isvs_jax": environment.versions()["isvs_jax"]}):
        print(f"{study.root} holds this configuration already: what is finished there is used again.")
    print(f"{_described(dataset)}, {len(dataset.test)} test images", flush=True)
    return dataset


def _described(dataset: Dataset) -> str:
    shape = "×".join(map(str, dataset.image_shape))
    return f"{dataset.source}: {len(dataset.train)} training images, {shape}"


def _remarks(size: Size, dataset: Dataset) -> tuple[str, ...]:
    return (
        "raw: trained on images. path: half of the time on the image, else on dense t = 2, 4 or 8 of its path. "
        "NAME@dense:4: the same network with everything smoothed to dense t = 4 before it when it is tested. Other "
        "names: experiments/trainings.py.",
        f"{_described(dataset)}; network {size.model.name}, {size.epochs} epochs. The accuracies are far from what "
        "large networks and many images reach.",
        "Every test of its own with its interval: reports/ENTRANT/SEED/report.md.",
    )


def path_figure(dataset: Dataset) -> "Figure":
    """A few test images along their paths."""
    from isvs_jax.plotting import scale_space_strip

    chosen = np.linspace(0, len(dataset.test) - 1, min(_SHOWN, len(dataset.test))).astype(int)
    images = jnp.asarray(data.as_float(dataset.test.images[chosen]))
    names = [dataset.class_names[label] for label in dataset.test.labels[chosen]]
    return scale_space_strip(images, scale_space(images, _TIMES, SplitLBI()), names=names)


def compact(table: Table) -> str:
    """The figures of a table, lined up for a terminal: a row each, a column for each row of the table."""
    names = list(table.rows)
    lines = [[table.title, *names]]
    for column, cells in zip(table.columns, zip(*table.rows.values(), strict=True), strict=True):
        shown = [cell.percent() for cell in cells if isinstance(cell, Estimate)]
        lines += [[column, *shown]] if shown else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in lines
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit status."""

    def work() -> None:
        demo = tyro.cli(Demo, prog="python -m experiments.demo", args=arguments, description=_DESCRIPTION)
        section = run(demo)
        page = write_section(section, demo.folder.parent, demo)
        print(f"\n{compact(section.tables[0])}\n\nReport, numbers and pictures: {page.parent}")

    return exit_status(work)


if __name__ == "__main__":
    # Orbax warns of every checkpoint that is read only to be read.
    logging.getLogger("absl").setLevel(logging.ERROR)
    sys.exit(main())
