"""Two ways to drive an attack: one compiled loop, or compiled steps called from the host.

XLA brings convolutions into the form that its fast CPU kernels take only outside of loops, so that the gradient of a
convolutional network inside `lax.while_loop` takes several times as long on a CPU as the same gradient on its own. On a
CPU, where calling a compiled step costs little, the loops are therefore those of Python; on other devices, and under
jit, they are compiled. The numbers are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Advance = Callable[[Any, Any, Any], Any]
Unfinished = Callable[[Any, Any, Any], jax.Array]


class Loops(NamedTuple):
    """`steps` advances a state while it is unfinished, and `repeat` folds a body over the numbers of the runs."""

    steps: Callable[[Advance, Unfinished, Any, Any, Any], Any]
    repeat: Callable[[Any, int, Callable[[Any, Any], Any], Any], Any]


def _device_steps(advance: Advance, unfinished: Unfinished, state: Any, context: Any, settings: Any) -> Any:
    return jax.lax.while_loop(
        lambda s: unfinished(s, context, settings), lambda s: advance(s, context, settings), state
    )


def _device_repeat(first: Any, count: int, body: Callable[[Any, Any], Any], carry: Any) -> Any:
    return jax.lax.fori_loop(first, first + count, body, carry)


_STATIC = ("advance", "unfinished", "settings")


@functools.partial(jax.jit, static_argnames=_STATIC)
def _one_step(
    advance: Advance, unfinished: Unfinished, state: Any, context: Any, settings: Any
) -> tuple[Any, jax.Array]:
    state = advance(state, context, settings)
    return state, unfinished(state, context, settings)


@functools.partial(jax.jit, static_argnames=("unfinished", "settings"))
def _any_left(unfinished: Unfinished, state: Any, context: Any, settings: Any) -> jax.Array:
    return unfinished(state, context, settings)


def _host_steps(advance: Advance, unfinished: Unfinished, state: Any, context: Any, settings: Any) -> Any:
    more = bool(_any_left(unfinished, state, context, settings))
    while more:
        state, unsettled = _one_step(advance, unfinished, state, context, settings)
        more = bool(unsettled)
    return state


def _host_repeat(first: Any, count: int, body: Callable[[Any, Any], Any], carry: Any) -> Any:
    for run in range(int(first), int(first) + count):
        carry = body(jnp.int32(run), carry)
    return carry


DEVICE = Loops(_device_steps, _device_repeat)
HOST = Loops(_host_steps, _host_repeat)


def belongs_on_host(*arguments: Any) -> bool:
    """Whether nothing is traced and the arrays lie on CPUs."""
    leaves = [leaf for leaf in jax.tree.leaves(arguments) if isinstance(leaf, jax.Array)]
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return False
    return all(device.platform == "cpu" for leaf in leaves for device in leaf.devices())
