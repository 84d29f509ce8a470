"""`python -m isvs_jax.training.weights`: arithmetic with the weights of finished runs, judged on held-out images."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import flax.linen as nn
import jax
import numpy as np
import tyro

from isvs_jax import data, environment, models
from isvs_jax._checks import check_number
from isvs_jax._command import exit_status, keep_compiled
from isvs_jax._files import write_json
from isvs_jax.data import DataChoice, as_float, load_data
from isvs_jax.models import LogitsFn, Variables
from isvs_jax.training.trained import configured_model, evaluate, load_variables, starting_weights
from isvs_jax.training.weight_arithmetic import Signature, cosines, interpolated, patched, signature

_PROG = "python -m isvs_jax.training.weights"
_DESCRIPTION = f"""Arithmetic with the weights of finished runs that started from the same weights.

    {_PROG} interpolate results/raw results/path --data.spec tfds:cifar10 --data.validation-share 0.1
    {_PROG} signatures --start weights.th --raw results/raw results/path results/noise

The accuracies are of the images that the runs held out. What a line of a table is of, the referee takes as a model:

    python -m isvs_jax.robustness evaluate --model isvs_jax.training.weights:interpolated_classifier \\
        --model-arguments results/raw results/path 0.3 ..."""


@dataclass(frozen=True)
class Interpolation:
    """Go from the weights of one run to those of another, and say the accuracy at every step.

    Attributes:
        first: The folder of the run for share 0, usually the accurate one.
        second: The folder of the run for share 1, usually the robust one.
        data: The images of both runs, with their validation share: the accuracies are of the images held out.
        steps: The number of steps from the one to the other.
        noise: The standard deviation of the Gaussian noise, on the scale of [0, 1], of the second accuracy.
        out: A file of JSON for the figures.
        progress: Whether to show progress bars.
    """

    first: Annotated[Path, tyro.conf.Positional]
    second: Annotated[Path, tyro.conf.Positional]
    data: DataChoice = field(default_factory=DataChoice)
    steps: int = 10
    noise: float = 0.1
    out: Path | None = None
    progress: bool = True


@dataclass(frozen=True)
class Signatures:
    """Compare what several trainings added to the weights they started from, and patch the raw one with it.

    Attributes:
        runs: The folders of the runs.
        start: The weights that all of them started from: a PyTorch state dict, or the folder of a run.
        raw: The folder of the run on raw images: what the others have in common with it is taken out.
        scales: How much of a signature is added to the raw run.
        layers: The modules that are patched, such as conv1 and layer1_0; by default all.
        data: The images of all runs, with their validation share: the accuracies are of the images held out.
        noise: The standard deviation of the Gaussian noise, on the scale of [0, 1], of the second accuracy.
        out: A file of JSON for the figures.
        progress: Whether to show progress bars.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    start: Path
    raw: Path
    scales: tuple[float, ...] = (0.5, 1.0, 1.5)
    layers: tuple[str, ...] | None = None
    data: DataChoice = field(default_factory=DataChoice)
    noise: float = 0.1
    out: Path | None = None
    progress: bool = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""

    def work() -> None:
        chosen: Interpolation | Signatures = tyro.extras.subcommand_cli_from_dict(
            {"interpolate": Interpolation, "signatures": Signatures},
            args=arguments,
            prog=_PROG,
            description=_DESCRIPTION,
        )
        found = interpolate(chosen) if isinstance(chosen, Interpolation) else compare(chosen)
        print(json.dumps(found, indent=1))
        if chosen.out is not None:
            chosen.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(chosen.out, found | {"made": environment.session(jax.devices())})

    return exit_status(work, _PROG)


def interpolated_classifier(first: str, second: str, share: str) -> LogitsFn:
    """The classifier between two runs, as the referee takes it: folders, and the share of the second in [0, 1]."""
    variables = interpolated(load_variables(first), load_variables(second), float(share))
    return models.logits_fn(configured_model(first), variables)


