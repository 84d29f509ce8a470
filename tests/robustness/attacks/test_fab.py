import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from isvs_jax.robustness.attacks import fab, fab_minimal
from isvs_jax.robustness.attacks._fab_step import project_onto_hyperplane

KEY = jax.random.key(5)


def _shortest(point, normal, offset, norm):
    """The same projection by general solvers in float64; None where it is out of reach."""
    n = len(point)
    bounds = [(-p, 1 - p) for p in point]
    if norm == "linf":
        upper = np.hstack([np.eye(n), -np.ones((n, 1))])
        lower = np.hstack([-np.eye(n), -np.ones((n, 1))])
        solved = scipy.optimize.linprog(
            np.append(np.zeros(n), 1.0), np.vstack([upper, lower]), np.zeros(2 * n),
            np.append(normal, 0.0)[None], [-offset], [*bounds, (0, None)],
        )  # fmt: skip
        return solved.fun if solved.success else None
    reach = [min(w * low, w * high) for w, (low, high) in zip(normal, bounds, strict=True)]
    reach_up = [max(w * low, w * high) for w, (low, high) in zip(normal, bounds, strict=True)]
    if not sum(reach) <= -offset <= sum(reach_up):
        return None
    # d(λ) = clip(λ w) is the solution; its side of the equation grows with λ.
    low, high = np.array(bounds).T

    def side(level):
        return normal @ np.clip(level * normal, low, high) + offset

    level = scipy.optimize.brentq(side, -1e9, 1e9, xtol=1e-14, rtol=1e-14, maxiter=500)
    return np.linalg.norm(np.clip(level * normal, low, high))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_projection_onto_a_hyperplane_equals_general_solvers(norm):
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(60, 7))
    points[:20] = np.round(points[:20] * 2) / 2  # some entries on the walls of the box
    normals = rng.normal(size=(60, 7)) * 10 ** rng.uniform(-6, 3, (60, 1))
    normals[rng.uniform(size=normals.shape) < 0.2] = 0.0
    offsets = rng.normal(size=60) * np.abs(normals).sum(axis=1) / 3
    moves = np.asarray(
        project_onto_hyperplane(*(jnp.asarray(a, jnp.float32) for a in (points, normals, offsets)), norm),
        np.float64,
    )
    assert (points + moves >= -1e-6).all()
    assert (points + moves <= 1 + 1e-6).all()
    reached = 0
    for point, normal, offset, move in zip(points, normals, offsets, moves, strict=True):
        scale = np.abs(normal).max()
        want = _shortest(point, normal / scale, offset / scale, norm)
        if want is None:
            # As far as the box lets it go.
            side = -np.sign(offset) * normal
            end = np.where(side > 0, 1 - point, np.where(side < 0, -point, 0))
            np.testing.assert_allclose(move, end, atol=1e-6)
            continue
        reached += 1
        got = np.abs(move).max() if norm == "linf" else np.linalg.norm(move)
        assert got == pytest.approx(want, abs=3e-6)
        assert (normal @ move + offset) / scale == pytest.approx(0, abs=1e-5)
    assert 20 < reached < 60


def test_a_zero_gradient_moves_nothing():
    move = project_onto_hyperplane(jnp.full((2, 3), 0.5), jnp.zeros((2, 3)), jnp.array([1.0, -1.0]), "l2")
    assert (move == 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_minimal_distance_of_a_linear_model_is_its_closed_form(norm):
    weights = np.asarray(jax.random.normal(jax.random.key(0), (48, 4)), np.float64)
    images = 0.4 + 0.2 * jax.random.uniform(jax.random.key(1), (8, 4, 4, 3))

    def logits_fn(x):
        return x.reshape(len(x), -1) @ jnp.asarray(weights, jnp.float32)

    logits = np.asarray(images, np.float64).reshape(8, -1) @ weights
    labels = logits.argmax(1)
    found = fab_minimal(logits_fn, images, labels, KEY, norm=norm)
    for i, label in enumerate(labels):
        others = [j for j in range(4) if j != label]
        gaps = np.array([logits[i, label] - logits[i, j] for j in others])
        differences = np.stack([weights[:, j] - weights[:, label] for j in others])
        dual = np.abs(differences).sum(1) if norm == "linf" else np.linalg.norm(differences, axis=1)
        closest = (gaps / dual).min()
        # Every success lies beyond the boundary by the overshoot: at most 5%, and less after each
        # backward step.
        assert closest * (1 - 1e-4) <= found.distance[i] <= 1.01 * closest
    assert (logits_fn(found.images).argmax(1) != labels).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_succeeds_exactly_where_the_distance_is_within_epsilon(case, norm):
    minimal = fab_minimal(case.logits_fn, case.images, case.labels, KEY, norm=norm, num_steps=30)
    epsilon = float(jnp.median(minimal.distance))
    found = fab(case.logits_fn, case.images, case.labels, KEY, epsilon=epsilon, norm=norm, num_steps=30)
    fooled = np.asarray(case.logits_fn(found).argmax(1) != case.labels)
    # An image whose distance is this far from epsilon is settled; projecting may only add some.
    assert fooled[np.asarray(minimal.distance) <= epsilon].all()
    assert not fooled[np.asarray(minimal.distance) > 1.2 * epsilon].any()
    assert 0 < fooled.sum() < len(fooled)


def test_misclassified_and_unattackable_images():
    def constant(images):
        return jnp.tile(jnp.arange(4.0), (len(images), 1)) + 0 * images.mean((1, 2, 3))[:, None]

    images = jnp.full((2, 3, 3, 1), 0.5)
    found = fab_minimal(constant, images, jnp.array([3, 0]), KEY, num_steps=5)
    assert found.distance.tolist() == [float("inf"), 0.0]
    assert (found.images == images).all()


def test_one_broken_example_spoils_no_other_and_restarts_only_help(case):
    def broken(images):
        first = jnp.arange(len(images)) == 0
        return jnp.where(first[:, None], jnp.nan, 1.0) * case.logits_fn(images)

    common = (case.images, case.labels, KEY)
    good = fab_minimal(case.logits_fn, *common, num_steps=30)
    bad = fab_minimal(broken, *common, num_steps=30)
    assert bad.distance[0] == 0.0
    np.testing.assert_allclose(bad.distance[1:], good.distance[1:], rtol=1e-3)
    more = fab_minimal(case.logits_fn, *common, num_steps=30, restarts=2, epsilon=0.05)
    assert (more.distance <= good.distance * (1 + 1e-5)).all()


def test_jit_and_no_second_compilation(case):
    traces = []

    def counted(images):
        traces.append(1)
        return case.logits_fn(images)

    def attack(images, epsilon):
        return fab(counted, images, case.labels, KEY, epsilon=epsilon, num_steps=10)

    eager = attack(case.images, 0.02)
    before = len(traces)
    attack(case.images, 0.03)
    fab(counted, case.images, case.labels, KEY, epsilon=0.02, num_steps=20)
    assert len(traces) == before
    np.testing.assert_allclose(jax.jit(attack)(case.images, 0.02), eager, atol=1e-5)


def test_a_surrogate_gives_the_gradient(case, rounding, accuracy):
    labels = rounding(case.images).argmax(1)
    common = (rounding, case.images, labels, KEY)
    blind = fab(*common, epsilon=0.1, num_steps=20)
    seeing = fab(*common, epsilon=0.1, num_steps=20, gradient_fn=case.logits_fn)
    assert accuracy(rounding, blind, labels) == 1.0
    assert accuracy(rounding, seeing, labels) < 0.7
