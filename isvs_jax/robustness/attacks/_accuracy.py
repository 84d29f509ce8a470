"""Accuracy of a model on what an attack makes of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, is_correct, logits_of

Attack = Callable[..., jax.Array]


def accuracy_under(
    attack: Attack,
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    batch_size: int,
    options: dict[str, Any],
) -> float:
    """Accuracy on attacked images, batch by batch of one shape; the last is filled up."""
    judge, total = as_pytree(logits_fn), len(labels)
    random_model = options.get("eot_samples") is not None
    size, correct = min(batch_size, total), 0
    for begin in range(0, total, size):
        rows = np.minimum(np.arange(begin, begin + size), total - 1)
        attack_key, judge_key = jax.random.split(jax.random.fold_in(key, begin))
        moved = attack(logits_fn, images[rows], labels[rows], attack_key, **options)
        logits = logits_of(judge, moved, *((judge_key,) if random_model else ()))
        correct += int(np.asarray(is_correct(logits, labels[rows]))[: total - begin].sum())
    return correct / total
