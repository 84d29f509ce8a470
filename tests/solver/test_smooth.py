from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import isvs_jax
from isvs_jax.solver import euler
from isvs_jax.solver._smooth import support_fraction
from tests.reference import Flow, project
from tests.solver.test_flow import picture

# Small beside the second derivative of a path, large beside the rounding of float64.
H = 1e-6


@jax.jit
def of_time(image, time):
    """The image at a time up to 8 + H, and its derivative by the time."""
    at = partial(isvs_jax.smooth, image, max_time=8.0 + 2 * H)
    return jax.jvp(at, (time,), (jnp.ones_like(time),))


pytestmark = pytest.mark.usefixtures("strict")


@pytest.fixture(scope="module")
def images():
    return np.stack([picture(seed=seed) for seed in range(3)])


def test_a_time_for_each_image(images):
    times = [0.0, 1.0, 2.5]
    together = np.asarray(isvs_jax.smooth(images, times))
    for image, time, ours in zip(images, times, together, strict=True):
        np.testing.assert_allclose(ours, isvs_jax.smooth(image, time), atol=5e-6)
    mapped = jax.vmap(lambda image, time: isvs_jax.smooth(image, time, num_steps=70))(images, jnp.array(times))
    np.testing.assert_allclose(mapped, isvs_jax.smooth(images, times, num_steps=70), atol=5e-6)
    grid = np.asarray(isvs_jax.smooth(images[None], np.array([times])))
    np.testing.assert_allclose(grid[0], together, atol=5e-6)


@pytest.mark.parametrize("penalty", ["anisotropic", "color"])
def test_sparse_is_the_projection_of_the_reference(images, penalty):
    solver = isvs_jax.SplitLBI(penalty=penalty)
    support = Flow(images[0], penalty=penalty).path(2.0).support()
    expected = project(images[0], *support)
    np.testing.assert_allclose(isvs_jax.smooth(images[0], 2.0, solver, "sparse"), expected, atol=1e-5)


def test_derivative_of_sparse_is_the_averaging(images):
    image, direction = images[:2]
    path = jax.device_get(isvs_jax.scale_space(image, [2.0]))
    support = jax.tree.map(lambda edge: edge[0], path.support)
    expected = isvs_jax.piecewise_constant(direction, support)

    def sparse(image):
        return isvs_jax.smooth(image, 2.0, output="sparse")

    @jax.jit
    def forward_and_reverse(image, direction):
        return jax.jvp(sparse, (image,), (direction,))[1], jax.vjp(sparse, image)[1](direction)[0]

    for derivative in forward_and_reverse(image, direction):
        np.testing.assert_allclose(derivative, expected, atol=1e-6)


def test_a_time_can_be_learned(x64, images):
    """The derivative by t is du/dt: a step along it predicts the path."""
    image = images[0].astype(np.float64)

    def at(time):
        return isvs_jax.smooth(image, time, num_steps=400)

    both = jax.jit(lambda time: jax.jvp(at, (time,), (1.0,)))
    (_, slope), (after, _), (before, _) = (jax.device_get(both(time)) for time in (2.0, 2.0 + 1e-5, 2.0 - 1e-5))
    np.testing.assert_allclose(slope, (after - before) / 2e-5, atol=1e-6)
    assert np.abs(slope).max() > 1e-3


def test_traced_values_that_cannot_be_come_back_as_nan(images):
    run = jax.jit(lambda time: isvs_jax.smooth(images, time, num_steps=60))
    clean = np.asarray(isvs_jax.smooth(images, [1.0, 0.5, 2.0], num_steps=60))
    for bad in (-1.0, np.nan, np.inf, 3.0):
        result = np.asarray(run(np.float32([1.0, bad, 2.0])))
        assert np.isnan(result[1]).all()
        np.testing.assert_allclose(result[::2], clean[::2], atol=5e-6)


