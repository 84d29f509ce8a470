"""The ball of radius epsilon around an image, within the box [0, 1]: norms, projections, steps, starts, checks.

Everything is done for each image of a batch by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness._inputs import is_concrete

NORMS = ("linf", "l2")


def _per_image(values: jax.Array, images: jax.Array) -> jax.Array:
    """Shape one number for each image, [B], so that it broadcasts against images, [B, H, W, C]."""
    return values.reshape((-1,) + (1,) * (images.ndim - 1))


def size(delta: jax.Array, norm: str) -> jax.Array:
    """The norm of every perturbation of a batch, [B]."""
    flat = delta.reshape(delta.shape[0], -1)
    if norm == "linf":
        return jnp.max(jnp.abs(flat), axis=1)
    return jnp.sqrt(jnp.sum(flat * flat, axis=1))


def project(images: jax.Array, centres: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """Take images into the ball around the centres, then into the box [0, 1].

    For L∞ this is the nearest point of ball ∩ box. For L2 it is a point of it, since the centres lie in the box and
    clipping only ever shortens the perturbation; the L2 attacks of the literature use the same one.
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
    """The direction of length one along which a linear function grows fastest; zero stays zero."""
    if norm == "linf":
        return jnp.sign(gradients)
    # Dividing by the largest entry first keeps gradients of 1e-30, whose squares underflow, usable.
    largest = _per_image(size(gradients, "linf"), gradients)
    scaled = gradients / jnp.where(largest > 0, largest, 1.0)
    length = _per_image(size(scaled, "l2"), gradients)
    return scaled / jnp.where(length > 0, length, 1.0)


def uniform_in_ball(keys: jax.Array, centres: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """Draw one uniform point of the ball around each centre and clip it into the box, from one key for each image."""
    shape = centres.shape[1:]

    def draw(key: jax.Array) -> jax.Array:
        if norm == "linf":
            return jax.random.uniform(key, shape, centres.dtype, -1.0, 1.0)
        direction_key, radius_key = jax.random.split(key)
        direction = jax.random.normal(direction_key, shape, centres.dtype)
        # A ball of N dimensions holds the share r^N of its volume within the radius r.
        radius = jax.random.uniform(radius_key, (), centres.dtype) ** (1.0 / centres[0].size)
        return direction * (radius / jnp.sqrt(jnp.sum(direction**2)))

    return project(centres + epsilon * jax.vmap(draw)(keys), centres, epsilon, norm)


def uniform_on_sphere(keys: jax.Array, centres: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """Draw one random point at distance epsilon from each centre and clip it into the box.

    These are the starts of APGD: uniform in the cube (L∞) or Gaussian (L2), then stretched to the boundary.
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
    """The random starts of run number `run`; it is compiled by itself, so that all attacks share it."""
    run_keys = jax.vmap(lambda key: jax.random.fold_in(key, run))(keys)
    return draw(run_keys, centres, epsilon, norm)


def check_ball(images: Any, adversarial: Any, epsilon: Any, norm: str) -> None:
    """Assert ‖adversarial − images‖ ≤ epsilon and adversarial in [0, 1] for every image.

    The allowance is the rounding of storing an image of values up to 1: two units in the last place for L∞, as much in
    root mean square over the pixels for L2. Traced values are passed over; see `held_in_ball`.

    Raises:
        AssertionError: An image is outside; the sentence names the first, and by how much.
    """
    if not is_concrete(images, adversarial, epsilon):
        return
    centres, moved = np.asarray(images, np.float64), np.asarray(adversarial, np.float64)
    delta = (moved - centres).reshape(len(centres), -1)
    unit = float(np.finfo(np.asarray(adversarial).dtype).eps)
    if norm == "linf":
        sizes, allowance = np.abs(delta).max(axis=1), 2 * unit
    else:
        sizes, allowance = np.linalg.norm(delta, axis=1), 2 * unit * np.sqrt(delta.shape[1])
    # Written as "not ≤" so that NaN is caught as well.
    bad = ~(sizes <= float(epsilon) * (1 + 4 * unit) + allowance)
    if bad.any():
        first = int(np.argmax(bad))
        raise AssertionError(
            f"the perturbation of image {first} must have a {norm} norm of at most epsilon = {float(epsilon)!r}; "
            f"got {sizes[first]!r}."
        )
    if not (moved.min() >= 0.0 and moved.max() <= 1.0):
        raise AssertionError(f"adversarial images must be in [0, 1]; got values from {moved.min()} to {moved.max()}.")


def held_in_ball(images: jax.Array, adversarial: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """The adversarial images, asserted by `check_ball`; under jit NaN in place of one that is outside.

    A traced program cannot raise, so that there the failure is data: an image that left the ball or the box is NaN,
    which no loss and no later check lets pass. The allowance is that of `check_ball` and the rounding of a sum of N
    squares in the dtype of the images.
    """
    if is_concrete(images, adversarial, epsilon):
        check_ball(images, adversarial, epsilon, norm)
        return adversarial
    unit = float(jnp.finfo(adversarial.dtype).eps)
    root = 1.0 if norm == "linf" else float(np.sqrt(np.prod(images.shape[1:])))
    most = epsilon * (1 + (4 + root) * unit) + 2 * unit * root
    in_box = jnp.all((adversarial >= 0) & (adversarial <= 1), axis=(1, 2, 3))
    inside = in_box & (size(adversarial - images, norm) <= most)
    return jnp.where(_per_image(inside, images), adversarial, jnp.nan)
