"""`evaluate`: one call that tests a model on corruptions, attacks and low resolution."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import environment
from isvs_jax._checks import brief, check_integer, check_key
from isvs_jax.robustness._inputs import check_labels
from isvs_jax.robustness.adapters.host import USE_ADAPT, USE_FROM_HOST, check_function, returned
from isvs_jax.robustness.attacks._model import LogitsFn, logits_of
from isvs_jax.robustness.defences import Defence, check_shapes
from isvs_jax.robustness.evaluation import plan
from isvs_jax.robustness.evaluation.engine import Examples, Work, check_read, on_devices
from isvs_jax.robustness.evaluation.examples import ShownExample, worst_examples
from isvs_jax.robustness.evaluation.fit import Settings, check_differentiable, check_fit, chosen
from isvs_jax.robustness.evaluation.loaders import told_apart
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.report_files import write_report
from isvs_jax.robustness.evaluation.schedule import make_missing
from isvs_jax.robustness.evaluation.settings import (
    Attacks,
    Corruptions,
    HardStopChecks,
    Resources,
)
from isvs_jax.robustness.evaluation.store import Store
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.resolution import RESOLUTIONS, Resolution

_PROBED = 8


def evaluate(
    logits_fn: LogitsFn,
    images: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    name: str,
    preprocessing: str = "",
    count: int | None = None,
    corruptions: Corruptions | None = Corruptions(),
    resolutions: Sequence[Resolution] = RESOLUTIONS,
    attacks: Attacks | None = Attacks(),
    checks: HardStopChecks | None = HardStopChecks(),
    defence: Defence | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    parameters: Any = None,
    normaliser: Normaliser | None = None,
    resources: Resources = Resources(),
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Report:
    """Evaluate a model: the full table of corruptions first, then attacks, ε-curves and low resolution.

    Every test is of the same images in batches of one shape, laid over the devices; a batch is what is on the devices
    at a time, and of the images under attack, 512. With a folder each finished cell is written to partial.json, and the
    same call goes on from there after a stop; at the end report.json and report.md are written.

    Args:
        logits_fn: A function from images [B, H, W, C] in [0, 1] to logits [B, K], deterministic. With a defence it is
            the network behind it.
        images: Floats [N, H, W, C] in [0, 1], C = 1 or 3; NumPy, where the whole set should stay off the devices.
        labels: Integers [N] from 0 to K − 1.
        key: A PRNG key; no figure depends on the order in which the cells are made.
        name: The name of the model.
        preprocessing: What the model does to images in [0, 1] before its first layer, in words.
        count: How many of the images are tested: the first ones; None for all.
        corruptions: Which corruptions, and how they are made; None for none.
        resolutions: Settings of `low_resolution`; () for none. The image must be divisible by the factors.
        attacks: Which attacks, within which radii, and how much they may spend; None for none.
        checks: Which checks of the attacks are made: the ε-curve and twice the steps; None for none.
        defence: What stands before the network; then robust accuracies are the worst case over the six ways of
            `attack_defence`, and so are curve and doubling.
        num_classes: K, to be checked against the logits.
        class_names: The names of the K classes; None calls them by their numbers.
        parameters: The pytree of the model's arrays, for its hash.
        normaliser: The network whose errors mCE divides by; without it the report says why mCE is missing.
        resources: The batch size and the devices.
        folder: Where cells and the report are kept.
        progress: Whether to show a bar.

    Returns:
        The report.

    Raises:
        TypeError: Images are not floating-point, labels are not integers, or a group is of another kind.
        ValueError: A setting does not exist or does not fit, or the folder holds the cells of another evaluation: the
            differences are said and nothing is overwritten.
        FileExistsError: The folder holds a report whose cells are not there.

    Example:
        >>> logits_fn = lambda x: 9 * jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> grey = np.linspace(0.1, 0.9, 8, dtype=np.float32)
        >>> images, labels = np.tile(grey[:, None, None, None], (1, 8, 8, 1)), np.repeat([1, 0], 4)
        >>> report = evaluate(
        ...     logits_fn, images, labels, jax.random.key(0), name="mean", corruptions=Corruptions(("brightness",)),
        ...     resolutions=(), attacks=None, checks=None, resources=Resources(batch_size=8), progress=False)
        >>> report.clean.accuracy, report.corruptions["brightness"][5].accuracy
        (1.0, 0.625)
    """
    images, key = _checked_images(images), check_key(key)
    examples = Examples(images, np.asarray(check_labels(labels, len(images)))).first(count)
    settings = chosen(corruptions, resolutions, attacks, checks, len(examples.labels))
    _check_kinds(logits_fn, name, preprocessing, defence, normaliser, resources, folder)
    layout = resources.layout().fitted(len(examples.labels))
    network, model = on_devices(logits_fn, defence, layout)
    if defence is not None:
        check_shapes(defence, examples.images[: layout.batch_size])
    rows, _ = next(layout.batches(len(examples.labels)))
    probe = _probe(model, layout.put(examples.images[rows]), examples.labels, num_classes)
    check_fit(settings, examples.images.shape[1:], probe.shape[1], defence is not None)
    check_differentiable(settings, network, (len(rows), *examples.images.shape[1:]))
    names = _checked_names(class_names, probe.shape[1])
    described = {"name": name, "preprocessing": preprocessing, "settings": settings.as_dict()}
    made: dict[str, Any] = {
        "corrupted": told_apart(settings.corruptions.read, folder),
        "defence": _described_defence(defence, folder),
        "key": _key_numbers(key),
        "data": environment.data_hash(examples.images, examples.labels),
        "parameters": None if parameters is None else environment.parameters_hash(parameters),
        "versions": environment.versions(),
    }
    store = Store(folder, described | made, probe[:_PROBED], environment.session(tuple(layout.mesh.devices.flat)))
    if not len(store):
        settings = _first_read(settings, probe.shape[1], examples)
    work = Work(network, defence, model, examples, key, layout, settings, probe.shape[1])
    seconds = _seconds_a_forward(model, layout.put(examples.images[rows])) if progress else 0.0
    make_missing(plan.tasks(work, store), store, progress, seconds)
    shown: tuple[ShownExample, ...] = ()
    if folder is not None:
        shown = store.examples(lambda: worst_examples(work, plan.corruption_table(work, store)))
    made = made | {"sessions": store.sessions, "images_given": len(images)}
    report = plan.assemble(work, store, name, preprocessing, made, names, shown)
    if folder is not None:
        write_report(report, Path(folder), normaliser)
    return report


def _check_kinds(
    logits_fn: Any, name: Any, preprocessing: Any, defence: Any, normaliser: Any, resources: Any, folder: Any
) -> None:
    check_function("logits_fn", logits_fn)
    for argument, text in (("name", name), ("preprocessing", preprocessing)):
        if not isinstance(text, str):
            raise TypeError(f"{argument} must be a text; got {brief(text)}.")
    if not (folder is None or isinstance(folder, str | os.PathLike)):
        raise TypeError(f"folder must be a path or None; got {brief(folder)}.")
    for argument, value, kind in (
        ("defence", defence, Defence),
        ("normaliser", normaliser, Normaliser),
        ("resources", resources, Resources),
    ):
        if not (isinstance(value, kind) or (value is None and kind is not Resources)):
            raise TypeError(f"{argument} must be a {kind.__name__}; got {brief(value)}.")


def _checked_images(images: np.ndarray | jax.Array) -> np.ndarray:
    """The images as float32 on the host: `check_images` of the attacks would put the whole set on a device."""
    images = np.asarray(images)
    if not np.issubdtype(images.dtype, np.floating):
        hint = " isvs_jax.data.as_float scales uint8 and uint16." if np.issubdtype(images.dtype, np.integer) else ""
        raise TypeError(f"images must be floats in [0, 1]; got dtype {images.dtype}.{hint}")
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images must be [N, H, W, C] with C = 1 or 3, N at least 1; got shape {images.shape}.")
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"images must be in [0, 1]; got values from {images.min()} to {images.max()}.")
    return images.astype(np.float32, copy=False)


def _first_read(settings: Settings, num_classes: int, examples: Examples) -> Settings:
    """The settings with the first of the files read and looked at, before a folder belongs to their evaluation."""
    corruptions = settings.corruptions
    read = corruptions.read
    if read is None or not corruptions.names:
        return settings
    first = corruptions.names[0], corruptions.severities[0]
    kept = {first: read(*first)}
    check_read(kept[first], f"{first[0]} {first[1]}", examples, num_classes)

    def once(name: str, severity: int) -> CorruptedImages:
        return kept.pop((name, severity)) if (name, severity) in kept else read(name, severity)

    return dataclasses.replace(settings, corruptions=dataclasses.replace(corruptions, read=once))


def _checked_names(names: Sequence[str] | None, num_classes: int) -> tuple[str, ...]:
    """The names of the classes; () where there are none."""
    if names is None:
        return ()
    found = () if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if len(found) != num_classes or not all(isinstance(name, str) for name in found):
        raise ValueError(f"class_names must be the names of the {num_classes} classes; got {brief(names)}.")
    return tuple(map(str, found))


def _key_numbers(key: jax.Array) -> list[int]:
    return [int(number) for number in np.asarray(jax.random.key_data(key)).ravel()]


def _probe(model: LogitsFn, images: jax.Array, labels: np.ndarray, num_classes: int | None) -> np.ndarray:
    """Logits of the first batch, by which networks are told apart; checks the number of classes."""
    what = f"logits_fn must return one array of floats [{len(images)}, K], K at least 2"
    try:
        found = logits_of(model, images)
    except jax.errors.TracerArrayConversionError as error:
        raise TypeError(
            f"{what}, and compute it with JAX; got a function that converts images to NumPy. {USE_FROM_HOST}"
        ) from error
    except TypeError as error:
        # An object with the logits in one of its fields; any other error is the function's own.
        if "not a valid JAX type" not in str(error):
            raise
        raise TypeError(f"{what}; got an object that is no array. {USE_ADAPT}") from error
    if not isinstance(found, jax.Array):
        raise TypeError(f"{what}; got {returned(found)}. {USE_ADAPT}")
    if found.ndim != 2 or len(found) != len(images) or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ValueError(f"{what}; got {brief(found)}.")
    logits = np.asarray(found).astype(np.float32)
    classes = logits.shape[1]
    if classes < 2:
        raise ValueError(f"{what}; got {brief(found)}.")
    if num_classes is not None and check_integer("num_classes", num_classes, 2) != classes:
        raise ValueError(f"num_classes must be the number of logits, {classes}; got {num_classes}.")
    check_labels(labels, len(labels), classes)
    return logits


def _seconds_a_forward(model: LogitsFn, images: jax.Array) -> float:
    """The time of a forward pass of one image, in a batch that was compiled before."""
    begun = time.perf_counter()
    jax.block_until_ready(logits_of(model, images))
    return (time.perf_counter() - begun) / len(images)


def _described_defence(defence: Defence | None, folder: str | os.PathLike[str] | None) -> str | None:
    if defence is not None and not defence.description and folder is not None:
        raise ValueError("defence.description must be a text that tells defences apart, with a folder; got ''.")
    return None if defence is None else defence.description
