"""Balls of radius epsilon around images: norms, projections, steepest steps and random starts."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

NORMS = ("linf", "l2")


def _per_image(values: jax.Array, images: jax.Array) -> jax.Array:
    """Shape one number an image, [B], so that it broadcasts against images, [B, H, W, C]."""
    return values.reshape((-1,) + (1,) * (images.ndim - 1))


def size(delta: jax.Array, norm: str) -> jax.Array:
    """Norm of every perturbation of a batch, [B]."""
    flat = delta.reshape(delta.shape[0], -1)
    if norm == "linf":
        return jnp.max(jnp.abs(flat), axis=1)
    return jnp.sqrt(jnp.sum(flat * flat, axis=1))


def project(images: jax.Array, centres: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """Take images into the ball around centres, then into the box [0, 1].

    For L∞ this is the nearest point of ball ∩ box. For L2 it is a point of it (centres lie in the
    box, so that clipping only ever shortens the perturbation), the one that the L2 attacks of the
    literature use.
    """
    if norm == "linf":
        return jnp.clip(jnp.clip(images, centres - epsilon, centres + epsilon), 0.0, 1.0)
    delta = images - centres
    length = size(delta, norm)
    # Inside the ball the factor is exactly 1, so that such points come back unchanged.
    outside = length > epsilon
    factor = jnp.where(outside, epsilon / jnp.where(outside, length, 1.0), 1.0)
    moved = centres + delta * _per_image(factor, images)
    return jnp.clip(jnp.where(_per_image(outside, images), moved, images), 0.0, 1.0)


def steepest(gradients: jax.Array, norm: str) -> jax.Array:
    """Direction of length one along which a linear function grows fastest; zero stays zero."""
    if norm == "linf":
        return jnp.sign(gradients)
    # Dividing by the largest entry first keeps gradients of 1e-30, whose squares underflow, usable.
    largest = _per_image(size(gradients, "linf"), gradients)
    scaled = gradients / jnp.where(largest > 0, largest, 1.0)
    length = _per_image(size(scaled, "l2"), gradients)
    return scaled / jnp.where(length > 0, length, 1.0)


def uniform_in_ball(keys: jax.Array, centres: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """One uniform point of the ball around each centre, clipped into the box; one key an image."""
    shape = centres.shape[1:]

    def draw(key: jax.Array) -> jax.Array:
        if norm == "linf":
            return jax.random.uniform(key, shape, centres.dtype, -1.0, 1.0)
        direction_key, radius_key = jax.random.split(key)
        direction = jax.random.normal(direction_key, shape, centres.dtype)
        radius = jax.random.uniform(radius_key, (), centres.dtype) ** (1.0 / centres[0].size)
        return direction * (radius / jnp.sqrt(jnp.sum(direction**2)))

    return project(centres + epsilon * jax.vmap(draw)(keys), centres, epsilon, norm)


def uniform_on_sphere(keys: jax.Array, centres: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """One random point at distance epsilon from each centre, clipped into the box.

    The starts of APGD: uniform in the cube (L∞) or Gaussian (L2), stretched to the boundary.
    """
    shape = centres.shape[1:]

    def draw(key: jax.Array) -> jax.Array:
        if norm == "linf":
            point = jax.random.uniform(key, shape, centres.dtype, -1.0, 1.0)
            return point / jnp.max(jnp.abs(point))
        point = jax.random.normal(key, shape, centres.dtype)
        return point / jnp.sqrt(jnp.sum(point**2))

    return project(centres + epsilon * jax.vmap(draw)(keys), centres, epsilon, norm)


@functools.partial(jax.jit, static_argnames=("draw", "norm"))
def start_of_run(
    draw: Callable[..., jax.Array],
    keys: jax.Array,
    run: jax.Array,
    centres: jax.Array,
    epsilon: jax.Array,
    norm: str,
) -> jax.Array:
    """Random starts of run number `run`; compiled by itself, so that all attacks share it."""
    run_keys = jax.vmap(lambda key: jax.random.fold_in(key, run))(keys)
    return draw(run_keys, centres, epsilon, norm)
