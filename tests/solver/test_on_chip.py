"""The kernel, interpreted: it gives what XLA gives, lowers for a GPU, and is chosen only where it fits."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import isvs_jax
from isvs_jax.solver.integrator import choose_integrator
from isvs_jax.solver.on_chip import OnChip, kernel_states
from isvs_jax.solver.shrinkage import support
from tests.solver.test_flow import picture

pytestmark = pytest.mark.usefixtures("strict")

ON, OFF = isvs_jax.SplitLBI(on_chip=True), isvs_jax.SplitLBI(on_chip=False)


def traces(function, *arguments):
    """How often the kernel stands in a traced function."""
    return str(jax.make_jaxpr(function)(*arguments)).count("name=inverse_scale_space")


@pytest.mark.parametrize(
    ("shape", "times", "options"),
    [
        ((16, 16, 1), [2.0], {"penalty": "anisotropic"}),
        ((28, 28, 1), [1.5], {}),
        ((20, 32, 3), [0.02, 0.5, 1.5, 3.0], {"penalty": "isotropic"}),
        ((32, 32, 3), [1.5], {"tolerance": 0.01}),
        ((5, 7, 4), [0.5, 6.0], {"kappa": 3.0, "nu": 0.7}),
        ((1, 9, 2), [4.0], {"penalty": "isotropic"}),
    ],
)
def test_states_are_those_of_xla(shape, times, options):
    """u to 1e-5, z to 1e-4 of its size, the same support; before and after the first entry."""
    solver = isvs_jax.SplitLBI(**options)
    planar = np.moveaxis(picture(shape), -1, -3)
    steps = choose_integrator(solver, jax.ShapeDtypeStruct(shape, jnp.float32), times[-1], None)
    kernel = partial(kernel_states, plan=steps.plan, num_long=steps.num_long, interpret=True)

    def followed(by):
        def states(flow, planar, times):
            found = by(flow, planar, times)
            return found, support(found.z, solver.penalty)

        return jax.device_get(jax.jit(states)(solver.flow, planar, np.float32(times)))

    (ours, entered), (xla, expected_entered) = followed(kernel), followed(steps.states)
    assert jax.tree.map(np.shape, ours) == jax.tree.map(np.shape, xla)
    np.testing.assert_array_equal(ours.time, xla.time)
    np.testing.assert_allclose(ours.u, xla.u, atol=1e-5)
    for edges, expected in zip(ours.z, xla.z, strict=True):
        np.testing.assert_allclose(edges, expected, atol=1e-4 * np.abs(expected).max(initial=0))
    jax.tree.map(np.testing.assert_array_equal, entered, expected_entered)
    assert any(edges[-1].any() for edges in entered)
    if times[0] == 0.02:
        assert not any(edges[0].any() for edges in entered)


def test_images_of_a_batch_go_their_own_way():
    """Early, late, never and without a number; a batch, one alone, by vmap, and as XLA has it."""
    images = np.stack([picture((8, 9, 3), seed) for seed in range(4)])
    images[1] *= 0.2
    images[2] = 0.4
    images[3, 2, 2, 0] = np.nan
    times = [3.0, 1.0, 2.0, 2.0]
    together = np.asarray(isvs_jax.smooth(images, times, ON))
    np.testing.assert_allclose(together, isvs_jax.smooth(images, times, OFF), atol=1e-5)
    assert np.isnan(together[3]).all()
    assert not np.isnan(together[:3]).any()
    np.testing.assert_allclose(together[2], images[2], atol=1e-6)
    mapped = jax.vmap(lambda image: isvs_jax.smooth(image, 3.0, ON))(images)
    np.testing.assert_allclose(np.asarray(mapped)[0], together[0], atol=1e-6)


def test_scale_space_and_sparse_images_are_those_of_xla():
    images = picture((12, 10, 3))[None]
    ours, xla = (isvs_jax.scale_space(images, [0.05, 1.0, 3.0], solver) for solver in (ON, OFF))
    np.testing.assert_allclose(ours.dense, xla.dense, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, ours.support, xla.support)
    sparse = [isvs_jax.smooth(images, 3.0, solver, output="sparse") for solver in (ON, OFF)]
    np.testing.assert_allclose(*sparse, atol=1e-6)


def test_derivatives_are_those_of_xla():
    image = jnp.asarray(picture((6, 5, 1)))

    def loss(image, solver):
        return (isvs_jax.smooth(image, 1.0, solver) ** 2).sum()

    slope = jax.jit(jax.grad(loss), static_argnums=1)
    np.testing.assert_array_equal(slope(image, ON), slope(image, OFF))
    assert traces(lambda image: loss(image, ON), image) == 2
    for derivative in (jax.grad, jax.jacfwd, jax.hessian):
        assert traces(derivative(lambda image: loss(image, ON)), image) == 0
    # The image has none here, as in training: the kernel is taken.
    assert traces(jax.grad(lambda weight: weight * loss(image, ON)), 1.0) == 2


@pytest.mark.parametrize("shape", [(8, 32, 32, 3), (2, 64, 64, 3)])
@pytest.mark.parametrize("divided", [False, True])
def test_kernel_lowers_for_a_gpu(shape, divided):
    """Through Pallas to Triton; what is lowered holds one kernel and no path by XLA beside it."""
    pytest.importorskip("jax.experimental.pallas.triton", reason="this JAX has no Triton backend of Pallas")

    def smooth(images):
        return isvs_jax.smooth(images, 4.0, ON)

    if divided:
        mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
        spec = PartitionSpec("data")
        smooth = jax.shard_map(smooth, mesh=mesh, in_specs=spec, out_specs=spec)
    traced = jax.jit(smooth).trace(jax.ShapeDtypeStruct(shape, jnp.float32))
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("triton") == 1
    assert "stablehlo.while" not in text


def test_kernel_is_chosen_by_platform_and_size(monkeypatch):
    by_size = isvs_jax.SplitLBI(on_chip=None)

    def chosen(shape=(8, 8, 3), dtype=jnp.float32, num_steps=None, **options):
        solver = isvs_jax.SplitLBI(**{"on_chip": None} | options)
        integrator = choose_integrator(solver, jax.ShapeDtypeStruct((2, *shape), dtype), np.array(1.0), num_steps)
        return type(integrator) is OnChip

    assert not chosen()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not chosen()
    with monkeypatch.context() as one:
        one.setattr(jax, "device_count", lambda: 1)
        assert chosen()
        assert chosen((64, 64, 4), jnp.bfloat16)
        assert not any(chosen(shape) for shape in [(65, 8, 3), (8, 65, 3), (8, 8, 5), (0, 8, 8, 3)])
        assert not chosen(on_chip=False)
        assert isvs_jax.SplitLBI().on_chip is False
        assert not chosen(step_size=0.03)
        assert not chosen(num_steps=40)
        assert not chosen(scheme="explicit")
        with jax.enable_x64(True):
            assert not chosen(dtype=jnp.float64)
        # The platform is that of the lowering: here XLA's version runs, to the bit. No other test has such an image.
        image = picture((8, 7, 2))
        np.testing.assert_array_equal(isvs_jax.smooth(image, 1.0, by_size), isvs_jax.smooth(image, 1.0, OFF))
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    spec = PartitionSpec("data")
    over = jax.shard_map(lambda x: isvs_jax.smooth(x, 1.0, by_size), mesh=mesh, in_specs=spec, out_specs=spec)
    assert traces(over, jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)) == 1


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: isvs_jax.SplitLBI(on_chip="yes"), TypeError, "on_chip must be None, True or False; got 'yes'"),
        (lambda: isvs_jax.SplitLBI(on_chip=1), TypeError, "on_chip must be None, True or False; got 1"),
        (
            lambda: isvs_jax.SplitLBI(on_chip=True, scheme="explicit"),
            ValueError,
            "on_chip must be None or False .* got True with scheme='expl",
        ),
        (lambda: isvs_jax.SplitLBI(on_chip=True, step_size=0.03), ValueError, "step_size=0.03"),
        (
            lambda: isvs_jax.smooth(jnp.zeros((8, 65, 3)), 1.0, ON),
            ValueError,
            r"past 64 pixels a side.* got True for height and width \(8, 65\), 3 channels",
        ),
        (lambda: isvs_jax.smooth(jnp.zeros((8, 8, 5)), 1.0, ON), ValueError, "5 channels"),
    ],
)
def test_what_cannot_be_on_chip_is_refused_with_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
