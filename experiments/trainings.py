"""The trainings that the experiments compare: each a name, in one study and of one seed a folder of its own."""

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.study import Study
from isvs_jax.augment import View
from isvs_jax.data import DataChoice, Dataset, load_data
from isvs_jax.training import execute
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.methods import PATH_VIEWS, method_configs, views_to_match
from isvs_jax.training.optimizer import OptimizerConfig
from isvs_jax.training.run import Run, difference
from isvs_jax.training.trained import CONFIG_FILE

_MIXED = (View(4.0), View(8.0), View(8.0, "sparse"))
_SPARSE = tuple(View(view.strength, "sparse") for view in PATH_VIEWS)
# Contrast down to a fifth.
_CONTRAST = 0.8


@dataclass(frozen=True)
class Variation:
    """A training along the path with one choice made otherwise.

    Attributes:
        group: The choice, such as "ν".
        label: What was chosen, such as "0.3".
        field: The field of `Inputs` that differs.
        value: The value of that field.
    """

    group: str
    label: str
    field: str
    value: Any

    @property
    def training(self) -> str:
        """The name of the training."""
        chosen = self.label.replace(" = ", "").replace(" ", "-")
        return f"ablation-{self.field.removeprefix('solver_')}-{chosen}"


VARIATIONS: tuple[Variation, ...] = (
    *(Variation("ν", f"{nu:g}", "solver_nu", nu) for nu in (0.03, 0.3, 1.0)),
    *(Variation("κ", f"{kappa:g}", "solver_kappa", kappa) for kappa in (1.0, 2.0, 20.0)),
    *(Variation("time", f"t = {time:g}", "views", (View(time),)) for time in (2.0, 4.0, 8.0, 16.0)),
    *(Variation("penalty", name, "solver_penalty", name) for name in ("anisotropic", "isotropic")),
    Variation("output", "sparse", "views", _SPARSE),
    Variation("output", "dense and sparse", "views", (*PATH_VIEWS, *_SPARSE)),
    *(Variation("raw share", f"{share:g}", "raw_share", share) for share in (0.0, 0.25, 0.75)),
)
"""The variations of "path": dense t = 2, 4 or 8 half of the time, else the image; ν = 0.1, κ of the study, "color"."""


def trainings(study: Study) -> dict[str, TrainConfig]:
    """Every training of a study by name, the seed being 0.

    - The methods of `isvs_jax.training.method_configs`, with its recipes such as "augmix_noise" and "all_round".
    - "contrast", "noise_contrast": with contrast down to 0.2, the second with noise too.
    - "mixed": half raw, else dense t = 4, 8 or sparse t = 8.
    - "mixed_noise", "mixed_noise_contrast", "consistency_noise_contrast": with that augmentation too.
    - "ablation-...": "path" with one choice made otherwise, one for each of `VARIATIONS`.
    """
    methods = {name: _budgeted(config, study) for name, config in method_configs().items()}
    raw, path, noise = methods["raw"], methods["path"], methods["noise"].augmentation
    mixed = replace(path, inputs=replace(path.inputs, views=_MIXED))
    both = replace(noise, contrast=_CONTRAST)
    return methods | {
        "contrast": replace(raw, augmentation=replace(raw.augmentation, contrast=_CONTRAST)),
        "noise_contrast": replace(raw, augmentation=both),
        "mixed": mixed,
        "mixed_noise": replace(mixed, augmentation=noise),
        "mixed_noise_contrast": replace(mixed, augmentation=both),
        "consistency_noise_contrast": replace(methods["consistency"], augmentation=both),
        **{one.training: replace(path, inputs=replace(path.inputs, **{one.field: one.value})) for one in VARIATIONS},
    }


def _budgeted(config: TrainConfig, study: Study) -> TrainConfig:
    """A method with the budget and the flow of a study."""
    objective = config.objective
    if objective.name in ("adversarial", "trades"):
        objective = replace(objective, epsilon=study.training_epsilon, attack_steps=study.training_steps)
    optimizer = OptimizerConfig(learning_rate=study.learning_rate, weight_decay=study.weight_decay)
    # The four pixels that are usual at 32 are an eighth of the side.
    augmentation = replace(config.augmentation, crop=max(4, (study.data.image_size or 0) // 8))
    return replace(
        config,
        inputs=replace(config.inputs, solver_kappa=study.kappa),
        epochs=study.epochs,
        batch_size=study.batch_size,
        optimizer=optimizer,
        objective=objective,
        augmentation=augmentation,
    )


# Claims ask for the same trainings: a process looks once whether one is finished.
@functools.cache
def train_one(name: str, study: Study, seed: int) -> Path:
    """The folder of a finished training, done here where it is not.

    Args:
        name: A name of `trainings`.
        study: The study.
        seed: The seed.
    """
    config = trainings(study)[name]
    run = Run(
        out=training_folder(study.root, name, seed),
        # The referee takes a part of the test images, a training all of them.
        data=replace(study.data, limit_test=None),
        model=study.model,
        train=replace(config, seed=seed),
        # Filters are matched to the views of the path.
        matched_to=views_to_match(config),
    )
    execute(run, dataset=_images(run.data, study.progress), progress=study.progress)
    return run.out


# All trainings of a study are of the same images.
@functools.lru_cache(maxsize=1)
def _images(choice: DataChoice, progress: bool) -> Dataset:
    return load_data(choice, progress=progress)


def training_folder(root: Path, name: str, seed: int) -> Path:
    """The folder of a training."""
    return root / "trainings" / name / str(seed)


def check_training(folder: Path, study: Study) -> None:
    """Raise a ValueError where a training that is there is not one of this study."""
    if not (folder / CONFIG_FILE).exists():
        return
    kept = json.loads((folder / CONFIG_FILE).read_text())
    there = {
        "model": kept["model"]["name"],
        "weights": "given" if "weights_sha256" in kept["model"] else "none",
        "epochs": kept["train"]["epochs"],
        "batch_size": kept["train"]["batch_size"],
        "learning_rate": kept["train"]["optimizer"]["learning_rate"],
    }
    asked = {
        "model": study.model.name,
        "weights": "none" if study.model.weights is None else "given",
        "epochs": study.epochs,
        "batch_size": study.batch_size,
        "learning_rate": study.learning_rate,
    }
    changes = difference(there, asked)
    if changes:
        raise ValueError(f"{folder} holds a training of another study: {'; '.join(changes)}. Give another folder.")
