"""Meshes with explicit axes: sharding is part of the type of an array there, and every operation must say its own."""

from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

import jax
from jax.sharding import AxisType, PartitionSpec

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def left_to_compiler(
    out_specs: Callable[[PartitionSpec], object],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Make a function of images leave its sharding to the compiler, which splits a path image by image.

    Without a mesh, and on one without explicit axes, the function stays as it is.

    Args:
        out_specs: From the specification of the leading axes of the image, the first argument of the function, to
            those of what the function returns: a pytree of the same structure. Keyword arguments are static.
    """

    def decorated(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def called(*args: Arguments.args, **static: Arguments.kwargs) -> Result:
            if AxisType.Explicit not in jax.sharding.get_abstract_mesh().axis_types:
                return function(*args, **static)
            spec = jax.typeof(args[0]).sharding.spec
            leading = PartitionSpec(*spec[:-3])
            return jax.sharding.auto_axes(partial(function, **static), out_sharding=out_specs(leading))(*args)

        return called

    return decorated
