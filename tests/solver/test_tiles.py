"""Tiles against the image in one piece."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isvs_jax
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import difference
from isvs_jax.solver.integrator import choose_integrator
from isvs_jax.solver.large_image import bands
from isvs_jax.solver.tiles import border_width, cut, joined, joined_edges, longest_side, tiles_of


@pytest.fixture(scope="module")
def photograph():
    """Shapes of many sizes, shading, and noise: [150, 140, 3]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:150, :140]
    image = 0.3 + 0.2 * np.stack([rows / 150, columns / 140, np.sin(rows / 9)], axis=-1)
    for _ in range(60):
        centre, radius = rng.uniform(0, 150, 2), rng.uniform(2, 20)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        image[inside] = rng.uniform(0, 1, 3)
    return (image + 0.03 * rng.normal(size=image.shape)).astype(np.float32)


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of up to 128 pixels, so that a small image has some."""
    monkeypatch.setattr("isvs_jax.solver.tiles._SIDES", range(64, 129))
    monkeypatch.setattr("isvs_jax.solver.tiles._LARGE", 1)
    monkeypatch.setattr("isvs_jax.solver.tiles._WHOLE_COST", 9.0)


@given(st.integers(1, 300), st.integers(1, 20), st.integers(1, 60))
def test_every_pixel_has_its_neighbours_or_the_edge(size, border, room):
    cuts = cut(size, border, 2 * border + room)
    assert cuts.length <= min(size, 2 * border + room)
    start = cuts.starts[cuts.owners]
    before, after = np.arange(size) - start, start + cuts.length - 1 - np.arange(size)
    assert ((before >= border) | ((start == 0) & (before >= 0))).all()
    assert ((after >= border) | ((start + cuts.length == size) & (after >= 0))).all()


def test_what_is_cut_is_joined():
    planar = np.random.default_rng(0).random((2, 3, 50, 71), np.float32)
    rows, columns = cut(50, 3, 20), cut(71, 4, 25)

    @jax.jit
    def cut_and_joined(planar):
        tiles = tiles_of(planar, rows, columns)
        assert tiles.shape[1] > 10
        return joined(tiles, rows, columns), joined_edges(difference(tiles), rows, columns)

    image, edges = cut_and_joined(planar)
    np.testing.assert_array_equal(image, planar)
    for ours, axis in zip(edges, (-1, -2), strict=True):
        np.testing.assert_array_equal(ours, np.diff(planar, axis=axis))


def of_energy(difference, image):
    return float(np.linalg.norm(difference) / np.linalg.norm(image - image.mean((0, 1))))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    ("nu", "penalty", "kappa"), [(0.1, "color", 5.0), (1.0, "isotropic", 2.0), (3.0, "anisotropic", 5.0)]
)
def test_the_difference_is_a_third_of_the_tolerance(photograph, nu, penalty, kappa):
    whole, tiled = (isvs_jax.SplitLBI(kappa, nu, penalty, tiles=tiles) for tiles in (False, True))
    times = [0.0, 0.5, 2.0, 6.0]
    expected, path = (jax.device_get(isvs_jax.scale_space(photograph, times, solver)) for solver in (whole, tiled))
    for ours, exact, entered, in_one_piece in zip(
        path.dense, expected.dense, path.support.vertical, expected.support.vertical, strict=True
    ):
        assert 0 < of_energy(ours - exact, photograph) < 0.001
        assert (entered != in_one_piece).mean() < 0.001
    # Which tiles there are follows from the image's size alone: the default on a CPU is the same.
    chosen = (choose_integrator(solver, photograph, times[-1], None) for solver in (isvs_jax.SplitLBI(nu=nu), tiled))
    default, asked = ((steps.border, steps.longest) for steps in chosen)
    assert default == asked


@pytest.mark.usefixtures("small_tiles")
def test_the_border_is_what_makes_it_small(photograph, monkeypatch):
    whole, tiled = (isvs_jax.SplitLBI(tiles=tiles) for tiles in (False, True))
    expected = isvs_jax.smooth(photograph, 2.0, whole)
    monkeypatch.setattr(
        "isvs_jax.solver.integrator.border_width", lambda nu, tolerance: border_width(nu, tolerance) // 3
    )
    assert of_energy(isvs_jax.smooth(photograph, 2.0, tiled) - expected, photograph) > 0.001


@pytest.mark.usefixtures("small_tiles")
def test_regions_cross_tiles():
    """Without an edge in the support an image is one region, whatever its tiles; the sparse image is exact."""
    image = np.zeros((140, 150, 1), np.float32)
    image[20:130, 15:140] = 1.0
    sparse = isvs_jax.smooth(image, 6.0, isvs_jax.SplitLBI(tiles=True), "sparse")
    np.testing.assert_allclose(sparse, image, atol=1e-6)
    early = isvs_jax.smooth(image, 0.0, isvs_jax.SplitLBI(tiles=True), "sparse")
    np.testing.assert_allclose(early, np.full_like(image, image.mean()), atol=1e-6)


@pytest.mark.usefixtures("small_tiles")
def test_a_batch_with_its_own_times_under_jit_vmap_and_gradients(photograph):
    solver, times = isvs_jax.SplitLBI(nu=1.0, tiles=True), np.array([0.5, 2.0], np.float32)
    narrow = photograph[:, 40:90]
    images = np.stack([narrow, narrow[::-1]])

    def smoothed(images, times):
        return isvs_jax.smooth(images, times, solver, max_time=2.0)

    together = jax.jit(smoothed)(images, times)
    mapped = jax.jit(jax.vmap(smoothed))(images, times)
    np.testing.assert_allclose(mapped, together, atol=5e-5)
    slope = jax.jit(jax.grad(lambda images: (smoothed(images, times)[:, 70, 20] ** 2).sum()))(images)
    whole = isvs_jax.SplitLBI(nu=1.0, tiles=False)
    expected = jax.jit(
        jax.grad(lambda images: (isvs_jax.smooth(images, times, whole, max_time=2.0)[:, 70, 20] ** 2).sum())
    )(images)
    assert np.linalg.norm(slope - expected) < 0.01 * np.linalg.norm(expected)


def test_memory_goes_with_the_pixels_of_the_image():
    def beside_the_image(side):
        image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
        solver = isvs_jax.SplitLBI(tiles=True)
        memory = jax.jit(lambda image: isvs_jax.smooth(image, 4.0, solver)).lower(image).compile().memory_analysis()
        return memory.temp_size_in_bytes / (12 * side**2)

    assert beside_the_image(1024) < 6


@pytest.mark.usefixtures("small_tiles")
def test_bands_are_the_rows_of_the_path(photograph):
    times, solver = [0.5, 2.0], isvs_jax.SplitLBI(nu=1.0)
    path = jax.device_get(isvs_jax.scale_space(photograph, times, solver))
    found = jax.device_get(list(bands(photograph, times, solver)))
    assert len(found) == 2
    np.testing.assert_allclose(np.concatenate([band.dense for band in found], 1), path.dense, atol=1e-6)
    entered = Edges(*(np.concatenate(edges, 1) for edges in zip(*(band.support for band in found), strict=True)))
    for ours, expected in zip(entered, path.support, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    ("shape", "nu", "is_divided"),
    [
        ((250, 5000), 1.0, True),
        ((512, 512), 1.0, False),
        ((1024, 1024), 0.1, True),
        ((1024, 1024), 0.02, False),
        ((1024, 1024), 0.01, False),
    ],
)
def test_who_is_divided(shape, nu, is_divided):
    border = border_width(nu, None)
    assert (longest_side(*shape, border) is not None) == is_divided
    assert border_width(nu, 0.03) < border < border_width(nu, 0.0003)
    assert longest_side(*shape, border, at_any_cost=True) > 2 * border
    assert longest_side(256, 256, border, at_any_cost=True) is None


def test_wrong_choices():
    with pytest.raises(TypeError, match="tiles must be None, True or False; got 'yes'"):
        isvs_jax.SplitLBI(tiles="yes")
    with pytest.raises(ValueError, match="tiles must be None or False where Euler steps are taken"):
        isvs_jax.SplitLBI(tiles=True, scheme="explicit")