def patched_classifier(start: str, raw: str, trained: str, scale: str, *layers: str) -> LogitsFn:
    """The classifier of a raw run with the signature of another, as the referee takes it.

    Args:
        start: The weights that both started from.
        raw: The folder of the raw run.
        trained: The folder of the other.
        scale: How much of the signature is added.
        layers: The modules that are patched; none for all.
    """
    model, base, other = configured_model(raw), load_variables(raw), load_variables(trained)
    found = signature(_start(start, model, raw), other, base)
    return models.logits_fn(model, _patched(base, found, other, float(scale), layers or None))


def interpolate(chosen: Interpolation) -> dict[str, Any]:
    """The accuracies on the way from one run to another, and the share with the best mean of both.

    Raises:
        ValueError: The runs are of two architectures, or no images are held out.
    """
    judge = _judge(chosen.data, chosen.noise, configured_model(chosen.first), chosen.progress)
    first, second = load_variables(chosen.first), load_variables(chosen.second)
    rows = [{"share": share} | judge(interpolated(first, second, share)) for share in _tenths(chosen.steps)]
    return {"rows": rows, "best": max(rows, key=lambda row: row["clean"] + row["noisy"])}


def compare(chosen: Signatures) -> dict[str, Any]:
    """The lengths and angles of signatures, and the accuracies of the raw run with each of them.

    Raises:
        ValueError: The runs are of two architectures, or no images are held out.
    """
    model = configured_model(chosen.raw)
    judge = _judge(chosen.data, chosen.noise, model, chosen.progress)
    start, raw = _start(chosen.start, model, chosen.raw), load_variables(chosen.raw)
    trained = {str(folder): load_variables(folder) for folder in chosen.runs}
    found = {name: signature(start, variables, raw) for name, variables in trained.items()}
    rows: list[dict[str, Any]] = [{"run": str(chosen.raw), "scale": 0.0, **judge(raw)}]
    for name, variables in trained.items():
        rows += [
            {"run": name, "scale": scale, **judge(_patched(raw, found[name], variables, scale, chosen.layers))}
            for scale in chosen.scales
        ]
        rows.append({"run": name, "scale": "the run itself", **judge(variables)})
    return {
        "signatures": {name: {"norm": each.norm, "along_raw": each.removed} for name, each in found.items()},
        "cosines": cosines(found).round(4).tolist(),
        "rows": rows,
    }


def _patched(
    raw: Variables, found: Signature, trained: Variables, scale: float, layers: Sequence[str] | None
) -> Variables:
    return patched(raw, found.direction, scale, layers=layers, normalisation=trained)


def _start(path: str | Path, model: nn.Module, folder: str | Path) -> Variables:
    shape = json.loads((Path(folder) / "config.json").read_text())["data"]["image_shape"]
    return starting_weights(path, model, tuple(shape))


def _tenths(steps: int) -> list[float]:
    return [round(float(share), 6) for share in np.linspace(0, 1, steps + 1)]


def _judge(
    choice: DataChoice, noise: float, model: nn.Module, progress: bool
) -> Callable[[Variables], dict[str, float]]:
    """A function of variables that gives their accuracies on the held-out images, clean and with noise."""
    check_number("noise", noise, "[0, inf)", unit="standard deviation")
    if not choice.validation_share:
        raise ValueError(
            "data.validation_share must be that of the runs, above 0, so that choices are made on images held out; "
            f"got {choice.validation_share}."
        )
    held = data.holdout(load_data(replace(choice, limit_test=1), progress=progress), choice.validation_share).test
    clean = as_float(held.images)
    drawn = np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)
    noisy = np.clip(clean + noise * drawn, 0, 1)

    def judged(variables: Variables) -> dict[str, float]:
        accuracy = partial(evaluate, models.logits_fn(model, variables), labels=held.labels)
        return {"clean": accuracy(images=clean), "noisy": accuracy(images=noisy), "images": len(held.labels)}

    return judged


if __name__ == "__main__":
    keep_compiled()
    sys.exit(main())
