"""Six ways of attacking a function that stands before the network, and where each takes its gradient from.

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

import jax
from jax.tree_util import Partial

from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.defences import Defence, ImageFn

WAYS = ("unrolled", "identity", "low_pass", "transfer", "square", "noise")
GRADIENT_FREE = ("square", "noise")


def surrogate(way: str, network_fn: LogitsFn, defence: Defence) -> LogitsFn | None:
    """The function that a way takes its gradient from; None is the model itself.

    For "identity" and "low_pass" it is the defence forwards and a stand-in backwards (the backward pass differentiable
    approximation), so that its value is the model's.

    References:
        Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.
    """
    if way == "identity":
        return Partial(_straight_through, network_fn, defence.forward, None)
    if way == "low_pass":
        return Partial(_straight_through, network_fn, defence.forward, defence.low_pass)
    return network_fn if way == "transfer" else None


def _straight_through(network_fn: LogitsFn, forward: ImageFn, backward: ImageFn | None, images: jax.Array) -> jax.Array:
    """The defence forwards; `backward`, or the identity, in the backward pass."""
    stand_in = images if backward is None else backward(images)
    return network_fn(stand_in + jax.lax.stop_gradient(forward(images) - stand_in))
