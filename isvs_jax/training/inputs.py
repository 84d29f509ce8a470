"""Ways to use the path in training: which image of an example's path the network sees at a step."""

from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from isvs_jax import SplitLBI

Way = Literal["raw", "fixed", "random", "coarse_to_fine"]
Output = Literal["dense", "sparse"]


@dataclass(frozen=True, order=True)
class View:
    """One smoothed version of an image: a time of its path, dense or sparse.

    Example:
        >>> View.parse("sparse:8")
        View(time=8.0, output='sparse')
    """

    time: float
    output: Output = "dense"

    def __post_init__(self) -> None:
        if not 0 <= self.time < float("inf"):
            raise ValueError(f"time is {self.time}; it may be a finite number ≥ 0.")
        if self.output not in get_args(Output):
            raise ValueError(f"output is {self.output!r}; it may be 'dense' or 'sparse'.")

    @classmethod
    def parse(cls, text: str) -> "View":
        """A view from "dense:TIME" or "sparse:TIME"."""
        output, _, time = text.partition(":")
        try:
            return cls(float(time), output)  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(
                f"view is {text!r}; it may be 'dense:TIME' or 'sparse:TIME', such as 'dense:4'."
            ) from error

    def __str__(self) -> str:
        return f"{self.output}:{self.time:g}"


@dataclass(frozen=True)
class Inputs:
    """A way to use the path.

    - "raw": the image itself, always.
    - "fixed": the one view, always.
    - "random": for each example and step, the image itself with probability `raw_share`, else one of the views, each
      as likely as the others.
    - "coarse_to_fine": the run is divided into equal stages; each shows one view, in the order given, and the last one
      the image itself.

    Attributes:
        way: One of the four.
        views: The smoothed versions in use: none for "raw", one for "fixed", one or more otherwise.
        raw_share: For "random", in [0, 1].
        solver_kappa: kappa of the flow.
        solver_nu: nu of the flow.

    Raises:
        ValueError: The views do not fit the way, or `raw_share` is not in [0, 1].
    """

    way: Way = "raw"
    views: tuple[View, ...] = ()
    raw_share: float = 0.5
    solver_kappa: float = 5.0
    solver_nu: float = 0.1

    def __post_init__(self) -> None:
        if self.way not in get_args(Way):
            raise ValueError(f"way is {self.way!r}; it may be one of {', '.join(map(repr, get_args(Way)))}.")
        if not 0 <= self.raw_share <= 1:
            raise ValueError(f"raw_share is {self.raw_share}; it may be in [0, 1].")
        count = len(self.views)
        if self.way == "raw" and count:
            raise ValueError(f"way 'raw' takes no views, but {count} were given.")
        if self.way == "fixed" and count != 1:
            raise ValueError(f"way 'fixed' takes one view, but {count} were given.")
        if self.way in ("random", "coarse_to_fine") and not count:
            raise ValueError(f"way {self.way!r} takes one view or more, but none was given.")
        times = [view.time for view in self.views]
        if self.way == "coarse_to_fine" and times != sorted(times):
            raise ValueError(f"way 'coarse_to_fine' takes views in the order of their times, but these are {times}.")

    @property
    def solver(self) -> SplitLBI:
        """The flow."""
        return SplitLBI(kappa=self.solver_kappa, nu=self.solver_nu)


def choose(inputs: Inputs, key: jax.Array, batch_size: int, progress: jax.Array) -> jax.Array:
    """For each example of a batch, which version it is shown in: 0 the image itself, k the k-th view.

    Args:
        inputs: The way.
        key: A PRNG key.
        batch_size: B.
        progress: The share of the run that is done, in [0, 1).

    Returns:
        int32 [B].

    Example:
        >>> inputs = Inputs("coarse_to_fine", (View(2.0), View(8.0)))
        >>> [int(choose(inputs, jax.random.key(0), 1, jnp.float32(p))[0]) for p in (0.1, 0.5, 0.9)]
        [1, 2, 0]
    """
    count = len(inputs.views)
    if inputs.way == "raw":
        return jnp.zeros(batch_size, jnp.int32)
    if inputs.way == "fixed":
        return jnp.ones(batch_size, jnp.int32)
    if inputs.way == "coarse_to_fine":
        stage = jnp.minimum(jnp.floor(progress * (count + 1)).astype(jnp.int32), count)
        return jnp.broadcast_to((stage + 1) % (count + 1), (batch_size,))
    raw_key, view_key = jax.random.split(key)
    raw = jax.random.bernoulli(raw_key, inputs.raw_share, (batch_size,))
    view = jax.random.randint(view_key, (batch_size,), 1, count + 1)
    return jnp.where(raw, 0, view)
