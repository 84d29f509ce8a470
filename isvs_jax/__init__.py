"""Inverse scale space of images in JAX.

An image is rebuilt along a path on the differences between its pixels: large-scale features first,
fine scales and noise last. `scale_space` records the path, `smooth` gives one image of it, `SplitLBI`
is the flow, with `init` and `step` for those who drive it themselves.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from isvs_jax.solver._scale_space import ScaleSpace, scale_space
from isvs_jax.solver._smooth import Stopped, smooth, smooth_until
from isvs_jax.solver.edges import Edges, difference, difference_adjoint
from isvs_jax.solver.flow import FlowState
from isvs_jax.solver.regions import piecewise_constant
from isvs_jax.solver.split_lbi import SplitLBI

if TYPE_CHECKING:
    # For type checkers, which do not call `__getattr__`.
    from isvs_jax import augment as augment
    from isvs_jax import data as data
    from isvs_jax import filters as filters
    from isvs_jax import models as models
    from isvs_jax import plotting as plotting
    from isvs_jax import robustness as robustness
    from isvs_jax import training as training

__all__ = [
    "Edges",
    "FlowState",
    "ScaleSpace",
    "SplitLBI",
    "Stopped",
    "difference",
    "difference_adjoint",
    "piecewise_constant",
    "scale_space",
    "smooth",
    "smooth_until",
]

__version__ = "0.2.0"

_SUBPACKAGES = ("augment", "data", "filters", "models", "plotting", "robustness", "training")


def __getattr__(name: str) -> ModuleType:
    """Import a subpackage when it is first asked for."""
    if name in _SUBPACKAGES:
        return import_module(f"isvs_jax.{name}")
    raise AttributeError(f"module 'isvs_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names and the subpackages."""
    return sorted([*__all__, *_SUBPACKAGES, "__version__"])
