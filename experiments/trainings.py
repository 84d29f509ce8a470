"""The trainings that the experiments compare: each a name, at one size and one seed a folder of its own."""

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from experiments.sizes import Size
from experiments.variations import variation_configs
from isvs_jax.augment.views import View
from isvs_jax.data import DataChoice, Dataset, load_data
from isvs_jax.training import execute
from isvs_jax.training.config import Resources, TrainConfig
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.methods import PATH_VIEWS, method_configs
from isvs_jax.training.optimizer import OptimizerConfig
from isvs_jax.training.run import Run, difference
from isvs_jax.training.trained import CONFIG_FILE

_MIXED = (View(4.0), View(8.0), View(8.0, "sparse"))
# Contrast down to a fifth.
_CONTRAST = 0.8


def trainings(size: Size) -> dict[str, TrainConfig]:
    """Every training by name, the seed being 0.

    - The methods of `isvs_jax.training.methods`: "raw"; "noise"; "fixed", "path", "coarse_to_fine" and
      "consistency"; "blur", "lowpass" and "rof"; "augmix", "adversarial" and "trades";
      "path_noise", "path_augmix", "path_adversarial" and "path_trades".
    - "contrast", "noise_contrast": with contrast down to 0.2, the second with noise too.
    - "mixed": half raw, else dense t = 4, 8 or sparse t = 8.
    - "mixed_noise", "mixed_noise_contrast", "consistency_noise_contrast": with that augmentation too.
    - "ablation-...": "path" with one choice made otherwise, see `experiments.variations`.
    """
    methods = {name: _sized(config, size) for name, config in method_configs().items()}
    raw, noise = methods["raw"], methods["noise"].augmentation
    mixed = replace(raw, inputs=Inputs("random", _MIXED))
    both = replace(noise, contrast=_CONTRAST)
    return methods | {
        "contrast": replace(raw, augmentation=replace(raw.augmentation, contrast=_CONTRAST)),
        "noise_contrast": replace(raw, augmentation=both),
        "mixed": mixed,
        "mixed_noise": replace(mixed, augmentation=noise),
        "mixed_noise_contrast": replace(mixed, augmentation=both),
        "consistency_noise_contrast": replace(methods["consistency"], augmentation=both),
        **variation_configs(methods["path"]),
    }


def training_run(config: TrainConfig, size: Size, seed: int, out: Path, cache: Path | None = None) -> Run:
    """The run of a configuration; views of filters are matched to those of the path."""
    filtered = any(not view.is_path for view in config.inputs.views)
    return Run(
        out=out,
        data=size.data,
        model=size.model,
        train=replace(config, seed=seed),
        matched_to=PATH_VIEWS if filtered else (),
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
    run = training_run(config, size, seed, folder, root / "views")
    execute(run, dataset=_images(run.data, progress), progress=progress, say=say)
    return folder


# All trainings of a study are of the same images.
@functools.lru_cache(maxsize=1)
def _images(choice: DataChoice, progress: bool) -> Dataset:
    return load_data(choice, progress=progress)


def training_folder(root: Path, name: str, seed: int) -> Path:
    """Where a training lies."""
    return root / "trainings" / name / str(seed)


def check_training(folder: Path, size: Size) -> None:
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
        "model": size.model.name,
        "weights": "none" if size.model.weights is None else "given",
        "epochs": size.epochs,
        "batch_size": size.batch_size,
        "learning_rate": size.learning_rate,
    }
    changes = difference(there, asked)
    if changes:
        raise ValueError(f"{folder} holds a training of another study: {'; '.join(changes)}. Give another folder.")


def _sized(config: TrainConfig, size: Size) -> TrainConfig:
    objective = config.objective
    if objective.name in ("adversarial", "trades"):
        objective = replace(objective, epsilon=size.training_epsilon, attack_steps=size.training_attack_steps)
    optimizer = OptimizerConfig(learning_rate=size.learning_rate, weight_decay=size.weight_decay)
    return replace(config, epochs=size.epochs, batch_size=size.batch_size, optimizer=optimizer, objective=objective)
