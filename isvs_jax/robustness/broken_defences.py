"""Defences that resist nothing, to test a referee with: a sound one takes each to about zero and warns.

Both end in a step whose derivative is zero, so that an attack through their own gradient stands still.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from isvs_jax.robustness.defences import Defence
from isvs_jax.solver.cosine import solve
from isvs_jax.solver.edges import Edges, forward_differences, forward_differences_adjoint


def rounding_defence(levels: int = 8) -> Defence:
    """Round the input to a few grey levels.

    >>> import jax.numpy as jnp
    >>> rounding_defence(3).forward(jnp.array([0.1, 0.4, 0.9]).reshape(1, 1, 3, 1)).ravel().tolist()
    [0.0, 0.5, 1.0]

    References:
        Xu, Evans, Qi, "Feature squeezing", NDSS 2018; broken by He et al., WOOT 2017.
    """
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 2:
        raise ValueError(f"levels is {levels!r}; it may be an integer of 2 or more.")

    def forward(images: jax.Array) -> jax.Array:
        return jnp.round(images * (levels - 1)) / (levels - 1)

    return Defence(forward, lambda images: images, f"rounding to {levels} levels")


def total_variation_defence(weight: float = 0.1, num_steps: int = 50) -> Defence:
    """Total variation minimisation, min ½‖u − x‖² + weight·TV(u), written out in 8 bits as an image file would be.

    Projected gradient on the dual (isotropic over the two edges of a pixel, each channel by itself).

    >>> import jax.numpy as jnp
    >>> total_variation_defence(0.1, 5).forward(jnp.full((1, 4, 4, 1), 0.2)).round(3).max().item()
    0.20000000298023224

    References:
        Guo, Rana, Cisse, van der Maaten, "Countering adversarial images using input transformations", ICLR 2018;
        broken by Athalye, Carlini, Wagner, ICML 2018.
        Chambolle, "An algorithm for total variation minimization and applications", JMIV 20 (2004).
    """
    if not weight > 0:
        raise ValueError(f"weight is {weight}; it may be a positive number.")

    def forward(images: jax.Array) -> jax.Array:
        planar = jnp.moveaxis(images, -1, -3)

        def ascend(dual: Edges, _: None) -> tuple[Edges, None]:
            slope = forward_differences(planar - _adjoint(dual), -2, -1)
            # ‖D‖² ≤ 8 makes a quarter a stable step.
            moved = Edges(dual.horizontal + slope.horizontal / 4, dual.vertical + slope.vertical / 4)
            length = jnp.sqrt(
                jnp.pad(moved.horizontal, [(0, 0)] * 3 + [(0, 1)]) ** 2
                + jnp.pad(moved.vertical, [(0, 0)] * 2 + [(0, 1), (0, 0)]) ** 2
            )
            scale = weight / jnp.maximum(length, weight)
            return Edges(moved.horizontal * scale[..., :-1], moved.vertical * scale[..., :-1, :]), None

        zero = jax.tree.map(jnp.zeros_like, forward_differences(planar, -2, -1))
        dual, _ = jax.lax.scan(ascend, zero, length=num_steps)
        smoothed = jnp.moveaxis(planar - _adjoint(dual), -3, -1)
        return jnp.round(smoothed * 255) / 255

    def low_pass(images: jax.Array) -> jax.Array:
        planar = solve(jnp.moveaxis(images, -1, -3), jnp.asarray(1.0, images.dtype))
        return jnp.moveaxis(planar, -3, -1)

    return Defence(forward, low_pass, f"total variation, weight = {weight}, {num_steps} steps")


def _adjoint(edges: Edges) -> jax.Array:
    return forward_differences_adjoint(edges, row_axis=-2, column_axis=-1)
