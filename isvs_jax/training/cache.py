"""The views of a whole set of images: computed batch by batch, kept on disk, or left to the step.

A set of views lies on disk in a folder named after all that it depends on, and is mapped into memory by every run that
wants the same.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from isvs_jax import SplitLBI, __version__
from isvs_jax._progress import progress_bar
from isvs_jax.augment.views import View, show_views
from isvs_jax.data import Split, as_float, digest
from isvs_jax.data.growing import ArraySpec, PartialFolder, only_maker
from isvs_jax.training.config import Resources
from isvs_jax.training.inputs import Inputs

# The version of the files and, between two versions of the package, of how views are computed, the numbers of steps of
# the flow included: it is raised with a change of either, so that older caches are passed by.
FORMAT = 1
VIEWS, ABOUT = "views", "about.json"

# Half precision holds [0, 1] to 1/16 of a grey level in the space of half the bytes.
STORED_DTYPE = np.dtype(np.float16)
# The numbers in a batch that is smoothed at once: the flow keeps some tens of arrays of that size.
_NUMBERS = 2**22


def smoothed_views(
    images: np.ndarray,
    views: Sequence[View],
    solver: SplitLBI = SplitLBI(),
    *,
    batch_size: int | None = None,
    progress: bool = True,
) -> np.ndarray:
    """The given views of every image, in memory.

    Args:
        images: uint8 [N, H, W, C], or floats in [0, 1].
        views: The V views.
        solver: The flow.
        batch_size: The number of images smoothed at once; None is 256, or fewer where the images are large.
        progress: Whether to show a progress bar.

    Returns:
        float16 [V, N, H, W, C].

    Example:
        >>> images = np.zeros((2, 8, 8, 1), np.uint8)
        >>> smoothed_views(images, [View(1.0), View(2.0, "sparse")], progress=False).shape
        (2, 2, 8, 8, 1)
    """
    stack = np.empty((len(views), *images.shape), STORED_DTYPE)
    if not len(views):
        return stack
    size = batch_size or default_batch_size(images.shape[1:])
    with progress_bar(shown=progress, total=len(images), desc="smoothing", unit="image") as bar:
        for start, batch in smoothed_batches(images, views, solver, batch_size=size):
            stack[:, start : start + batch.shape[1]] = batch
            bar.update(batch.shape[1])
    return stack


def smoothed_batches(
    images: np.ndarray, views: Sequence[View], solver: SplitLBI, *, batch_size: int, start: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """The views of one batch of images after the other, from the image numbered `start` on.

    Yields:
        The number of the first image of a batch, and float16 [V, b, H, W, C].
    """
    # The device works on the next batch while the caller has the last one in hand; no more than two are held.
    waiting: tuple[int, int, jax.Array] | None = None
    for first in range(start, len(images), batch_size):
        batch = as_float(np.asarray(images[first : first + batch_size]))
        shown = _shown(padded(batch, batch_size), views=tuple(views), solver=solver)
        if waiting is not None:
            yield _fetched(*waiting)
        waiting = first, len(batch), shown
    if waiting is not None:
        yield _fetched(*waiting)


@functools.partial(jax.jit, static_argnames=("views", "solver"))
def _shown(batch: jax.Array, *, views: tuple[View, ...], solver: SplitLBI) -> jax.Array:
    return show_views(batch, views, solver).astype(STORED_DTYPE)


def _fetched(first: int, count: int, shown: jax.Array) -> tuple[int, np.ndarray]:
    return first, np.asarray(shown)[:, :count]


def padded(batch: np.ndarray, batch_size: int) -> np.ndarray:
    """A batch filled up with zeros to `batch_size`, so that the last one compiles nothing anew."""
    missing = batch_size - len(batch)
    return np.pad(batch, [(0, missing)] + [(0, 0)] * (batch.ndim - 1))


def default_batch_size(image_shape: Sequence[int]) -> int:
    """The number of images to smooth at once: 256 small ones, 27 of 224 × 224 × 3."""
    return max(1, min(256, _NUMBERS // int(np.prod(image_shape))))


def cached_views(
    split: Split,
    inputs: Inputs,
    folder: str | os.PathLike[str],
    *,
    batch_size: int | None = None,
    progress: bool = True,
) -> np.memmap:
    """The views of every image of a split, from a cache on disk that is filled first where it does not hold them.

    A set of views lies in FOLDER/KEY, where KEY stands for the images, the views, the solver and the format. It appears
    there when it is whole. A process that is killed while it smooths leaves KEY.partial, with which the next one goes
    on and ends with the same bytes. Of several processes that want the same views, one makes them and the others wait.

    Args:
        split: The images.
        inputs: The views and the solver.
        folder: The folder of the cache; it is made where it does not exist.
        batch_size: The number of images smoothed at once, which bounds the memory used; None is 256, or fewer where
            the images are large.
        progress: Whether to show a progress bar.

    Returns:
        float16 [V, N, H, W, C], mapped from the file and read-only.

    Raises:
        OSError: The disk has no room; how much is needed and how much is free is said before anything is computed.
        ValueError: The inputs have no views, or what lies in the cache cannot be used.

    Example:
        >>> import tempfile
        >>> split = Split(np.zeros((3, 8, 8, 1), np.uint8), np.zeros(3, np.int32))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cached_views(split, Inputs("fixed", (View(1.0),)), folder, progress=False).shape
        (1, 3, 8, 8, 1)
    """
    if not inputs.views:
        raise ValueError(f"inputs must have one view or more; got the way {inputs.way!r} without views.")
    about = _about(split, inputs)
    target = Path(folder).expanduser() / _key(about)
    with only_maker(target) as partial:
        if partial is not None:
            size = batch_size or default_batch_size(split.images.shape[1:])
            _make(split, inputs, about, target, partial, size, progress)
    return _opened(target, (len(inputs.views), *split.images.shape))


def _about(split: Split, inputs: Inputs) -> dict[str, Any]:
    """All that the views depend on."""
    return {
        "format": FORMAT,
        "version": __version__,
        "images_sha256": digest(split),
        "views": [str(view) for view in inputs.views],
        "solver": dataclasses.asdict(inputs.solver),
    }


def _key(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]


def _make(
    split: Split, inputs: Inputs, about: dict[str, Any], target: Path, partial: Path, batch_size: int, progress: bool
) -> None:
    count, numbers = len(split), int(np.prod(split.images.shape[1:]))
    spec = ArraySpec((len(inputs.views), *split.images.shape), STORED_DTYPE)
    # The batch size belongs to the plan: a compiler may round differently in batches of another size, and the bytes of
    # a cache that was taken up again are to be those of one that was never stopped.
    plan = {**about, "batch_size": batch_size}
    with (
        PartialFolder(partial, plan, {VIEWS: spec}) as growing,
        progress_bar(shown=progress, total=count, initial=growing.done, desc="smoothing", unit="image") as bar,
    ):
        batches = smoothed_batches(split.images, inputs.views, inputs.solver, batch_size=batch_size, start=growing.done)
        for start, batch in batches:
            for view, images in enumerate(batch):
                growing.write(VIEWS, (view * count + start) * numbers, images)
            growing.advance(start + batch.shape[1])
            bar.update(batch.shape[1])
        (partial / ABOUT).write_text(json.dumps({**about, "images": count}, indent=2) + "\n")
        growing.finish(target)


def _opened(target: Path, shape: tuple[int, ...]) -> np.memmap:
    file = target / f"{VIEWS}.npy"
    again = f"Delete {target}, and it is made again."
    try:
        views = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} must be an array of NumPy; got one that cannot be read ({error}). {again}") from error
    if views.shape != shape or views.dtype != STORED_DTYPE:
        raise ValueError(f"{file} must hold {STORED_DTYPE} {shape}; got {views.dtype} {views.shape}. {again}")
    return views


def place_of_views(inputs: Inputs, resources: Resources) -> str | None:
    """Where the views of a run are computed: "step", "cache", or None where it has no views.

    No clock decides, so that the same run has the same figures on two machines of a kind.
    """
    if not inputs.views:
        return None
    if resources.smoothing != "auto":
        return resources.smoothing
    # A CPU smooths a batch in more time than a small network takes for its step.
    return "cache" if resources.cache_dir is not None or jax.default_backend() == "cpu" else "step"


def agreed(answer: bool) -> bool:
    """The answer of process 0: each process has its own view of the disk, and all do the same."""
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(answer))) if jax.process_count() > 1 else answer


def ready_views(split: Split, inputs: Inputs, resources: Resources, *, progress: bool) -> np.ndarray:
    """The views of every image, float16 [V, N, H, W, C], from the cache on disk where there is one."""
    if resources.cache_dir is None:
        return smoothed_views(split.images, inputs.views, inputs.solver, progress=progress)
    return cached_views(split, inputs, resources.cache_dir, progress=progress)
