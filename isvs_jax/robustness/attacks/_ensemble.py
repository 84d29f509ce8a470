"""The attacks of AutoAttack one after another on what is still robust, and the signs that gradients are masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness._batches import batches
from isvs_jax.robustness.attacks._apgd import apgd_runs
from isvs_jax.robustness.attacks._apgd_step import Settings as ApgdSettings
from isvs_jax.robustness.attacks._apgd_step import schedule_of
from isvs_jax.robustness.attacks._ball import check_ball, project
from isvs_jax.robustness.attacks._checks import Problem
from isvs_jax.robustness.attacks._fab import fab_runs
from isvs_jax.robustness.attacks._fab_step import Settings as FabSettings
from isvs_jax.robustness.attacks._model import is_correct, logits_of, look
from isvs_jax.robustness.attacks._square import square_run
from isvs_jax.robustness.attacks._square_moves import schedule_of as window_schedule

APGD_LOSS = {
    "apgd-ce": "cross_entropy",
    "apgd-dlr": "dlr",
    "apgd-margin": "margin",
    "apgd-t": "targeted_dlr",
}
ATTACKS = (*APGD_LOSS, "fab-t", "square")
_TARGETED = ("apgd-t", "fab-t")
Progress = Callable[[str, int, int, int], None]
# The share of the examples that Square may break after the gradient attacks without being remarked on.
_SQUARE_SHARE = 0.002


class Settings(NamedTuple):
    """What all attacks of a run share beside the problem."""

    norm: str
    num_steps: int
    num_queries: int
    num_targets: int
    eot_samples: int | None


def _run_attack(
    attack: str,
    run: int,
    problem: Problem,
    rows: np.ndarray,
    active: jax.Array,
    key: jax.Array,
    settings: Settings,
) -> jax.Array:
    """Run one attack, towards one target where it has targets, on a chunk of rows: [batch_size, H, W, C]."""
    images, labels = problem.images[rows], problem.labels[rows]
    number = ATTACKS.index(attack)
    # Each image draws from a key of its own, so that neither batch_size nor its neighbours matter.
    keys = jax.vmap(lambda k: jax.random.fold_in(k, number))(problem.keys[rows])
    model, epsilon, norm = problem.model, problem.epsilon, settings.norm
    given = (model, images, labels, keys)
    if attack in APGD_LOSS:
        loss, eot = APGD_LOSS[attack], settings.eot_samples
        given_too = (key, epsilon, active, schedule_of(settings.num_steps))
        return apgd_runs((*given, *given_too), run, 1, ApgdSettings(norm, loss, 1, eot))
    if attack == "fab-t":
        steps = jnp.asarray(settings.num_steps, jnp.int32)
        found = fab_runs((*given, epsilon, epsilon, active, steps), run, 1, FabSettings(norm, 1))
        return project(found.images, images, epsilon, norm)
    windows = window_schedule(settings.num_queries, rescale=False)
    return square_run(model, images, labels, keys, epsilon, active, windows, norm, 0.8)[0]


class Judge:
    """Asks logits_fn, outside of any attack, whether images keep their labels."""

    def __init__(self, problem: Problem, key: jax.Array, random: bool) -> None:
        self._problem, self._key, self._random, self._count = problem, key, random, 0

    def __call__(self, images: jax.Array, rows: np.ndarray) -> np.ndarray:
        self._count += 1
        extra = (jax.random.fold_in(self._key, self._count),) if self._random else ()
        logits = logits_of(self._problem.model.judge, images, *extra)
        return np.asarray(is_correct(logits, self._problem.labels[rows]))


def clean_mask(problem: Problem, judge: Judge, batch_size: int) -> np.ndarray:
    """Which examples are classified correctly before any attack, bool [B]."""
    correct = np.zeros(len(problem.labels), bool)
    for rows, real in batches(np.arange(len(correct)), batch_size):
        correct[rows[:real]] = judge(problem.images[rows], rows)[:real]
    return correct


def attack_all(
    attack: str,
    robust: np.ndarray,
    images: np.ndarray,
    problem: Problem,
    judge: Judge,
    key: jax.Array,
    batch_size: int,
    settings: Settings,
    progress: Progress | None,
) -> np.ndarray:
    """Attack everything that is robust, target after target, and write what is found into `images`."""
    robust = robust.copy()
    runs = settings.num_targets if attack in _TARGETED else 1
    for run in range(runs):
        run_key = jax.random.fold_in(key, run)
        for count, (rows, real_count) in enumerate(batches(np.flatnonzero(robust), batch_size)):
            chunk_key = jax.random.fold_in(run_key, count)
            real = np.arange(batch_size) < real_count
            found = _run_attack(attack, run, problem, rows, jnp.asarray(real), chunk_key, settings)
            check_ball(problem.images[rows], found, problem.epsilon, settings.norm)
            broken = real & ~judge(found, rows)
            images[rows[broken]] = np.asarray(found)[broken]
            robust[rows[broken]] = False
        if progress is not None:
            progress(attack, run + 1, runs, int(robust.sum()))
    return robust


def model_warnings(problem: Problem, batch_size: int, key: jax.Array, eot: int | None, following: bool) -> list[str]:
    """Look at the first batch for what spoils attacks: outputs, and gradients where one follows them.

    Copies that fill the batch up count once.
    """
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
    if not following:
        return warnings
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
