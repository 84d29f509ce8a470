import jax
import jax.numpy as jnp
import numpy as np
import pytest

import isvs_jax
from isvs_jax.solver.euler import SCHEMES
from isvs_jax.solver.shrinkage import PENALTIES
from tests.reference import Flow

pytestmark = pytest.mark.usefixtures("strict")


def picture(shape=(8, 10, 3), seed=0, dtype=np.float32):
    """A square on a ramp with some noise, values in about [0, 1]."""
    height, width, channels = shape
    rng = np.random.default_rng(seed)
    image = np.linspace(0.1, 0.4, width)[None, :, None] * np.ones((height, 1, channels))
    image[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] += rng.uniform(0.2, 0.6, channels)
    return (image + 0.03 * rng.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_steps_are_those_of_the_reference(x64, penalty, scheme):
    image = picture(dtype=np.float64)
    solver = isvs_jax.SplitLBI(kappa=4.0, nu=0.2, penalty=penalty, scheme=scheme)
    reference = Flow(image, kappa=4.0, nu=0.2, penalty=penalty, scheme=scheme)
    state, step = solver.init(image), jax.jit(solver.step)
    alpha = 0.9 * solver.stability_bound
    np.testing.assert_allclose(solver.dense(state), reference.dense(), atol=1e-12)
    steps = 60 if scheme == "spectral" else 600
    for _ in range(steps):
        state = step(image, state, alpha)
        reference.step(alpha)
    np.testing.assert_allclose(solver.dense(state), reference.dense(), atol=1e-10)
    entered = 0
    for ours, theirs in zip(solver.support(state), reference.support(), strict=True):
        assert ours.shape[-1] == (3 if penalty == "anisotropic" else 1)
        np.testing.assert_array_equal(np.broadcast_to(ours, theirs.shape), theirs)
        entered += theirs.mean()
    assert 0.05 < entered < 1.9
    np.testing.assert_allclose(state.time, steps * alpha)


def test_driving_by_hand_is_the_path():
    image = picture()
    solver = isvs_jax.SplitLBI(step_size=0.03)
    step = jax.jit(lambda state: (solver.step(image, state), None))
    state, _ = jax.lax.scan(lambda state, _: step(state), solver.init(image), length=50)
    np.testing.assert_allclose(solver.dense(state), isvs_jax.smooth(image, 1.5, solver), atol=1e-6)


def test_a_stopping_rule_of_ones_own():
    image = picture()
    solver = isvs_jax.SplitLBI()

    def distance(state):
        return jnp.mean((solver.dense(state) - image) ** 2)

    state = jax.lax.while_loop(
        lambda state: distance(state) > 1e-3, lambda state: solver.step(image, state), solver.init(image)
    )
    assert distance(state) <= 1e-3 < distance(solver.init(image))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_stability_bound_is_sharp(x64, scheme):
    """At the default step the flow settles on the image; somewhat past the bound it does not."""
    rows, columns = np.indices((12, 12))
    image = ((rows + columns) % 2).astype(np.float64)[..., None] + picture((12, 12, 1), dtype=np.float64)
    solver = isvs_jax.SplitLBI(nu=0.1, scheme=scheme)

    def far(share):
        def body(state, _):
            return solver.step(image, state, share * solver.stability_bound), None

        state, _ = jax.lax.scan(body, solver.init(image), length=3000 if scheme == "spectral" else 40_000)
        return float(jnp.abs(solver.dense(state) - image).max())

    assert far(0.95) < 1e-6
    assert not far(1.15) < 1e-2


def test_solver_is_a_pytree_of_its_numbers():
    solver = isvs_jax.SplitLBI(kappa=3.0, nu=0.2, penalty="isotropic", scheme="explicit", step_size=0.001)
    assert sorted(jax.tree.leaves(solver)) == [0.001, 0.2, 3.0]
    doubled = jax.tree.map(lambda leaf: 2 * leaf, solver)
    assert (doubled.kappa, doubled.penalty, doubled.scheme) == (6.0, "isotropic", "explicit")
    assert len(jax.tree.leaves(isvs_jax.SplitLBI())) == 2
    assert hash(isvs_jax.SplitLBI()) == hash(isvs_jax.SplitLBI())
    with pytest.raises(AttributeError):
        solver.kappa = 1.0


def test_a_tree_of_the_solver_may_carry_its_gradient():
    image = picture()

    def spread(solver):
        return isvs_jax.smooth(image, 2.0, solver, num_steps=60).var()

    solver = isvs_jax.SplitLBI()
    gradient = jax.grad(spread)(solver)
    by_number = jax.grad(lambda nu: spread(isvs_jax.SplitLBI(nu=nu)))(0.1)
    np.testing.assert_allclose(gradient.nu, by_number, rtol=1e-5)
    assert float(gradient.nu) != 0
    _, tangent = jax.jvp(spread, (solver,), (isvs_jax.SplitLBI(kappa=1e-30, nu=1.0),))
    np.testing.assert_allclose(tangent, by_number, rtol=1e-4)
    with pytest.raises(ValueError, match=r"kappa must .*; got -1"):
        spread(jax.tree.map(lambda leaf: -1.0, solver))


def test_structure_of_the_state_is_stable():
    solver = isvs_jax.SplitLBI()
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        image = jnp.asarray(picture(), dtype)
        state = solver.init(image)
        stepped = jax.lax.cond(True, lambda s, image=image: solver.step(image, s), lambda s: s, state)
        assert jax.tree.map(jnp.shape, stepped) == jax.tree.map(jnp.shape, state)
        assert {leaf.dtype for leaf in jax.tree.leaves(stepped)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"kappa": 0.0}, ValueError, "kappa must be a positive finite number; got 0"),
        ({"kappa": -1}, ValueError, "kappa must .*; got -1"),
        ({"nu": float("nan")}, ValueError, "nu must .*; got nan"),
        ({"nu": float("inf")}, ValueError, "nu must .*; got inf"),
        ({"nu": "0.1"}, TypeError, "nu must .*; got '0.1'"),
        ({"nu": None}, TypeError, "nu must .*; got None"),
        ({"kappa": [1.0]}, TypeError, r"kappa must .*; got \[1.0\]"),
        ({"step_size": 0.0}, ValueError, "step_size must .*; got 0"),
        ({"step_size": True}, TypeError, "step_size must .*; got True"),
        (
            {"penalty": "colour"},
            ValueError,
            "penalty must be one of 'anisotropic', 'color', 'isotropic'; got 'colour'",
        ),
        ({"scheme": "implicit"}, ValueError, "scheme must be one of 'spectral', 'explicit'; got 'implicit'"),
    ],
)
def test_bad_solvers_are_refused_with_a_sentence(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        isvs_jax.SplitLBI(**arguments)


def test_bad_steps_are_refused_with_a_sentence():
    solver = isvs_jax.SplitLBI()
    state = solver.init(picture())
    with pytest.raises(ValueError, match=r"image must be the image that state belongs to .*; got shape \(9, 10, 3\)"):
        solver.step(picture((9, 10, 3)), state)
    with pytest.raises(TypeError, match=r"uint8. Divide by 255"):
        solver.init(np.zeros((4, 4, 1), np.uint8))
