"""A classifier whose input is smoothed at test time, and its worst case over a few attacks."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import SplitLBI, smooth
from isvs_jax.models import LogitsFn
from isvs_jax.robustness import pgd
from isvs_jax.training import View, correct

Backward = Literal["flow", "identity"]
# Images attacked at once: the gradient through the path keeps some hundred images for each.
_BATCH = 50


@dataclass(frozen=True)
class _Smoothed:
    view: View
    kappa: float
    nu: float
    backward: Backward

    def __call__(self, logits_fn: LogitsFn, images: jax.Array) -> jax.Array:
        solver = SplitLBI(self.kappa, self.nu)
        smoothed = smooth(images, self.view.strength, solver, self.view.kind)  # type: ignore[arg-type]
        if self.backward == "identity":
            smoothed = images + jax.lax.stop_gradient(smoothed - images)
        return logits_fn(smoothed)


def smoothed_logits(
    logits_fn: LogitsFn, view: View, solver: SplitLBI = SplitLBI(), backward: Backward = "flow"
) -> LogitsFn:
    """A classifier that sees its input smoothed.

    Args:
        logits_fn: The classifier.
        view: Time and output of the path.
        solver: The flow; kappa and nu are numbers, not traced.
        backward: "flow" for the gradient of the unrolled flow (for a sparse output, the averaging over its regions),
            "identity" for a gradient as if nothing had been smoothed.

    Returns:
        A pure function from images [B, H, W, C] in [0, 1] to logits [B, K].

    Example:
        >>> fn = smoothed_logits(lambda x: x.mean((1, 2)), View(1.0))
        >>> fn(jnp.full((2, 8, 8, 3), 0.5)).shape
        (2, 3)
    """
    inner = logits_fn if isinstance(logits_fn, jax.tree_util.Partial) else jax.tree_util.Partial(logits_fn)
    return jax.tree_util.Partial(_Smoothed(view, float(solver.kappa), float(solver.nu), backward), inner)


@dataclass(frozen=True)
class Attack:
    """One attack: images are made against `target`, by the gradient of `gradient_fn` where it is given.

    Attributes:
        name: What it is called in the results.
        target: The classifier that decides, while the images are made, what fools it.
        gradient_fn: Where the gradient comes from; None is `target` itself.
    """

    name: str
    target: LogitsFn
    gradient_fn: LogitsFn | None = None


def attacks_on(logits_fn: LogitsFn, view: View | None = None, solver: SplitLBI = SplitLBI()) -> list[Attack]:
    """The attacks on a classifier: its own gradient, and more where its input is smoothed to `view`.

    Args:
        logits_fn: The classifier without smoothing.
        view: What its input is smoothed to at test time, or None.
        solver: The flow.
    """
    if view is None:
        return [Attack("own gradient", logits_fn)]
    defended = smoothed_logits(logits_fn, view, solver)
    identity = smoothed_logits(logits_fn, view, solver, backward="identity")
    return [
        Attack("own gradient", defended),
        Attack("identity backward", defended, identity),
        Attack("transfer from unsmoothed", logits_fn),
    ]


def survivors(
    logits_fn: LogitsFn,
    attacks: list[Attack],
    images: np.ndarray,
    labels: np.ndarray,
    standing: np.ndarray,
    key: jax.Array,
    *,
    epsilon: float,
    num_steps: int,
) -> dict[str, np.ndarray]:
    """Which images a classifier still gets right after each of several L∞ attacks, one after another.

    Only what is still standing is attacked, so each entry is the worst case, image by image, of all attacks so far.

    Args:
        logits_fn: The classifier, which alone decides what is right.
        attacks: By projected gradient descent, each.
        images: float32 [N, H, W, C] in [0, 1].
        labels: int32 [N].
        standing: bool [N], the images that are attacked: right without attack, and under every smaller epsilon.
        key: A PRNG key; split for attacks and batches.
        epsilon: Radius.
        num_steps: Steps of an attack.

    Returns:
        bool [N] by the name of the attack, in the order given.
    """
    result = {}
    standing = standing.copy()
    batch_size = min(_BATCH, len(images))
    for index, attack in enumerate(attacks):
        left = np.flatnonzero(standing)
        for start in range(0, len(left), batch_size):
            chosen = left[start : start + batch_size]
            # Filled up with images over again, so that no other batch size has to be compiled.
            full = np.resize(chosen, batch_size)
            moved = pgd(
                attack.target,
                jnp.asarray(images[full]),
                jnp.asarray(labels[full]),
                jax.random.fold_in(jax.random.fold_in(key, index), start),
                epsilon=epsilon,
                num_steps=num_steps,
                gradient_fn=attack.gradient_fn,
            )
            standing[chosen] = correct(logits_fn, moved, labels[full], batch_size=batch_size)[: len(chosen)]
        result[attack.name] = standing.copy()
    return result
