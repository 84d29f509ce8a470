import jax
import numpy as np
import pytest
import scipy.optimize

from isvs_jax.solver import shrinkage
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.shrinkage import PENALTIES, shrink, support

pytestmark = pytest.mark.usefixtures("strict")


def planar_edges(seed, scale, shape=(2, 2, 3), dtype=np.float64):
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    return Edges(
        (scale * rng.normal(size=(channels, height, width - 1))).astype(dtype),
        (scale * rng.normal(size=(channels, height - 1, width))).astype(dtype),
    )


def groups_of(edges, penalty):
    """Lists of (field, index) that stand together, written out one by one."""
    channels, height, width = edges.vertical.shape[0], edges.horizontal.shape[1], edges.vertical.shape[2]
    across = {(i, j): [(0, (c, i, j)) for c in range(channels)] for i in range(height) for j in range(width - 1)}
    down = {(i, j): [(1, (c, i, j)) for c in range(channels)] for i in range(height - 1) for j in range(width)}
    if penalty == "isotropic":
        pixels = sorted(set(across) | set(down))
        return [across.get(pixel, []) + down.get(pixel, []) for pixel in pixels]
    coupled = [*across.values(), *down.values()]
    return coupled if penalty == "color" else [[entry] for group in coupled for entry in group]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_shrink_is_the_proximal_map_of_the_group_norm(x64, penalty):
    """shrink(z) minimises ½‖v − z‖² + Σ|v_group|, found here by a general minimiser, group by group."""
    z = planar_edges(0, 0.8)
    shrunk, entered = jax.device_get(jax.jit(lambda z: (shrink(z, penalty), support(z, penalty)))(z))
    entered = [np.broadcast_to(edge, of.shape) for edge, of in zip(entered, z, strict=True)]
    inside = 0
    for group in groups_of(z, penalty):
        entry = np.array([z[field][index] for field, index in group])
        ours = np.array([shrunk[field][index] for field, index in group])

        def cost(v, entry=entry):
            return 0.5 * np.sum((v - entry) ** 2) + np.linalg.norm(v)

        found = scipy.optimize.minimize(
            cost, entry, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 8000}
        )
        assert cost(ours) <= found.fun + 1e-10
        inside += bool(np.any(ours != 0))
        in_support = [bool(entered[field][index]) for field, index in group]
        assert in_support == [bool(np.linalg.norm(entry) > 1)] * len(group)
    assert 0 < inside < len(groups_of(z, penalty))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_derivative_exists_everywhere(penalty):
    """At zero, on the unit sphere and at infinity the derivative is a number, and zero inside the sphere."""
    slope = jax.jit(jax.grad(lambda z: sum(edge.sum() for edge in shrink(z, penalty))))
    for scale in (0.0, 1e-30, 0.3, 1e18):
        gradient = jax.device_get(slope(planar_edges(0, scale, dtype=np.float32)))
        assert all(np.isfinite(leaf).all() for leaf in gradient)
        if scale < 1e-20:
            assert not any(leaf.any() for leaf in gradient)


def test_not_a_number_stays_in_its_group():
    z = planar_edges(0, 2.0, dtype=np.float32)
    z.horizontal[0, 1, 0] = np.nan
    shrunk = jax.device_get(jax.jit(lambda z: shrink(z, "color"))(z))
    assert np.isnan(shrunk.horizontal).sum() == 2
    assert not np.isnan(shrunk.vertical).any()


@pytest.mark.parametrize("penalty", PENALTIES)
def test_large_images_whose_channels_are_added_one_by_one_give_the_same(x64, penalty, monkeypatch):
    z, of = planar_edges(3, 0.8, (3, 4, 5)), planar_edges(4, 1.0, (3, 4, 5))
    z.horizontal[1, 0, 0] = np.nan

    def values() -> tuple[Edges, Edges, Edges]:
        shrunk, pulled = jax.vjp(lambda z: shrink(z, penalty), z)
        return shrunk, pulled(of)[0], support(z, penalty)

    by_one_sum = values()
    monkeypatch.setattr(shrinkage, "_MANY_PIXELS", 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15), values(), by_one_sum)
