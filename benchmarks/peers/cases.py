"""What is timed: a `Case` is images and a time, a `Peer` makes a `Call` of a case."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np


class Case(NamedTuple):
    """What is smoothed.

    Attributes:
        name: The name of the case, as in the names of the tests.
        size: The number of pixels a side.
        batch: The number of images.
        time: The time t.
        heavy: Whether a call takes half a minute: then it is made once a turn, by few peers.
    """

    name: str
    size: int
    batch: int
    time: float = 4.0
    heavy: bool = False


CASES = (
    Case("cifar-128", 32, 128),
    Case("cifar-1", 32, 1),
    Case("imagenet-1", 224, 1),
    Case("imagenet-128", 224, 128, heavy=True),
    Case("photograph-1", 1024, 1, heavy=True),
)


class Call(NamedTuple):
    """What is timed.

    Attributes:
        run: The call, which waits for its outcome [B, H, W, C], and may come with its own seconds.
        images: The number of images that it treats.
        steps: What it does for each image, in words.
        share: The part of the steps that is run; the time is divided by it.
        limit: The image that the outcome tends to with more iterations, where that is not the flow's.
        note: What else must be known.
    """

    run: Callable[[], np.ndarray | jax.Array | Seconds]
    images: int
    steps: str
    share: float = 1.0
    limit: Callable[[], np.ndarray] | None = None
    note: str = ""


class Seconds(NamedTuple):
    """An outcome with seconds counted elsewhere."""

    outcome: np.ndarray
    counted: float


class Peer(NamedTuple):
    """A name, the kind of outcome, the cases and how a call is made; or the reason why there is none."""

    name: str
    kind: str
    cases: tuple[str, ...]
    prepare: Callable[[np.ndarray, Case], Call | str]


def share_of(taken: int, steps: int) -> float:
    """The part of the steps that is run."""
    return min(taken, steps) / steps


def timed(call: Call) -> tuple[np.ndarray | jax.Array, float]:
    """One run: its outcome and its seconds, those counted elsewhere where there are some."""
    began = time.perf_counter()
    outcome = jax.block_until_ready(call.run())
    seconds = time.perf_counter() - began
    return (outcome.outcome, outcome.counted) if isinstance(outcome, Seconds) else (outcome, seconds)
