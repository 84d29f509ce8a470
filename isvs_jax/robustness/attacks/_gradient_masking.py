"""Signs of masked gradients: what a model and the masks of an AutoAttack run show, as sentences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.attacks._checks import Problem
from isvs_jax.robustness.attacks._model import logits_of, look

# Share of the examples that Square may break after the gradient attacks without being remarked on.
_SQUARE_SHARE = 0.002


def model_warnings(problem: Problem, batch_size: int, key: jax.Array, eot: int | None) -> list[str]:
    """Look at the first batch for outputs and gradients that spoil attacks; copies that fill it up count once."""
    images, labels = problem.images[:batch_size], problem.labels[:batch_size]
    extra = () if eot is None else (key,)
    rows = np.asarray(images).reshape(len(images), -1)
    first = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    logits = np.asarray(logits_of(problem.model.judge, images, *extra))[first]
    warnings = []
    if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1.0, atol=1e-5):
        warnings.append(
            "logits_fn seems to return probabilities: the softmax of a softmax hides the gradient; return logits."
        )
    if not np.isfinite(logits).all():
        bad = int((~np.isfinite(logits).all(axis=1)).sum())
        warnings.append(
            f"the logits of {bad} of {len(logits)} clean images are not finite; these images count as misclassified."
        )
    verdict = jax.jit(look, static_argnames=("loss_name", "eot_samples"))(
        problem.model, images, labels, labels, loss_name="margin", key=key, eot_samples=eot
    )
    flat = np.asarray(jnp.all(verdict.gradient == 0, axis=(1, 2, 3)))[first]
    if flat.any():
        warnings.append(
            f"the gradient of {int(flat.sum())} of {len(flat)} images is exactly zero: the gradient "
            "attacks see nothing there; give a differentiable gradient_fn."
        )
    return warnings


def square_warning(masks: dict[str, np.ndarray]) -> list[str]:
    """What Square broke of what every gradient attack had left, as sentences."""
    gradient = [name for name in masks if name not in ("clean", "square")]
    if "square" not in masks or not gradient:
        return []
    before = np.logical_and.reduce([masks[name] for name in gradient])
    gained = float(np.mean(before & ~masks["square"]))
    if gained <= _SQUARE_SHARE:
        return []
    return [
        f"Square, which asks for no gradient, broke {gained:.1%} of all examples after every gradient attack had "
        "failed on them: the gradients may be masked, and the figure too high."
    ]
