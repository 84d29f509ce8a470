"""`python -m isvs_jax.robustness`: evaluate a model from the command line, or compare finished reports."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_origin

import jax
import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from isvs_jax._checks import brief
from isvs_jax._command import exit_status
from isvs_jax._files import write_atomically
from isvs_jax.augment import View
from isvs_jax.data import DataChoice, as_float, load_data
from isvs_jax.robustness.defences import Defence, rounding_defence, smoothing_defence, total_variation_defence
from isvs_jax.robustness.evaluation._evaluate import evaluate
from isvs_jax.robustness.evaluation._markdown import combined_markdown, write_report
from isvs_jax.robustness.evaluation.comparison import combine
from isvs_jax.robustness.evaluation.figures import bars, epsilon_curves, heat_map
from isvs_jax.robustness.evaluation.normaliser import Normaliser, read_normaliser
from isvs_jax.robustness.evaluation.report import Report, read_report
from isvs_jax.robustness.evaluation.settings import Attacks, Corruptions, HardStopChecks, Resources
from isvs_jax.robustness.official import load_cifar_c
from isvs_jax.robustness.resolution import RESOLUTIONS
from isvs_jax.robustness.text import norm_name

_PROG = "python -m isvs_jax.robustness"
_DESCRIPTION = """Evaluate a model on corruptions, attacks and low resolution, or compare finished reports.

    python -m isvs_jax.robustness evaluate --model my_package.my_model:load --data.spec tfds:cifar10 --out results/mine
    python -m isvs_jax.robustness compare results/mine results/other --out results/both"""
_DOTS = 110


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
    """Evaluate a model. Writes report.md, report.json and pictures; the same command goes on where it was stopped.

    Attributes:
        out: The folder in which the report is written and unfinished work is kept.
        model: The function that returns a function of images [B, H, W, C] in [0, 1] to logits, as MODULE:FUNCTION.
        model_arguments: The texts that it is called with.
        pytorch: The weights of a ResNet in place of a model.
        name: The name of the model for the report; by default that of the function and the data.
        preprocessing: What the model does to images in [0, 1] before its first layer, in words.
        defence: What stands before the network: dense:TIME or sparse:TIME for smoothing along the path, rounding:LEVELS
            or total_variation:WEIGHT. Robust accuracies are then the worst case over six ways of attacking it.
        data: The images. The test images are used.
        corruptions: Which corruptions, and how they are made; --corruptions.read takes the folder of CIFAR-10-C or
            CIFAR-100-C.
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
    model: str | None = None
    model_arguments: tuple[str, ...] = ()
    pytorch: StateDict = field(default_factory=StateDict)
    name: str | None = None
    preprocessing: str = ""
    defence: str | None = None
    data: DataChoice = field(default_factory=DataChoice)
    corruptions: Corruptions = field(default_factory=Corruptions)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""

    def work() -> None:
        chosen = parse(arguments)
        print(_evaluate(chosen) if isinstance(chosen, Evaluation) else _compare(chosen))

    return exit_status(work, _PROG)


def parse(arguments: Sequence[str] | None = None) -> Evaluation | Comparison:
    """What a command line describes.

    Example:
        >>> chosen = parse(["evaluate", "--out", "x", "--model", "a:b", "--attacks.epsilons", "8/255", "0.5"])
        >>> chosen.attacks.epsilons
        (0.03137254901960784, 0.5)
    """
    registry = ConstructorRegistry()
    registry.primitive_rule(_fraction_rule)
    registry.primitive_rule(_reader_rule)
    with registry:
        return tyro.extras.subcommand_cli_from_dict(
            {"evaluate": Evaluation, "compare": Comparison}, args=arguments, prog=_PROG, description=_DESCRIPTION
        )


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


def _reader_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """The folder of the published files, in place of a function that reads them."""
    if get_origin(info.type) is not Callable:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="FOLDER",
        instance_from_str=lambda texts: functools.partial(load_cifar_c, texts[0]),
        is_instance=callable,
        str_from_instance=lambda value: [str(value)],
    )


def _number(value: float) -> str:
    levels = 255 * value
    return f"{levels:g}/255" if 0 < value < 0.2 and abs(2 * levels - round(2 * levels)) < 1e-9 else f"{value:g}"


