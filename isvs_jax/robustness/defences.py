"""The worst case over six ways of attacking a function that stands before the network.

A defence that transforms its input can hide the gradient without resisting anything. A robust accuracy of such a model
is therefore that of the examples that hold against every one of these:

    unrolled    the gradient through the defence as it is, every step of it
    identity    the defence forwards, the identity backwards
    low_pass    the defence forwards, its linear low-pass part backwards
    transfer    the gradient of the network without the defence
    square      no gradient at all
    noise       random points of the ball and of its boundary
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from isvs_jax._flow import SplitLBI
from isvs_jax._smooth import Output, smooth
from isvs_jax.robustness.attacks._checks import check_ball, check_choice, check_count
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, is_correct
from isvs_jax.robustness.attacks._norms import NORMS, project, uniform_in_ball
from isvs_jax.robustness.attacks.autoattack import autoattack_report

ImageFn = Callable[[jax.Array], jax.Array]
Progress = Callable[[str, int], None]

WAYS = ("unrolled", "identity", "low_pass", "transfer", "square", "noise")
# Share of examples that a way may break after the plain gradient has failed on them without being remarked on.
_HIDDEN_SHARE = 0.01


class Defence(NamedTuple):
    """A function before the network, and what stands for it in a backward pass.

    Attributes:
        forward: Images [B, H, W, C] in [0, 1] to images of the same shape; any function that traces.
        low_pass: A linear map of the same shapes close to `forward`.
        description: What it is and its numbers, by which a report tells defences apart.
    """

    forward: ImageFn
    low_pass: ImageFn
    description: str = ""


class DefenceResult(NamedTuple):
    """What the six ways found.

    Attributes:
        images: Adversarial images, those of examples that held being the clean ones.
        robust: bool [B], correct on the clean image and after every way.
        per_attack: Robust masks by name, "clean" and each way, cumulative in the order of `WAYS`.
        warnings: Sentences on why the figures may be too high.
    """

    images: jax.Array
    robust: np.ndarray
    per_attack: dict[str, np.ndarray]
    warnings: tuple[str, ...]


def smoothing_defence(time: float, solver: SplitLBI = SplitLBI(), output: Output = "dense") -> Defence:
    """Smoothing along the inverse scale space path as a defence; its low-pass part is u(0) = (I + DᵀD/ν)⁻¹x.

    >>> import jax.numpy as jnp
    >>> smoothing_defence(2.0).forward(jnp.ones((1, 4, 4, 3))).shape
    (1, 4, 4, 3)
    """

    def forward(images: jax.Array) -> jax.Array:
        return smooth(images, time, solver, output)

    def low_pass(images: jax.Array) -> jax.Array:
        return smooth(images, 0.0, solver)

    description = (
        f"smoothing, {output}, t = {time}, kappa = {solver.kappa}, nu = {solver.nu}, {solver.penalty}, "
        f"{solver.scheme}, step_size = {solver.step_size}"
    )
    return Defence(forward, low_pass, description)


def defended(network_fn: LogitsFn, defence: Defence) -> LogitsFn:
    """The model that is judged: network_fn(defence(images)).

    The result is a pytree of both, so that the attacks compile once for the same two functions.
    """
    return Partial(_composed, network_fn, defence.forward)


def attack_defence(
    network_fn: LogitsFn,
    defence: Defence,
    images: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    epsilon: float,
    norm: str = "linf",
    ways: Sequence[str] = WAYS,
    attacks: Sequence[str] = ("apgd-ce", "apgd-t"),
    num_steps: int = 100,
    num_targets: int | None = None,
    num_queries: int = 5000,
    num_draws: int = 100,
    batch_size: int = 128,
    progress: Progress | None = None,
) -> DefenceResult:
    """Attack a network behind a defence in six ways; what holds against all is robust.

    Example by example, the worst case. Each way sees only what the ways before it left. The first is the attack that
    sees nothing but the gradient of the whole model; what the others break after it had been hidden by that gradient,
    and is said in a warning.

    Args:
        network_fn: From images [B, H, W, C] to logits [B, K], without the defence.
        defence: What stands before it. See `smoothing_defence`.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B].
        key: A PRNG key.
        epsilon: Radius of the ball.
        norm: "linf" or "l2".
        ways: Which of `WAYS`; they are tried in the order of `WAYS`, so that the first shows what its gradient hides.
        attacks: Gradient attacks of `autoattack_report` run in each of the first four ways. With fewer than four
            classes say ("apgd-ce", "apgd-margin").
        num_steps: Steps of a gradient attack.
        num_targets: Targets of a targeted attack; default 9, or K − 1 where that is less.
        num_queries: Budget of Square.
        num_draws: Random points, half of them on the boundary.
        batch_size: Images attacked at a time.
        progress: Called after each way with its name and how many examples are still robust.

    Returns:
        A `DefenceResult`.

    Raises:
        ValueError: For values, shapes or choices that are not as said.
        TypeError: For integer images, and under jit.
        AssertionError: Should an attack leave the ball or the box.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> network = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
        >>> images, labels = jnp.full((2, 4, 4, 1), 0.5).at[1].set(0.8), jnp.array([0, 0])
        >>> result = attack_defence(
        ...     network, smoothing_defence(0.5), images, labels, jax.random.key(0), epsilon=0.1, attacks=["apgd-ce"],
        ...     num_steps=10, num_queries=10, num_draws=2)
        >>> result.robust.tolist()
        [False, True]

    References:
        Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.
        Tramer, Carlini, Brendel, Madry, "On adaptive attacks to adversarial example defenses", NeurIPS 2020.
    """
    check_choice("norm", norm, NORMS)
    check_count("num_draws", num_draws)
    for way in ways:
        check_choice("ways", way, WAYS)
    if not ways or len(set(ways)) != len(ways):
        raise ValueError(f"ways is {tuple(ways)}; it may name {', '.join(WAYS)}, at least one and each once.")
    _check_shapes(defence, images)
    model = defended(network_fn, defence)
    images, labels = np.asarray(images), np.asarray(labels)
    batch_size = min(batch_size, len(images))
    run = partial(
        autoattack_report,
        model,
        epsilon=epsilon,
        norm=norm,
        batch_size=batch_size,
        num_steps=num_steps,
        num_targets=num_targets,
        num_queries=num_queries,
    )
    adversarial: np.ndarray = images.copy()
    warnings: list[str] = []
    masks = {"clean": _correct(model, images, labels, batch_size)}
    robust = masks["clean"].copy()
    for way in sorted(ways, key=WAYS.index):
        left = np.flatnonzero(robust)
        if left.size:
            way_key = jax.random.fold_in(key, WAYS.index(way))
            if way == "noise":
                moved, held = _noise(model, images[left], labels[left], way_key, epsilon, norm, num_draws, batch_size)
            else:
                rows, real = _filled(left, batch_size)
                chosen = ("square",) if way == "square" else tuple(attacks)
                surrogate = _surrogate(way, network_fn, defence)
                result = run(images[rows], labels[rows], way_key, attacks=chosen, gradient_fn=surrogate)
                moved, held = np.asarray(result.images)[:real], result.robust[:real]
                warnings += [f"{way}: {sentence}" for sentence in result.warnings]
            adversarial[left[~held]] = moved[~held]
            robust[left[~held]] = False
        masks[way] = robust.copy()
        if progress is not None:
            progress(way, int(robust.sum()))
    check_ball(images, adversarial, epsilon, norm)
    warnings += masking_warnings(masks)
    return DefenceResult(jnp.asarray(adversarial), robust, masks, tuple(dict.fromkeys(warnings)))


def masking_warnings(masks: dict[str, np.ndarray]) -> list[str]:
    """What the masks of `attack_defence` say of hidden gradients, as sentences.

    >>> import numpy as np
    >>> masks = {"clean": np.ones(4, bool), "unrolled": np.ones(4, bool), "identity": np.zeros(4, bool)}
    >>> len(masking_warnings(masks))
    1
    """
    names = [name for name in masks if name in WAYS]
    if "unrolled" not in names:
        return ["the gradient through the defence itself was not tried: the figure is no worst case."]
    warnings = []
    plain, worst = masks["unrolled"].mean(), masks[names[-1]].mean()
    hidden = masks["clean"].mean() > 0 and plain - worst > _HIDDEN_SHARE
    if hidden:
        warnings.append(
            f"the gradient through the defence is masked: {plain:.1%} hold against it, {worst:.1%} against all ways. "
            "An attack that uses that gradient alone overstates the robustness."
        )
    before = "clean"
    for name in names:
        gained = masks[before].mean() - masks[name].mean()
        if name in ("square", "noise") and gained > _HIDDEN_SHARE:
            warnings.append(
                f"{name}, which asks for no gradient, broke {gained:.1%} of all examples after the ways before it had "
                "failed: the gradient attacks are too weak here, and the figure may still be too high."
            )
        before = name
    missing = [way for way in WAYS if way not in names]
    if missing:
        warnings.append(f"the figure is no worst case: {', '.join(missing)} left out.")
    return warnings


def _composed(network_fn: LogitsFn, forward: ImageFn, images: jax.Array) -> jax.Array:
    return network_fn(forward(images))


def _straight_through(network_fn: LogitsFn, forward: ImageFn, backward: ImageFn | None, images: jax.Array) -> jax.Array:
    """The defence forwards; `backward`, or the identity, in the backward pass."""
    stand_in = images if backward is None else backward(images)
    return network_fn(stand_in + jax.lax.stop_gradient(forward(images) - stand_in))


def _surrogate(way: str, network_fn: LogitsFn, defence: Defence) -> LogitsFn | None:
    """Where a way takes its gradient from; None is the model itself."""
    if way == "identity":
        return Partial(_straight_through, network_fn, defence.forward, None)
    if way == "low_pass":
        return Partial(_straight_through, network_fn, defence.forward, defence.low_pass)
    return network_fn if way == "transfer" else None


def _filled(left: np.ndarray, batch_size: int) -> tuple[np.ndarray, int]:
    """Row numbers filled up to a multiple of the batch, so that every way meets one compiled shape."""
    short = -left.size % batch_size
    return np.concatenate([left, np.full(short, left[0])]), left.size


def _pieces(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return np.split(rows, len(rows) // batch_size)


@jax.jit
def _judge(model: LogitsFn, images: jax.Array, labels: jax.Array) -> jax.Array:
    return is_correct(model(images), labels)


def _correct(model: LogitsFn, images: np.ndarray, labels: np.ndarray, batch_size: int) -> np.ndarray:
    rows, real = _filled(np.arange(len(images)), batch_size)
    model = as_pytree(model)
    return np.concatenate([_judge(model, images[piece], labels[piece]) for piece in _pieces(rows, batch_size)])[:real]


@partial(jax.jit, static_argnames=("norm", "num_draws"))
def _worst_draw(
    model: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    keys: jax.Array,
    epsilon: jax.Array,
    norm: str,
    num_draws: int,
) -> tuple[jax.Array, jax.Array]:
    """The first random point that fools the model, or the image itself."""

    def draw(carry: tuple[jax.Array, jax.Array], number: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        worst, robust = carry
        own = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        inside = uniform_in_ball(own, images, epsilon, norm)
        edge = inside - images
        # The far end of the same direction: for L∞ a corner, where a linear function is largest.
        far = epsilon * jnp.sign(edge) if norm == "linf" else edge * (epsilon / jnp.maximum(_length(edge), 1e-12))
        point = jnp.where(number % 2 == 0, inside, project(images + far, images, epsilon, norm))
        fooled = robust & ~is_correct(model(point), labels)
        return (jnp.where(fooled[:, None, None, None], point, worst), robust & ~fooled), None

    start = (images, jnp.ones(labels.shape, bool))
    return jax.lax.scan(draw, start, jnp.arange(num_draws))[0]


def _length(delta: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(delta**2, axis=(1, 2, 3), keepdims=True))


def _noise(
    model: LogitsFn,
    images: np.ndarray,
    labels: np.ndarray,
    key: jax.Array,
    epsilon: float,
    norm: str,
    num_draws: int,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    rows, real = _filled(np.arange(len(images)), batch_size)
    keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(jnp.arange(len(images)))
    model, radius = as_pytree(model), jnp.asarray(epsilon, images.dtype)
    found = [
        _worst_draw(model, images[piece], labels[piece], keys[piece], radius, norm, num_draws)
        for piece in _pieces(rows, batch_size)
    ]
    worst, robust = (np.concatenate([np.asarray(part[k]) for part in found])[:real] for k in (0, 1))
    return worst, robust


def _check_shapes(defence: Defence, images: np.ndarray | jax.Array) -> None:
    for name in ("forward", "low_pass"):
        shape = jax.eval_shape(getattr(defence, name), jax.ShapeDtypeStruct(np.shape(images), jnp.float32)).shape
        if shape != np.shape(images):
            raise ValueError(
                f"defence.{name} returned shape {shape} for images of shape {np.shape(images)}; it may return the same."
            )
