"""A trained classifier from the folder of its run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from isvs_jax import SplitLBI, models
from isvs_jax.augment.views import View, show_views
from isvs_jax.models import LogitsFn, Variables
from isvs_jax.solver.shrinkage import Penalty
from isvs_jax.training.checkpoint import Checkpoints
from isvs_jax.training.loop import CHECKPOINT_DIR
from isvs_jax.training.network import ModelChoice, build_model
from isvs_jax.training.optimizer import OptimizerConfig, make_optimizer
from isvs_jax.training.run_folder import FILE
from isvs_jax.training.state import init_state


def load_classifier(folder: str | Path, view: str | None = None, which: str = "last") -> LogitsFn:
    """The trained classifier in the folder of a run, as the referee takes it.

        python -m isvs_jax.robustness --model isvs_jax.training:load_classifier --model-arguments FOLDER [VIEW] ...

    Args:
        folder: As `execute` left it.
        view: What the input is smoothed to before the network, such as "dense:4"; None, or "none", leaves it as it is.
        which: "last", or "best" for the checkpoint with the best validation accuracy.

    Returns:
        A function from images [B, H, W, C] in [0, 1] to logits [B, K], a `jax.tree_util.Partial`.

    Raises:
        FileNotFoundError: The folder holds no run, or no checkpoint.
        ValueError: `which` is unknown, or the run tested no checkpoint.
    """
    kept = _configuration(folder)
    logits_fn = models.logits_fn(_model(kept), load_variables(folder, which))
    if view is None or view == "none":
        return logits_fn
    inputs = kept["train"]["inputs"]
    viewed = _Viewed(
        View.parse(view), inputs["solver_kappa"], inputs["solver_nu"], inputs.get("solver_penalty", "color")
    )
    return jax.tree_util.Partial(viewed, logits_fn)


def load_variables(folder: str | Path, which: str = "last") -> Variables:
    """The parameters and batch statistics of the trained classifier; arguments and errors as of `load_classifier`."""
    folder = Path(folder)
    kept = _configuration(folder)
    if which not in ("last", "best"):
        raise ValueError(f"which is {which!r}; it may be 'last' or 'best'.")
    # The schedule is no part of the state, so its length does not matter here.
    optimizer = make_optimizer(OptimizerConfig(**kept["train"]["optimizer"]), num_steps=10)
    average = kept["train"]["ema_decay"] > 0
    like = init_state(_model(kept), optimizer, tuple(kept["data"]["image_shape"]), 0, average=average)
    if not (folder / CHECKPOINT_DIR).is_dir():
        raise FileNotFoundError(f"{folder} has no {CHECKPOINT_DIR}: the run has not saved anything yet.")
    with Checkpoints(folder / CHECKPOINT_DIR, tested=True, read_only=True) as checkpoints:
        if which == "best" and checkpoints.best_step is None:
            raise ValueError("which is 'best', but no checkpoint has a validation accuracy; it may be 'last'.")
        found = checkpoints.restore(like, checkpoints.best_step if which == "best" else None)
    if found is None:
        raise FileNotFoundError(f"{folder / CHECKPOINT_DIR} holds no checkpoint.")
    return found.state.variables


def _configuration(folder: str | Path) -> dict[str, Any]:
    file = Path(folder) / FILE
    if not file.exists():
        raise FileNotFoundError(f"{folder} is not the folder of a run: it has no {FILE}.")
    try:
        kept = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} cannot be read: {error}.") from None
    if not {"data", "model", "train"} <= kept.keys():
        raise FileNotFoundError(
            f"{folder} is not the folder of one run; those of a study lie in trainings/NAME/SEED within its folder."
        )
    return kept


def _model(kept: Mapping[str, Any]) -> nn.Module:
    choice = ModelChoice(kept["model"]["name"], kept["model"]["dtype"])
    return build_model(choice, kept["data"]["num_classes"], kept["data"]["image_shape"])


@dataclass(frozen=True)
class _Viewed:
    """A classifier with its input smoothed; equal for equal settings, so that jit knows it again."""

    view: View
    kappa: float
    nu: float
    penalty: Penalty

    def __call__(self, logits_fn: LogitsFn, images: jax.Array) -> jax.Array:
        solver = SplitLBI(kappa=self.kappa, nu=self.nu, penalty=self.penalty)
        return logits_fn(show_views(images, (self.view,), solver)[0])
