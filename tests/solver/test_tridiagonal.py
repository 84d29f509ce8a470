"""Elimination along rows, against SciPy's banded solver and the transforms that it takes the place of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from isvs_jax.solver import cosine
from isvs_jax.solver.tridiagonal import inverse_pivots, solve_rows


@pytest.mark.parametrize("height", [1, 2, 9])
def test_rows_are_scipys(x64, height):
    shift = np.array([1e-6, 0.1, 4.0, 300.0])
    right = np.random.default_rng(0).normal(size=(2, height, 4))
    solved = jax.jit(solve_rows)(jnp.asarray(right), jnp.asarray(shift))
    for column, a in enumerate(shift):
        laplacian = np.diff(np.eye(height), axis=0).T @ np.diff(np.eye(height), axis=0)
        expected = scipy.linalg.solve(a * np.eye(height) + laplacian, right[:, :, column].T).T
        np.testing.assert_allclose(solved[:, :, column], expected, rtol=1e-8)


def test_pivots_are_those_of_the_elimination(x64):
    shift, height = np.array([1e-3, 0.1, 8.0]), 40
    pivots = [shift + 1]
    for row in range(1, height):
        pivots.append(shift + (2 if row < height - 1 else 1) - 1 / pivots[-1])
    np.testing.assert_allclose(inverse_pivots(jnp.asarray(shift), height), 1 / np.array(pivots), rtol=1e-9)
    short = inverse_pivots(jnp.asarray(shift, jnp.float32), height)
    assert short.dtype == jnp.float32
    np.testing.assert_allclose(short, 1 / np.array(pivots), rtol=1e-5)


@pytest.mark.parametrize(("matrix_side", "halved", "width"), [(0, (0, 0), 7), (512, (0, 0), 7), (0, (2, 512), 8)])
def test_a_solve_by_elimination_and_its_derivatives_are_those_by_transforms(
    monkeypatch, x64, matrix_side, halved, width
):
    """Of the image and of ν, forward and reverse, and mapped over images that differ in ν."""
    monkeypatch.setattr(cosine, "CPU_MATRIX_SIDE", matrix_side)
    monkeypatch.setattr(cosine, "HALVED_SIDES", halved)
    right, weights, direction = np.random.default_rng(0).normal(size=(3, 2, 9, width))

    def results(rows):
        monkeypatch.setattr(cosine, "SWEPT_ROWS", rows)
        monkeypatch.setattr(cosine, "SWEPT_NUMBERS", 1)

        def loss(right, nu):
            return jnp.vdot(weights, cosine.solve(right, nu))

        point, along = (jnp.asarray(right), jnp.asarray(0.1)), (jnp.asarray(direction), jnp.asarray(1.0))

        def computed():
            each = jax.vmap(cosine.solve)(point[0], jnp.array([0.1, 2.0]))
            slopes = jax.grad(loss, argnums=(0, 1))(*point)
            return each, slopes, jax.jvp(loss, point, along), jax.grad(jax.grad(loss, 1), 1)(*point)

        return jax.jit(computed)()

    ours, expected = results(1), results(64)
    jax.tree.map(lambda ours, expected: np.testing.assert_allclose(ours, expected, rtol=1e-9), ours, expected)


def test_who_is_swept(monkeypatch):
    """Many rows, and enough numbers in each: elimination is a loop over them."""

    def is_swept(*shape):
        return "linear_solve" in str(jax.make_jaxpr(lambda b: cosine.solve(b, 0.1))(jnp.zeros(shape)))

    assert is_swept(4, 3, 64, 64)
    assert not is_swept(4, 3, 63, 64)
    assert not is_swept(3, 64, 64)
    auto = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((2,), ("data",), auto, devices=jax.devices()[:2])
    share = jax.shard_map(lambda b: cosine.solve(b, 0.1), mesh=mesh, in_specs=jax.P("data"), out_specs=jax.P("data"))
    assert "linear_solve" not in str(jax.make_jaxpr(share)(jnp.zeros((8, 3, 64, 64))))
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert not is_swept(4, 3, 64, 64)
