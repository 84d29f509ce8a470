"""Ways to use smoothed images in training: which versions of an example the network sees at a step."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from isvs_jax import SplitLBI
from isvs_jax.augment.views import View
from isvs_jax.solver.shrinkage import Penalty

Way = Literal["raw", "fixed", "random", "coarse_to_fine", "several"]

# Kinds of view whose strengths are on one scale, the order in which they show finer and finer detail, and whether the
# strength falls in it.
_SCALES: tuple[tuple[frozenset[str], str, bool], ...] = (
    (frozenset({"dense", "sparse"}), "the order of their times", False),
    (frozenset({"lowpass"}), "the order of their cut-off frequencies", False),
    (frozenset({"blur"}), "the order of falling widths of the blur", True),
    (frozenset({"rof"}), "the order of falling weights of the total variation", True),
)


@dataclass(frozen=True)
class Inputs:
    """A way to use smoothed images, the versions of an example besides the image itself.

    - "raw": the image itself, always.
    - "fixed": the one view, always.
    - "random": for each example and step, the image itself with probability `raw_share`, else one of the views, each
      as likely as the others.
    - "coarse_to_fine": the run is divided into equal stages; each shows one view, in the order given, and the last one
      the image itself.
    - "several": for each example and step, the image itself and `draws` − 1 different views, each set of them and each
      order as likely as the others. For an objective that asks for agreement between them.

    Attributes:
        way: One of the five.
        views: The smoothed versions in use: none for "raw", one for "fixed", one or more otherwise.
        raw_share: For "random", in [0, 1].
        solver_kappa: kappa of the flow.
        solver_nu: nu of the flow.
        solver_penalty: What enters together: "color", "anisotropic" or "isotropic".
        draws: Versions of an example that are shown at once, K: 1, or for "several" from 2 to 1 + the number of views.

    Raises:
        ValueError: The views or the draws do not fit the way, or `raw_share` is not in [0, 1].

    Example:
        >>> inputs = Inputs("several", (View(2.0), View(4.0), View(8.0)), draws=2)
        >>> inputs.versions
        4
    """

    way: Way = "raw"
    views: tuple[View, ...] = ()
    raw_share: float = 0.5
    solver_kappa: float = 5.0
    solver_nu: float = 0.1
    solver_penalty: Penalty = "color"
    draws: int = 1

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
        if self.way in ("random", "coarse_to_fine", "several") and not count:
            raise ValueError(f"way {self.way!r} takes one view or more, but none was given.")
        if self.way == "coarse_to_fine":
            self._require_rising_detail()
        self._require_draws()
        # Refuses what cannot be.
        self.solver.check_numbers()

    def _require_rising_detail(self) -> None:
        """Strengths of different scales cannot be compared: each scale is looked at alone."""
        for kinds, order, falling in _SCALES:
            strengths = [view.strength for view in self.views if view.kind in kinds]
            if strengths != sorted(strengths, reverse=falling):
                raise ValueError(f"way 'coarse_to_fine' takes views in {order}, but these are {strengths}.")

    def _require_draws(self) -> None:
        if self.way != "several":
            if self.draws != 1:
                raise ValueError(
                    f"draws is {self.draws}; it may be 1 for way {self.way!r} (only 'several' takes more)."
                )
            return
        if not 2 <= self.draws <= self.versions:
            raise ValueError(
                f"draws is {self.draws}; for way 'several' it may be from 2 to {self.versions}: the image itself and "
                f"up to {len(self.views)} views."
            )
        if len(set(self.views)) < len(self.views):
            raise ValueError(f"way 'several' takes different views, but these are {', '.join(map(str, self.views))}.")

    @property
    def solver(self) -> SplitLBI:
        """The flow."""
        return SplitLBI(kappa=self.solver_kappa, nu=self.solver_nu, penalty=self.solver_penalty)

    @property
    def versions(self) -> int:
        """How many versions of an image there are: itself and its views."""
        return 1 + len(self.views)


def choose(inputs: Inputs, rng: np.random.Generator, batch_size: int, progress: float) -> np.ndarray:
    """For each example of a batch, the versions it is shown in: 0 the image itself, k the k-th view.

    On the host: what is chosen decides which arrays are read.

    Args:
        inputs: The way.
        rng: Where the draws come from.
        batch_size: B.
        progress: The share of the run that is done, in [0, 1).

    Returns:
        int32 [B, K], K = `inputs.draws`.

    Example:
        >>> inputs = Inputs("coarse_to_fine", (View(2.0), View(8.0)))
        >>> rng = np.random.default_rng(0)
        >>> [int(choose(inputs, rng, 1, progress)[0, 0]) for progress in (0.1, 0.5, 0.9)]
        [1, 2, 0]
    """
    count = len(inputs.views)
    if inputs.way == "several":
        ranks = rng.random((batch_size, count)).argsort(axis=1)[:, : inputs.draws - 1]
        return np.pad(ranks.astype(np.int32) + 1, [(0, 0), (1, 0)])
    if inputs.way == "random":
        raw = rng.random(batch_size) < inputs.raw_share
        view = rng.integers(1, count + 1, batch_size, np.int32)
        return np.where(raw, np.int32(0), view)[:, None]
    version = 0
    if inputs.way == "fixed":
        version = 1
    elif inputs.way == "coarse_to_fine":
        stage = min(int(progress * (count + 1)), count)
        version = (stage + 1) % (count + 1)
    return np.full((batch_size, 1), version, np.int32)
