"""The flow of an image: how its dual variable z moves along the path, and the image u that belongs to a z.

    E(u, v) = ½‖u − x‖² + (1/2ν)‖Du − v‖²,   v = κ·shrink(z)
    ż = (Du − v)/ν,   z(0) = 0,   u = argmin E(·, v)

Images come as [..., H, W, C]; everything here is planar, [..., C, H, W], the order in which the steps are fastest.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike
from isvs_jax._images import compute_dtype
from isvs_jax.solver import cosine
from isvs_jax.solver.edges import Edges, forward_differences, forward_differences_adjoint
from isvs_jax.solver.shrinkage import Penalty, shrink


class FlowState(NamedTuple):
    """Where the flow stands. A pytree of arrays, to be carried through `lax.scan`.

    Attributes:
        time: The time t, a scalar or one per image (shape [...]).
        u: The dense image, planar [..., C, H, W], float32 or float64.
        z: The dual variable, planar edges [..., C, H, W-1] and [..., C, H-1, W].
    """

    time: jax.Array
    u: jax.Array
    z: Edges


@partial(jax.tree_util.register_dataclass, data_fields=["kappa", "nu"], meta_fields=["penalty"])
@dataclasses.dataclass(frozen=True)
class Flow:
    """The flow for a damping κ, a coupling ν and a penalty; κ and ν are leaves and may be traced."""

    kappa: ArrayLike
    nu: ArrayLike
    penalty: Penalty

    def start(self, planar: jax.Array) -> FlowState:
        """The state at time 0: z = 0, u = (I + DᵀD/ν)⁻¹x."""
        # From the image, so that under shard_map time and z vary over the mesh as the image does.
        zero = Edges(jnp.zeros_like(planar[..., 1:]), jnp.zeros_like(planar[..., 1:, :]))
        return FlowState(jnp.zeros_like(planar[..., 0, 0, 0]), cosine.solve(planar, cast(self.nu, planar)), zero)

    def slope(self, u: jax.Array, z: Edges) -> Edges:
        """The rate ż = (Du − v)/ν with v = κ·shrink(z)."""
        kappa, nu = cast(self.kappa, u), cast(self.nu, u)
        v = shrink(z, self.penalty)
        return jax.tree.map(lambda du, ve: (du - ve * kappa) / nu, difference(u), v)

    def dense(self, planar: jax.Array, z: Edges) -> jax.Array:
        """The u of a z: argmin E(·, v) = (I + DᵀD/ν)⁻¹(x + Dᵀv/ν) with v = κ·shrink(z).

        z has the axes of the image, or further leading ones: several states of one image.
        """
        factor, nu = cast(self.kappa, planar) / cast(self.nu, planar), cast(self.nu, planar)
        v = jax.tree.map(lambda edge: edge * factor, shrink(z, self.penalty))
        pulled = adjoint(v)
        return cosine.solve(jnp.broadcast_to(planar, pulled.shape) + pulled, nu)


def to_planar(image: jax.Array) -> jax.Array:
    """[..., H, W, C] of any floating dtype to [..., C, H, W] in float32, or float64 where it came so."""
    return jnp.moveaxis(image.astype(compute_dtype(image.dtype)), -1, -3)


def difference(planar: jax.Array) -> Edges:
    """D of a planar image."""
    return forward_differences(planar, row_axis=-2, column_axis=-1)


def adjoint(edges: Edges) -> jax.Array:
    """Dᵀ of planar edges."""
    return forward_differences_adjoint(edges, row_axis=-2, column_axis=-1)


def per_image(numbers: jax.Array) -> jax.Array:
    """Numbers [...], one per image, in a shape that multiplies planar images [..., C, H, W]; a scalar as it is."""
    return numbers[..., None, None, None] if numbers.ndim else numbers


def cast(value: ArrayLike, like: jax.Array) -> jax.Array:
    """A number in the dtype in which an image is computed."""
    return jnp.asarray(value).astype(like.dtype)
