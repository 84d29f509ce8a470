"""`python -m isvs_jax.robustness`: evaluate a model from the command line, or compare finished reports."""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from isvs_jax._files import write_atomically
from isvs_jax.robustness.attacks._autoattack import ATTACKS
from isvs_jax.robustness.broken_defences import rounding_defence, total_variation_defence
from isvs_jax.robustness.corruptions import CORRUPTIONS, VALIDATION_CORRUPTIONS
from isvs_jax.robustness.defences import Defence, smoothing_defence
from isvs_jax.robustness.evaluation._evaluate import CURVE, EPSILONS, evaluate
from isvs_jax.robustness.evaluation.document import combined_markdown, read_report, write_report
from isvs_jax.robustness.evaluation.figures import bars, epsilon_curves, heat_map
from isvs_jax.robustness.evaluation.normaliser import Normaliser, read_normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.settings import STANDARD
from isvs_jax.robustness.evaluation.text import norm_name
from isvs_jax.robustness.evaluation.trainings import combine
from isvs_jax.robustness.official import load_cifar_c
from isvs_jax.robustness.resolution import RESOLUTIONS

_DOTS = 110


class LoadedModel(NamedTuple):
    """A model with what a report says of it."""

    logits_fn: Callable[..., jax.Array]
    parameters: Any
    preprocessing: str
    name: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 with a sentence on stderr where an argument cannot be."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _compare_parser() if given[:1] == ["compare"] else _parser()
    args = parser.parse_args(given[1:] if given[:1] == ["compare"] else given)
    try:
        (_compare if given[:1] == ["compare"] else _evaluate)(args)
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        if args.traceback:
            raise
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def _evaluate(args: argparse.Namespace) -> None:
    from isvs_jax.data import as_float, load

    reference = None if args.reference is None else _reference(args.reference)
    epsilons, curve = _radii(args)
    dataset = load(
        args.data,
        data_dir=args.data_dir,
        image_size=args.image_size,
        limit_train=1,  # only the test images are looked at
        limit_test=args.limit,
        seed=args.seed,
        progress=not args.no_progress,
    )
    model = _model(args, dataset.num_classes)
    defence = None if args.defence is None else parse_defence(args.defence)
    preprocessing = model.preprocessing if args.preprocessing is None else args.preprocessing
    if defence is not None:
        preprocessing = "; ".join([f"{args.defence} before the network", *([preprocessing] if preprocessing else [])])
    corrupted = None if args.official is None else functools.partial(load_cifar_c, args.official)
    report = evaluate(
        model.logits_fn,
        as_float(dataset.test.images),
        dataset.test.labels,
        jax.random.key(args.seed),
        name=args.name or f"{model.name}, {dataset.name}",
        preprocessing=preprocessing,
        corruptions=_corruptions(args.corruptions),
        severities=args.severities,
        table=args.table if args.table == "auto" else int(args.table),
        quantize=args.quantize,
        corrupted=corrupted,
        resolutions=() if args.no_resolutions else RESOLUTIONS,
        attacks=() if "none" in args.attacks else args.attacks,
        epsilons={args.norm: epsilons},
        curve={} if "none" in args.attacks or args.no_curve else {args.norm: curve},
        attack_count=args.attack_count,
        attack_steps=args.attack_steps,
        attack_queries=args.attack_queries,
        curve_count=args.curve_count,
        curve_steps=args.curve_steps,
        individually=args.individually,
        doubling=not args.no_doubling,
        defence=defence,
        num_classes=dataset.num_classes,
        parameters=model.parameters,
        reference=reference,
        batch_size=args.batch_size,
        folder=args.out,
        progress=not args.no_progress,
    )
    folder = Path(args.out)
    pictures = [] if args.no_pictures else _draw(report, folder)
    write_report(report, folder, reference, pictures)
    print(folder / "report.md")


