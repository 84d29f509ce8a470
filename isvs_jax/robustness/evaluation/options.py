"""The command line of the referee: what can be asked, generated from the groups of `evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.constructors import ConstructorRegistry

from isvs_jax.data import DataChoice
from isvs_jax.robustness.certification import RADII
from isvs_jax.robustness.evaluation.protocol import Name, arguments_of
from isvs_jax.robustness.evaluation.settings import Attacks, Corruptions, HardStopChecks
from isvs_jax.robustness.evaluation.words import fraction_rule, reader_rule

PROG = "python -m isvs_jax.robustness"
_DESCRIPTION = """Evaluate a model on corruptions, attacks and low resolution, compare reports, or certify a model.

    python -m isvs_jax.robustness evaluate --quick --model my_package.my_model:load --data.spec tfds:cifar10 --out mine
    python -m isvs_jax.robustness evaluate --model my_package.my_model:logits --data.spec folder:photographs --out mine
    python -m isvs_jax.robustness compare results/mine results/other --out results/both
    python -m isvs_jax.robustness certify --model my_package.my_model:load --sigma 0.25 --defence dense:3 --out mine"""


@dataclass(frozen=True)
class StateDict:
    """The weights of a residual network that PyTorch saved.

    Attributes:
        file: The file of the state dict.
        network: The network, such as wrn28_10, wrn28_10_silu, preact_resnet18 or resnet18; by default the ResNet for
            CIFAR with shortcuts without parameters (option A).
        depth: The depth of that ResNet: 20, 32, 44, 56 and so on.
        mean: The mean that is taken from the input, by channel; by default the network's, that of ImageNet, or of
            CIFAR-10 for names with silu.
        std: The deviation by which the input is divided, by channel, with the same default.
    """

    file: Path | None = None
    network: str | None = None
    depth: int = 20
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Evaluation:
    """Evaluate a model. Writes report.html, report.md, report.json and pictures, and prints the figures.

    The same command goes on where it was stopped.

    Attributes:
        out: The folder in which the report is written and unfinished work is kept.
        protocol: What is tested where no option says otherwise: "standard", or "quick" for a look of minutes.
        quick: The short form of --protocol quick.
        model: MODULE:FUNCTION or FILE.py:FUNCTION. A function of one argument is taken for the model itself, from
            images float32 [B, H, W, C] in [0, 1] to logits [B, K]; one that can be called without arguments, or with
            those of --model-arguments, for one that returns the model.
        model_arguments: The texts that the function is called with, which then returns the model.
        pytorch: The weights of a ResNet in place of a model.
        name: The name of the model for the report; by default that of the function and the data.
        preprocessing: What the model does to images in [0, 1] before its first layer, in words.
        defence: What stands before the network: dense:TIME or sparse:TIME for smoothing along the path, rounding:LEVELS
            or total_variation:WEIGHT. Robust accuracies are then the worst case over six ways of attacking it.
        data: The images. The test images are used, in an order drawn by the seed where they are sorted by class.
        corruptions: Which corruptions, and how they are made; --corruptions.read takes cifar-c:FOLDER for CIFAR-10-C or
            CIFAR-100-C, imagenet-c:FOLDER, or tfds:cifar10_corrupted (in the folder --data.data-dir).
        read_count: How many images of each corruption and severity are read, the first ones; by default all, and with
            --quick as many as are tested.
        resolutions: Whether to test images of low resolution.
        attacks: Which attacks, and how much they may spend. Radii may be fractions such as 8/255.
        checks: Which checks of the attacks are made.
        normaliser: The errors by which mCE divides: a report.json, a JSON table, or FILE.csv#ROW of RobustBench.
        certified: Folders that certify has written, whose figures are shown in the report, in a table of their own.
        batch_size: The images on the devices at a time, a multiple of the devices; by default 128, or the next one.
        seed: The seed of the corruptions and the attacks.
        pictures: Whether to draw pictures.
        progress: Whether to show progress.
    """

    out: Path
    protocol: Name = "standard"
    quick: bool = False
    model: str | None = None
    model_arguments: tuple[str, ...] = ()
    pytorch: StateDict = field(default_factory=StateDict)
    name: str | None = None
    preprocessing: str = ""
    defence: str | None = None
    data: DataChoice = field(default_factory=DataChoice)
    corruptions: Corruptions = field(default_factory=Corruptions)
    read_count: int | None = None
    resolutions: bool = True
    attacks: Attacks = field(default_factory=Attacks)
    checks: HardStopChecks = field(default_factory=HardStopChecks)
    normaliser: str | None = None
    certified: tuple[Path, ...] = ()
    batch_size: int | None = None
    seed: int = 0
    pictures: bool = True
    progress: bool = True


@dataclass(frozen=True)
class Comparison:
    """Draw finished reports side by side.

    Attributes:
        reports: Files report.json, or their folders.
        out: The folder of the pictures.
        combine: The name of the method of which all reports are trainings; their means are written to combined.md.
        normaliser: As for evaluate.
    """

    reports: Annotated[tuple[Path, ...], tyro.conf.Positional]
    out: Path
    combine: str | None = None
    normaliser: str | None = None


@dataclass(frozen=True)
class Certification:
    """Certify a model by randomized smoothing. Writes certified.md, certified.json, certificate.json and a picture.

    The same command goes on where it was stopped.

    Attributes:
        out: The folder of the results, in which the draws are kept.
        sigma: The standard deviation of the noise, on the scale of [0, 1].
        model: The model, as for evaluate.
        model_arguments: As for evaluate.
        pytorch: The weights of a ResNet in place of a model.
        name: The name of the model; by default that of the function and the data.
        defence: What stands between noise and network: a view such as dense:3.2, blur:0.8 or rof:0.1.
        kappa: The κ of the path.
        data: The images. The test images are used.
        count: How many of them, evenly spaced.
        n0: How many draws choose the class of an image.
        n: How many draws bound its probability.
        alpha: The chance, for each image, that its radius is too large.
        radii: The radii of the table, in L2 on the scale of [0, 1].
        only_right: Whether the n draws are left out for images for which a wrong class was chosen.
        batch_size: The noisy images on the devices at a time; by default 512, or the next multiple of the devices.
        seed: The seed of the noise.
        progress: Whether to show progress.
    """

    out: Path
    sigma: float
    model: str | None = None
    model_arguments: tuple[str, ...] = ()
    pytorch: StateDict = field(default_factory=StateDict)
    name: str | None = None
    defence: str | None = None
    kappa: float = 1.0
    data: DataChoice = field(default_factory=DataChoice)
    count: int = 500
    n0: int = 100
    n: int = 10_000
    alpha: float = 0.001
    radii: tuple[float, ...] = RADII
    only_right: bool = True
    batch_size: int | None = None
    seed: int = 0
    progress: bool = True


def parse(arguments: Sequence[str] | None = None) -> Evaluation | Comparison | Certification:
    """What a command line describes.

    Example:
        >>> chosen = parse(["evaluate", "--out", "x", "--model", "a:b", "--attacks.epsilons", "8/255", "0.5"])
        >>> chosen.attacks.epsilons
        (0.03137254901960784, 0.5)
        >>> parse(["evaluate", "--out", "x", "--quick"]).corruptions.severities
        (1, 3, 5)
    """
    registry = ConstructorRegistry()
    registry.primitive_rule(fraction_rule)
    registry.primitive_rule(reader_rule)
    evaluation = tyro.conf.subcommand("evaluate", default=_defaults(arguments))
    comparison, certification = tyro.conf.subcommand("compare"), tyro.conf.subcommand("certify")
    commands: Any = (
        Annotated[Evaluation, evaluation] | Annotated[Comparison, comparison] | Annotated[Certification, certification]
    )
    with registry:
        return tyro.cli(commands, args=arguments, prog=PROG, description=_DESCRIPTION)


def _defaults(arguments: Sequence[str] | None) -> Evaluation:
    """An evaluation with what its protocol says, which is looked up before the other options are read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--protocol", choices=("standard", "quick"), nargs="?")
    parser.add_argument("--quick", action="store_true")
    try:
        found = parser.parse_known_args(arguments)[0]
    except argparse.ArgumentError:
        # Said by tyro, with all that there is.
        return Evaluation(tyro.MISSING)
    name: Name = "quick" if found.quick else found.protocol or "standard"
    if found.quick and found.protocol == "standard":
        raise ValueError("protocol must be one of 'standard' and 'quick'; got --protocol standard with --quick.")
    groups = arguments_of(name)
    count, _ = groups.pop("count"), groups.pop("resolutions")
    return Evaluation(tyro.MISSING, name, data=DataChoice(limit_test=count), read_count=count, **groups)
