"""The path: against the reference, and every property that the mathematics promises of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, PartitionSpec

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
    path = isvs_jax.scale_space(image, TIMES, solver)
    for k, time in enumerate(TIMES):
        reference = Flow(image, penalty=penalty, scheme=scheme)
        reference = reference.path(time) if scheme == "spectral" else reference.run(time, solver.default_step_size)
        np.testing.assert_allclose(path.dense[k], reference.dense(), atol=1e-5)
        for ours, theirs in zip(path.support, reference.support(), strict=True):
            np.testing.assert_array_equal(np.broadcast_to(ours[k], theirs.shape), theirs)
    assert path.support.horizontal[0].sum() == 0 < path.support.horizontal[-1].sum()
    assert bool(path.stable.all())


@settings(max_examples=8, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 40])),
    leading=st.sampled_from([(), (2,), (2, 1, 2)]),
    penalty=st.sampled_from(PENALTIES),
)
def test_any_shape(shape, leading, penalty):
    if shape[2] > 4:
        # Many channels come with a batch axis, few rows upright: else grey or channels first is more likely.
        shape, leading = (max(shape[:2]), min(shape[:2]), shape[2]), leading or (2,)
    images = np.random.default_rng(0).random((*leading, *shape)).astype(np.float32)
    solver = isvs_jax.SplitLBI(penalty=penalty)
    path = isvs_jax.scale_space(images, [0.3, 0.9], solver)
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
    path = isvs_jax.scale_space(image, times)
    for k, time in enumerate(times):
        alone = isvs_jax.scale_space(image, [time])
        np.testing.assert_allclose(path.dense[k], alone.dense[0], atol=1e-6)
        np.testing.assert_allclose(path.dense[k], isvs_jax.smooth(image, time), atol=1e-6)
        np.testing.assert_array_equal(path.support.horizontal[k], alone.support.horizontal[0])


def test_mean_is_kept():
    image = picture()
    path = isvs_jax.scale_space(image, TIMES)
    np.testing.assert_allclose(path.dense.mean((1, 2)), np.broadcast_to(image.mean((0, 1)), (4, 3)), atol=1e-6)


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
    path = isvs_jax.scale_space(image, [1.0, 30.0, 3000.0], isvs_jax.SplitLBI(nu=1.0)).dense
    distances = [float(jnp.abs(u - image).max()) for u in path]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-8


def test_a_constant_is_carried_along():
    image = picture()
    shifted = isvs_jax.scale_space(image + np.float32(0.5), TIMES).dense
    np.testing.assert_allclose(shifted, isvs_jax.scale_space(image, TIMES).dense + np.float32(0.5), atol=1e-5)


def test_scaling_contrast_scales_time(x64):
    """path(s·x; κs, t/s) = s·path(x; κ, t)."""
    image, s = picture(dtype=np.float64), 3.0
    plain = isvs_jax.smooth(image, 1.5, isvs_jax.SplitLBI(kappa=5.0), num_steps=200)
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
    supports = isvs_jax.scale_space(image, [first - 1e-9, first + alpha], solver).support
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
    supports = isvs_jax.scale_space(image, [0.97 * expected, 1.03 * expected], solver).support.horizontal
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
    supports = isvs_jax.scale_space(
        image, [0.99 * nu / 0.5, 1.01 * nu / 0.5, 0.99 * nu / 0.3, 1.01 * nu / 0.3], isvs_jax.SplitLBI(nu=nu)
    ).support.horizontal
    assert supports.sum((1, 2, 3)).tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_step_16_times_smaller_changes_little(x64, scheme):
    """Relative error of u over the energy of x − mean, as stated for the default step."""
    image = picture((16, 16, 3), dtype=np.float64)
    solver = isvs_jax.SplitLBI(scheme=scheme)
    fine = isvs_jax.SplitLBI(step_size=isvs_jax.SplitLBI().default_step_size / 16)
    difference = isvs_jax.smooth(image, 4.0, solver) - isvs_jax.smooth(image, 4.0, fine)
    spread = image - image.mean((0, 1))
    assert float(jnp.linalg.norm(difference) / np.linalg.norm(spread)) < 0.01


def test_batch_vmap_loop_and_jit_agree():
    images = np.stack([picture(seed=seed) for seed in range(3)])
    path = isvs_jax.scale_space(images, TIMES)
    alone = [isvs_jax.scale_space(image, TIMES) for image in images]
    mapped = jax.vmap(lambda image: isvs_jax.scale_space(image, TIMES), out_axes=1)(images)
    jitted = jax.jit(lambda images: isvs_jax.scale_space(images, TIMES))(images)
    for k in range(3):
        np.testing.assert_allclose(path.dense[:, k], alone[k].dense, atol=5e-6)
    np.testing.assert_allclose(path.dense, mapped.dense, atol=5e-6)
    np.testing.assert_allclose(path.dense, jitted.dense, atol=5e-6)
    np.testing.assert_array_equal(path.support.vertical, mapped.support.vertical)


def test_mapping_over_the_solver():
    image = picture()
    kappas = jnp.array([2.0, 5.0])
    mapped = jax.vmap(lambda kappa: isvs_jax.smooth(image, 1.0, isvs_jax.SplitLBI(kappa=kappa), num_steps=60))(kappas)
    for kappa, ours in zip((2.0, 5.0), mapped, strict=True):
        alone = isvs_jax.smooth(image, 1.0, isvs_jax.SplitLBI(kappa=kappa), num_steps=60)
        np.testing.assert_allclose(ours, alone, atol=1e-6)


def test_shard_map_and_pmap_agree_with_one_device():
    images = np.stack([picture(seed=seed) for seed in range(8)])
    expected = isvs_jax.smooth(images, 1.0)
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("batch")
    sharded = jax.shard_map(lambda x: isvs_jax.smooth(x, 1.0), mesh=mesh, in_specs=spec, out_specs=spec)(images)
    np.testing.assert_allclose(sharded, expected, atol=1e-6)
    np.testing.assert_allclose(jax.pmap(lambda x: isvs_jax.smooth(x, 1.0))(images), expected, atol=1e-6)
    times = np.linspace(0.2, 1.0, 8)
    forms = [
        (lambda x, t: isvs_jax.smooth(x, 1.0, output="sparse"), isvs_jax.smooth(images, 1.0, output="sparse")),
        (lambda x, t: isvs_jax.smooth(x, t, num_steps=40), isvs_jax.smooth(images, times, num_steps=40)),
        (lambda x, t: isvs_jax.smooth_until(x, 0.02, 1.0).image, isvs_jax.smooth_until(images, 0.02, 1.0).image),
    ]
    for form, one_device in forms:
        split = jax.shard_map(form, mesh=mesh, in_specs=(spec, spec), out_specs=spec)(images, times.astype(np.float32))
        np.testing.assert_allclose(split, one_device, atol=5e-6)
    placed = jax.device_put(images, jax.NamedSharding(mesh, spec))
    np.testing.assert_allclose(isvs_jax.smooth(placed, 1.0), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtype_is_kept_and_halves_are_computed_in_float32(dtype):
    image = jnp.asarray(picture(), dtype)
    path = isvs_jax.scale_space(image, [0.5, 2.0])
    assert path.dense.dtype == jnp.dtype(dtype)
    assert path.times.dtype == jnp.float32
    full = isvs_jax.scale_space(image.astype(jnp.float32), [0.5, 2.0])
    np.testing.assert_array_equal(path.dense.astype(jnp.float32), full.dense.astype(dtype).astype(jnp.float32))


def test_float64_is_kept(x64):
    assert isvs_jax.scale_space(picture(dtype=np.float64), [0.5]).dense.dtype == jnp.float64
    assert isvs_jax.scale_space(picture(dtype=np.float32), [0.5]).dense.dtype == jnp.float32


def test_not_a_number_stays_in_its_image():
    images = np.stack([picture(seed=seed) for seed in range(3)])
    clean = isvs_jax.scale_space(images, TIMES).dense
    images[1, 2, 3, 0] = np.nan
    dirty = isvs_jax.scale_space(images, TIMES).dense
    np.testing.assert_allclose(dirty[:, [0, 2]], clean[:, [0, 2]], atol=1e-6)
    assert bool(jnp.isnan(dirty[-1, 1]).all())


def test_a_second_call_compiles_nothing(caplog):
    def calls(seed, times, time):
        isvs_jax.scale_space(picture((5, 4, 1), seed=seed), times)
        isvs_jax.smooth(picture((5, 4, 1), seed=seed), time, isvs_jax.SplitLBI())

    with jax.log_compiles():
        calls(0, [0.5, 1.0], 1.0)
        assert "Compiling" in caplog.text
        caplog.clear()
        calls(1, [0.6, 1.0], 0.995)
        assert "Compiling" not in caplog.text


def test_traced_numbers_need_num_steps_and_are_judged_as_data():
    image = picture()

    def run(times, kappa):
        return isvs_jax.scale_space(image, times, isvs_jax.SplitLBI(kappa=kappa), num_steps=60)

    good = jax.jit(run)(jnp.array([0.5, 1.0, 2.0]), 5.0)
    assert good.stable.tolist() == [True, True, True]
    by_hand = isvs_jax.scale_space(image, [0.5, 1.0, 2.0], num_steps=60)
    np.testing.assert_allclose(good.dense, by_hand.dense, atol=1e-6)
    assert jax.jit(run)(jnp.array([0.5, 1.0, 4.0]), 5.0).stable.tolist() == [False] * 3
    assert jax.jit(run)(jnp.array([-1.0, 1.0, 2.0]), 5.0).stable.tolist() == [False, True, True]
    assert jax.jit(run)(jnp.array([1.0, 0.5, 2.0]), 5.0).stable.tolist() == [True, False, True]
    assert jax.jit(run)(jnp.array([1.0, jnp.nan, 2.0]), 5.0).stable.tolist() == [True, False, False]
    nothing = jax.jit(lambda kappa, nu: isvs_jax.smooth(image, 1.0, isvs_jax.SplitLBI(kappa, nu), num_steps=60))
    for kappa, nu in ((0.0, 0.1), (-5.0, -0.1), (jnp.nan, 0.1)):
        assert bool(jnp.isnan(nothing(kappa, nu)).all())
    with pytest.raises(ValueError, match="num_steps must be a Python integer where times is traced"):
        jax.jit(lambda times: isvs_jax.scale_space(image, times))(jnp.array([1.0]))
    with pytest.raises(ValueError, match="num_steps must be a Python integer where nu is traced"):
        jax.grad(lambda nu: isvs_jax.scale_space(image, [1.0], isvs_jax.SplitLBI(nu=nu)).dense.sum())(0.1)


def test_it_is_shown_in_a_few_lines_also_where_it_is_traced():
    shown = []
    path = jax.jit(lambda image: (path := isvs_jax.scale_space(image, [0.5, 1.0]), shown.append(repr(path)))[0])(
        picture()
    )
    shown.append(repr(path))
    assert all(len(text.splitlines()) == 3 and "dense=float32[2, " in text for text in shown)
    assert "times=float32[2]" in shown[0]
    assert "times=[0.5, 1. ]" in shown[1]


def test_gradient_is_that_of_finite_differences(x64):
    """Forward and reverse, with respect to the image, a time, kappa and nu."""
    image = picture((5, 6, 2), dtype=np.float64)
    weights = np.random.default_rng(1).normal(size=image.shape)

    def loss(image, time, kappa, nu):
        solver = isvs_jax.SplitLBI(kappa=kappa, nu=nu)
        return jnp.vdot(
            weights, isvs_jax.scale_space(image, jnp.stack([time / 2, time]), solver, num_steps=120).dense.sum(0)
        )

    point = (jnp.asarray(image), jnp.asarray(6.0), jnp.asarray(4.0), jnp.asarray(0.15))
    direction = (np.random.default_rng(2).normal(size=image.shape), 0.3, -0.5, 0.01)
    direction = jax.tree.map(jnp.asarray, direction)
    step = 1e-6
    moved = [loss(*(p + sign * step * d for p, d in zip(point, direction, strict=True))) for sign in (1, -1)]
    expected = (moved[0] - moved[1]) / (2 * step)
    _, forward = jax.jvp(loss, point, direction)
    gradient = jax.grad(loss, argnums=(0, 1, 2, 3))(*point)
    reverse = sum(jnp.vdot(g, d) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(forward, expected, rtol=1e-5)
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)
    assert [float(jnp.abs(g).max()) > 1e-4 for g in gradient] == [True] * 4, gradient[1:]


def test_gradient_of_200_steps_does_not_keep_200_images():
    image = jnp.ones((64, 64, 3), jnp.float32)
    bytes_of_an_image = image.size * 4

    def images_kept(function):
        return jax.jit(function).lower(image).compile().memory_analysis().temp_size_in_bytes / bytes_of_an_image

    assert images_kept(jax.grad(lambda x: isvs_jax.smooth(x, 4.0, num_steps=200).sum())) < 120
    assert images_kept(lambda x: isvs_jax.smooth(x, 4.0, num_steps=200)) < 10


@pytest.mark.parametrize(
    ("image", "times", "options", "error", "sentence"),
    [
        (
            np.zeros((4, 4), np.float32),
            [1.0],
            {},
            ValueError,
            r"image must be \[.*; got shape \(4, 4\). Add the channel axis",
        ),
        (
            np.zeros((0, 4, 1), np.float32),
            [1.0],
            {},
            ValueError,
            r"image must .* at least one row.*; got shape \(0, 4, 1\)",
        ),
        (np.zeros((4, 4, 1), np.uint8), [1.0], {}, TypeError, "image must .*; got dtype uint8. Divide by 255 first"),
        (np.zeros((4, 4, 1), bool), [1.0], {}, TypeError, "image must .*; got dtype bool"),
        (np.zeros((4, 4, 1), complex), [1.0], {}, TypeError, "image must .*; got dtype complex128"),
        ("cat.jpg", [1.0], {}, TypeError, "image must .*; got dtype <U7"),
        (None, 1.0, {}, ValueError, r"times must have shape \[T\] with T ≥ 1; got shape \(\)"),
        (None, [], {}, ValueError, r"times must .*; got shape \(0,\)"),
        (None, [1.0, 1.0], {}, ValueError, "strictly increasing"),
        (None, [2.0, 1.0], {}, ValueError, "strictly increasing"),
        (
            None,
            [0.5, 1.0, 1.0 + 1e-9],
            {},
            ValueError,
            r"times must differ in float32, .*; got 1.0 and 1.000000001, which are equal there",
        ),
        (None, [-1.0, 1.0], {}, ValueError, "times must be finite and ≥ 0; got"),
        (None, [1.0, np.nan], {}, ValueError, "times must be finite"),
        (None, [np.inf], {}, ValueError, "times must be finite"),
        (
            None,
            [4.0],
            {"num_steps": 10},
            ValueError,
            "num_steps=10 must give steps of at most 0.04, the stability bound .*; got 0.4",
        ),
        (None, [4.0], {"num_steps": 0}, ValueError, "num_steps must .*; got 0"),
        (None, [4.0], {"num_steps": 10.0}, TypeError, "num_steps must .*; got 10.0"),
        (
            None,
            [4.0],
            {"solver": isvs_jax.SplitLBI(step_size=0.05)},
            ValueError,
            "step_size must give steps of at most",
        ),
        (
            None,
            [4.0],
            {"solver": isvs_jax.SplitLBI(step_size=0.01), "num_steps": 10},
            ValueError,
            "num_steps must be 400 or more to reach times 4 .*; got 10, which end at 0.1",
        ),
        (
            None,
            [4.0],
            {"solver": isvs_jax.SplitLBI(kappa=np.ones(3))},
            ValueError,
            r"kappa must be a scalar; got shape \(3,\).*vmap",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(image, times, options, error, sentence):
    with pytest.raises(error, match=sentence):
        isvs_jax.scale_space(picture() if image is None else image, times, **options)
