"""Views: the smoothed versions that an image can be shown in, of the path or of a filter it is compared with."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import jax
import jax.numpy as jnp

from isvs_jax import SplitLBI, piecewise_constant, scale_space
from isvs_jax.filters.matching import FILTERS

Kind = Literal["dense", "sparse", "blur", "lowpass", "rof"]
_FORM = "'KIND:STRENGTH', such as 'dense:4', with a KIND of " + ", ".join(get_args(Kind))


@dataclass(frozen=True, order=True)
class View:
    """One smoothed version of an image.

    Attributes:
        strength: For "dense" and "sparse" a time of the path, ≥ 0. For "blur" the standard deviation of a Gaussian in
            pixels, ≥ 0. For "lowpass" the cut-off as a share of the Nyquist frequency, in (0, 1]. For "rof" the weight
            of the total variation, > 0.
        kind: "dense" or "sparse" image of the path, "blur" (`gaussian_blur`), "lowpass" (`low_pass`) or "rof".

    Raises:
        ValueError: A kind or a strength that cannot be.

    Example:
        >>> View.parse("sparse:8")
        View(strength=8.0, kind='sparse')
    """

    FORM: ClassVar[str] = "KIND:STRENGTH"

    strength: float
    kind: Kind = "dense"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind is {self.kind!r}; it may be one of {', '.join(map(repr, get_args(Kind)))}.")
        if isinstance(self.strength, bool) or not isinstance(self.strength, (int, float)):
            raise TypeError(f"strength is {self.strength!r}; it may be a number.")
        if self.kind == "lowpass":
            fits, range_ = 0 < self.strength <= 1, "a share of the Nyquist frequency in (0, 1]"
        elif self.kind == "rof":
            fits, range_ = 0 < self.strength < float("inf"), "a finite weight > 0"
        else:
            what = "time" if self.is_path else "number of pixels"
            fits, range_ = 0 <= self.strength < float("inf"), f"a finite {what} ≥ 0"
        if not fits:
            raise ValueError(f"strength of kind {self.kind!r} is {self.strength}; it may be {range_}.")

    @property
    def is_path(self) -> bool:
        """Whether the view belongs to the inverse scale space path."""
        return self.kind in ("dense", "sparse")

    @classmethod
    def parse(cls, text: str) -> "View":
        """A view from "KIND:STRENGTH"; the inverse of `str`."""
        kind, _, strength = text.partition(":")
        try:
            number = float(strength)
        except ValueError:
            raise ValueError(f"view is {text!r}; it may be {_FORM}.") from None
        try:
            return cls(number, kind)  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"view is {text!r}; it may be {_FORM}: {error}") from error

    def __str__(self) -> str:
        short = f"{self.strength:g}"
        return f"{self.kind}:{short if float(short) == self.strength else repr(float(self.strength))}"


def show_views(images: jax.Array, views: tuple[View, ...], solver: SplitLBI = SplitLBI()) -> jax.Array:
    """Every image in each of the views.

    All views of the path come from one call of `scale_space`: a path is followed once, to the latest time.

    Args:
        images: float [B, H, W, C] in [0, 1], may be traced.
        views: V views (static), in any order; a time may be there twice, dense and sparse.
        solver: The flow.

    Returns:
        [V, B, H, W, C], the dtype of `images`.

    Raises:
        ValueError: `views` is empty, or `images` is not [B, H, W, C].

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
        >>> show_views(images, (View(1.0), View(2.0, "sparse"), View(0.8, "blur"))).shape
        (3, 2, 8, 8, 1)
    """
    if not views:
        raise ValueError("views is empty; it may hold one view or more.")
    if images.ndim != 4:
        raise ValueError(f"images has shape {images.shape}; it may be [B, H, W, C].")
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
