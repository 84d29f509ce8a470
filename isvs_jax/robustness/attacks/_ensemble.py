"""The attacks of AutoAttack one after another: chunks of one shape of what is still robust."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.attacks._apgd import Settings as ApgdSettings
from isvs_jax.robustness.attacks._apgd import apgd_runs
from isvs_jax.robustness.attacks._checks import Problem, check_ball
from isvs_jax.robustness.attacks._fab import Settings as FabSettings
from isvs_jax.robustness.attacks._fab import fab_runs
from isvs_jax.robustness.attacks._model import is_correct, logits_of
from isvs_jax.robustness.attacks._norms import project
from isvs_jax.robustness.attacks._square import square_run
from isvs_jax.robustness.batches import batches

APGD_LOSS = {
    "apgd-ce": "cross_entropy",
    "apgd-dlr": "dlr",
    "apgd-margin": "margin",
    "apgd-t": "targeted_dlr",
}
ATTACKS = (*APGD_LOSS, "fab-t", "square")
_TARGETED = ("apgd-t", "fab-t")
Progress = Callable[[str, int, int, int], None]


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
    """Run one attack (towards one target) on a chunk of rows, [batch_size, H, W, C]."""
    images, labels = problem.images[rows], problem.labels[rows]
    number = ATTACKS.index(attack)
    # From the image's own key, so that neither batch_size nor its neighbours matter.
    keys = jax.vmap(lambda k: jax.random.fold_in(k, number))(problem.keys[rows])
    model, epsilon, norm = problem.model, problem.epsilon, settings.norm
    given = (model, images, labels, keys)
    if attack in APGD_LOSS:
        loss, eot = APGD_LOSS[attack], settings.eot_samples
        how = ApgdSettings(norm, loss, settings.num_steps, 1, eot)
        return apgd_runs((*given, key, epsilon, active), run, 1, how)
    if attack == "fab-t":
        problem_given = (*given, epsilon, epsilon, active)
        found = fab_runs(problem_given, run, 1, FabSettings(norm, settings.num_steps, 1))
        return project(found.images, images, epsilon, norm)
    return square_run(model, images, labels, keys, epsilon, active, norm, settings.num_queries, 0.8, False)[0]


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
    """Attack everything robust, target after target; writes what it finds into images."""
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
