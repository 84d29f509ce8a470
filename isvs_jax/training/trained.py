"""A trained classifier: from the folder of its run, as weights to start from, and its accuracy."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import SplitLBI, models
from isvs_jax._checks import check_choice, check_integer
from isvs_jax._files import read_json
from isvs_jax.augment.views import View, show_views
from isvs_jax.data import as_float
from isvs_jax.models import LogitsFn, Variables, import_resnet, init, read_state_dict
from isvs_jax.models.pytorch import ResidualNetwork
from isvs_jax.training.checkpoint import CHECKPOINT_DIR, Checkpoints
from isvs_jax.training.config import ModelChoice
from isvs_jax.training.optimizer import OptimizerConfig, make_optimizer
from isvs_jax.training.step import init_state

CONFIG_FILE = "config.json"


def load_classifier(folder: str | Path, view: str | None = None, which: str = "last") -> LogitsFn:
    """The trained classifier in the folder of a run, as the referee takes it.

        python -m isvs_jax.robustness --model isvs_jax.training:load_classifier --model-arguments FOLDER [VIEW] ...

    Args:
        folder: The folder as `execute` left it.
        view: The view that the input is smoothed to before the network, such as "dense:4"; None, or "none", leaves the
            input as it is.
        which: "last", or "best" for the checkpoint with the best validation accuracy.

    Returns:
        A function from images [B, H, W, C] in [0, 1] to logits [B, K], a `jax.tree_util.Partial`.

    Raises:
        FileNotFoundError: The folder holds no run, or no checkpoint.
        ValueError: `which` is unknown, the run tested no checkpoint, or its config.json cannot be read.
    """
    kept = _configuration(folder)
    logits_fn = models.logits_fn(configured_model(folder), load_variables(folder, which))
    if view is None or view == "none":
        return logits_fn
    inputs = kept["train"]["inputs"]
    # Runs of before this choice have no penalty in their configuration.
    penalty = inputs.get("solver_penalty", "color")
    solver = SplitLBI(kappa=inputs["solver_kappa"], nu=inputs["solver_nu"], penalty=penalty)
    return jax.tree_util.Partial(_Viewed(View.parse(view), solver), logits_fn)


def load_variables(folder: str | Path, which: str = "last") -> Variables:
    """The parameters and batch statistics of the trained classifier; arguments and errors as of `load_classifier`."""
    folder = Path(folder)
    kept = _configuration(folder)
    check_choice("which", which, ("last", "best"))
    # The schedule is no part of the state, so its length does not matter here.
    optimizer = make_optimizer(OptimizerConfig(**kept["train"]["optimizer"]), num_steps=10)
    average = kept["train"]["ema_decay"] > 0
    like = init_state(configured_model(folder), optimizer, tuple(kept["data"]["image_shape"]), 0, average=average)
    if not (folder / CHECKPOINT_DIR).is_dir():
        raise FileNotFoundError(f"folder must hold checkpoints; got {folder}, whose run has not saved anything yet.")
    with Checkpoints(folder / CHECKPOINT_DIR, tested=True, read_only=True) as checkpoints:
        if which == "best" and checkpoints.best_step is None:
            raise ValueError(
                "which must be 'last' for a run whose checkpoints have no validation accuracy; got 'best'."
            )
        found = checkpoints.restore(like, checkpoints.best_step if which == "best" else None)
    if found is None:
        raise FileNotFoundError(f"folder must hold a checkpoint; got {folder}, where {CHECKPOINT_DIR} is empty.")
    return found.state.variables


def _configuration(folder: str | Path) -> dict[str, Any]:
    file = Path(folder) / CONFIG_FILE
    if not file.exists():
        raise FileNotFoundError(f"folder must be the folder of a run; got {folder}, which has no {CONFIG_FILE}.")
    kept = read_json(file)
    if not isinstance(kept, dict) or not {"data", "model", "train"} <= kept.keys():
        raise FileNotFoundError(
            f"folder must be the folder of one run; got {folder}. Those of a study lie in trainings/NAME/SEED in it."
        )
    return kept


def configured_model(folder: str | Path) -> nn.Module:
    """The network of a run, from its configuration; errors as of `load_classifier`."""
    kept = _configuration(folder)
    choice = ModelChoice(kept["model"]["name"], kept["model"]["dtype"])
    return build_model(choice, kept["data"]["num_classes"], kept["data"]["image_shape"])


def build_model(choice: ModelChoice, num_classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """The network of a choice for images [H, W, C] of a data set."""
    height, width, channels = image_shape
    return models.build(choice.name, num_classes, channels, dtype=choice.dtype, image_size=(height, width))


@dataclass(frozen=True)
class _Viewed:
    """A classifier with its input smoothed; equal for equal settings, so that jit knows it again."""

    view: View
    solver: SplitLBI

    def __call__(self, logits_fn: LogitsFn, images: jax.Array) -> jax.Array:
        return logits_fn(show_views(images, (self.view,), self.solver)[0])


def starting_weights(path: str | Path, model: nn.Module, image_shape: tuple[int, int, int]) -> Variables:
    """The parameters and batch statistics of a network from what was trained before.

    Args:
        path: A PyTorch state dict (for residual networks), or the folder of a run.
        model: The network that they belong to.
        image_shape: The shape [H, W, C] of an image.

    Returns:
        {"params": ..., "batch_stats": ...} as of `isvs_jax.models.init`.

    Raises:
        FileNotFoundError: There is neither such a file nor such a folder, or the folder holds no run.
        ModuleNotFoundError: A file is read by PyTorch, which is not installed.
        ValueError: They are of another network, which is described.
    """
    given = f"weights must be a file of weights or the folder of a run; got {str(path)!r}"
    if not Path(path).exists():
        raise FileNotFoundError(f"{given}, where there is nothing.")
    if not Path(path).is_dir():
        if not isinstance(model, ResidualNetwork):
            raise ValueError(
                f"weights must be the folder of a run, as a {type(model).__name__} takes none from PyTorch; got "
                f"{str(path)!r}."
            )
        return import_resnet(read_state_dict(path), model)
    found = load_variables(path)
    wanted = jax.eval_shape(lambda: init(model, jax.random.key(0), image_shape))
    here, there = _shapes(wanted), _shapes(found)
    if here != there:
        apart = sorted(dict(here.items() ^ there.items()))
        name = apart[0]
        raise ValueError(
            f"weights must be of this network, in which {name} has shape {here.get(name, 'none')}; got {str(path)!r}, "
            f"where it has shape {there.get(name, 'none')}. {len(apart)} differ."
        )
    # Not on one device: several processes place them on theirs.
    return jax.device_get(found)


def _shapes(variables: Variables) -> dict[str, tuple[int, ...]]:
    return {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(variables)}


@jax.jit
def _predicted(logits_fn: LogitsFn, images: jax.Array) -> jax.Array:
    logits = logits_fn(images)
    # Of logits that are not finite no class can be said to be the largest.
    return jnp.where(jnp.isfinite(logits).all(-1), jnp.argmax(logits, -1), -1)


def correct(
    logits_fn: LogitsFn, images: np.ndarray | jax.Array, labels: np.ndarray | jax.Array, *, batch_size: int = 500
) -> np.ndarray:
    """Which images are classified correctly.

    Args:
        logits_fn: A function from images [B, H, W, C] in [0, 1] to logits [B, K], each image for itself.
        images: uint8 [N, H, W, C], or floats in [0, 1].
        labels: Integers [N] from 0 to K − 1.
        batch_size: The number of images at once.

    Returns:
        bool [N]; false where the logits are not finite.

    Raises:
        TypeError: The labels are no integers.
        ValueError: There are no images, not one label an image, or labels outside of the classes.

    Example:
        >>> correct(lambda x: x.mean((1, 2)), np.eye(3, dtype=np.float32)[:, None, None], [0, 1, 1]).tolist()
        [True, True, False]
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if not len(images):
        raise ValueError(f"images must hold one image or more; got shape {images.shape}.")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels must have shape {images.shape[:1]}, one label an image; got shape {labels.shape}.")
    check_integer("batch_size", batch_size)
    function = as_partial(logits_fn)
    shape = jax.ShapeDtypeStruct((min(batch_size, len(images)), *images.shape[1:]), jnp.float32)
    check_labels("labels", labels, jax.eval_shape(function, shape).shape[-1])
    return in_batches(lambda batch: _predicted(function, as_float(batch)), (images,), batch_size) == labels


