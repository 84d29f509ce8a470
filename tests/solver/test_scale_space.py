"""The path: against the reference, and every property that the mathematics promises of it."""

import jax
import numpy as np
import pytest

import isvs_jax
from isvs_jax.solver.euler import SCHEMES
from isvs_jax.solver.shrinkage import PENALTIES
from tests.reference import Flow
from tests.solver.test_flow import picture

pytestmark = pytest.mark.usefixtures("strict")

TIMES = (0.0, 0.4, 1.0, 3.0)


def energy(image, state, solver):
    """E(u, v) in planar float64 NumPy."""
    x, u = np.moveaxis(np.asarray(image, np.float64), -1, -3), np.asarray(state.u)
    z = [np.asarray(edge) for edge in state.z]
    assert solver.penalty == "color"
    v = [solver.kappa * e * np.maximum(1 - 1 / np.maximum(np.linalg.norm(e, axis=0), 1e-300), 0) for e in z]
    residual = np.sum((np.diff(u, axis=-1) - v[0]) ** 2) + np.sum((np.diff(u, axis=-2) - v[1]) ** 2)
    return 0.5 * np.sum((u - x) ** 2) + residual / (2 * solver.nu)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_path_in_float32_is_the_reference_in_float64(penalty, scheme):
    image = picture()
    solver = isvs_jax.SplitLBI(penalty=penalty, scheme=scheme)
    path = jax.device_get(isvs_jax.scale_space(image, TIMES, solver))
    for k, time in enumerate(TIMES):
        reference = Flow(image, penalty=penalty, scheme=scheme)
        reference = reference.path(time) if scheme == "spectral" else reference.run(time, solver.default_step_size)
        np.testing.assert_allclose(path.dense[k], reference.dense(), atol=1e-5)
        for ours, theirs in zip(path.support, reference.support(), strict=True):
            np.testing.assert_array_equal(np.broadcast_to(ours[k], theirs.shape), theirs)
    assert path.support.horizontal[0].sum() == 0 < path.support.horizontal[-1].sum()
    assert bool(path.stable.all())


@pytest.mark.parametrize(
    ("leading", "shape", "penalty"),
    [
        ((), (1, 1, 3), "color"),
        ((2,), (1, 6, 1), "isotropic"),
        ((), (5, 1, 3), "anisotropic"),
        # Many channels come with a batch axis, few rows upright: else grey or channels first is more likely.
        ((2,), (5, 2, 40), "color"),
        ((2, 1, 2), (4, 6, 3), "isotropic"),
    ],
)
def test_any_shape(leading, shape, penalty):
    images = np.random.default_rng(0).random((*leading, *shape)).astype(np.float32)
    solver = isvs_jax.SplitLBI(penalty=penalty)
    path = jax.device_get(isvs_jax.scale_space(images, [0.3, 0.9], solver))
    edge_channels = shape[2] if penalty == "anisotropic" else 1
    assert path.dense.shape == (2, *leading, *shape)
    assert path.support.horizontal.shape == (2, *leading, shape[0], shape[1] - 1, edge_channels)
    assert path.support.vertical.shape == (2, *leading, shape[0] - 1, shape[1], edge_channels)
    last = (1,) * len(leading)
    index = tuple(size - one for size, one in zip(leading, last, strict=True))
    reference = Flow(images[index], penalty=penalty).path(0.9)
    np.testing.assert_allclose(path.dense[(1, *index)], reference.dense(), atol=1e-5)


def test_recording_more_does_not_change_the_path():
    """One time, several times, several within one step, and `smooth` follow one and the same grid."""
    image = picture()
    times = [0.0, 0.01, 0.02, 0.5, 1.0, 1.003, 2.0]
    path = jax.device_get(isvs_jax.scale_space(image, times))
    for k, time in enumerate(times):
        alone = jax.device_get(isvs_jax.scale_space(image, [time]))
        np.testing.assert_allclose(path.dense[k], alone.dense[0], atol=1e-6)
        np.testing.assert_allclose(path.dense[k], isvs_jax.smooth(image, time), atol=1e-6)
        np.testing.assert_array_equal(path.support.horizontal[k], alone.support.horizontal[0])


