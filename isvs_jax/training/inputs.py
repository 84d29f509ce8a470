"""Ways to use smoothed images in training: which versions of an example the network sees at a step."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from isvs_jax import SplitLBI
from isvs_jax._checks import check_choice, check_integer, check_number
from isvs_jax.augment.views import View
from isvs_jax.solver.shrinkage import Penalty

Way = Literal["raw", "fixed", "random", "coarse_to_fine", "several"]

# Kinds of view whose strengths are on one scale, the order in which they show finer and finer detail, and whether the
# strength falls in it.
_SCALES: tuple[tuple[frozenset[str], str, bool], ...] = (
    (frozenset({"dense", "sparse"}), "rising times", False),
    (frozenset({"lowpass"}), "rising cut-off frequencies", False),
    (frozenset({"blur"}), "falling widths of the blur", True),
    (frozenset({"rof"}), "falling weights of the total variation", True),
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
        way: One of the five ways.
        views: The smoothed versions in use: none for "raw", one for "fixed", one or more otherwise.
        raw_share: The probability of the image itself for "random", in [0, 1].
        solver_kappa: The value of kappa in the flow.
        solver_nu: The value of nu in the flow.
        solver_penalty: The edges that enter together: "color", "anisotropic" or "isotropic".
        draws: The number K of versions of an example that are shown at once: 1, or for "several" from 2 to 1 + the
            number of views.

    Raises:
        TypeError: A number is none, or not an integer where one is asked for.
        ValueError: The views or the draws do not fit the way, or a number is out of range.

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
        check_choice("way", self.way, get_args(Way))
        check_number("raw_share", self.raw_share, "[0, 1]")
        self._check_views()
        self._check_draws()
        # A solver is made of any leaves, as they may be traced; these are numbers and can be checked.
        self.solver.check_numbers()

    def _check_views(self) -> None:
        count = len(self.views)
        wanted = {"raw": "be empty", "fixed": "hold one view"}.get(self.way, "hold one view or more")
        if not {"raw": count == 0, "fixed": count == 1}.get(self.way, count > 0):
            raise ValueError(f"views must {wanted} for way {self.way!r}; got {_listed(self.views)}.")
        if self.way == "several" and len(set(self.views)) < count:
            raise ValueError(f"views must differ for way 'several'; got {_listed(self.views)}.")
        if self.way == "coarse_to_fine":
            self._check_rising_detail()

    def _check_rising_detail(self) -> None:
        # Strengths of different scales cannot be compared: each scale is looked at alone.
        for kinds, order, falling in _SCALES:
            strengths = [view.strength for view in self.views if view.kind in kinds]
            if strengths != sorted(strengths, reverse=falling):
                raise ValueError(f"views must be in the order of {order} for way 'coarse_to_fine'; got {strengths}.")

    def _check_draws(self) -> None:
        if self.way == "several":
            check_integer("draws", self.draws, 2, self.versions)
        elif self.draws != 1:
            raise ValueError(f"draws must be 1 for way {self.way!r}; got {self.draws}. Only 'several' shows more.")

    @property
    def solver(self) -> SplitLBI:
        """The flow."""
        return SplitLBI(kappa=self.solver_kappa, nu=self.solver_nu, penalty=self.solver_penalty)

    @property
    def versions(self) -> int:
        """How many versions of an image there are: itself and its views."""
        return 1 + len(self.views)


def _listed(views: tuple[View, ...]) -> str:
    return " ".join(map(str, views)) or "none"


def choose(inputs: Inputs, rng: np.random.Generator, batch_size: int, progress: float) -> np.ndarray:
    """Choose the versions in which each example of a batch is shown: 0 the image itself, k the k-th view.

    This is done on the host, where the choice decides which arrays are read.

    Args:
        inputs: The way to use smoothed images.
        rng: The generator that the draws come from.
        batch_size: The number B of examples.
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
        # The first views in an order drawn anew for each example: a set of them without one twice.
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
        # As many equal stages as there are versions: the views in their order, and in the last stage the image itself.
        stage = min(int(progress * (count + 1)), count)
        version = (stage + 1) % (count + 1)
    return np.full((batch_size, 1), version, np.int32)
