"""Where the views of a run are computed: inside every step on the accelerator, or once beforehand."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from isvs_jax._files import write_atomically
from isvs_jax.augment.views import show_views
from isvs_jax.data import Split
from isvs_jax.training.cache import cached_views
from isvs_jax.training.config import Resources
from isvs_jax.training.inputs import Inputs
from isvs_jax.training.smoothing import smoothed_views

FILE = "smoothing.json"
# Views that cost less than this share of a step are computed in the step.
SHARE = 0.15


class Placement(NamedTuple):
    """Where views are computed ("step" or "cache"), and why."""

    place: str
    reason: str


def decide(
    inputs: Inputs, resources: Resources, images: np.ndarray, step_seconds: Callable[[], float], folder: Path | None
) -> Placement:
    """Where the views of a run are computed.

    Args:
        inputs: The way to use the path, with one view or more.
        resources: What was asked for.
        images: A device's share of a batch, of the run's shape.
        step_seconds: Measures a step that gets its versions ready made.
        folder: The run's, where the decision is kept, so that a run taken up again goes on in the same way.
    """
    if resources.smoothing != "auto":
        return Placement(resources.smoothing, "asked for")
    file = None if folder is None else folder / FILE
    if _agreed(file is not None and file.exists()):
        assert file is not None
        return Placement(**json.loads(file.read_text()))
    views, step = _seconds(inputs, images), step_seconds()
    place = "step" if _agreed(views < SHARE * (views + step)) else "cache"
    found = Placement(place, f"views {1e3 * views:.3g} ms, the rest of a step {1e3 * step:.3g} ms")
    if file is not None and jax.process_index() == 0:
        write_atomically(file, json.dumps(found._asdict(), ensure_ascii=False) + "\n")
    return found


def _agreed(answer: bool) -> bool:
    """What process 0 answers: each has its own clock, and all have to do the same."""
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(answer))) if jax.process_count() > 1 else answer


def ready_views(split: Split, inputs: Inputs, resources: Resources, *, progress: bool) -> np.ndarray:
    """The views of every image, float16 [V, N, H, W, C], from the cache or into it."""
    if resources.cache_dir is None:
        return smoothed_views(split.images, inputs.views, inputs.solver, progress=progress)
    return cached_views(split, inputs, Path(resources.cache_dir).expanduser(), progress=progress)


def _seconds(inputs: Inputs, images: np.ndarray) -> float:
    show = jax.jit(lambda batch: show_views(batch, inputs.views, inputs.solver))
    return measured(show, jnp.asarray(images, jnp.float32))


def measured(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of a second call, the first one compiling; the best of three."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - began)
    return min(times)
