"""The command line of the referee: what can be asked, generated from the groups of `evaluate`."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from isvs_jax.augment import View
from isvs_jax.data import DataChoice
from isvs_jax.robustness.defences import Defence, rounding_defence, smoothing_defence, total_variation_defence
from isvs_jax.robustness.evaluation.protocol import Name, protocol
from isvs_jax.robustness.evaluation.settings import Attacks, Corruptions, HardStopChecks, Read
from isvs_jax.robustness.official import load_cifar_c, load_imagenet_c, load_tfds

PROG = "python -m isvs_jax.robustness"
_DESCRIPTION = """Evaluate a model on corruptions, attacks and low resolution, or compare finished reports.

    python -m isvs_jax.robustness evaluate --quick --model my_package.my_model:load --data.spec tfds:cifar10 --out mine
    python -m isvs_jax.robustness evaluate --model my_package.my_model:logits --data.spec folder:photographs --out mine
    python -m isvs_jax.robustness compare results/mine results/other --out results/both"""


@dataclass(frozen=True)
class StateDict:
    """The weights of a ResNet for CIFAR that PyTorch saved.

    Attributes:
        file: The file of the state dict; its network has shortcuts without parameters (option A).
        depth: The depth of the network: 20, 32, 44, 56 and so on.
        mean: The mean that is taken from the input, by channel.
        std: The deviation by which the input is divided, by channel.
    """

    file: Path | None = None
    depth: int = 20
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


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


def parse(arguments: Sequence[str] | None = None) -> Evaluation | Comparison:
    """What a command line describes.

    Example:
        >>> chosen = parse(["evaluate", "--out", "x", "--model", "a:b", "--attacks.epsilons", "8/255", "0.5"])
        >>> chosen.attacks.epsilons
        (0.03137254901960784, 0.5)
        >>> parse(["evaluate", "--out", "x", "--quick"]).corruptions.severities
        (1, 3, 5)
    """
    registry = ConstructorRegistry()
    registry.primitive_rule(_fraction_rule)
    registry.primitive_rule(_reader_rule)
    evaluation = tyro.conf.subcommand("evaluate", default=_defaults(arguments))
    commands: Any = Annotated[Evaluation, evaluation] | Annotated[Comparison, tyro.conf.subcommand("compare")]
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
    groups = protocol(name)
    count, _ = groups.pop("count"), groups.pop("resolutions")
    return Evaluation(tyro.MISSING, name, data=DataChoice(limit_test=count), read_count=count, **groups)


def fraction(text: str) -> float:
    """A number, or a fraction such as 8/255.

    Example:
        >>> fraction("51/255"), fraction("0.5")
        (0.2, 0.5)
    """
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"a radius must be a number or a fraction such as 8/255; got {text!r}.") from None


def parse_defence(text: str) -> Defence:
    """A defence in one word: "dense:TIME", "sparse:TIME", "rounding:LEVELS" or "total_variation:WEIGHT".

    Raises:
        ValueError: There is no such defence.

    Example:
        >>> import jax.numpy as jnp
        >>> parse_defence("rounding:2").forward(jnp.array([0.2, 0.7])).tolist()
        [0.0, 1.0]
    """
    what = "defence must be dense:TIME, sparse:TIME, rounding:LEVELS or total_variation:WEIGHT"
    kind, _, value = text.partition(":")
    try:
        if kind in ("dense", "sparse"):
            return smoothing_defence(View.parse(text).strength, output="dense" if kind == "dense" else "sparse")
        if kind == "rounding":
            return rounding_defence(int(value))
        if kind == "total_variation":
            return total_variation_defence(float(value))
    except ValueError as error:
        raise ValueError(f"{what}; got {text!r}: {error}") from error
    raise ValueError(f"{what}; got {text!r}.")


def _fraction_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[float] | None:
    if info.type is not float:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NUMBER",
        instance_from_str=lambda texts: fraction(texts[0]),
        is_instance=lambda value: isinstance(value, (int, float)),
        str_from_instance=lambda value: [_number(value)],
    )


def read_word(word: str) -> Read:
    """The loader of published images that a word names, see `Evaluation`.

    A folder alone is one of CIFAR-10-C or CIFAR-100-C where labels.npy lies in it.

    Raises:
        ValueError: There is no such loader.

    Example:
        >>> read_word("imagenet-c:data/ImageNet-C").args
        ('data/ImageNet-C',)
    """
    kind, _, rest = word.partition(":")
    loaders: dict[str, Callable[..., Any]] = {
        "cifar-c": load_cifar_c,
        "imagenet-c": load_imagenet_c,
        "tfds": load_tfds,
    }
    if kind in loaders and rest:
        return functools.partial(loaders[kind], rest)
    if (Path(word) / "labels.npy").is_file():
        return functools.partial(load_cifar_c, word)
    raise ValueError(
        "corruptions.read must be cifar-c:FOLDER, imagenet-c:FOLDER, tfds:cifar10_corrupted or "
        f"tfds:imagenet2012_corrupted, or a folder with labels.npy; got {word!r}."
    )


def bound_reader(read: Read, count: int | None, data_dir: str | None) -> Read:
    """A loader of `read_word` with how many images are read, and with the folder of TFDS."""
    if not isinstance(read, functools.partial):
        return read
    options: dict[str, Any] = {} if count is None else {"count": count}
    if read.func is load_tfds and data_dir is not None:
        options["data_dir"] = data_dir
    return functools.partial(read, **options)


def _reader_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A word, in place of a function that reads the published files."""
    if get_origin(info.type) is not Callable:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="KIND:FOLDER",
        instance_from_str=lambda texts: read_word(texts[0]),
        is_instance=callable,
        str_from_instance=lambda value: [str(value)],
    )


def _number(value: float) -> str:
    levels = 255 * value
    return f"{levels:g}/255" if 0 < value < 0.2 and abs(2 * levels - round(2 * levels)) < 1e-9 else f"{value:g}"