def test_traced_times_up_to_a_bound_need_no_count_of_steps(x64, images):
    """By jit in one program, by vmap, by the gradient; the path, and what is past the bound is NaN."""
    image, times = np.float64(images[0]), [0.0, 0.05, 1.0, 2.7, 4.0]
    traced = []

    @jax.jit
    def within(time):
        traced.append(time)
        return isvs_jax.smooth(image, time, max_time=4.0)

    expected = np.stack([Flow(image).path(time).dense() for time in times])
    np.testing.assert_allclose(np.stack([within(time) for time in times]), expected, atol=1e-12)
    np.testing.assert_allclose(isvs_jax.smooth(image, times[3]), expected[3], atol=1e-12)
    assert all(np.isnan(within(time)).all() for time in (4.001, -0.1, np.nan, np.inf))
    assert len(traced) == 1
    mapped = jax.vmap(lambda time: isvs_jax.smooth(image, time, max_time=4.0))(jnp.array(times))
    np.testing.assert_allclose(mapped, expected, atol=1e-12)
    record = jax.jit(lambda times: isvs_jax.scale_space(image, times, max_time=4.0))
    path = jax.device_get(record(np.array([0.05, 1.0, 4.5])))
    assert path.stable.tolist() == [True, True, False]
    np.testing.assert_allclose(path.dense[:2], expected[1:3], atol=1e-12)

    def loss(time):
        return jnp.vdot(np.linspace(-1, 1, image.size).reshape(image.shape), isvs_jax.smooth(image, time, max_time=4.0))

    at = jax.jit(jax.value_and_grad(loss))
    slope = (at(2.0 + 1e-5)[0] - at(2.0 - 1e-5)[0]) / 2e-5
    np.testing.assert_allclose(at(2.0)[1], slope, rtol=1e-5)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(time=st.floats(0.01, 8.0), seed=st.integers(0, 2**16), contrast=st.floats(0.2, 2.0))
def test_the_derivative_by_time_is_that_of_finite_differences(time, seed, contrast):
    """Wherever the path has a derivative: not where a group enters or a solve more fits, within a step of which two
    finite differences disagree.
    """
    with jax.enable_x64(True):
        image = contrast * np.random.default_rng(seed).random((3, 4, 2))
        value, slope = (np.asarray(array) for array in of_time(image, time))
        (before, _), (after, _) = of_time(image, time - H), of_time(image, time + H)
        left, right = (value - before) / H, (after - value) / H
        if np.abs(left - right).max() < 1e-4:
            np.testing.assert_allclose(slope, (left + right) / 2, rtol=0, atol=1e-7)


def test_until_stops_each_image_at_the_first_step_that_has_the_fraction(images):
    solver = isvs_jax.SplitLBI()
    wanted = [0.1, 0.3, 0.0]
    stopped = jax.device_get(isvs_jax.smooth_until(images, wanted, max_time=20.0))
    assert stopped.reached.tolist() == [True] * 3
    for k, fraction in enumerate(wanted):
        flow, alpha = Flow(images[k]), solver.default_step_size
        while np.mean(np.concatenate([edge[..., 0].ravel() for edge in flow.support()])) < fraction:
            flow.step(alpha)
        np.testing.assert_allclose(stopped.image[k], flow.dense(), atol=1e-5)
    assert stopped.time[2] == 0 < stopped.time[0] < stopped.time[1]
    alone = isvs_jax.smooth_until(images[1], 0.3, max_time=20.0, output="sparse")
    np.testing.assert_allclose(alone.time, stopped.time[1])
    by_steps = isvs_jax.SplitLBI(step_size=solver.default_step_size)
    expected = isvs_jax.smooth(images[1], float(alone.time), by_steps, output="sparse")
    np.testing.assert_allclose(alone.image, expected, atol=1e-5)


def test_until_says_when_it_did_not_get_there(images):
    stopped = jax.device_get(isvs_jax.smooth_until(images, [1.0, 0.01, 1.0], max_time=1.5))
    assert stopped.reached.tolist() == [False, bool(stopped.fraction[1] >= 0.01), False]
    np.testing.assert_allclose(stopped.time[0], 1.5, rtol=1e-6)
    by_steps = isvs_jax.SplitLBI(step_size=isvs_jax.SplitLBI().default_step_size)
    np.testing.assert_allclose(stopped.image[0], isvs_jax.smooth(images[0], 1.5, by_steps), atol=5e-6)
    too_long = jax.jit(lambda time: isvs_jax.smooth_until(images, 0.0, time, num_steps=10))(jnp.array(4.0))
    assert too_long.reached.tolist() == [False] * 3


