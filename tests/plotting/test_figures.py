"""Figures hold the images, lines and labels that they should, on the axes that were given."""

import sys
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import isvs_jax
from isvs_jax import Edges, piecewise_constant, plotting, scale_space
from tests.plotting.conftest import TIMES

Figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed").Figure


def at(path, time, number, image, output):
    """One image of a path, projected on its own."""
    t = TIMES.index(time)
    if output == "dense":
        return np.asarray(path.dense[t, number])
    return np.asarray(piecewise_constant(image, Edges(*(edge[t, number] for edge in path.support))))


def shown(ax):
    return np.asarray(ax.images[0].get_array())


def test_a_strip_holds_the_images_of_the_path(images, path):
    figure = plotting.scale_space_strip(images, path, names=["clean", "noisy"])
    rows = np.array(figure.axes).reshape(4, 4)
    assert [ax.get_title() for ax in rows[0]] == ["original", "t = 0.5", "t = 3", "t = 12"]
    assert [row[0].get_ylabel() for row in rows] == ["clean\ndense", "clean\nsparse", "noisy\ndense", "noisy\nsparse"]
    for row, number, output in zip(rows, (0, 0, 1, 1), ("dense", "sparse") * 2, strict=True):
        np.testing.assert_array_equal(shown(row[0]), np.clip(images[number, ..., 0], 0, 1))
        for ax, time in zip(row[1:], TIMES, strict=True):
            expected = at(path, time, number, images[number], output)[..., 0]
            np.testing.assert_allclose(shown(ax), np.clip(expected, 0, 1), atol=1e-6)
            assert ax.images[0].get_clim() == (0, 1)


def test_a_strip_of_colours_within_limits(images):
    coloured = jnp.asarray(images[0] * np.array([1, 2, 3], np.float32), jnp.bfloat16)
    figure = plotting.scale_space_strip(coloured, scale_space(coloured, [12.0]), ["sparse"], limits=(-1.0, 3.0))
    original, smoothed = figure.axes
    np.testing.assert_allclose(shown(original), (np.asarray(coloured, np.float32) + 1) / 4, atol=1e-6)
    assert shown(smoothed).shape == (8, 7, 3)
    assert original.get_ylabel() == "sparse"


def test_the_number_of_entered_edges(images, path):
    ax = plotting.support_size(path, names=["clean", "noisy"]).axes[0]
    horizontal, vertical = (np.asarray(edge) for edge in path.support)
    for number, (line, name) in enumerate(zip(ax.lines, ["clean", "noisy"], strict=True)):
        expected = [int(horizontal[t, number].sum() + vertical[t, number].sum()) for t in range(3)]
        np.testing.assert_array_equal(line.get_xydata(), np.stack([TIMES, expected], -1))
        assert line.get_label() == name
    # The square has 2·4 + 2·3 edges, and all of them are in at the last time.
    assert ax.lines[0].get_ydata()[-1] == 14
    share = plotting.support_size(path, share=True).axes[0]
    np.testing.assert_allclose(share.lines[0].get_ydata()[-1], 100 * 14 / (8 * 6 + 7 * 7))
    assert share.get_ylabel() == "entered edges in %"
    assert share.get_legend() is None


def test_entry_times_against_a_loop(images):
    image = images[1] * np.array([1.0, 0.5, 0.2], np.float32)
    path = scale_space(image, TIMES, isvs_jax.SplitLBI(penalty="anisotropic"))
    figure = plotting.entry_times(path, names=["noisy"])
    horizontal, vertical = (np.asarray(edge) for edge in path.support)
    expected = np.full((8, 7), 3)
    for t in (2, 1, 0):
        for i in range(8):
            for j in range(7):
                right = j < 6 and horizontal[t, i, j].any()
                below = i < 7 and vertical[t, i, j].any()
                expected[i, j] = t if right or below else expected[i, j]
    np.testing.assert_array_equal(shown(figure.axes[0]), expected)
    assert len(np.unique(expected)) > 2
    assert figure.axes[0].get_title() == "noisy"
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["0.5", "3", "12", "later"]