def _evaluate(chosen: Evaluation) -> Path:
    """Evaluate a model; where the report is."""
    normaliser = _normaliser(chosen.normaliser)
    defence = None if chosen.defence is None else parse_defence(chosen.defence)
    resources = Resources(chosen.batch_size)
    dataset = load_data(replace(chosen.data, limit_train=1), progress=chosen.progress)
    model = _model(chosen, dataset.num_classes)
    before = [] if chosen.defence is None else [f"{chosen.defence} before the network"]
    within = chosen.preprocessing or model.preprocessing
    report = evaluate(
        model.logits_fn,
        as_float(dataset.test.images),
        dataset.test.labels,
        jax.random.key(chosen.seed),
        name=chosen.name or f"{model.name}, {dataset.name}",
        preprocessing="; ".join([*before, *([within] if within else [])]),
        corruptions=chosen.corruptions,
        resolutions=RESOLUTIONS if chosen.resolutions else (),
        attacks=chosen.attacks,
        checks=chosen.checks,
        defence=defence,
        num_classes=dataset.num_classes,
        parameters=model.parameters,
        normaliser=normaliser,
        resources=resources,
        folder=chosen.out,
        progress=chosen.progress,
    )
    pictures = _draw(report, chosen.out) if chosen.pictures else []
    write_report(report, chosen.out, normaliser, pictures)
    return chosen.out / "report.md"


def _compare(chosen: Comparison) -> Path:
    """Draw reports side by side; the folder of the pictures."""
    reports = [read_report(path) for path in chosen.reports]
    normaliser = _normaliser(chosen.normaliser)
    # Before anything is written: reports that cannot be compared are refused here.
    figures = {"bars.png": bars(reports)}
    for norm in dict.fromkeys(curve.norm for report in reports for curve in report.curves):
        figures[f"epsilon_curves_{norm}.png"] = epsilon_curves(reports, norm)
    combined = None if chosen.combine is None else combined_markdown(combine(reports, chosen.combine, normaliser))
    existing = [file for file in (*figures, "combined.md") if (chosen.out / file).exists()]
    if existing:
        place = chosen.out / existing[0]
        raise FileExistsError(f"out must be a folder without {existing[0]}; got {place}, which would be overwritten.")
    chosen.out.mkdir(parents=True, exist_ok=True)
    for file, figure in figures.items():
        figure.savefig(chosen.out / file, dpi=_DOTS)
    if combined is not None:
        write_atomically(chosen.out / "combined.md", combined)
    return chosen.out


def _draw(report: Report, folder: Path) -> list[tuple[str, str]]:
    """Write the pictures of one report; their titles and file names."""
    drawn = []
    if report.corruptions:
        heat_map(report).savefig(folder / "heat_map.png", dpi=_DOTS)
        drawn.append(("accuracy by corruption and severity", "heat_map.png"))
    for curve in report.curves:
        file = f"epsilon_curve_{curve.norm}.png"
        epsilon_curves([report], curve.norm).savefig(folder / file, dpi=_DOTS)
        drawn.append((f"accuracy under attack, {norm_name(curve.norm)}", file))
    return drawn


class _Model(NamedTuple):
    """A model with what a report says of it."""

    logits_fn: Callable[..., jax.Array]
    parameters: Any
    preprocessing: str
    name: str


def _model(chosen: Evaluation, num_classes: int) -> _Model:
    if (chosen.model is None) == (chosen.pytorch.file is None):
        both = "both" if chosen.model is not None else "neither"
        raise ValueError(f"model must be given as --model or as --pytorch.file; got {both}.")
    if chosen.pytorch.file is not None:
        return _from_pytorch(chosen.pytorch.file, chosen.pytorch, num_classes)
    return _from_function(chosen)


def _from_function(chosen: Evaluation) -> _Model:
    given = chosen.model or ""
    module, _, function = given.partition(":")
    if not function:
        raise ValueError(f"model must be MODULE:FUNCTION, such as my_package.my_model:load; got {given!r}.")
    found = importlib.import_module(module)
    if not callable(getattr(found, function, None)):
        raise ValueError(f"model must name a function of {module}; got {function!r}, which it does not have.")
    made = getattr(found, function)(*chosen.model_arguments)
    if not callable(made):
        raise TypeError(f"model must return a function of images to logits; got {brief(made)} from {given}.")
    arrays = [leaf for leaf in jax.tree.leaves(made) if isinstance(leaf, jax.Array)]
    return _Model(made, arrays or None, "", " ".join([given, *chosen.model_arguments]))


def _from_pytorch(file: Path, weights: StateDict, num_classes: int) -> _Model:
    from isvs_jax.models import ResNet, import_resnet, logits_fn, read_state_dict

    model = ResNet(depth=weights.depth, num_classes=num_classes, mean=weights.mean, std=weights.std)
    variables = import_resnet(read_state_dict(file), model)
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (weights.mean, weights.std))
    preprocessing = f"(x − mean)/std with mean {mean} and std {std}"
    return _Model(logits_fn(model, variables), variables, preprocessing, f"ResNet-{weights.depth}")


def _normaliser(text: str | None) -> Normaliser | None:
    if text is None:
        return None
    path, _, row = text.partition("#")
    return read_normaliser(path, row or None)
