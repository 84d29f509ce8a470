"""Contours, noise and filters of equal energy, against NumPy and by what must hold."""

from pathlib import Path

import numpy as np
import pytest

from experiments.claims import comparison, filtering
from experiments.claims.filtering import Filtering, match, match_tables, strip, trade_off
from experiments.measures.smoothing import FILTERS, contour_error, contours, equals, kept, noise_left, psnr, shown
from experiments.section import write_section
from experiments.study import study_of_size
from isvs_jax import SplitLBI, data
from isvs_jax.augment import View
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import Cell, packed

SOLVER = SplitLBI(nu=1.0)
VIEWS = (View(4.0), View(8.0), View(16.0, "sparse"))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Blocks of different grey with some texture, 12×12."""
    rng = np.random.default_rng(0)
    blocks = rng.uniform(0.1, 0.9, (3, 3, 3, 2)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(blocks + rng.normal(0, 0.03, blocks.shape), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def noise(images: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.08, images.shape).astype(np.float32)


def test_contours_are_the_strongest_edges_of_each_image(images: np.ndarray) -> None:
    found = contours(images, 0.1)
    for number, image in enumerate(images.astype(np.float64)):
        right = np.sqrt((np.diff(image, axis=1) ** 2).sum(-1))
        down = np.sqrt((np.diff(image, axis=0) ** 2).sum(-1))
        every = np.sort(np.concatenate([right.ravel(), down.ravel()]))
        least = every[-round(0.1 * every.size)]
        assert (found.horizontal[number, ..., 0] == (right >= least)).all()
        assert (found.vertical[number, ..., 0] == (down >= least)).all()


def test_a_flat_image_has_no_contours_and_no_error() -> None:
    flat = np.full((1, 4, 4, 1), 0.5)
    assert not any(field.any() for field in contours(flat))
    assert contour_error(flat, flat) == 0


def test_contour_error_is_that_of_numpy(images: np.ndarray) -> None:
    other = images[::-1]
    found = contour_error(images, other)
    for number in range(len(images)):
        at = contours(images)
        parts = []
        for axis, where in ((1, at.horizontal), (0, at.vertical)):
            wanted, got = (np.diff(one[number].astype(np.float64), axis=axis) for one in (images, other))
            parts.append(
                [((got - wanted)[where[number, ..., 0]] ** 2).sum(), (wanted[where[number, ..., 0]] ** 2).sum()]
            )
        off, whole = np.sum(parts, axis=0)
        assert found[number] == pytest.approx(np.sqrt(off / whole), rel=1e-12)


def test_what_is_kept_whole_has_no_error_and_what_is_flattened_has_all(images: np.ndarray, noise: np.ndarray) -> None:
    assert (contour_error(images, images) == 0).all()
    assert (contour_error(images, images + 0.25) < 1e-6).all()
    np.testing.assert_allclose(contour_error(images, np.zeros_like(images)), 1, rtol=1e-12)
    np.testing.assert_allclose(contour_error(images, images / 2), 0.5, rtol=1e-6)
    np.testing.assert_allclose(noise_left(images, images + noise, noise), 1, rtol=1e-5)
    assert (noise_left(images, images, noise) == 0).all()
    np.testing.assert_allclose(psnr(images + 0.1, images), 20, atol=1e-4)


def test_filters_take_away_as_much_as_the_path(images: np.ndarray, noise: np.ndarray) -> None:
    found = equals(images, VIEWS, SOLVER)
    assert list(found) == list(VIEWS)
    for view, filters in found.items():
        assert tuple(one.kind for one in filters) == FILTERS
        path = kept(images, noise, (view,), SOLVER)[0].energy.mean()
        blur, low_pass, rof = (one.energy.mean() for one in kept(images, noise, filters, SOLVER))
        np.testing.assert_allclose((blur, rof), path, rtol=1e-3)
        # The cut-offs of so small an image are few.
        assert low_pass == pytest.approx(path, rel=0.25)


def test_less_smoothing_keeps_more(images: np.ndarray, noise: np.ndarray) -> None:
    for weak, strong in ((View(8.0), View(2.0)), (View(0.5, "blur"), View(1.5, "blur"))):
        less, more = kept(images, noise, (weak, strong), SOLVER)
        assert less.contour_error.mean() < more.contour_error.mean()
        assert less.noise_left.mean() > more.noise_left.mean()
        assert less.energy.mean() < more.energy.mean()


def test_tables_have_a_row_for_each_view_and_pictures_a_line_for_each_filter(
    images: np.ndarray, noise: np.ndarray
) -> None:
    matched = match("noisy", images + noise, images, noise, VIEWS, SOLVER)
    tables = match_tables(matched)
    assert len(tables) == 4
    for table in tables:
        assert list(table.rows) == [str(view) for view in VIEWS]
        assert table.markdown().count("\n") == 2 + len(VIEWS)
    energy = float(tables[0].rows["dense:4"][0])  # type: ignore[arg-type]
    taken = images + noise - shown(images + noise, (View(4.0),), SOLVER)[0]
    assert energy == pytest.approx(np.sqrt(np.mean(taken**2)), abs=1e-4)
    lines = {"path": [row[0] for row in matched.rows.values()], "blur": [row[1] for row in matched.rows.values()]}
    left, right = trade_off(lines).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["path", "blur"]
    assert left.containers[0].lines[0].get_xdata()[0] == pytest.approx(100 * lines["path"][0].noise_left.mean())
    assert right.containers[1].lines[0].get_ydata()[0] == pytest.approx(lines["blur"][0].psnr.mean())
    grid = strip(images[..., :1], [[one.view for one in row] for row in matched.rows.values()], SOLVER)
    titles = [ax.get_title() for ax in grid.axes if ax.images]
    assert titles[0] == "original"
    assert len(titles) == 1 + 4 * len(VIEWS)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="images must be an integer of at least 2; got 1"):
        Filtering(images=1)
    with pytest.raises(ValueError, match="sigma must be a finite number > 0; got 0"):
        Filtering(sigma=0.0)
    with pytest.raises(ValueError, match="views must be one or more views of the path"):
        Filtering(views=("blur:1",))
    with pytest.raises(ValueError, match=r"share must be a number in \(0, 1\]; got 0"):
        contours(np.zeros((1, 2, 2, 1)), 0)


def test_the_section_has_tables_pictures_and_accuracies(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    right = Cell(packed(np.array([1, 1, 0])), 3)
    report = Report("raw, seed 0", "", "regenerated", 3, (12, 12, 1), 2, right, {"fog": {3: right}})
    split = data.Split(np.ascontiguousarray(images[..., :1]), np.array([0, 1, 0], np.int32))
    monkeypatch.setattr(filtering, "referee_images", lambda *_: split)
    few = {"path": (View(8.0), View(4.0)), "blur": (View(0.5, "blur"), View(1.0, "blur"))}
    monkeypatch.setattr(filtering, "_CURVES", few)
    monkeypatch.setattr(comparison, "judged", lambda entrants, *_: {entrant: {0: report} for entrant in entrants})
    claim = Filtering(study=study_of_size(out=tmp_path), entrants=("raw", "blur"), views=("dense:4", "dense:8"))
    section = filtering.run(claim)
    assert len(section.tables) == 9
    accuracies = section.tables[-1]
    assert accuracies.columns == ("clean", "all corruptions", "fog")
    assert accuracies.rows["blur"][0].mean == pytest.approx(2 / 3)  # type: ignore[union-attr]
    assert set(section.pictures) == {"trade_off", "clean", "noisy"}
    page = write_section(section, tmp_path, claim).read_text()
    assert "Contours and noise: 3 test images" in page
    assert (tmp_path / "filtering" / "trade_off.png").stat().st_size > 1000
