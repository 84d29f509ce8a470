"""A study: the images, the network, the budget, the tests and the folder that experiments share."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import tyro

from isvs_jax.data import DataChoice
from isvs_jax.training import ModelChoice

Size = Literal["demo", "smoke", "cpu", "photographs", "gpu"]


@dataclass(frozen=True)
class Images(DataChoice):
    """A `DataChoice` whose specification is called --data on the command line."""

    spec: Annotated[str, tyro.conf.arg(name="data")] = DataChoice.spec


@dataclass(frozen=True)
class Network(ModelChoice):
    """A `ModelChoice` whose name is called --model on the command line."""

    name: Annotated[str, tyro.conf.arg(name="model")] = ModelChoice.name


@dataclass(frozen=True)
class Study:
    """What the experiments share. Every experiment uses the trainings and reports that are in the folder.

    The fields have the values of size "cpu"; `study_of_size` gives the other sizes.

    Attributes:
        size: The size, which says what is usual for all else: "demo" for a small network on embedded digits and
            "smoke" for a look at every experiment on them (minutes), "cpu" for a machine with few cores,
            "photographs" for a folder of photographs on such a machine, "gpu".
        out: The folder of trainings, reports, tables and pictures; by default results/SIZE. The same command again
            goes on where it stopped.
        data: The images. Trainings are tested on all test images; the referee takes `limit_test` of them, and attacks
            the first of these.
        model: The network, and what its training starts from.
        epochs: The number of passes over the training images.
        batch_size: The number of images in a step.
        learning_rate: The largest learning rate of the schedule.
        weight_decay: The weight decay of the optimizer.
        kappa: The kappa of the flow in all trainings but those that vary it; less costs less.
        seeds: The seeds of the trainings; with two or more, intervals are over trainings.
        epsilons: The radii of the attacks, L∞.
        attacks: The attacks of `isvs_jax.robustness.autoattack_report`, in order.
        corruptions: The names of the corruptions; none for the 15 of the benchmark.
        severities: The severities of the corruptions, 1 to 5.
        attack_count: The number of test images under attack.
        num_steps: The number of steps of an attack by gradients.
        check_count: The number of test images in the ε-curve and under twice the steps.
        doubling: Whether to attack with twice the steps too.
        num_queries: The number of queries of the attack without gradients.
        training_epsilon: The radius of adversarial training, L∞.
        training_steps: The number of steps of the attack in adversarial training.
        ablation_count: How many of the seeds the ablation takes, which asks for a training for each choice.
        finished_only: Use only reports that are in the folder: nothing is trained or judged, and who has no report is
            left out and named. For a look at a study that is not done.
        progress: Whether to show progress bars.
    """

    size: Size = "cpu"
    out: Path | None = None
    data: DataChoice = Images("tfds:cifar10", limit_train=5000, limit_test=500)
    model: ModelChoice = Network("cnn")
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    kappa: float = 5.0
    seeds: tuple[int, ...] = (0, 1, 2)
    epsilons: tuple[float, ...] = (1 / 255, 2 / 255)
    attacks: tuple[str, ...] = ("apgd-ce", "apgd-t", "square")
    corruptions: tuple[str, ...] = ()
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    attack_count: int = 64
    num_steps: int = 20
    check_count: int = 16
    doubling: bool = True
    num_queries: int = 300
    training_epsilon: float = 2 / 255
    training_steps: int = 2
    ablation_count: int = 1
    finished_only: bool = False
    progress: bool = True

    @property
    def root(self) -> Path:
        """The folder."""
        return Path("results") / self.size if self.out is None else self.out


SIZES: Mapping[str, Study] = MappingProxyType(
    {
        "demo": Study(
            "demo",
            # All digits; of larger sets as many as take minutes.
            data=Images("digits", image_size=16, limit_train=5000, limit_test=500),
            epochs=25,
            seeds=(0,),
            # The first for photographs, the last for digits.
            epsilons=(2 / 255, 4 / 255, 8 / 255),
            attacks=("apgd-ce", "square"),
            corruptions=(
                "gaussian_noise",
                "impulse_noise",
                "defocus_blur",
                "motion_blur",
                "fog",
                "brightness",
                "contrast",
                "pixelate",
                "jpeg_compression",
            ),
            severities=(1, 3, 5),
            # As many as are attacked, in the same programs.
            check_count=64,
            doubling=False,
            num_queries=100,
        ),
        "smoke": Study(
            "smoke",
            data=Images("digits", image_size=16, limit_train=400, limit_test=100),
            epochs=3,
            batch_size=40,
            seeds=(0, 1),
            epsilons=(8 / 255,),
            attacks=("apgd-ce", "square"),
            corruptions=("gaussian_noise", "defocus_blur", "fog", "contrast", "jpeg_compression"),
            severities=(3,),
            attack_count=20,
            num_steps=10,
            # As many as are attacked, in the same programs.
            check_count=20,
            doubling=False,
            num_queries=50,
            training_epsilon=8 / 255,
        ),
        "cpu": Study("cpu"),
        "photographs": Study(
            "photographs",
            data=Images("folder:photographs", image_size=128),
            model=Network("resnet18_slim"),
            epochs=25,
            # At 128 pixels and kappa 5 the path costs more than the network.
            kappa=2.0,
            severities=(1, 3, 5),
        ),
        "gpu": Study(
            "gpu",
            data=Images("tfds:cifar10", limit_test=10_000),
            model=Network("resnet18"),
            epochs=100,
            batch_size=128,
            learning_rate=1e-3,
            weight_decay=5e-2,
            epsilons=(1 / 255, 2 / 255, 4 / 255, 8 / 255),
            attacks=("apgd-ce", "apgd-t", "fab-t", "square"),
            attack_count=1000,
            num_steps=100,
            check_count=200,
            num_queries=5000,
            training_epsilon=8 / 255,
            training_steps=7,
            ablation_count=3,
        ),
    }
)
"""What is usual at each size."""


def study_of_size(size: str = "smoke", data: str | None = None, **others: Any) -> Study:
    """The study of a size, with some choices made otherwise.

    Args:
        size: A name of `SIZES`.
        data: A specification of other images than the size's. They keep their own height and width, but for
            "photographs", which have those of the size.
        **others: Fields of `Study`.

    Example:
        >>> study_of_size("smoke", epochs=40).epochs
        40
        >>> study_of_size("smoke", "tfds:cifar10").data.image_size is None
        True
    """
    study = SIZES[size]
    if data is not None and data != study.data.spec:
        image_size = study.data.image_size if study.size == "photographs" else None
        study = replace(study, data=replace(study.data, spec=data, image_size=image_size))
    return replace(study, **others)


def usual_study(arguments: Sequence[str] | None, size: Size) -> Study:
    """The study that the options --size and --data of a command line make usual; its other options change fields of it.

    Args:
        arguments: The arguments of the command; by default those of the process.
        size: The size where the command line names none.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--size", default=size)
    parser.add_argument("--data")
    try:
        given, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        # An option without its value: the parser of the whole command line says so.
        return study_of_size(size)
    return study_of_size(given.size if given.size in SIZES else size, given.data)


def check_seeds(study: Study) -> None:
    """Raise a ValueError unless the seeds are one or more different numbers below 2³²."""
    seeds = study.seeds
    if not seeds or len(set(seeds)) != len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
        raise ValueError(f"seeds must be one or more different integers from 0 to 2³² − 1; got {seeds}.")
