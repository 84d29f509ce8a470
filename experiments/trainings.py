"""The trainings that the experiments compare: each a name, at one size and one seed a folder of its own."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from experiments.sizes import Size
from experiments.variations import variation_configs
from isvs_jax.training import execute
from isvs_jax.training.augmentation import Augmentation
from isvs_jax.training.config import Resources, TrainConfig
from isvs_jax.training.filters import FilterKind
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.objective import Objective
from isvs_jax.training.optimizer import OptimizerConfig
from isvs_jax.training.run import ModelChoice, Run
from isvs_jax.training.views import View

PATH = (View(2.0), View(4.0), View(8.0))
MIXED = (View(4.0), View(8.0), View(8.0, "sparse"))
_PLAIN = Augmentation(crop=4)
_NOISE = replace(_PLAIN, noise=0.1)
_CONTRAST = replace(_PLAIN, contrast=0.8)
_BOTH = replace(_PLAIN, noise=0.1, contrast=0.8)
_FILTERS: tuple[FilterKind, ...] = ("blur", "lowpass", "rof")
# Where the search for the strength of equal residual energy begins.
_START: dict[FilterKind, tuple[float, ...]] = {
    "blur": (1.5, 1.0, 0.6),
    "lowpass": (0.3, 0.5, 0.7),
    "rof": (0.2, 0.1, 0.05),
}


def trainings(size: Size) -> dict[str, TrainConfig]:
    """Every training by name, the seed being 0.

    - "raw"; "noise", "contrast", "noise_contrast": with Gaussian noise up to 0.1, contrast down to 0.2, and both.
    - "fixed": always dense t = 4. "path": half raw, else dense t = 2, 4 or 8. "coarse_to_fine", "consistency": of the
      same times. "mixed": half raw, else dense t = 4, 8 or sparse t = 8.
    - "path_noise", "mixed_noise", "mixed_noise_contrast", "consistency_noise_contrast": with that augmentation too.
    - "blur", "lowpass", "rof": as "path", with filters that take away as much energy in place of its views.
    - "augmix", "adversarial"; "path_augmix", "path_adversarial": with the views of "path" too.
    - "ablation-...": "path" with one choice made otherwise, see `experiments.variations`.
    """
    path, mixed = Inputs("random", PATH), Inputs("random", MIXED)
    several = Inputs("several", PATH, draws=3)
    adversarial = Objective("adversarial", epsilon=size.training_epsilon, attack_steps=size.training_attack_steps)
    consistency, augmix = Objective("consistency"), Objective("augmix")
    make = _maker(size)
    return {
        "raw": make(),
        "noise": make(augmentation=_NOISE),
        "contrast": make(augmentation=_CONTRAST),
        "noise_contrast": make(augmentation=_BOTH),
        "fixed": make(Inputs("fixed", (View(4.0),))),
        "path": make(path),
        "coarse_to_fine": make(Inputs("coarse_to_fine", PATH)),
        "consistency": make(several, consistency),
        "mixed": make(mixed),
        "path_noise": make(path, augmentation=_NOISE),
        "mixed_noise": make(mixed, augmentation=_NOISE),
        "mixed_noise_contrast": make(mixed, augmentation=_BOTH),
        "consistency_noise_contrast": make(several, consistency, _BOTH),
        **{kind: make(Inputs("random", tuple(View(s, kind) for s in _START[kind]))) for kind in _FILTERS},
        "augmix": make(objective=augmix),
        "adversarial": make(objective=adversarial),
        "path_augmix": make(path, augmix),
        "path_adversarial": make(path, adversarial),
        **variation_configs(make(path)),
    }


def training_run(config: TrainConfig, size: Size, seed: int, out: Path, cache: Path | None = None) -> Run:
    """The run of a configuration; views of filters are matched to those of the path."""
    filtered = any(not view.is_path for view in config.inputs.views)
    return Run(
        out=out,
        data=size.data,
        model=ModelChoice(size.model),
        train=replace(config, seed=seed),
        matched_to=PATH if filtered else (),
        resources=Resources(smoothing="cache" if cache else "auto", cache_dir=str(cache) if cache else None),
    )


# Claims ask for the same trainings: a process looks once whether one is finished.
@functools.cache
def train_one(
    name: str,
    config: TrainConfig,
    size: Size,
    seed: int,
    root: Path,
    *,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Path:
    """The folder of a finished training, done here where it is not."""
    folder = training_folder(root, name, seed)
    execute(training_run(config, size, seed, folder, root / "views"), progress=progress, say=say)
    return folder


def training_folder(root: Path, name: str, seed: int) -> Path:
    """Where a training lies."""
    return root / "trainings" / name / str(seed)


def _maker(size: Size) -> Callable[..., TrainConfig]:
    optimizer = OptimizerConfig(learning_rate=size.learning_rate, weight_decay=size.weight_decay)

    def make(
        inputs: Inputs = Inputs(), objective: Objective = Objective(), augmentation: Augmentation = _PLAIN
    ) -> TrainConfig:
        return TrainConfig(
            epochs=size.epochs,
            batch_size=size.batch_size,
            inputs=inputs,
            objective=objective,
            optimizer=optimizer,
            augmentation=augmentation,
        )

    return make
