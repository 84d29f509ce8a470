"""`evaluate`: one call that tests a model on corruptions, attacks and low resolution."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import environment
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, logits_of
from isvs_jax.robustness.corruptions import CORRUPTIONS
from isvs_jax.robustness.defences import Defence, check_shapes, defended
from isvs_jax.robustness.evaluation import plan
from isvs_jax.robustness.evaluation.assembly import assemble
from isvs_jax.robustness.evaluation.cells import Examples, Work
from isvs_jax.robustness.evaluation.devices import Layout, on_devices
from isvs_jax.robustness.evaluation.document import write_report
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.progress import Progress
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.settings import STANDARD, Radii, Settings, check_fit, checked, radii
from isvs_jax.robustness.evaluation.store import Store
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.resolution import RESOLUTIONS, Resolution

EPSILONS = (0.5 / 255, 2 / 255, 8 / 255)
CURVE = (0.5 / 255, 2 / 255, 8 / 255, 32 / 255, 0.5)
_PROBED = 8


def evaluate(
    logits_fn: LogitsFn,
    images: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    name: str,
    preprocessing: str = "",
    corruptions: Sequence[str] = CORRUPTIONS,
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    table: str | int = "auto",
    quantize: bool = False,
    corrupted: Callable[[str, int], CorruptedImages] | None = None,
    resolutions: Sequence[Resolution] = RESOLUTIONS,
    attacks: Sequence[str] = STANDARD,
    epsilons: Radii = EPSILONS,
    curve: Radii = CURVE,
    attack_count: int = 1000,
    attack_steps: int = 100,
    attack_queries: int = 5000,
    curve_count: int = 200,
    curve_steps: int = 40,
    individually: bool = False,
    doubling: bool = True,
    defence: Defence | None = None,
    num_classes: int | None = None,
    parameters: Any = None,
    reference: Normaliser | None = None,
    batch_size: int = 128,
    devices: Sequence[jax.Device] | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Report:
    """Evaluate a model: the full table of corruptions first, then attacks, ε-curves and low resolution.

    Every test is of the same images in batches of one shape, laid over the devices; a batch is what is on the devices
    at a time, and of the images under attack, 512. With a folder each finished cell is written to partial.json, and the
    same call goes on from there after a stop; at the end report.json and report.md are written.

    Args:
        logits_fn: from images [B, H, W, C] in [0, 1] to logits [B, K], deterministic. With a defence it is the network
            behind it.
        images: float32 [N, H, W, C] in [0, 1], C = 1 or 3; NumPy, where the whole set should stay off the devices.
        labels: integers [N] in 0 to K − 1.
        key: a PRNG key; no figure depends on the order in which the cells are made.
        name: of the model.
        preprocessing: what the model does to images in [0, 1] before its first layer, in words.
        corruptions: names out of CORRUPTIONS and VALIDATION_CORRUPTIONS; () for none.
        severities: integers 1 to 5.
        table: the originals' table of parameters, as `parameters` of `corrupt`.
        quantize: whether to round to grey levels as the originals do, see `corrupt`.
        corrupted: instead of corrupting, read: a function of (name, severity), such as
            `functools.partial(load_cifar_c, folder)`. The report says the source.
        resolutions: settings of `low_resolution`; () for none. The image must be divisible by the factors.
        attacks: of `autoattack_report`, in order; () for none. With a defence, at least one that follows a gradient.
        epsilons: radii by norm, {"linf": ..., "l2": ...}, or a sequence for L∞.
        curve: increasing radii of the ε-curve of PGD by norm; let the last be `full_radius`; () for none.
        attack_count: how many of the images are attacked, the first ones.
        attack_steps: steps of APGD and FAB.
        attack_queries: budget of Square.
        curve_count: how many images the curve and the doubling are of, the first ones.
        curve_steps: steps of PGD for the curve.
        individually: attack every correctly classified image with every attack, not what is left.
        doubling: at each of `epsilons` run the attacks with twice the steps and queries too, on those of the first
            `curve_count` images that held: they may break no more. In a norm of the curve without such a ball it is the
            curve's attack that is doubled.
        defence: what stands before the network; then robust accuracies are the worst case over the six ways of
            `attack_defence`, and so are curve and doubling.
        num_classes: K, to be checked against the logits.
        parameters: the pytree of the model's arrays, for its hash.
        reference: the reference network of mCE; without it the report says why mCE is missing.
        batch_size: images on the devices at a time, a multiple of the devices.
        devices: which to use; all by default.
        folder: where cells and the report are kept.
        progress: whether to show a bar.

    Returns:
        The report.

    Raises:
        TypeError: images that are not floating-point, labels that are not integers.
        ValueError: a setting that does not exist, or a folder with the cells of another evaluation: the differences
            are said and nothing is overwritten.
        FileExistsError: a folder with a report whose cells are not there.

    Example:
        >>> logits_fn = lambda x: 9 * jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> grey = np.linspace(0.1, 0.9, 8, dtype=np.float32)
        >>> images, labels = np.tile(grey[:, None, None, None], (1, 8, 8, 1)), np.repeat([1, 0], 4)
        >>> report = evaluate(
        ...     logits_fn, images, labels, jax.random.key(0), name="mean", corruptions=["brightness"], attacks=(),
        ...     curve=(), resolutions=(), batch_size=8, progress=False)
        >>> report.clean.accuracy, report.corruptions["brightness"][5].accuracy
        (1.0, 0.625)
    """
    examples = _examples(images, labels)
    if not isinstance(key, jax.Array):
        raise TypeError(f"key is {key!r}; it may be a PRNG key such as jax.random.key(0).")
    if defence is not None and not defence.description and folder is not None:
        raise ValueError("defence.description is empty; with a folder it may be any text that tells defences apart.")
    settings = checked(
        Settings(
            corruptions=tuple(corruptions),
            severities=tuple(severities),
            parameters=table,
            quantize=bool(quantize),
            resolutions=tuple(Resolution(*entry) for entry in resolutions),
            attacks=tuple(attacks),
            epsilons=radii("epsilons", epsilons),
            curve=radii("curve", curve, increasing=True),
            attack_count=min(attack_count, len(examples.labels)),
            attack_steps=attack_steps,
            attack_queries=attack_queries,
            curve_count=min(curve_count, len(examples.labels)),
            curve_steps=curve_steps,
            individually=bool(individually),
            doubling=bool(doubling),
            batch_size=batch_size,
        )
    )
    used = tuple(jax.devices() if devices is None else devices)
    layout = Layout.over(used, batch_size).fitted(len(examples.labels))
    network = on_devices(logits_fn, layout)
    model = network if defence is None else as_pytree(defended(network, defence))
    if defence is not None:
        check_shapes(defence, examples.images[: layout.batch_size])
    probe = _probe(model, examples, layout, num_classes)
    check_fit(settings, examples.images.shape[1:], probe.shape[1], defence is not None)
    fingerprint = {
        "name": name,
        "preprocessing": preprocessing,
        "settings": settings.as_dict(),
        "corrupted": None if corrupted is None else _described(corrupted),
        "defence": None if defence is None else defence.description,
        "key": _key_numbers(key),
        "data": environment.data_hash(examples.images, examples.labels),
        "parameters": None if parameters is None else environment.parameters_hash(parameters),
        "versions": environment.versions(),
    }
    store = Store(folder, fingerprint, probe, environment.session(used))
    work = Work(model, network, defence, examples, key, layout, settings, probe.shape[1], corrupted)
    _run(work, store, progress)
    made = fingerprint | {"sessions": store.sessions}
    report = assemble(work, store, name, preprocessing, made)
    if folder is not None:
        write_report(report, Path(folder), reference)
    return report


def _run(work: Work, store: Store, shown: bool) -> None:
    """Make the cells that are not there."""
    missing = [step for step in plan.steps(work, store) if step.key not in store]
    bar = Progress(len(missing), shown)
    try:
        for step in missing:
            bar.start(step.key)
            store.put(step.key, step.make(bar.within))
            bar.finish(step.key)
    finally:
        bar.close()


def _examples(images: np.ndarray | jax.Array, labels: np.ndarray | jax.Array) -> Examples:
    images, labels = np.asarray(images), np.asarray(labels)
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(f"images has dtype {images.dtype}; it may be float32 in [0, 1] (divide uint8 by 255).")
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images has shape {images.shape}; it may be [N, H, W, C] with C = 1 or 3.")
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"images has values from {images.min()} to {images.max()}; they may be in [0, 1].")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels has dtype {labels.dtype}; it may be an integer type.")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels has shape {labels.shape}; it may be {images.shape[:1]}, one an image.")
    return Examples(images.astype(np.float32, copy=False), labels.astype(np.int32))


def _probe(model: LogitsFn, examples: Examples, layout: Layout, num_classes: int | None) -> np.ndarray:
    """Logits of the first images, by which networks are told apart; checks the number of classes."""
    rows, _ = next(layout.batches(len(examples.labels)))
    logits = np.asarray(logits_of(model, layout.put(examples.images[rows])))
    if logits.ndim != 2 or len(logits) != len(rows) or not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"logits_fn gave {logits.dtype} {logits.shape} for {len(rows)} images; it may give [B, K].")
    classes = logits.shape[1]
    if classes < 2 or num_classes not in (None, classes):
        raise ValueError(f"num_classes is {num_classes}; the logits have {classes} classes, which may be 2 or more.")
    low, high = int(examples.labels.min()), int(examples.labels.max())
    if low < 0 or high >= classes:
        raise ValueError(f"labels go from {low} to {high}; with {classes} logits they may go from 0 to {classes - 1}.")
    return logits[:_PROBED].astype(np.float32)


def _described(loader: Callable[..., Any]) -> str:
    """A function by its name, and what `functools.partial` binds to it: the same in every process."""
    if isinstance(loader, functools.partial):
        bound = [*map(repr, loader.args), *(f"{name}={value!r}" for name, value in loader.keywords.items())]
        return f"{_described(loader.func)}({', '.join(bound)})"
    return f"{getattr(loader, '__module__', '')}.{getattr(loader, '__qualname__', type(loader).__qualname__)}"


def _key_numbers(key: jax.Array) -> list[int]:
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return [int(number) for number in np.asarray(jax.random.key_data(key) if typed else key).ravel()]
