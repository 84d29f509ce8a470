"""`python -m isvs_jax.training METHOD`: a command line generated from the configuration."""

from collections.abc import Sequence
from pathlib import Path

import jax
import tyro

from isvs_jax._command import exit_status, one_word_options
from isvs_jax.training.methods import method_configs, views_to_match
from isvs_jax.training.run import Run, execute

PROG = "python -m isvs_jax.training"
_DESCRIPTION = """Train a classifier: one subcommand a method, every setting an option of it.

    python -m isvs_jax.training path --out results/train/path
    python -m isvs_jax.training raw --out results/train/raw --data.spec tfds:cifar10 --model.name resnet18

A run that was stopped goes on when the same command is given again."""
_PLACES = {"last": "", "first": " before the smoothing", "unsmoothed": " where nothing is smoothed"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 0, 1 with a sentence, or 130 where it was interrupted."""
    run = parse(arguments)
    return exit_status(lambda: _train(run), PROG)


def _train(run: Run) -> None:
    result = execute(run)
    if jax.process_index() == 0:
        accuracy, count = 100 * result["clean_accuracy"], result["test_images"]
        print(f"{run.out}: clean accuracy {accuracy:.1f}% on {count} test images")


def parse(arguments: Sequence[str] | None = None) -> Run:
    """The run that a command line describes.

    Example:
        >>> parse(["path", "--out", "runs/a", "--train.inputs.views", "dense:4", "sparse:8"]).train.inputs.views
        (View(strength=4.0, kind='dense'), View(strength=8.0, kind='sparse'))
    """
    with one_word_options():
        return tyro.extras.overridable_config_cli(
            {name: (_first_line(name), run) for name, run in _defaults().items()},
            prog=PROG,
            args=arguments,
            description=_DESCRIPTION,
        )


def _defaults() -> dict[str, Run]:
    """A run for each method; those of filters take as much away as the path does."""
    return {
        name: Run(out=Path("results/train") / name, train=config, matched_to=views_to_match(config))
        for name, config in method_configs().items()
    }


def _first_line(name: str) -> str:
    config = method_configs()[name]
    inputs = config.inputs
    views = " ".join(map(str, inputs.views))
    shown = " ".join(map(str, config.objective.augmix.views))
    parts = [f"inputs {inputs.way} {views}".strip(), f"objective {config.objective.name} {shown}".strip()]
    if inputs.unsmoothed == "augmix":
        parts.insert(1, "AugMix of " + ("the others" if inputs.views else "all"))
    if config.objective.name.startswith("gaussian"):
        view = config.objective.noise.view
        parts.append(f"noise of {config.objective.noise.sigma:g}" + (f", then {view}" if view else ""))
    if config.augmentation.noise:
        parts.append(f"Gaussian noise up to {config.augmentation.noise:g}" + _PLACES[inputs.noise_place])
    return "; ".join(parts)