def _compare(args: argparse.Namespace) -> None:
    reports = [read_report(path) for path in args.reports]
    folder = Path(args.out)
    reference = None if args.reference is None else _reference(args.reference)
    # Before anything is written: reports that cannot be compared are refused here.
    figures = {"bars.png": bars(reports)}
    for norm in dict.fromkeys(curve.norm for report in reports for curve in report.curves):
        figures[f"epsilon_curves_{norm}.png"] = epsilon_curves(reports, norm)
    combined = None if args.combine is None else combined_markdown(combine(reports, args.combine, reference))
    existing = [file for file in (*figures, "combined.md") if (folder / file).exists()]
    if existing:
        raise FileExistsError(f"{folder / existing[0]} exists and would be overwritten; give another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    for file, figure in figures.items():
        figure.savefig(folder / file, dpi=_DOTS)
    if combined is not None:
        write_atomically(folder / "combined.md", combined)
    print(folder)


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


def _model(args: argparse.Namespace, num_classes: int) -> LoadedModel:
    if args.pytorch_resnet is not None:
        from isvs_jax.models import ResNet, import_resnet, logits_fn, read_state_dict

        model = ResNet(depth=args.depth, num_classes=num_classes, mean=tuple(args.mean), std=tuple(args.std))
        variables = import_resnet(read_state_dict(args.pytorch_resnet), model)
        preprocessing = f"(x − mean)/std with mean {_numbers(args.mean)} and std {_numbers(args.std)}"
        return LoadedModel(logits_fn(model, variables), variables, preprocessing, f"ResNet-{args.depth}")
    module, _, function = args.model.partition(":")
    if not function:
        raise ValueError(f"--model is {args.model!r}; it may be module:function, such as my_package.my_model:load.")
    made = getattr(importlib.import_module(module), function)(*args.model_arguments)
    if not callable(made):
        raise TypeError(f"{args.model} returned {type(made).__name__}; it may return a function of images to logits.")
    arrays = [leaf for leaf in jax.tree.leaves(made) if isinstance(leaf, jax.Array)]
    return LoadedModel(made, arrays or None, "", " ".join([args.model, *args.model_arguments]))


def _reference(text: str) -> Normaliser:
    path, _, row = text.partition("#")
    return read_normaliser(path, row or None)


def _radii(args: argparse.Namespace) -> tuple[Sequence[float], Sequence[float]]:
    """Radii of the attacks and of the curve; the defaults are of L∞ and mean nothing in L2."""
    attacked = "none" not in args.attacks
    for name, value, wanted in (
        ("--epsilons", args.epsilons, attacked),
        ("--curve", args.curve, attacked and not args.no_curve),
    ):
        if args.norm == "l2" and wanted and value is None:
            raise ValueError(f"{name} has no default in L2: give radii such as 0.1 0.25 0.5 (or --no-curve).")
    return args.epsilons or EPSILONS, args.curve or CURVE


def _corruptions(names: Sequence[str]) -> tuple[str, ...]:
    sets = {"test": CORRUPTIONS, "validation": VALIDATION_CORRUPTIONS, "none": ()}
    return tuple(name for given in names for name in sets.get(given, (given,)))


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def fraction(text: str) -> float:
    """A number, or a fraction such as 8/255.

    >>> fraction("51/255"), fraction("0.5")
    (0.2, 0.5)
    """
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number and no fraction such as 8/255") from None


def parse_defence(text: str) -> Defence:
    """A defence from its name and number.

    >>> import jax.numpy as jnp
    >>> parse_defence("rounding:2").forward(jnp.array([0.2, 0.7])).tolist()
    [0.0, 1.0]
    """
    kind, *values = text.split(":")
    try:
        if kind == "smoothing" and len(values) in (1, 2):
            return smoothing_defence(float(values[0]), output=values[1] if len(values) == 2 else "dense")  # type: ignore[arg-type]
        if kind == "rounding" and len(values) == 1:
            return rounding_defence(int(values[0]))
        if kind == "total_variation" and len(values) == 1:
            return total_variation_defence(float(values[0]))
    except ValueError as error:
        raise ValueError(f"defence is {text!r}: {error}") from error
    raise ValueError(
        f"defence is {text!r}; it may be smoothing:TIME, smoothing:TIME:sparse, rounding:LEVELS or "
        "total_variation:WEIGHT."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m isvs_jax.robustness",
        description="Evaluate a model: corruptions, attacks, ε-curve, low resolution. Writes report.md, report.json "
        "and pictures. The same command again goes on where it was stopped. See also: %(prog)s compare --help.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    model = parser.add_argument_group("model").add_mutually_exclusive_group(required=True)
    model.add_argument("--pytorch-resnet", metavar="FILE", help="PyTorch state dict of a CIFAR ResNet (option A)")
    model.add_argument(
        "--model", metavar="MODULE:FUNCTION", help="function that returns a function of images to logits"
    )
    add = parser.add_argument
    add("--model-arguments", nargs="*", default=[], metavar="TEXT", help="what that function is called with")
    add("--depth", type=int, default=20, help="of the ResNet")
    add("--mean", type=float, nargs="+", default=[0.485, 0.456, 0.406], help="of the ResNet's input, by channel")
    add("--std", type=float, nargs="+", default=[0.229, 0.224, 0.225], help="of the ResNet's input, by channel")
    add("--preprocessing", help="what the model does to images in [0, 1], in words, for the report")
    add(
        "--defence",
        metavar="NAME:NUMBER",
        help="smoothing:TIME[:sparse], rounding:LEVELS, total_variation:WEIGHT",
    )
    add("--name", help="of the model, for the report")
    add("--data", required=True, help='"digits", "tfds:NAME", "folder:PATH" or a path; the test images are used')
    add("--data-dir", help="where TFDS keeps its data")
    add("--image-size", type=int, help="resize images to this")
    add("--limit", type=int, help="at most so many test images, drawn with the seed")
    add("--seed", type=int, default=0, help="of the draw, the corruptions and the attacks")
    add("--corruptions", nargs="+", default=["test"], help='names, or "test" (15), "validation" (4), "none"')
    add("--severities", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    add("--table", choices=["auto", "32", "64", "224"], default="auto", help="the originals' table, by image size")
    add("--quantize", action="store_true", help="round to grey levels as the originals do")
    add("--official", metavar="FOLDER", help="read CIFAR-10-C or -100-C from .npy files instead of corrupting")
    add("--reference", metavar="FILE[#ROW]", help="errors for mCE: report.json, JSON table, RobustBench's CSV and row")
    add("--no-resolutions", action="store_true", help="leave low resolution out")
    add("--attacks", nargs="+", default=list(STANDARD), choices=[*ATTACKS, "none"])
    add("--norm", choices=["linf", "l2"], default="linf")
    add("--epsilons", type=fraction, nargs="+", help="radii of the attacks; for linf by default 0.5/255 2/255 8/255")
    add("--curve", type=fraction, nargs="+", help="radii of the ε-curve; for linf by default up to 0.5")
    add("--no-curve", action="store_true", help="leave the ε-curve out")
    add("--no-doubling", action="store_true", help="do not run the attacks with twice the steps and queries")
    add("--attack-count", type=int, default=1000, help="images under attack")
    add("--attack-steps", type=int, default=100, help="of APGD and FAB")
    add("--attack-queries", type=int, default=5000, help="of Square")
    add("--curve-count", type=int, default=200, help="images of the ε-curve and of the doubling")
    add("--curve-steps", type=int, default=40, help="of the ε-curve's PGD")
    add("--individually", action="store_true", help="every attack on every image, not on what is left")
    add("--batch-size", type=int, default=128)
    add("--out", required=True, metavar="FOLDER", help="where the report is written and unfinished work is kept")
    add("--no-pictures", action="store_true")
    add("--no-progress", action="store_true")
    add("--traceback", action="store_true", help="show where an error came from")
    return parser


def _compare_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m isvs_jax.robustness compare",
        description="Draw finished reports side by side; with --combine also their mean, as trainings of one method.",
    )
    parser.add_argument("reports", nargs="+", metavar="REPORT", help="report.json, or its folder")
    parser.add_argument("--combine", metavar="NAME", help="name of the method of which all reports are trainings")
    parser.add_argument("--reference", metavar="FILE[#ROW]", help="errors for mCE")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser
