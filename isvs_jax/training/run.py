"""A training run from its configuration to a folder with the trained classifier."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from isvs_jax import data, environment, models
from isvs_jax._files import write_atomically
from isvs_jax.augment.views import View
from isvs_jax.data import DataChoice, load_data
from isvs_jax.data.dataset import drawn_indices
from isvs_jax.training.config import Resources, TrainConfig
from isvs_jax.training.devices import Distributed, chosen_devices
from isvs_jax.training.evaluate import evaluate
from isvs_jax.training.log import read_log
from isvs_jax.training.loop import train
from isvs_jax.training.methods import matched
from isvs_jax.training.network import ModelChoice, build_model
from isvs_jax.training.run_folder import claim
from isvs_jax.training.weights import starting_weights

ENVIRONMENT_FILE = "environment.json"
RESULT_FILE = "result.json"
# Images on which the energies of filters are matched.
_MATCHING = 256


@dataclass(frozen=True)
class Run:
    """Train a classifier.

    Attributes:
        out: Folder of the run: configuration, log, checkpoints, result. The same command again goes on where it
            stopped.
        data: Which images.
        model: Which network.
        train: All else that the outcome depends on.
        matched_to: Views of the path, one for each filter among the views of the run: each filter gets the strength at
            which it takes away as much energy as the view of the path.
        resources: Devices, loader, cache, checkpoints.
        distributed: Several machines.
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
    tensorboard/, checkpoints/ and, at the end, result.json.

    Args:
        run: What to do.
        dataset: What `load_data(run.data)` gives, where several runs share it; by default it is loaded.
        progress: Whether to show progress bars.
        say: Where lines of text go, from process 0.

    Returns:
        What result.json holds.

    Raises:
        ConfigurationChangedError: The folder holds another run; the message shows the difference.
        ValueError: Something in `run` cannot be, as `train` and `data.load` say.
    """
    run.distributed.initialize()
    first = jax.process_index() == 0
    if dataset is None:
        dataset = load_data(run.data, progress=progress and first)
    config = _resolved(run, dataset)
    model = build_model(run.model, dataset.num_classes, dataset.image_shape)
    weights = starting_weights(run.model.weights, model, dataset.image_shape) if run.model.weights is not None else None
    if _claimed(run.out, _fingerprint(run, config, dataset, weights)) and first:
        say(f"{run.out} holds this run already: it goes on where it stopped.")
    if first:
        _note_session(run.out, chosen_devices(run.resources.devices))
    training, validation = dataset.train, None
    if run.data.validation_share:
        held = data.holdout(dataset, run.data.validation_share)
        training, validation = held.train, held.test
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
        say=say if first else None,
    )
    hashed = environment.parameters_hash(jax.device_get(state.variables))
    tested = {"parameters_sha256": hashed, "test_labels_sha256": _hash(dataset.test.labels)}
    known = _known_result(run.out)
    if tested.items() <= known.items():
        return known
    logits_fn = models.logits_fn(model, state.variables)
    result = {
        "clean_accuracy": evaluate(logits_fn, dataset.test.images, dataset.test.labels),
        "test_images": len(dataset.test),
        "parameters": models.count_parameters(state.variables),
        **tested,
        "steps": int(state.step),
        "seconds": read_log(run.out)[-1]["seconds"] if first else round(time.monotonic() - began, 1),
    }
    if first:
        write_atomically(run.out / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    return result


def _known_result(folder: Path) -> dict[str, Any]:
    """What result.json holds; nothing where there is none."""
    file = folder / RESULT_FILE
    return json.loads(file.read_text()) if file.exists() else {}


def _resolved(run: Run, dataset: data.Dataset) -> TrainConfig:
    """The configuration with what depends on the data: mirror images, and the strengths of matched filters."""
    config = run.train
    if config.augmentation.flip is None:
        config = dataclasses.replace(config, augmentation=dataclasses.replace(config.augmentation, flip=dataset.mirror))
    if not run.matched_to:
        return config
    count = min(_MATCHING, len(dataset.train))
    chosen = drawn_indices(len(dataset.train), count, run.data.draw_seed)
    return matched(config, run.matched_to, data.as_float(dataset.train.images[chosen]))


def _fingerprint(
    run: Run, config: TrainConfig, dataset: data.Dataset, weights: models.Variables | None
) -> dict[str, Any]:
    """All that the outcome depends on; where data and weights lie is not of it, what they are is."""
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
        "train": dataclasses.asdict(config),
    }


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _claimed(folder: Path, fingerprint: dict[str, Any]) -> bool:
    """`claim` by process 0 before the others look at the folder."""
    first = jax.process_index() == 0
    if jax.process_count() == 1:
        return claim(folder, fingerprint)
    try:
        again = first and claim(folder, fingerprint)
    finally:
        multihost_utils.sync_global_devices("claimed")
    return again if first else claim(folder, fingerprint, write=False)


def _note_session(folder: Path, devices: list[jax.Device]) -> None:
    """Add what this session runs with to environment.json, one entry a session."""
    file = folder / ENVIRONMENT_FILE
    sessions = json.loads(file.read_text()) if file.exists() else []
    versions = environment.versions("flax", "optax", "orbax-checkpoint", "grain")
    sessions.append(environment.session(devices) | {"versions": versions, "processes": jax.process_count()})
    write_atomically(file, json.dumps(sessions, indent=2, ensure_ascii=False) + "\n")