def test_mean_is_kept():
    image = picture()
    dense = np.asarray(isvs_jax.scale_space(image, TIMES).dense)
    np.testing.assert_allclose(dense.mean((1, 2)), np.broadcast_to(image.mean((0, 1)), (4, 3)), atol=1e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_energy_never_grows(x64, scheme):
    image = picture(dtype=np.float64)
    solver = isvs_jax.SplitLBI(scheme=scheme)
    step, state = jax.jit(solver.step), solver.init(image)
    energies = [energy(image, state, solver)]
    for _ in range(300):
        for _ in range(1 if scheme == "spectral" else 10):
            state = step(image, state)
        energies.append(energy(image, state, solver))
    assert np.diff(energies).max() <= 1e-12
    assert energies[-1] < 0.2 * energies[0]


def test_path_ends_at_the_image(x64):
    image = picture((4, 5, 2), dtype=np.float64)
    path = np.asarray(isvs_jax.scale_space(image, [1.0, 30.0, 3000.0], isvs_jax.SplitLBI(nu=1.0)).dense)
    distances = [np.abs(u - image).max() for u in path]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-8


def test_a_constant_is_carried_along():
    image = picture()
    shifted, dense = (np.asarray(isvs_jax.scale_space(x, TIMES).dense) for x in (image + np.float32(0.5), image))
    np.testing.assert_allclose(shifted, dense + np.float32(0.5), atol=1e-5)


def test_scaling_contrast_scales_time(x64):
    """path(s·x; κs, t/s) = s·path(x; κ, t)."""
    image, s = picture(dtype=np.float64), 3.0
    plain = np.asarray(isvs_jax.smooth(image, 1.5, isvs_jax.SplitLBI(kappa=5.0), num_steps=200))
    scaled = isvs_jax.smooth(s * image, 1.5 / s, isvs_jax.SplitLBI(kappa=5.0 * s), num_steps=200)
    np.testing.assert_allclose(scaled, s * plain, atol=1e-10)


@pytest.mark.parametrize("penalty", ["anisotropic", "color"])
def test_flips_and_transposes_commute(penalty):
    image = picture()
    solver = isvs_jax.SplitLBI(penalty=penalty)
    path = isvs_jax.smooth(image, 1.5, solver)
    for move in (np.flipud, np.fliplr, lambda x: np.swapaxes(x, 0, 1)):
        np.testing.assert_allclose(isvs_jax.smooth(move(image), 1.5, solver), move(np.asarray(path)), atol=2e-6)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_first_group_enters_at_its_time(x64, penalty):
    """t₁ = 1/max|(Du₀)/ν|, to within one step."""
    image = picture(dtype=np.float64)
    solver = isvs_jax.SplitLBI(penalty=penalty)
    reference = Flow(image, penalty=penalty)
    reference.z = reference.d @ reference.u / reference.nu
    first, alpha = 1 / reference.norms().max(), solver.default_step_size
    supports = jax.device_get(isvs_jax.scale_space(image, [first - 1e-9, first + alpha], solver).support)
    entered = [sum(int(edge[k].sum()) for edge in supports) for k in (0, 1)]
    assert entered[0] == 0 < entered[1]


def row(*runs):
    """A 1-D picture of (value, length) runs."""
    return np.concatenate([np.full(length, value) for value, length in runs])[None, :, None].astype(np.float64)


@pytest.mark.parametrize(("left", "right", "height"), [(10, 30, 1.0), (5, 35, 0.5), (20, 20, 2.0)])
def test_small_nu_is_the_total_variation_scale_space(x64, left, right, height):
    """A step of height h over n₁ and n₂ pixels enters at (n₁ + n₂)/(n₁ n₂ h) as ν → 0."""
    image = row((0.0, left), (height, right))
    expected = (left + right) / (left * right * height)
    solver = isvs_jax.SplitLBI(nu=1e-5, kappa=0.01)
    path = isvs_jax.scale_space(image, [0.97 * expected, 1.03 * expected], solver)
    supports = np.asarray(path.support.horizontal)
    assert (int(supports[0].sum()), int(supports[1].sum())) == (0, 1)
    assert bool(supports[1, 0, left - 1, 0])


@pytest.mark.parametrize(("nu", "wide_first"), [(0.01, True), (1.0, False)])
def test_nu_decides_whether_scale_or_contrast_comes_first(x64, nu, wide_first):
    """A wide low bump (0.5 × 50 px) against a narrow high one (1.0 × 5 px)."""
    image = row((0.0, 40), (0.5, 50), (0.0, 40), (1.0, 5), (0.0, 40))
    path = isvs_jax.scale_space(image, np.arange(0.04, 6, 0.04), isvs_jax.SplitLBI(nu=nu))
    entered = np.asarray(path.support.horizontal)[:, 0, :, 0]
    wide, narrow = (int(np.argmax(entered[:, edges].all(1))) for edges in ([39, 89], [129, 134]))
    assert entered[-1, [39, 89, 129, 134]].all()
    assert (wide < narrow) == wide_first


def test_large_nu_decouples_the_edges(x64):
    """ν → ∞: an edge enters at ν/|Dx|."""
    image, nu = row((0.0, 10), (0.5, 3), (0.2, 7)), 1e5
    path = isvs_jax.scale_space(
        image, [0.99 * nu / 0.5, 1.01 * nu / 0.5, 0.99 * nu / 0.3, 1.01 * nu / 0.3], isvs_jax.SplitLBI(nu=nu)
    )
    assert np.asarray(path.support.horizontal).sum((1, 2, 3)).tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_step_16_times_smaller_changes_little(x64, scheme):
    """Relative error of u over the energy of x − mean, as stated for the default step."""
    image = picture((16, 16, 3), dtype=np.float64)
    solver = isvs_jax.SplitLBI(scheme=scheme)
    fine = isvs_jax.SplitLBI(step_size=isvs_jax.SplitLBI().default_step_size / 16)
    difference = np.asarray(isvs_jax.smooth(image, 4.0, solver)) - np.asarray(isvs_jax.smooth(image, 4.0, fine))
    spread = image - image.mean((0, 1))
    assert np.linalg.norm(difference) / np.linalg.norm(spread) < 0.01
