"""Views: the smoothed versions that an image can be shown in, of the path or of a filter it is compared with."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax import SplitLBI, piecewise_constant, scale_space
from isvs_jax._checks import ArrayLike, brief, check_choice, check_number, check_scalar
from isvs_jax._images import as_image
from isvs_jax.filters.matching import FILTERS

Kind = Literal["dense", "sparse", "blur", "lowpass", "rof"]
# Where the strength of each kind lies, and what it counts.
_STRENGTHS = {
    "dense": ("[0, inf)", "time"),
    "sparse": ("[0, inf)", "time"),
    "blur": ("[0, inf)", "number of pixels"),
    "lowpass": ("(0, 1]", "share of the Nyquist frequency"),
    "rof": ("(0, inf)", "weight"),
}


@dataclass(frozen=True, order=True)
class View:
    """One smoothed version of an image.

    Attributes:
        strength: For "dense" and "sparse" a time of the path, ≥ 0. For "blur" the standard deviation of a Gaussian in
            pixels, ≥ 0. For "lowpass" the cut-off as a share of the Nyquist frequency, in (0, 1]. For "rof" the weight
            of the total variation, > 0.
        kind: The "dense" or "sparse" image of the path, "blur" (`gaussian_blur`), "lowpass" (`low_pass`) or "rof".

    Raises:
        TypeError: `strength` is no number.
        ValueError: `kind` is unknown, or `strength` is out of its range.

    Example:
        >>> View.parse("sparse:8")
        View(strength=8.0, kind='sparse')
    """

    FORM: ClassVar[str] = "KIND:STRENGTH"

    strength: float
    kind: Kind = "dense"

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, get_args(Kind))
        interval, unit = _STRENGTHS[self.kind]
        check_number(f"strength of kind {self.kind!r}", self.strength, interval, unit=unit)

    @property
    def is_path(self) -> bool:
        """Whether the view belongs to the path."""
        return self.kind in ("dense", "sparse")

    @classmethod
    def parse(cls, text: str) -> "View":
        """Read a view from "KIND:STRENGTH"; the inverse of `str`.

        Raises:
            ValueError: The text has another form, or its kind or strength is not one of a view.
        """
        kind, _, strength = text.partition(":")
        try:
            return cls(float(strength), cast(Kind, kind))
        except ValueError as error:
            # What float says of a text is no sentence.
            hint = f" {error}" if str(error).endswith(".") else ""
            raise ValueError(
                f"view must be KIND:STRENGTH, such as dense:4, with a KIND of {', '.join(get_args(Kind))}; "
                f"got {text!r}.{hint}"
            ) from None

    def __str__(self) -> str:
        short = f"{self.strength:g}"
        return f"{self.kind}:{short if float(short) == self.strength else repr(float(self.strength))}"


def check_strengths(name: str, strengths: Sequence[float], unit: str) -> tuple[float, ...]:
    """Times or widths as floats: one or more positive numbers.

    Raises:
        TypeError: One of them is no number.
        ValueError: There are none, or one is not positive and finite.
    """
    if isinstance(strengths, str) or not isinstance(strengths, (Sequence, np.ndarray)) or not len(strengths):
        raise ValueError(f"{name} must be one or more positive numbers; got {brief(strengths)}.")
    return tuple(check_number(f"each of {name}", strength, "(0, inf)", unit=unit) for strength in strengths)


def with_numbers(solver: SplitLBI) -> SplitLBI:
    """The solver with Python numbers in place of arrays, so that it can be a static argument.

    Raises:
        TypeError: `solver` is no `SplitLBI`, or one of its numbers is traced.
    """
    if not isinstance(solver, SplitLBI):
        raise TypeError(f"solver must be an isvs_jax.SplitLBI; got {brief(solver)}.")
    step_size = None if solver.step_size is None else _seen("step_size", solver.step_size)
    return dataclasses.replace(
        solver, kappa=_seen("kappa", solver.kappa), nu=_seen("nu", solver.nu), step_size=step_size
    )


def _seen(name: str, value: ArrayLike) -> float:
    if isinstance(value, jax.core.Tracer):
        raise TypeError(f"{name} must be a number that can be seen; got a traced value.")
    check_scalar(name, value)
    return float(value)


def show_views(images: jax.Array, views: tuple[View, ...], solver: SplitLBI = SplitLBI()) -> jax.Array:
    """Show every image in each of the views.

    Each image is smoothed for itself, so a batch gives what its images give one by one. All views of the path come from
    one call of `scale_space`: a path is followed once, to the latest time.

    Args:
        images: float [B, H, W, C] in [0, 1], may be traced.
        views: The V views (static), in any order; a time may occur twice, dense and sparse.
        solver: The flow.

    Returns:
        Images [V, B, H, W, C] with the dtype of `images`.

    Raises:
        TypeError: `images` is not of a floating dtype.
        ValueError: `views` is empty, or `images` is not [B, H, W, C].

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
        >>> show_views(images, (View(1.0), View(2.0, "sparse"), View(0.8, "blur"))).shape
        (3, 2, 8, 8, 1)
    """
    if not views:
        raise ValueError("views must hold at least one view; got none.")
    images = as_image(images, "images")
    if images.ndim != 4:
        raise ValueError(f"images must be [B, H, W, C]; got shape {images.shape}.")
    path_views = _path_views(images, tuple(view for view in views if view.is_path), solver)
    return jnp.stack(
        [path_views[view] if view.is_path else FILTERS[view.kind](images, view.strength) for view in views]
    )


def _path_views(images: jax.Array, views: tuple[View, ...], solver: SplitLBI) -> dict[View, jax.Array]:
    if not views:
        return {}
    times = sorted({view.strength for view in views})
    path = scale_space(images, times, solver)

    def one(view: View) -> jax.Array:
        at = times.index(view.strength)
        if view.kind == "dense":
            return path.dense[at]
        return piecewise_constant(images, jax.tree.map(lambda edges: edges[at], path.support))

    return {view: one(view) for view in dict.fromkeys(views)}
