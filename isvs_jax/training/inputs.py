"""Ways to use smoothed images in training: which versions of an example the network sees at a step."""

from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from isvs_jax import SplitLBI
from isvs_jax._checks import check_choice, check_integer, check_number
from isvs_jax.augment._scale_mix import Bands, scale_mix
from isvs_jax.augment.groups import in_groups
from isvs_jax.augment.versions import draw_versions, show_versions
from isvs_jax.augment.views import View
from isvs_jax.solver.shrinkage import Penalty

Way = Literal["raw", "fixed", "random", "coarse_to_fine", "several", "scale_mix"]

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
    - "random": in each step a share `raw_share` of the batch is shown as it is, and the rest is dealt evenly to the
      views, who gets what being drawn (`isvs_jax.augment.draw_versions`).
    - "coarse_to_fine": the run is divided into equal stages; each shows one view, in the order given, and the last one
      the image itself.
    - "several": for each example and step, the image itself and `draws` − 1 different views, each set of them and each
      order as likely as the others. For an objective that asks for agreement between them.
    - "scale_mix": in each step a share `raw_share` of the batch is shown as it is, and the rest with the bands between
      its views weighted at random (`isvs_jax.augment.scale_mix`): bands of the path for "dense" views, Gaussian bands
      for "blur" views, and either for as many of both.

    Attributes:
        way: One of the six ways.
        views: The smoothed versions in use: none for "raw", one for "fixed", one or more otherwise.
        raw_share: The share of the image itself for "random" and "scale_mix", in [0, 1].
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
        if self.way in ("coarse_to_fine", "scale_mix"):
            self._check_rising_detail()
        if self.way == "scale_mix":
            self._check_bands()

    def _check_rising_detail(self) -> None:
        # Strengths of different scales cannot be compared: each scale is looked at alone.
        for kinds, order, falling in _SCALES:
            strengths = [view.strength for view in self.views if view.kind in kinds]
            if strengths != sorted(strengths, reverse=falling):
                raise ValueError(f"views must be in the order of {order} for way {self.way!r}; got {strengths}.")

    def _check_bands(self) -> None:
        times, sigmas = self.band_ends
        even = not times or not sigmas or len(times) == len(sigmas)
        if len(times) + len(sigmas) < len(self.views) or not even:
            raise ValueError(
                "views must be dense, blur, or as many of both for way 'scale_mix', which weights the bands between "
                f"them; got {_listed(self.views)}."
            )

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
    def band_ends(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The times and the widths of blurs among the views, between which "scale_mix" weights bands."""
        times, sigmas = (tuple(view.strength for view in self.views if view.kind == kind) for kind in ("dense", "blur"))
        return times, sigmas

    @property
    def versions(self) -> int:
        """How many versions of an image there are: itself and its views."""
        return 1 + len(self.views)


def _listed(views: tuple[View, ...]) -> str:
    return " ".join(map(str, views)) or "none"


def choose(inputs: Inputs, key: jax.Array, count: int, step: jax.Array | int, num_steps: int | None) -> jax.Array:
    """Choose the versions in which each example of a batch is shown: 0 the image itself, k the k-th view.

    For "scale_mix" 1 stands for the image with its bands weighted.

    Args:
        inputs: The way to use smoothed images (static).
        key: The key that the draws come from, another one for every step.
        count: The number B of examples in the batch of all devices (static).
        step: The number of steps done.
        num_steps: The number of steps of the run (static), where the way asks for it.

    Returns:
        int32 [B, K], K = `inputs.draws`.

    Example:
        >>> inputs = Inputs("coarse_to_fine", (View(2.0), View(8.0)))
        >>> [int(choose(inputs, jax.random.key(0), 1, step, num_steps=30)[0, 0]) for step in (0, 10, 29)]
        [1, 2, 0]
    """
    views = len(inputs.views)
    if inputs.way == "random":
        return draw_versions(key, count, views, inputs.raw_share)[:, None]
    if inputs.way == "scale_mix":
        return draw_versions(key, count, 1, inputs.raw_share)[:, None]
    if inputs.way == "several":
        # The first views in an order drawn anew for each example: a set of them without one twice.
        orders = jnp.argsort(jax.random.uniform(key, (count, views)), axis=1)[:, : inputs.draws - 1]
        return jnp.pad(1 + orders.astype(jnp.int32), ((0, 0), (1, 0)))
    version = jnp.int32(1 if inputs.way == "fixed" else 0)
    if inputs.way == "coarse_to_fine":
        # As many equal stages as there are versions: the views in their order, and in the last stage the image itself.
        version = (1 + jnp.minimum(step * (views + 1) // (num_steps or 1), views)) % (views + 1)
    return jnp.full((count, 1), version, jnp.int32)


def show(inputs: Inputs, images: jax.Array, versions: jax.Array, keys: jax.Array) -> jax.Array:
    """Show examples in the versions chosen for them; other versions are not computed.

    Args:
        inputs: The way to use smoothed images (static).
        images: float [B, H, W, C] in [0, 1].
        versions: int32 [B, K], as of `choose`.
        keys: A PRNG key for each example [B], from which "scale_mix" draws.

    Returns:
        Images [B, K, H, W, C].
    """
    if not inputs.views:
        return images[:, None]
    count, draws = versions.shape
    if inputs.way == "scale_mix":
        return _mixed(inputs, images, versions[:, 0], keys)[:, None]
    smoothed = {"random": count * (1 - inputs.raw_share), "several": count * (draws - 1)}.get(inputs.way)
    size = count if smoothed is None else max(1, ceil(smoothed / len(inputs.views)))
    repeated = jnp.repeat(images, draws, axis=0)
    shown = show_versions(repeated, versions.reshape(-1), inputs.views, inputs.solver, group_size=size)
    return shown.reshape(count, draws, *images.shape[1:])


def _mixed(inputs: Inputs, images: jax.Array, is_mixed: jax.Array, keys: jax.Array) -> jax.Array:
    times, sigmas = inputs.band_ends
    bands: Bands = "path" if not sigmas else "either" if times else "blur"
    weighted = partial(scale_mix, solver=inputs.solver, bands=bands)
    # What the bands do not ask for keeps its default.
    weighted = partial(weighted, times=times) if times else weighted
    weighted = partial(weighted, sigmas=sigmas) if sigmas else weighted

    def of_group(examples: jax.Array) -> jax.Array:
        return weighted(keys[examples], images[examples])

    return in_groups([of_group], is_mixed, images, max(1, ceil(len(images) * (1 - inputs.raw_share))))
