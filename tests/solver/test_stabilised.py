"""The long steps: their stages, their accuracy, and what must not change with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import isvs_jax
from isvs_jax.solver.integrator import choose_integrator
from isvs_jax.solver.plan import chebyshev_stages, plan_path
from tests.reference import Flow
from tests.solver.test_flow import picture

pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize(("stages", "damping"), [(1, 0.0), (2, 1.0), (3, 0.7), (3, 4.0), (4, 0.8)])
def test_stages_follow_the_damped_chebyshev_polynomial(stages, damping):
    """First order at 0, at most 1/Tₛ(w₀) on the fast rates, and the bound is sharp."""
    method = chebyshev_stages(stages, damping)

    def growth(rate):
        before = now = np.ones_like(rate)
        for mu, nu, of_slope in method.coefficients:
            before, now = now, mu * now + nu * before - of_slope * rate * now
        return now

    np.testing.assert_allclose((growth(np.array(1e-6)) - 1) / 1e-6, -1, rtol=1e-5)
    rates = np.linspace(0, method.bound, 1001)
    cap = 1 / np.cosh(stages * np.arccosh(1 + damping / stages**2))
    assert np.abs(growth(rates[rates > 0.5 * method.bound])).max() <= cap + 1e-12
    assert np.abs(growth(rates)).max() <= 1 + 1e-12
    np.testing.assert_allclose(abs(growth(np.array(method.bound))), cap)
    assert abs(growth(np.array(1.2 * method.bound))) > 1
    assert chebyshev_stages(1, 0.0).bound == 2


@pytest.mark.parametrize("tolerance", [None, 0.006, 0.001])
def test_all_settling_steps_together_let_no_mode_grow(tolerance):
    """Some are longer than the bound 2 of a single Euler step; between them a mode at most doubles."""
    plan = plan_path(tolerance)
    rates = np.linspace(0, 1, 2001)
    growth = np.cumprod([np.abs(1 - plan.scale * length * rates) for length in plan.settling], axis=0)
    assert growth[-1].max() <= 1
    assert growth.max() < 2


def test_rows_of_a_plan_are_its_steps_one_by_one():
    plan = plan_path(0.001)
    expected = []
    for number in range(5):
        for stage in chebyshev_stages(*plan.long).coefficients:
            expected.append([*stage, number * plan.long_length, plan.long_length])
    for _ in range(plan.num_middle):
        expected += [[*stage, -1, plan.middle_length] for stage in chebyshev_stages(*plan.middle).coefficients]
    expected += [[1, 0, 1, -1, plan.scale * length] for length in plan.settling]
    np.testing.assert_allclose(np.concatenate([plan.long_rows(5), plan.finish_rows()]), expected, rtol=1e-14)
    np.testing.assert_array_equal(plan.rows(0), plan.finish_rows())
    assert plan.long_rows(0).shape == (0, 5)


def test_tolerance_lowers_the_error_and_long_steps_beat_euler_steps(x64):
    """Relative error of u over the energy of x − mean, against Euler steps 32 times smaller."""
    image = picture((16, 16, 3), dtype=np.float64)
    norm = np.linalg.norm(image - image.mean((0, 1)))
    time, euler = 3.0, isvs_jax.SplitLBI().default_step_size
    exact = Flow(image).run(time, euler / 32).dense()

    def error(**options):
        return np.linalg.norm(isvs_jax.smooth(image, time, isvs_jax.SplitLBI(**options)) - exact) / norm

    errors = [error(tolerance=tolerance) for tolerance in (0.0003, 0.001)] + [error(), error(tolerance=0.01)]
    assert errors == sorted(errors)
    assert errors[1] < 0.0015
    assert errors[2] < min(0.003, error(step_size=euler))
    assert errors[3] < 0.01


def test_energy_falls_from_one_recorded_time_to_the_next(x64):
    image, times = picture(dtype=np.float64), np.arange(0.05, 4.0, 0.4)
    path = np.asarray(isvs_jax.scale_space(image, times).dense)
    energies = []
    for number, time in enumerate(times):
        flow = Flow(image).path(time)
        energies.append(flow.energy())
        np.testing.assert_allclose(path[number], flow.dense(), atol=1e-10)
        if number % 3 == 0:
            np.testing.assert_allclose(isvs_jax.smooth(image, time), flow.dense(), atol=1e-10)
    assert np.diff(energies).max() <= 1e-12
    assert energies[-1] < 0.5 * energies[0]


def test_path_is_continuous_where_one_long_step_more_fits(x64):
    image = picture(dtype=np.float64)
    plan, unit = plan_path(None), 0.1 / 5.0
    first = 1 / np.linalg.norm(Flow(image).d @ Flow(image).u / 0.1, axis=1).max()
    time = first + unit * (plan.finish_length + 3 * plan.long_length)
    times = time + np.array([-1e-4, -1e-5, 1e-5, 1e-4])
    dense = np.asarray(isvs_jax.scale_space(image, times).dense)
    assert np.abs(np.diff(dense, axis=0)).max() < 1e-4


def test_gradient_through_long_steps_is_that_of_finite_differences(x64):
    image = picture((5, 6, 2), dtype=np.float64)
    weights, direction = np.random.default_rng(1).normal(size=(2, *image.shape))

    def loss(image):
        return jnp.vdot(weights, isvs_jax.smooth(image, 3.0))

    at = jax.jit(jax.value_and_grad(loss))
    expected = (at(image + 1e-6 * direction)[0] - at(image - 1e-6 * direction)[0]) / 2e-6
    np.testing.assert_allclose(np.vdot(at(image)[1], direction), expected, rtol=1e-5)


def test_an_image_without_contrast_stays_and_has_a_gradient():
    flat = np.full((4, 5, 3), 0.3, np.float32)

    def total(image):
        smoothed = isvs_jax.smooth(image, 4.0)
        return smoothed.sum(), smoothed

    (_, smoothed), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(flat)
    np.testing.assert_allclose(smoothed, flat, atol=1e-6)
    np.testing.assert_allclose(gradient, 1, atol=1e-5)


def test_solves_are_fewer_than_euler_steps():
    euler = 4.0 / isvs_jax.SplitLBI().default_step_size
    solves = {
        tolerance: choose_integrator(isvs_jax.SplitLBI(tolerance=tolerance), jnp.zeros((8, 8, 3)), 4.0, None).solves()
        for tolerance in (None, 0.006, 0.001)
    }
    assert solves[0.006] < solves[None] < solves[0.001]
    assert solves[None] < 0.65 * euler


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda x: isvs_jax.SplitLBI(tolerance=0.0), ValueError, r"tolerance must be a number in \(0, 1\); got 0.0"),
        (lambda x: isvs_jax.SplitLBI(tolerance=float("nan")), ValueError, "tolerance must .*; got nan"),
        (lambda x: isvs_jax.SplitLBI(tolerance="low"), TypeError, "tolerance must .*; got 'low'"),
        (lambda x: isvs_jax.SplitLBI(tolerance=True), TypeError, "tolerance must .*; got True"),
        (
            lambda x: isvs_jax.SplitLBI(tolerance=0.01, step_size=0.01),
            ValueError,
            "tolerance must be None .*; got 0.01 with .*step_size",
        ),
        (lambda x: isvs_jax.SplitLBI(tolerance=0.01, scheme="explicit"), ValueError, "scheme='explicit'"),
        (
            lambda x: isvs_jax.smooth(x, 1.0, isvs_jax.SplitLBI(tolerance=0.01), num_steps=50),
            ValueError,
            "num_steps must be None where the solver has a tolerance; got 50 with tolerance=0.01",
        ),
    ],
)
def test_bad_tolerances_are_refused_with_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(picture())