@pytest.mark.parametrize("measure", ["psnr", "rmse"])
def test_denoising_curves_against_scikit_image(images, measure):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    clean = np.repeat(images[:1], 2, axis=0)
    noisy = np.stack([images[1], 2 * images[1] - images[0]])
    path = scale_space(noisy, TIMES)
    ax = plotting.denoising_curves(noisy, clean, path, measure=measure, name="A").axes[0]

    def reference(image, number):
        if measure == "rmse":
            return metrics.normalized_root_mse(clean[number], image, normalization="min-max") * 0.9
        return metrics.peak_signal_noise_ratio(clean[number], image, data_range=1.0)

    line, dense, sparse = ax.lines
    np.testing.assert_allclose(line.get_ydata()[0], np.mean([reference(noisy[i], i) for i in range(2)]), rtol=1e-5)
    for curve, output in ((dense, "dense"), (sparse, "sparse")):
        expected = [np.mean([reference(at(path, t, i, noisy[i], output), i) for i in range(2)]) for t in TIMES]
        np.testing.assert_allclose(curve.get_ydata(), expected, rtol=1e-4)
        best = TIMES[np.argmax(expected) if measure == "psnr" else np.argmin(expected)]
        assert curve.get_label().startswith(f"A, {output}, ")
        assert curve.get_label().endswith(f"at t = {best:g}")
    assert len({line.get_color() for line in ax.lines}) == 3


def test_accuracy_by_severity():
    trainings = [[0.9, 0.6], [0.8, 0.4]]
    figure = plotting.accuracy_by_severity(
        {"one": [0.5, 0.25], "three": trainings}, [0, 5], intervals={"one": [[0.4, 0.7], [0.25, 0.3]]}, chance=0.1
    )
    ax = figure.axes[0]
    one, three = ax.containers
    np.testing.assert_allclose(one[0].get_xydata(), [[0, 50], [5, 25]])
    np.testing.assert_allclose(three[0].get_xydata(), [[0, 85], [5, 50]])
    for container, ends in ((one, [[40, 70], [25, 30]]), (three, [[80, 90], [40, 60]])):
        segments = container[2][0].get_segments()
        np.testing.assert_allclose([segment[:, 1] for segment in segments], ends)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "three", "chance"]
    assert ax.get_ylim() == (0, 100)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "5"]


def test_given_axes_are_drawn_on(images, path):
    figure = Figure(layout="constrained")
    left, right = figure.subfigures(1, 2)
    grid = left.subplots(4, 4)
    assert plotting.scale_space_strip(images, path, axes=grid) is figure
    assert all(len(ax.images) == 1 for ax in grid.flat)
    axes = right.subplots(5)
    assert plotting.entry_times(path, axes=axes[:2]) is figure
    assert plotting.support_size(path, ax=axes[2]) is figure
    assert plotting.support_size(path, ax=axes[2]) is figure
    assert plotting.denoising_curves(images[1], images[0], scale_space(images[1], TIMES), ax=axes[3]) is figure
    assert plotting.accuracy_by_severity({"a": [0.5]}, [1], ax=axes[4]) is figure
    assert plotting.accuracy_by_severity({"b": [0.4]}, [1], ax=axes[4]) is figure
    assert [len(ax.lines) for ax in axes[2:4]] == [4, 3]
    # A second call goes on with the looks.
    assert len({line.get_color() for line in axes[2].lines}) == 4
    assert len({container[0].get_color() for container in axes[4].containers}) == 2


def test_many_times_leave_legible_labels(images):
    times = np.geomspace(0.5, 12, 40)
    figure = plotting.entry_times(scale_space(images[0], times, isvs_jax.SplitLBI(step_size=0.038)))
    bar = figure.axes[1]
    labels = [label.get_text() for label in bar.get_yticklabels()]
    assert labels[-1] == "later"
    assert 9 <= len(labels) <= 13
    for place, label in zip(bar.get_yticks()[:-1], labels[:-1], strict=True):
        assert float(label) == pytest.approx(times[int(place)], rel=1e-2)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in bar.get_yticklabels()]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_pictures_are_drawn_outside_of_jit(images):
    def entered(image):
        return plotting.support_size(scale_space(image, TIMES)).axes[0].lines[0].get_ydata()

    with pytest.raises(TypeError, match="path must have values, outside of jit, vmap and grad; got a traced one"):
        jax.jit(entered)(images[0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("solver", [isvs_jax.SplitLBI(), isvs_jax.SplitLBI(scheme="explicit")], ids=lambda s: s.scheme)
def test_the_path_of_an_image_is_taken_for_its_own(dtype, solver):
    image = 10 * np.random.default_rng(0).uniform(size=(64, 64, 3))
    image = jnp.asarray(image, dtype)
    figure = plotting.scale_space_strip(image, scale_space(image, [0.1, 1.0], solver), ["dense"], limits=(0, 10))
    assert len(figure.axes) == 3


def test_pyplot_holds_no_figure(path):
    plotting.support_size(path)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_without_matplotlib_there_is_a_sentence(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r'^matplotlib is not installed: pip install "isvs_jax\[plot\]"$'):
        plotting.support_size(path)
