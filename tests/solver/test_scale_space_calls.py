"""The path as it is called: batches, jit, vmap, devices, dtypes, traced numbers, gradients, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import isvs_jax
from tests.solver.test_flow import picture

pytestmark = pytest.mark.usefixtures("strict")

TIMES = (0.0, 0.4, 1.0, 3.0)


def test_batch_vmap_loop_and_jit_agree():
    images = np.stack([picture(seed=seed) for seed in range(3)])
    path = jax.device_get(isvs_jax.scale_space(images, TIMES))
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
    kappas = np.float32([2.0, 5.0])
    mapped = jax.vmap(lambda kappa: isvs_jax.smooth(image, 1.0, isvs_jax.SplitLBI(kappa=kappa), num_steps=60))(kappas)
    for kappa, ours in zip((2.0, 5.0), np.asarray(mapped), strict=True):
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
    clean = np.asarray(isvs_jax.scale_space(images, TIMES).dense)
    images[1, 2, 3, 0] = np.nan
    dirty = np.asarray(isvs_jax.scale_space(images, TIMES).dense)
    np.testing.assert_allclose(dirty[:, [0, 2]], clean[:, [0, 2]], atol=1e-6)
    assert np.isnan(dirty[-1, 1]).all()


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

    run = jax.jit(run)
    good = run(jnp.array([0.5, 1.0, 2.0]), 5.0)
    assert good.stable.tolist() == [True, True, True]
    by_hand = isvs_jax.scale_space(image, [0.5, 1.0, 2.0], num_steps=60)
    np.testing.assert_allclose(good.dense, by_hand.dense, atol=1e-6)
    assert run(jnp.array([0.5, 1.0, 4.0]), 5.0).stable.tolist() == [False] * 3
    assert run(jnp.array([-1.0, 1.0, 2.0]), 5.0).stable.tolist() == [False, True, True]
    assert run(jnp.array([1.0, 0.5, 2.0]), 5.0).stable.tolist() == [True, False, True]
    assert run(jnp.array([1.0, jnp.nan, 2.0]), 5.0).stable.tolist() == [True, False, False]
    nothing = jax.jit(lambda kappa, nu: isvs_jax.smooth(image, 1.0, isvs_jax.SplitLBI(kappa, nu), num_steps=60))
    for kappa, nu in ((0.0, 0.1), (-5.0, -0.1), (jnp.nan, 0.1)):
        assert np.isnan(nothing(kappa, nu)).all()
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

    @jax.jit
    def loss(image, time, kappa, nu):
        solver = isvs_jax.SplitLBI(kappa=kappa, nu=nu)
        return jnp.vdot(
            weights, isvs_jax.scale_space(image, jnp.stack([time / 2, time]), solver, num_steps=120).dense.sum(0)
        )

    point = (image, np.asarray(6.0), np.asarray(4.0), np.asarray(0.15))
    direction = (np.random.default_rng(2).normal(size=image.shape), *map(np.asarray, (0.3, -0.5, 0.01)))
    step = 1e-6
    moved = [loss(*(p + sign * step * d for p, d in zip(point, direction, strict=True))) for sign in (1, -1)]
    expected = (moved[0] - moved[1]) / (2 * step)

    @jax.jit
    def forward_and_reverse(point, direction):
        return jax.jvp(loss, point, direction)[1], jax.grad(loss, argnums=(0, 1, 2, 3))(*point)

    forward, gradient = jax.device_get(forward_and_reverse(point, direction))
    reverse = sum(np.vdot(g, d) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(forward, expected, rtol=1e-5)
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)
    assert [np.abs(g).max() > 1e-4 for g in gradient] == [True] * 4, gradient[1:]


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
