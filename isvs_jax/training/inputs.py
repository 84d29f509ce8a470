"""Ways to use smoothed images in training: which versions of an example the network sees at a step."""

from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from isvs_jax import SplitLBI
from isvs_jax._checks import check_choice, check_integer, check_number
from isvs_jax.augment._augmix import augmix
from isvs_jax.augment._scale_mix import Bands, scale_mix
from isvs_jax.augment.basic import add_noise
from isvs_jax.augment.groups import in_groups
from isvs_jax.augment.versions import draw_versions, show_versions
from isvs_jax.augment.views import View
from isvs_jax.solver.shrinkage import Penalty

Way = Literal["raw", "fixed", "random", "coarse_to_fine", "several", "scale_mix"]
Unsmoothed = Literal["raw", "augmix"]
NoisePlace = Literal["last", "first", "unsmoothed"]

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

    Two more choices say what becomes of examples where they are shown in no view (`unsmoothed`), and where the Gaussian
    noise of the augmentation goes (`noise_place`):

    - "last": on every example, after all else.
    - "first": on the image before it is smoothed, so that the network sees smoothed noisy images. Examples that are
      shown in no view get it last.
    - "unsmoothed": last, and only on the examples that are shown in no view.

    Attributes:
        way: One of the six ways.
        views: The smoothed versions in use: none for "raw", one for "fixed", one or more otherwise.
        raw_share: The share of the image itself for "random" and "scale_mix", in [0, 1].
        solver_kappa: The value of kappa in the flow.
        solver_nu: The value of nu in the flow.
        solver_penalty: The edges that enter together: "color", "anisotropic" or "isotropic".
        draws: The number K of versions of an example that are shown at once: 1, or for "several" from 2 to 1 + the
            number of views.
        unsmoothed: What an example is shown as where it is shown in no view: "raw", as it is, or "augmix", mixed with
            chains of simple operations (`isvs_jax.augment.augmix`, without the loss of the paper).
        noise_place: Where noise goes: "last", "first" or "unsmoothed".

    Raises:
        TypeError: A number is none, or not an integer where one is asked for.
        ValueError: The views, the draws or another choice do not fit the way, or a number is out of range.

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
    unsmoothed: Unsmoothed = "raw"
    noise_place: NoisePlace = "last"

    def __post_init__(self) -> None:
        check_choice("way", self.way, get_args(Way))
        check_number("raw_share", self.raw_share, "[0, 1]")
        self._check_views()
        self._check_draws()
        self._check_unsmoothed()
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

    def _check_unsmoothed(self) -> None:
        mixtures, places = get_args(Unsmoothed), get_args(NoisePlace)
        # The way "raw" smooths nobody, "fixed" everybody.
        fitting = {"raw": (mixtures, ("last",)), "fixed": (("raw",), ("last", "first"))}
        for_unsmoothed, for_noise = fitting.get(self.way, (mixtures, places))
        check_choice(f"unsmoothed for way {self.way!r}", self.unsmoothed, for_unsmoothed)
        check_choice(f"noise_place for way {self.way!r}", self.noise_place, for_noise)

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


def noisy_last(inputs: Inputs, versions: jax.Array) -> jax.Array | None:
    """Which of the versions [B, K] chosen by `choose` get noise after all else, bool [B, K]; None for all of them."""
    return None if inputs.noise_place == "last" else versions == 0


def show(inputs: Inputs, images: jax.Array, versions: jax.Array, keys: jax.Array, *, noise: float = 0.0) -> jax.Array:
    """Show examples in the versions chosen for them; other versions are not computed.

    Args:
        inputs: The way to use smoothed images (static).
        images: float [B, H, W, C] in [0, 1].
        versions: int32 [B, K], as of `choose`.
        keys: A PRNG key for each example [B]: of its bands, its mixture and its noise.
        noise: The largest standard deviation of the noise that comes before the smoothing where the inputs say "first"
            (static).

    Returns:
        Images [B, K, H, W, C].
    """
    if not inputs.views:
        return (images if inputs.unsmoothed == "raw" else augmix(keys, images))[:, None]
    count, draws = versions.shape
    repeated, numbers = jnp.repeat(images, draws, axis=0), versions.reshape(-1)
    if inputs.noise_place == "first" and noise:
        keys, noise_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        repeated = _noised(noise_keys, repeated, numbers, noise)
    # Nobody draws twice from a key: of an example no more than one version has weighted bands or is a mixture.
    smoothed = _bands_weighted if inputs.way == "scale_mix" else _viewed
    shown = smoothed(inputs, repeated, numbers, keys)
    if inputs.unsmoothed == "augmix":
        shown = _others_mixed(inputs, shown, numbers, keys)
    return shown.reshape(count, draws, *images.shape[1:])


def _noised(keys: jax.Array, repeated: jax.Array, numbers: jax.Array, noise: float) -> jax.Array:
    """The images with noise where they are to be smoothed: rows of the versions of an example, one after another."""
    images = repeated.reshape(len(keys), -1, *repeated.shape[1:])
    pairs = jax.vmap(jax.random.split)(keys)
    noisy = jax.vmap(partial(add_noise, most=noise))(pairs[:, 0], pairs[:, 1], images)
    return jnp.where(numbers[:, None, None, None] > 0, noisy.reshape(repeated.shape), repeated)


def _viewed(inputs: Inputs, images: jax.Array, numbers: jax.Array, keys: jax.Array) -> jax.Array:
    count, total = len(keys), len(images)
    smoothed = {"random": count * (1 - inputs.raw_share), "several": total - count}.get(inputs.way)
    size = count if smoothed is None else max(1, ceil(smoothed / len(inputs.views)))
    return show_versions(images, numbers, inputs.views, inputs.solver, group_size=size)


def _bands_weighted(inputs: Inputs, images: jax.Array, numbers: jax.Array, keys: jax.Array) -> jax.Array:
    times, sigmas = inputs.band_ends
    bands: Bands = "path" if not sigmas else "either" if times else "blur"
    weighted = partial(scale_mix, solver=inputs.solver, bands=bands)
    # What the bands do not ask for keeps its default.
    weighted = partial(weighted, times=times) if times else weighted
    weighted = partial(weighted, sigmas=sigmas) if sigmas else weighted

    def of_group(examples: jax.Array) -> jax.Array:
        return weighted(keys[examples], images[examples])

    return in_groups([of_group], numbers, images, max(1, ceil(len(images) * (1 - inputs.raw_share))))


def _others_mixed(inputs: Inputs, shown: jax.Array, numbers: jax.Array, keys: jax.Array) -> jax.Array:
    """What is shown, with the images that are shown in no view mixed by AugMix."""
    count, draws = len(keys), len(shown) // len(keys)
    # The way "several" leaves one version of each example, and a stage of "coarse_to_fine" everybody or nobody.
    expected = count * inputs.raw_share if inputs.way in ("random", "scale_mix") else count

    def of_group(rows: jax.Array) -> jax.Array:
        return augmix(keys[rows // draws], shown[rows])

    return in_groups([of_group], (numbers == 0).astype(jnp.int32), shown, max(1, ceil(expected)))
