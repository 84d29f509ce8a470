"""Certified accuracy of a network alone, behind the path, and behind filters that take as much energy away."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# Compilation leaves lines on the terminal that say nothing to the reader.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import numpy as np
import tyro
from scipy.special import stdtrit

from experiments.estimates import Estimate, estimate
from experiments.section import Section, Table, write_section
from isvs_jax import SplitLBI
from isvs_jax._checks import check_integer
from isvs_jax._command import exit_status, keep_compiled
from isvs_jax._files import read_json, write_json
from isvs_jax.augment import View
from isvs_jax.data import DataChoice, Split, as_float, load_data
from isvs_jax.models import ResNet, import_resnet, logits_fn, read_state_dict
from isvs_jax.robustness import Certificate, Defence, certify, choose_smoothing, matched_filters, view_defence
from isvs_jax.robustness.certification import CertifiedSummary, certified_summary, joined

_PROG = "python -m experiments.certified"
_DESCRIPTION = f"""Certify a network alone, behind the path, and behind blur and ROF of equal residual energy.

    {_PROG} --weights resnet20-12fca82f.th --data.spec tfds:cifar10

The test images are taken in blocks of 50, all variants of a block before the next one. A larger --count goes on from
what is there, and so does the same command after a stop."""

VARIANTS = ("alone", "path", "blur", "rof")
_BLOCK = 50
# Every twentieth test image is certified, and choices are made on those half-way between.
_STRIDE = 20
# Fractions of the largest radius that n = 1,000 draws give, in units of σ.
_RADII = (0.0, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Certified:
    """Certified accuracy at radii.

    Attributes:
        weights: The state dict of a ResNet for CIFAR, as PyTorch saved it.
        depth: The depth of the network.
        mean: The mean that is taken from the input, by channel.
        std: The deviation by which the input is divided, by channel.
        data: The images; the test images are used.
        sigmas: The standard deviations of the noise, on the scale of [0, 1].
        count: How many images are certified: every twentieth.
        held_out: On how many others the time, κ and the strengths of the filters are chosen.
        kappas: The values of κ that are tried.
        n: How many draws bound a probability.
        batch_size: The noisy images on the devices at a time.
        out: The folder of the results.
        progress: Whether to show progress.
    """

    weights: Path
    depth: int = 20
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    data: DataChoice = field(default_factory=DataChoice)
    sigmas: tuple[float, ...] = (0.12, 0.25)
    count: int = 500
    held_out: int = 100
    kappas: tuple[float, ...] = (1.0,)
    n: int = 1000
    batch_size: int = 256
    out: Path = Path("results/certified")
    progress: bool = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""

    def work() -> None:
        print(run(tyro.cli(Certified, args=arguments, prog=_PROG, description=_DESCRIPTION)))

    return exit_status(work, _PROG)


def run(chosen: Certified) -> Path:
    """Certify what is missing; the path of the report, which is written after every block."""
    check_integer("count", chosen.count)
    dataset = load_data(replace(chosen.data, limit_train=1), progress=chosen.progress)
    network = _network(chosen, dataset.num_classes)
    found: dict[tuple[float, str], list[Certificate]] = {}
    certified = _every(dataset.test, 0, chosen.count)
    choices = {
        sigma: _choice(chosen, network, _every(dataset.test, _STRIDE // 2, chosen.held_out), sigma)
        for sigma in chosen.sigmas
    }
    path = chosen.out / "report.md"
    for begin in range(0, len(certified.labels), _BLOCK):
        block = Split(certified.images[begin : begin + _BLOCK], certified.labels[begin : begin + _BLOCK])
        for sigma in chosen.sigmas:
            for variant in VARIANTS:
                certificate = _certified(chosen, network, block, sigma, variant, choices[sigma], begin)
                found.setdefault((sigma, variant), []).append(certificate)
        labels = certified.labels[: begin + len(block.labels)]
        section = _section(chosen, {name: joined(parts) for name, parts in found.items()}, labels, choices)
        path = write_section(section, chosen.out, chosen)
        print(f"{len(labels)} images: {path}", file=sys.stderr, flush=True)
    return path


def _every(test: Split, first: int, count: int) -> Split:
    """Every twentieth image from the given one on, as many as wanted."""
    rows = np.arange(first, len(test.labels), _STRIDE)[:count]
    return Split(test.images[rows], test.labels[rows])


def _network(chosen: Certified, num_classes: int) -> Any:
    model = ResNet(depth=chosen.depth, num_classes=num_classes, mean=chosen.mean, std=chosen.std)
    return logits_fn(model, import_resnet(read_state_dict(chosen.weights), model))


def _choice(chosen: Certified, network: Any, held_out: Split, sigma: float) -> dict[str, Any]:
    """What stands before the network at a σ, chosen on held-out images and kept in a file."""
    file = chosen.out / f"sigma-{sigma:g}" / "choice.json"
    asked = {"held_out": len(held_out.labels), "kappas": list(chosen.kappas)}
    if file.exists():
        there = read_json(file)
        if there["asked"] != asked:
            raise ValueError(f"out must be a folder of the same choice, {asked}; got {file} with {there['asked']}.")
        return there
    images, key = as_float(held_out.images), jax.random.key(1)
    found = choose_smoothing(
        network, images, held_out.labels, key, sigma=sigma, kappas=chosen.kappas, batch_size=chosen.batch_size
    )
    filters = matched_filters(found.defence, images, jax.random.key(2), sigma=sigma)
    choice = {
        "asked": asked,
        "time": found.time,
        "kappa": found.kappa,
        "tried": [[*candidate, share] for candidate, share in found.tried.items()],
        "without": found.without,
        "views": {kind: defence.description.removeprefix("filter, ") for kind, defence in filters.items()},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, choice)
    return choice


def _defence(variant: str, choice: dict[str, Any]) -> Defence | None:
    if variant == "alone":
        return None
    if variant == "path":
        return view_defence(View(choice["time"]), SplitLBI(kappa=choice["kappa"]))
    return view_defence(View.parse(choice["views"][variant]))


def _certified(
    chosen: Certified, network: Any, block: Split, sigma: float, variant: str, choice: dict[str, Any], begin: int
) -> Certificate:
    folder = chosen.out / f"sigma-{sigma:g}" / variant / f"{begin:05d}"
    return certify(
        network,
        as_float(block.images),
        # All variants see the same noise, and every block noise of its own.
        jax.random.fold_in(jax.random.key(0), begin),
        sigma=sigma,
        n=chosen.n,
        defence=_defence(variant, choice),
        labels=block.labels,
        batch_size=chosen.batch_size,
        folder=folder,
        progress=chosen.progress,
    )


def _section(
    chosen: Certified,
    certificates: dict[tuple[float, str], Certificate],
    labels: np.ndarray,
    choices: dict[float, dict[str, Any]],
) -> Section:
    from isvs_jax.plotting import certified_accuracy

    tables, pictures = [], {}
    for sigma in chosen.sigmas:
        radii = tuple(float(f"{share * sigma:.3g}") for share in _RADII)
        found = {variant: certificates[sigma, variant] for variant in VARIANTS}
        right = {variant: np.where(each.prediction == labels, each.radius, -1) for variant, each in found.items()}
        columns = (
            *(f"r = {radius:g}" for radius in radii),
            "average radius",
            "less that of the path",
            "worst class, r = 0",
        )
        rows = {
            _title(variant, choices[sigma]): _row(
                certified_summary(each, labels, radii), np.maximum(right[variant], 0) - np.maximum(right["path"], 0)
            )
            for variant, each in found.items()
        }
        tables.append(Table(f"σ = {sigma:g}", columns, rows))
        caption = f"Certified accuracy against the radius in L2, σ = {sigma:g}, {len(labels)} images."
        pictures[f"sigma-{sigma:g}"] = (certified_accuracy(right), caption)
    return Section(
        ".",
        "Certified accuracy",
        "Behind the path, a network that knows no noise is certified at larger radii than alone or behind a filter.",
        tuple(tables),
        pictures,
        _remarks(chosen, certificates, len(labels), choices),
    )


def _title(variant: str, choice: dict[str, Any]) -> str:
    if variant == "path":
        return f"path, t = {choice['time']:g}, κ = {choice['kappa']:g}"
    return choice["views"].get(variant, variant)


def _row(summary: CertifiedSummary, less: np.ndarray) -> list[Estimate | str]:
    """The figures of a variant; `less` [N] is the radius of each image less that behind the path."""
    shares = [estimate([share], interval) for share, interval in zip(summary.accuracy, summary.intervals, strict=True)]
    label, worst = summary.worst_class[0]
    reach = stdtrit(len(less) - 1, 0.975) * less.std(ddof=1) / np.sqrt(len(less)) if len(less) > 1 else np.nan
    paired = f"{less.mean():+.3f} ± {reach:.3f}" if less.any() else "–"
    return [*shares, f"{summary.average_radius:.3f}", paired, f"{100 * worst:.1f} (class {label})"]


def _remarks(
    chosen: Certified,
    certificates: dict[tuple[float, str], Certificate],
    count: int,
    choices: dict[float, dict[str, Any]],
) -> tuple[str, ...]:
    first = next(iter(certificates.values()))
    tried = "; ".join(
        f"σ = {sigma:g}: {100 * choice['without']:.1f} without, "
        + ", ".join(f"{100 * share:.1f} at t = {time:g}, κ = {kappa:g}" for time, kappa, share in choice["tried"])
        for sigma, choice in choices.items()
    )
    linf = certified_summary(first, np.zeros(count, int), (0.25,)).linf_radii[0]
    return (
        f"Certified accuracy in % with 95% intervals over images, radii r in L2 on the scale of [0, 1], and the "
        f"difference of average radii image by image, with Student's interval; {count} test images, "
        f"every twentieth; n0 = {first.n0}, n = {first.n:,}, α = {first.alpha:g}.",
        "The network was trained without noise and is not fine-tuned. All variants see the same noise.",
        f"These are no accuracies under attack: r = 0.25 implies no more than {255 * linf:.2f}/255 in L∞.",
        f"t and κ were chosen on {chosen.held_out} other test images, by the share in % of noisy images that are "
        f"classified right ({tried}); blur and ROF take as much energy of the noisy images away.",
    )


if __name__ == "__main__":
    keep_compiled()
    sys.exit(main())
