import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import isvs_jax
from isvs_jax.solver.regions import components
from tests.reference import project

pytestmark = pytest.mark.usefixtures("strict")


def random_support(rng, leading, height, width, channels, share):
    return isvs_jax.Edges(
        rng.random((*leading, height, width - 1, channels)) < share,
        rng.random((*leading, height - 1, width, channels)) < share,
    )


def spiral(size):
    """A path one pixel wide that winds to the centre: the longest component there is."""
    inside = np.zeros((size, size), bool)
    i, j, di, dj = 0, 0, 0, 1
    inside[0, 0] = True
    while True:
        for _ in range(2):
            ahead, beyond = (i + di, j + dj), (i + 2 * di, j + 2 * dj)
            free = all(0 <= k < size for k in ahead) and not inside[ahead]
            if free and not (all(0 <= k < size for k in beyond) and inside[beyond]):
                break
            di, dj = dj, -di
        else:
            return inside
        i, j = i + di, j + dj
        inside[i, j] = True


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (1, 6), (7, 1), (5, 6)]),
    channels=st.sampled_from([(1, 1), (3, 1), (3, 3)]),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
def test_projection_is_the_mean_over_scipys_components(shape, channels, share, seed):
    rng = np.random.default_rng(seed)
    images = rng.random((2, *shape, channels[0])).astype(np.float32)
    support = random_support(rng, (2,), *shape, channels[1], share)
    ours = np.asarray(isvs_jax.piecewise_constant(images, support))
    for k in range(2):
        expected = project(images[k], support.horizontal[k], support.vertical[k])
        np.testing.assert_allclose(ours[k], expected, atol=1e-6)


def lowest_pixel_of_each_component(horizontal, vertical):
    """Labels of one image by scipy's csgraph, each the smallest pixel number of its component."""
    pixel = np.arange(vertical.shape[1] * horizontal.shape[0]).reshape(horizontal.shape[0], -1)
    tails = np.concatenate([pixel[:, :-1][horizontal], pixel[:-1][vertical]])
    heads = np.concatenate([pixel[:, 1:][horizontal], pixel[1:][vertical]])
    graph = sparse.coo_array((np.ones(tails.size), (tails, heads)), shape=(pixel.size, pixel.size))
    _, numbers = sparse.csgraph.connected_components(graph, directed=False)
    _, first = np.unique(numbers, return_index=True)
    return first[numbers].reshape(pixel.shape)


def test_labels_are_those_of_scipy_however_long_the_components():
    """All in one batch: a spiral, a snake, combs, all joined, none joined, random mazes from sparse to dense."""
    size = 42
    rng = np.random.default_rng(0)
    inside = spiral(size)
    assert inside.sum() > 700
    all_rows, all_columns = np.ones((size, size - 1), bool), np.ones((size - 1, size), bool)
    snake, comb, turned = np.zeros_like(all_columns), np.zeros_like(all_columns), np.zeros_like(all_rows)
    snake[0::2, -1], snake[1::2, 0] = True, True
    comb[:, -1], turned[-1] = True, True
    joined = [
        (inside[:, 1:] == inside[:, :-1], inside[1:] == inside[:-1]),
        *((all_rows, columns) for columns in (snake, comb, all_columns)),
        (turned, all_columns),
        (~all_rows, ~all_columns),
        *((rng.random(all_rows.shape) < share, rng.random(all_columns.shape) < share) for share in (0.3, 0.5, 0.7)),
    ]
    labels = np.asarray(jax.jit(components)(*(np.stack(edges) for edges in zip(*joined, strict=True))))
    for ours, edges in zip(labels, joined, strict=True):
        np.testing.assert_array_equal(ours, lowest_pixel_of_each_component(*edges))


