"""A training run from its configuration to a folder with the trained classifier, which belongs to that one run."""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from isvs_jax import data, environment, models
from isvs_jax._files import read_json, write_json
from isvs_jax.augment.views import View
from isvs_jax.data import DataChoice, load_data
from isvs_jax.data.dataset import drawn_indices
from isvs_jax.training.config import ModelChoice, Resources, TrainConfig
from isvs_jax.training.devices import Distributed, agreed, chosen_devices
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.log import read_log
from isvs_jax.training.loop import LOCK_FILE, check_trainable, only_run, train
from isvs_jax.training.methods import as_noted, matched
from isvs_jax.training.step import TrainState
from isvs_jax.training.trained import CONFIG_FILE, build_model, check_labels, evaluate, starting_weights

ENVIRONMENT_FILE = "environment.json"
RESULT_FILE = "result.json"
# How config.json notes that the versions come from the key of a step, which they did not before 0.2.0.
_DRAWN = {"versions": "drawn in the step"}
# Settings of the inputs that came later: config.json names them where they do something, so that older runs go on.
_LATER = ("unsmoothed", "noise_place")
# The number of images on which the energies of filters are matched.
_MATCHING = 256


@dataclass(frozen=True)
class Run:
    """Train a classifier.

    Attributes:
        out: The folder of the run, for its configuration, log, checkpoints and result. The same command again goes on
            where it stopped.
        data: The images.
        model: The network.
        train: All else that the outcome depends on.
        matched_to: Views of the path, one for each filter among the views of the run: each filter gets the strength at
            which it takes away as much energy as the view of the path.
        resources: The devices, the loader and the checkpoints.
        distributed: The processes, where several machines train together.
    """

    out: Path
    data: DataChoice = field(default_factory=DataChoice)
    model: ModelChoice = field(default_factory=ModelChoice)
    train: TrainConfig = field(default_factory=TrainConfig)
    matched_to: tuple[View, ...] = ()
    resources: Resources = field(default_factory=Resources)
    distributed: Distributed = field(default_factory=Distributed)


def execute(
    run: Run, *, dataset: data.Dataset | None = None, progress: bool = True, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Train, test on clean images, and leave everything in the run's folder.

    The folder holds config.json, environment.json (versions, commit, command and machine of every session), log.jsonl,
    tensorboard/, checkpoints/ and, at the end, result.json. A run that is refused leaves no folder behind.

    Args:
        run: The run.
        dataset: The images that `load_data(run.data)` gives, where several runs share them; by default they are loaded.
        progress: Whether to show progress bars.
        say: A function that takes lines of text, in process 0.

    Returns:
        The content of result.json.

    Raises:
        ConfigurationChangedError: The folder holds another run; the message shows the difference.
        OSError: Another process trains in the folder, or there is no room.
        ValueError: Something in `run` is refused, as `train` and `data.load` say, or a file of the folder cannot be
            read.
    """
    run.distributed.initialize()
    first = jax.process_index() == 0
    if dataset is None:
        dataset = load_data(run.data, progress=progress and first)
    config = _resolved(run, dataset)
    model = build_model(run.model, dataset.num_classes, dataset.image_shape)
    training, validation = dataset.train, None
    if run.data.validation_share:
        held = data.holdout(dataset, run.data.validation_share)
        training, validation = held.train, held.test
    # Whatever can be refused is refused before the folder is claimed: the corrected command is for the same folder.
    check_trainable(model, training, config, validation=validation, resources=run.resources)
    check_labels("labels of the test images", dataset.test.labels, dataset.num_classes)
    weights = starting_weights(run.model.weights, model, dataset.image_shape) if run.model.weights is not None else None
    if _claimed(run, _fingerprint(run, config, dataset, weights)) and first:
        say(f"{run.out} holds this run already: it goes on where it stopped.")
    began = time.monotonic()
    state = train(
        model,
        training,
        config,
        validation=validation,
        variables=weights,
        run_dir=run.out,
        resources=run.resources,
        label="/".join(run.out.parts[-2:]),
        progress=progress,
    )
    # Other processes than the first one have no log.
    last = read_log(run.out)[-1] if first else {"seconds": round(time.monotonic() - began, 1)}
    spent = {name: last[name] for name in ("seconds", "processor_seconds") if name in last}
    return _result(run.out, model, state, dataset.test, spent)


def _resolved(run: Run, dataset: data.Dataset) -> TrainConfig:
    """The configuration with what depends on the data: mirror images, and the strengths of matched filters."""
    config = run.train
    if config.augmentation.flip is None:
        config = dataclasses.replace(config, augmentation=dataclasses.replace(config.augmentation, flip=dataset.mirror))
    if not run.matched_to:
        return config
    count = min(_MATCHING, len(dataset.train))
    chosen = drawn_indices(len(dataset.train), count, run.data.draw_seed)
    found = matched(config, run.matched_to, data.as_float(dataset.train.images[chosen]))
    noted = Path(run.out) / CONFIG_FILE
    return as_noted(found, read_json(noted)) if noted.exists() else found


def _fingerprint(
    run: Run, config: TrainConfig, dataset: data.Dataset, weights: models.Variables | None
) -> dict[str, Any]:
    """All that the outcome depends on: what data and weights are, but not where they lie."""
    started = {} if weights is None else {"weights_sha256": environment.parameters_hash(jax.device_get(weights))}
    return {
        "data": {
            "name": dataset.name,
            "image_shape": dataset.image_shape,
            "num_classes": dataset.num_classes,
            "train_images": len(dataset.train),
            "validation_share": run.data.validation_share,
            "images_sha256": data.digest(dataset.train),
            "test_images_sha256": data.digest(dataset.test),
            "labels_sha256": _hash(dataset.train.labels),
        },
        "model": {"name": run.model.name, "dtype": run.model.dtype} | started,
        "train": dataclasses.asdict(config) | {"inputs": _noted(config.inputs)},
    } | (_DRAWN if config.inputs.views else {})


def _noted(inputs: Inputs) -> dict[str, Any]:
    usual = dataclasses.asdict(Inputs())
    return {
        name: value for name, value in dataclasses.asdict(inputs).items() if name not in _LATER or value != usual[name]
    }


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _claimed(run: Run, fingerprint: dict[str, Any]) -> bool:
    """Claim the folder and note the session, in process 0; whether the folder held this run already."""
    first = jax.process_index() == 0
    # Nothing is written into a folder of something else, not even a lock.
    again = claim(run.out, fingerprint, write=False)
    refused: Exception | None = None
    if first:
        try:
            # A folder in which another process trains is refused before the session is noted in it.
            with only_run(run.out):
                claim(run.out, fingerprint)
                _note_session(run.out, chosen_devices(run.resources.devices))
        except (OSError, ValueError) as error:
            refused = error
    # All processes of a run go on or end together: one that went on alone would wait for the others.
    if not agreed(refused is None):
        raise refused or OSError(f"out must be a folder that process 0 can take; got {run.out}. Its output says why.")
    return again


def _note_session(folder: Path, devices: list[jax.Device]) -> None:
    """Add what this session runs with to environment.json, one entry a session."""
    file = folder / ENVIRONMENT_FILE
    sessions = read_json(file, "Delete it, and a new one is begun.") if file.exists() else []
    versions = environment.versions("flax", "optax", "orbax-checkpoint", "grain")
    sessions.append(environment.session(devices) | {"versions": versions, "processes": jax.process_count()})
    write_json(file, sessions)


def _result(
    folder: Path, model: nn.Module, state: TrainState, test: data.Split, spent: dict[str, float]
) -> dict[str, Any]:
    """The content of result.json; the network is tested only where the file is not of these parameters and labels."""
    hashed = environment.parameters_hash(jax.device_get(state.variables))
    tested = {"parameters_sha256": hashed, "test_labels_sha256": _hash(test.labels)}
    file = folder / RESULT_FILE
    known = read_json(file, "Delete it, and the network is tested again.") if file.exists() else {}
    if tested.items() <= known.items():
        return known
    result = {
        "clean_accuracy": evaluate(models.logits_fn(model, state.variables), test.images, test.labels),
        "test_images": len(test),
        "parameters": models.count_parameters(state.variables),
        **tested,
        "steps": int(state.step),
        **spent,
    }
    if jax.process_index() == 0:
        write_json(file, result)
    return result


class ConfigurationChangedError(ValueError):
    """A folder holds results of another configuration."""


def claim(folder: str | os.PathLike[str], config: dict[str, Any], *, write: bool = True) -> bool:
    """Take a folder for a configuration, which is written into it as config.json.

    Args:
        folder: The folder; it is made where it does not exist.
        config: The configuration, of values that JSON can hold.
        write: Whether this process writes; of several, one does.

    Returns:
        Whether the folder held the same configuration already, so that what is in it may be used again.

    Raises:
        ConfigurationChangedError: The folder holds another configuration, and the message shows the difference; or it
            holds files but no configuration.
        ValueError: The configuration in the folder cannot be read.
    """
    folder = Path(folder)
    file = folder / CONFIG_FILE
    wanted = json.loads(json.dumps(config, default=_plain))
    if file.exists():
        kept = read_json(file)
        changes = difference(kept, wanted)
        if changes:
            raise ConfigurationChangedError(
                f"{folder} holds a run of another configuration:\n"
                + "".join(f"  {line}\n" for line in changes)
                + "Give another folder, or delete this one."
            )
        return True
    if folder.exists() and (not folder.is_dir() or not all(map(_is_nobodys, folder.iterdir()))):
        raise ConfigurationChangedError(
            f"folder must be new, empty, or the folder of a run; got {folder}, which has no {CONFIG_FILE}."
        )
    if not write:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, wanted)
    return False


def _is_nobodys(file: Path) -> bool:
    # The lock, and what a kill left while the configuration itself was written.
    return file.name == LOCK_FILE or file.match(f".{CONFIG_FILE}.*.partial")


def _plain(number: np.generic) -> Any:
    """A number of NumPy as one of Python, for JSON."""
    return number.item()


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """One line for each setting that differs, nested ones with their path.

    Example:
        >>> difference({"epochs": 5, "data": "digits"}, {"epochs": 6, "data": "digits"})
        ['epochs: 5 there, 6 asked for']
    """
    lines = []
    for name in sorted(old.keys() | new.keys()):
        there, asked = old.get(name, "nothing"), new.get(name, "nothing")
        if isinstance(there, dict) and isinstance(asked, dict):
            lines += difference(there, asked, f"{prefix}{name}.")
        elif there != asked:
            lines.append(f"{prefix}{name}: {there} there, {asked} asked for")
    return lines
