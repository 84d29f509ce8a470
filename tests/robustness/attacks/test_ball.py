import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from isvs_jax.robustness.attacks._ball import (
    check_ball,
    project,
    size,
    steepest,
    uniform_in_ball,
    uniform_on_sphere,
)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), epsilon=st.floats(0.0, 0.9), norm=st.sampled_from(("linf", "l2")))
def test_projection_is_that_of_numpy_and_lies_in_ball_and_box(seed, epsilon, norm):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(size=(4, 3, 2, 1)).astype(np.float32)
    points = rng.uniform(-1, 2, size=centres.shape).astype(np.float32)
    got = np.asarray(project(jnp.asarray(points), jnp.asarray(centres), jnp.float32(epsilon), norm))
    c, p = centres.astype(np.float64), points.astype(np.float64)
    if norm == "linf":
        want = np.clip(p, np.maximum(c - epsilon, 0), np.minimum(c + epsilon, 1))
    else:
        delta = p - c
        length = np.sqrt((delta**2).sum(axis=(1, 2, 3), keepdims=True))
        want = np.clip(c + delta * np.minimum(1, epsilon / length), 0, 1)
    np.testing.assert_allclose(got, want, atol=3e-7)
    check_ball(centres, got, epsilon, norm)


def test_linf_projection_is_the_nearest_point_by_brute_force():
    # On a grid of one pixel: no admissible value is nearer.
    grid = np.linspace(0, 1, 1001)
    for centre, point, epsilon in ((0.1, 0.7, 0.2), (0.95, 1.4, 0.1), (0.02, -0.5, 0.3)):
        shaped = [jnp.full((1, 1, 1, 1), v) for v in (point, centre)]
        got = float(project(*shaped, jnp.float32(epsilon), "linf")[0, 0, 0, 0])
        admissible = grid[np.abs(grid - centre) <= epsilon + 1e-9]
        assert abs(got - admissible[np.abs(admissible - point).argmin()]) < 1e-6


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_points_inside_come_back_bit_for_bit(norm):
    centres = jax.random.uniform(jax.random.key(0), (5, 4, 4, 3))
    inside = uniform_in_ball(jax.random.split(jax.random.key(1), 5), centres, 0.2, norm)
    assert (project(inside, centres, jnp.float32(0.21), norm) == inside).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_steepest_direction_beats_random_ones_and_has_length_one(norm):
    gradient = jax.random.normal(jax.random.key(0), (1, 4, 4, 3))
    best = steepest(gradient, norm)
    assert float(size(best, norm)[0]) == pytest.approx(1.0, rel=1e-6)
    others = jax.random.normal(jax.random.key(1), (200, 4, 4, 3))
    others = others / size(others, norm)[:, None, None, None]
    assert float((gradient * best).sum()) > float((gradient * others).sum((1, 2, 3)).max())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_tiny_and_zero_gradients(norm):
    gradient = jnp.zeros((2, 2, 2, 1)).at[0].set(1e-30)
    direction = steepest(gradient, norm)
    assert float(size(direction, norm)[0]) == pytest.approx(1.0, rel=1e-6)
    assert (direction[1] == 0).all()


def test_starts_fill_the_ball_and_the_sphere():
    centres = jnp.full((400, 2, 2, 1), 0.5)
    keys = jax.random.split(jax.random.key(0), 400)
    for norm in ("linf", "l2"):
        on_sphere = size(uniform_on_sphere(keys, centres, 0.2, norm) - centres, norm)
        np.testing.assert_allclose(on_sphere, 0.2, rtol=1e-5)
    # The radius of a uniform point of a ball in four dimensions to the fourth power is uniform.
    radius = size(uniform_in_ball(keys, centres, 0.2, "l2") - centres, "l2") / 0.2
    quantiles = np.sort(np.asarray(radius) ** 4)
    # Kolmogorov's bound at 400 draws and a level of 0.001.
    assert np.abs(quantiles - np.linspace(0, 1, 400)).max() < 1.95 / np.sqrt(400)
    cube = np.asarray(uniform_in_ball(keys, centres, 0.2, "linf") - centres).ravel()
    assert np.abs(np.sort(cube) / 0.4 + 0.5 - np.linspace(0, 1, 1600)).max() < 1.95 / 40


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_check_ball_catches_what_is_outside(norm):
    images = np.full((3, 4, 4, 1), 0.5, np.float32)
    moved = images.copy()
    moved[1] += 0.1
    radius = 0.1 if norm == "linf" else 0.4
    check_ball(images, moved, radius, norm)
    with pytest.raises(AssertionError, match="image 1"):
        check_ball(images, moved, radius * 0.999, norm)
    moved[1] = np.nan
    with pytest.raises(AssertionError, match="image 1"):
        check_ball(images, moved, radius, norm)
    with pytest.raises(AssertionError, match=r"must be in \[0, 1\]"):
        check_ball(images, images - 0.6, 1.0 if norm == "linf" else 4.0, norm)