@pytest.mark.parametrize("high", [101.0, 0.8])
@pytest.mark.parametrize("scattered", [False, True])
def test_large_regions_keep_their_digits(high, scattered):
    """Two regions of up to a million pixels of two levels: a float32 sum pixel by pixel would lose three digits."""
    image = np.full((1050, 1000, 1), high, np.float32)
    image[np.random.default_rng(0).random(image.shape) < 0.4 if scattered else slice(100, 500)] = high - 0.5
    support = isvs_jax.Edges(np.zeros((1050, 999, 1), bool), np.zeros((1049, 1000, 1), bool))
    support.vertical[959] = True
    projected = np.asarray(isvs_jax.piecewise_constant(image, support))
    for part in (slice(None, 960), slice(960, None)):
        mean = image[part].astype(np.float64).mean()
        np.testing.assert_allclose(projected[part], np.full(projected[part].shape, mean), rtol=2e-7)


def test_it_is_an_orthogonal_projection_and_its_own_derivative(x64):
    rng = np.random.default_rng(0)
    image, other = rng.random((2, 6, 7, 2))
    support = random_support(rng, (), 6, 7, 1, 0.5)

    def apply(image):
        return isvs_jax.piecewise_constant(image, support)

    projected = apply(image)
    np.testing.assert_allclose(apply(projected), projected, atol=1e-12)
    np.testing.assert_allclose(np.vdot(projected, other), np.vdot(image, apply(other)), atol=1e-12)

    @jax.jit
    def forward_and_reverse(image, other):
        return jax.jvp(apply, (image,), (other,))[1], jax.vjp(apply, image)[1](other)[0]

    for derivative in forward_and_reverse(image, other):
        np.testing.assert_allclose(derivative, apply(other), atol=1e-12)
    for axis, inside in zip((-2, -3), support, strict=True):
        assert np.abs(np.where(inside, 0, np.diff(projected, axis=axis))).max() < 1e-12


def test_support_of_a_whole_path_broadcasts():
    image = np.random.default_rng(0).random((6, 5, 3)).astype(np.float32)
    path = isvs_jax.scale_space(image, [0.5, 2.0, 4.0])
    projected = np.asarray(isvs_jax.piecewise_constant(image, path.support))
    assert projected.shape == (3, 6, 5, 3)
    for k, time in enumerate((0.5, 2.0, 4.0)):
        np.testing.assert_allclose(projected[k], isvs_jax.smooth(image, time, output="sparse"), atol=1e-6)


def test_dtype_is_kept_and_jit_changes_nothing():
    rng = np.random.default_rng(0)
    support = random_support(rng, (2,), 4, 5, 1, 0.5)
    for dtype in (jnp.float16, jnp.bfloat16, jnp.float32):
        images = jnp.asarray(rng.random((2, 4, 5, 3)), dtype)
        eager = isvs_jax.piecewise_constant(images, support)
        assert eager.dtype == dtype
        np.testing.assert_array_equal(eager, jax.jit(isvs_jax.piecewise_constant)(images, support))


@pytest.mark.parametrize(
    ("horizontal", "vertical", "error", "sentence"),
    [
        (np.zeros((4, 4, 1)), np.zeros((3, 5, 1)), TypeError, "support must be of dtype bool; got float64 and float64"),
        (None, None, TypeError, "support must be Edges of two bool arrays; got Edges"),
        (
            np.zeros((4, 5, 1), bool),
            np.zeros((3, 5, 1), bool),
            ValueError,
            r"support must .*; got horizontal shape \(4, 5, 1\)",
        ),
        (np.zeros((4, 4, 2), bool), np.zeros((3, 5, 2), bool), ValueError, "K = 1 or C"),
        (np.zeros((5, 4, 1), bool), np.zeros((4, 5, 1), bool), ValueError, "support must .* of image"),
        (np.zeros((3, 4, 4, 1), bool), np.zeros((3, 3, 5, 1), bool), ValueError, "leading axes"),
    ],
)
def test_a_support_that_does_not_fit_is_refused(horizontal, vertical, error, sentence):
    image = np.zeros((2, 4, 5, 3), np.float32)
    with pytest.raises(error, match=sentence):
        isvs_jax.piecewise_constant(image, isvs_jax.Edges(horizontal, vertical))