def test_until_takes_no_step_once_every_image_has_stopped(monkeypatch, images):
    taken, euler_step = [], euler.euler_step

    def counted(*arguments):
        jax.debug.callback(lambda: taken.append(1))
        return euler_step(*arguments)

    monkeypatch.setattr(euler, "euler_step", counted)
    stopped = isvs_jax.smooth_until(images[:2, :, :-1], [0.1, 0.2], max_time=20.0)
    jax.effects_barrier()
    assert stopped.reached.all()
    steps = float(stopped.time.max()) / isvs_jax.SplitLBI().default_step_size
    assert len(taken) == round(steps) < 200


def test_one_pixel_has_nothing_to_wait_for():
    stopped = isvs_jax.smooth_until(jnp.full((1, 1, 3), 0.3), 1.0, max_time=1.0)
    assert repr(stopped).splitlines()[0] == "Stopped(image=float32[1, 1, 3], time=0,"
    assert (float(stopped.time), float(stopped.fraction), bool(stopped.reached)) == (0.0, 1.0, True)
    np.testing.assert_allclose(stopped.image, 0.3, atol=1e-7)


def test_fraction_counts_a_coupled_edge_once():
    support = isvs_jax.Edges(jnp.array([True, False, False]).reshape(1, 3, 1), jnp.zeros((0, 4, 1), bool))
    np.testing.assert_allclose(support_fraction(support, jnp.float32), 1 / 3, rtol=1e-6)


def test_gradient_through_until(x64, images):
    image = np.float64(images[0])

    @jax.jit
    @jax.value_and_grad
    def at(image):
        return (isvs_jax.smooth_until(image, 0.2, max_time=8.0).image ** 2).sum()

    direction = np.random.default_rng(0).normal(size=image.shape)
    expected = (at(image + 1e-7 * direction)[0] - at(image - 1e-7 * direction)[0]) / 2e-7
    np.testing.assert_allclose(np.vdot(at(image)[1], direction), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda x: isvs_jax.smooth(x, [1.0, 2.0]), ValueError, r"time must .* with shape \(3,\); got shape \(2,\)"),
        (lambda x: isvs_jax.smooth(x, 1.0, "dense"), TypeError, "solver must be an isvs_jax.SplitLBI; got 'dense'"),
        (lambda x: isvs_jax.smooth(x, -1.0), ValueError, "time must .*; got -1"),
        (lambda x: isvs_jax.smooth(x, None), TypeError, "time must .*; got None"),
        (lambda x: isvs_jax.smooth(x, "long"), TypeError, "time must .*; got 'long'"),
        (
            lambda x: isvs_jax.smooth(x, 1.0, output="soft"),
            ValueError,
            "output must be one of 'dense', 'sparse'; got 'soft'",
        ),
        (lambda x: isvs_jax.smooth(x, 5.0, max_time=4.0), ValueError, "time must be at most max_time=4; got 5"),
        (lambda x: isvs_jax.smooth(x, 1.0, max_time=-4.0), ValueError, "max_time must be a finite time ≥ 0; got -4"),
        (
            lambda x: isvs_jax.smooth(x, 1.0, max_time=4.0, num_steps=60),
            ValueError,
            "max_time must be None where num_steps is given; got 4.0",
        ),
        (lambda x: isvs_jax.smooth_until(x, 1.5), ValueError, r"fraction must be in \[0, 1\]; got 1.5"),
        (lambda x: isvs_jax.smooth_until(x, [0.5]), ValueError, r"fraction must .*; got shape \(1,\)"),
        (
            lambda x: isvs_jax.smooth_until(x, 0.5, max_time=[1.0, 2.0, 3.0]),
            ValueError,
            "max_time must be a scalar; got shape",
        ),
        (lambda x: isvs_jax.smooth_until(x, 0.5, max_time=np.nan), ValueError, "max_time must .*; got nan"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(images, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(images)
