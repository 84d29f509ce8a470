"""The views of a split on disk: computed once, and mapped into memory by every run that wants the same."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from isvs_jax.data import Split, digest
from isvs_jax.data.growing import ArraySpec, PartialFolder, only_maker
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.smoothing import STORED_DTYPE, default_batch_size, smoothed_batches

# Of the files and of how views are computed: raised with a change of either, so that older caches are passed by.
FORMAT = 1
VIEWS, ABOUT = "views", "about.json"


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
        folder: The cache; made where it does not exist.
        batch_size: Images smoothed at once, and so the bound of the memory used; None is 256, or fewer where the images
            are large.
        progress: Whether to show a progress bar.

    Returns:
        float16 [V, N, H, W, C], mapped from the file and read-only.

    Raises:
        OSError: The disk has no room; how much is needed and how much is free is said before anything is computed.
        ValueError: The inputs have no views, or what lies in the cache cannot be used.

    Example:
        >>> import tempfile
        >>> from isvs_jax.augment.views import View
        >>> split = Split(np.zeros((3, 8, 8, 1), np.uint8), np.zeros(3, np.int32))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cached_views(split, Inputs("fixed", (View(1.0),)), folder, progress=False).shape
        (1, 3, 8, 8, 1)
    """
    if not inputs.views:
        raise ValueError(f"way {inputs.way!r} has no views; a cache may hold one or more.")
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
    # The size of the batches is of the plan: a compiler may round differently in batches of another size.
    plan = {**about, "batch_size": batch_size}
    with (
        PartialFolder(partial, plan, {VIEWS: spec}) as growing,
        tqdm(total=count, initial=growing.done, desc="smoothing", unit="image", disable=not progress) as bar,
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
    try:
        views = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({error}): delete {target}, and it is made again.") from error
    if views.shape != shape or views.dtype != STORED_DTYPE:
        raise ValueError(
            f"{file} holds {views.dtype} {views.shape}, but the views of these images are {STORED_DTYPE} {shape}: "
            f"delete {target}, and it is made again."
        )
    return views