def as_partial(logits_fn: LogitsFn) -> jax.tree_util.Partial:
    """A function as a pytree, which a jitted function may be given."""
    return logits_fn if isinstance(logits_fn, jax.tree_util.Partial) else jax.tree_util.Partial(logits_fn)


def in_batches(
    function: Callable[..., jax.Array | np.ndarray], arrays: Sequence[np.ndarray], batch_size: int
) -> np.ndarray:
    """What a function gives for arrays of N examples, a batch at a time.

    The last batch is filled up with zeros, so that it compiles nothing anew.

    Args:
        function: From arrays [B, ...], one for each of `arrays`, to an array [B, ...].
        arrays: One or more, each [N, ...] with N ≥ 1.
        batch_size: The largest B.

    Returns:
        An array [N, ...].
    """
    count = len(arrays[0])
    size = min(batch_size, count)

    def batch(array: np.ndarray, start: int) -> np.ndarray:
        part = array[start : start + size]
        return np.pad(part, [(0, size - len(part))] + [(0, 0)] * (part.ndim - 1))

    found = [np.asarray(function(*(batch(array, start) for array in arrays))) for start in range(0, count, size)]
    return np.concatenate(found)[:count]


def evaluate(
    logits_fn: LogitsFn, images: np.ndarray | jax.Array, labels: np.ndarray | jax.Array, *, batch_size: int = 500
) -> float:
    """The share of images that are classified correctly; arguments and errors as of `correct`."""
    return float(correct(logits_fn, images, labels, batch_size=batch_size).mean())


def check_labels(name: str, labels: np.ndarray, num_classes: int) -> None:
    """Raise unless labels are integers from 0 to `num_classes` − 1.

    Raises:
        TypeError: They are no integers.
        ValueError: One is outside of the classes.
    """
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be integers; got dtype {labels.dtype}.")
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"{name} must be from 0 to {num_classes - 1}, the classes of the network; got {low if low < 0 else high}."
        )


@functools.lru_cache(maxsize=8)
def number_of_classes(model: nn.Module, image_shape: tuple[int, ...]) -> int:
    """The number of logits that a model gives for images [H, W, C], without computing any."""
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    logits, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    return int(logits.shape[-1])
