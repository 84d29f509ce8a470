"""The demo: a network trained on raw images and one trained along the path, judged side by side."""

import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Compilation leaves lines on the terminal that say nothing to the reader.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax.numpy as jnp
import numpy as np
import tyro

from experiments.claims import adversarial, corruptions, methods
from experiments.claims.comparison import Comparison
from experiments.estimates import Estimate
from experiments.judging import Entrant, check_entrants, judged
from experiments.section import Section, Table, write_section
from experiments.study import SIZES, Study, study_of_size, usual_study
from experiments.trainings import trainings
from isvs_jax import SplitLBI, data, environment, scale_space
from isvs_jax._command import exit_status, keep_compiled
from isvs_jax.data import Dataset, load_data
from isvs_jax.robustness import RESOLUTIONS
from isvs_jax.training import claim
from isvs_jax.training.trained import build_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROG = "python -m experiments.demo"
_DESCRIPTION = f"""Train small networks on raw images and along the path; judge them on clean, corrupted, attacked and
small images.

    {_PROG}
    {_PROG} --data tfds:cifar10
    {_PROG} --data path/to/folder/of/class/folders --limit-train 2000
    {_PROG} --entrants raw noise path path_noise path_noise@dense:8

A run that was interrupted goes on where it stopped when the same command is given again."""

_EPSILON = (
    "Accuracy against the radius of the attack. Left: figures of the table. Right: of a weaker attack, PGD, and for "
    "a defence of all ways: where there is no mistake, it falls to nothing. Of several trainings the mean, with "
    "bars from the least to the greatest."
)
_PATH = "Test images along their paths, κ = 5, ν = 0.1: dense, u(t), and sparse, its projection onto the support."
_TIMES = (1.0, 2.0, 4.0, 8.0, 16.0)
_SHOWN = 3


@dataclass(frozen=True)
class Demo(Comparison):
    """Raw images and the path, side by side.

    The folder is results/demo by default, for other images results/demo-NAME. It belongs to one choice of images and
    trainings; seeds and entrants may be added.

    Attributes:
        entrants: Who is compared: "TRAINING", a name of `experiments/trainings.py`, or "TRAINING@BEFORE" with smoothing
            before the network, such as dense:4, when it is tested.
    """

    study: Study = field(default_factory=lambda: study_of_size("demo"))
    entrants: tuple[str, ...] = Comparison.usual

    @property
    def folder(self) -> Path:
        """Where the results go."""
        study = self.study
        if study.out is not None:
            return study.out
        name = "demo" if study.size == "demo" else f"demo-{study.size}"
        if study.data.spec != SIZES[study.size].data.spec:
            name += f"-{re.sub(r'[^A-Za-z0-9]+', '-', study.data.spec).strip('-')}"
        return Path("results") / name


def run(demo: Demo) -> Section:
    """Train and judge what is missing; tables and pictures."""
    entrants = [Entrant.parse(text) for text in demo.entrants]
    study = replace(demo.study, out=demo.folder)
    check_entrants(entrants, study)
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
        tuple(dict.fromkeys((*_remarks(study, dataset), *whole.remarks, *attacked.remarks))),
    )


def _taken(study: Study) -> Dataset:
    """The images, once the folder is taken for them; what can be known to be wrong is said before that."""
    dataset = load_data(study.data, progress=study.progress)
    if dataset.num_classes < 2:
        raise ValueError(f"data must hold two classes or more; got {study.data.spec!r}, which holds one.")
    trainings(study)["raw"].steps_per_epoch(len(dataset.train))
    build_model(study.model, dataset.num_classes, dataset.image_shape)
    height, width, _ = dataset.image_shape
    factor = math.lcm(*(setting.factor for setting in RESOLUTIONS))
    if height % factor or width % factor:
        raise ValueError(
            f"height and width must be multiples of {factor} for the test of low resolution; got {height}×{width}. "
            f"Give image_size, such as {factor * max(1, round(max(height, width) / factor))}."
        )
    if claim(study.root, {"size": _recorded(study), "isvs_jax": environment.versions()["isvs_jax"]}):
        print(f"{study.root} holds this configuration already: what is finished there is used again.")
    print(f"{_described(dataset)}, {len(dataset.test)} test images", flush=True)
    return dataset


def _recorded(study: Study) -> dict[str, Any]:
    """What the folder of a demo belongs to, in the form that folders of before hold.

    Where the data lie matters to nothing, and trainings of other seeds have folders of their own.
    """
    chosen = asdict(study)
    for name in ("size", "out", "seeds", "ablation_count", "finished_only", "progress"):
        del chosen[name]
    del chosen["data"]["data_dir"]
    # Folders of before do not name it.
    if study.kappa == Study.kappa:
        del chosen["kappa"]
    chosen["corrupted_count"] = chosen["data"].pop("limit_test")
    chosen["data"]["limit_test"] = None
    for name, before in (
        ("num_steps", "attack_steps"),
        ("num_queries", "attack_queries"),
        ("training_steps", "training_attack_steps"),
    ):
        chosen[before] = chosen.pop(name)
    return chosen


def _described(dataset: Dataset) -> str:
    shape = "×".join(map(str, dataset.image_shape))
    return f"{dataset.source}: {len(dataset.train)} training images, {shape}"


def _remarks(study: Study, dataset: Dataset) -> tuple[str, ...]:
    return (
        "raw: trained on images. path: half of the time on the image, else on dense t = 2, 4 or 8 of its path. "
        "NAME@dense:4: the same network with everything smoothed to dense t = 4 before it when it is tested. Other "
        "names: experiments/trainings.py.",
        f"{_described(dataset)}; network {study.model.name}, {study.epochs} epochs. The accuracies are far from what "
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
    usual = Demo(usual_study(arguments, "demo"))

    def work() -> None:
        demo = tyro.cli(
            Demo,
            prog=_PROG,
            args=arguments,
            description=_DESCRIPTION,
            default=usual,
            config=(tyro.conf.OmitArgPrefixes,),
        )
        section = run(demo)
        page = write_section(section, demo.folder.parent, demo)
        print(f"\n{compact(section.tables[0])}\n\nReport, numbers and pictures: {page.parent}")

    return exit_status(work, _PROG)


if __name__ == "__main__":
    keep_compiled()
    sys.exit(main())
