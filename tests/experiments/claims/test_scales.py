"""Hybrids, and whose class is seen in them."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.claims import scales
from experiments.claims.scales import Scales, cue_tables, run, shape_shares
from experiments.claims.scales_pictures import hybrids_figure, shape_share_figure
from experiments.estimates import Estimate
from experiments.measures.cue_conflict import Decisions, decisions, hybrids, pairs, split
from experiments.section import write_section
from experiments.study import study_of_size
from isvs_jax import SplitLBI, data, scale_space
from isvs_jax.augment import View
from isvs_jax.filters import gaussian_blur

SIZE = 16


def two_classes() -> tuple[np.ndarray, np.ndarray]:
    """Class 0: the left half is darker, stripes one column wide; class 1: the upper half, stripes one row high."""
    low = np.where(np.arange(SIZE) < SIZE // 2, 0.3, 0.7)
    high = 0.1 * (-1.0) ** np.arange(SIZE)
    across, down = np.broadcast_to(low + high, (SIZE, SIZE)), np.broadcast_to((low + high)[:, None], (SIZE, SIZE))
    images = np.stack([across, down] * 3)[..., None].astype(np.float32)
    return images, np.array([0, 1] * 3, np.int32)


def sees_large(images: jnp.ndarray) -> jnp.ndarray:
    """Which way the half-planes lie, from a blurred image."""
    blurred = gaussian_blur(images, 3.0)
    return jnp.stack(
        [abs(blurred[:, :, -1] - blurred[:, :, 0]).sum((1, 2)), abs(blurred[:, -1] - blurred[:, 0]).sum((1, 2))], 1
    )


def sees_small(images: jnp.ndarray) -> jnp.ndarray:
    """Which way the values alternate, from second differences."""
    right = images[:, :, 2:] - 2 * images[:, :, 1:-1] + images[:, :, :-2]
    down = images[:, 2:] - 2 * images[:, 1:-1] + images[:, :-2]
    return jnp.stack([abs(right).sum((1, 2, 3)), abs(down).sum((1, 2, 3))], 1)


def test_pairs_are_of_different_classes() -> None:
    images, labels = np.random.default_rng(0).random((20, 4, 4, 1)).astype(np.float32), np.arange(20) % 3
    made = pairs(images, labels)
    assert (made.large_labels != made.small_labels).all()
    assert (made.large == images).all()
    for small, label in zip(made.small, made.small_labels, strict=True):
        assert labels[(images == small).all((1, 2, 3))].tolist() == [label]
    with pytest.raises(ValueError, match="two classes or more"):
        pairs(images, np.zeros(20, int))


@pytest.mark.parametrize("view", ["blur:1.5", "dense:2"])
def test_large_and_small_scales_add_up(view: str) -> None:
    images, _ = two_classes()
    solver = SplitLBI(nu=1.0)
    large, small = (scales[0] for scales in split(images, [View.parse(view)], solver))
    np.testing.assert_allclose(large + small, images, atol=1e-6)
    # An image with itself is itself.
    same = pairs(images, np.arange(len(images)))
    same = type(same)(same.large, same.large, same.large_labels, same.large_labels)
    (made,) = hybrids(same, [View.parse(view)], solver)
    np.testing.assert_allclose(made.images, images, atol=1e-6)
    assert made.clipped < 1e-9
    assert 0 < made.large_share < 1


def test_the_path_split_is_the_path() -> None:
    images, _ = two_classes()
    (large,), _ = split(images, [View(2.0)], SplitLBI(nu=1.0))
    np.testing.assert_allclose(large, scale_space(images, [2.0], SplitLBI(nu=1.0)).dense[0], atol=1e-6)


def test_who_sees_large_scales_only_is_all_shape_and_who_sees_small_ones_all_texture() -> None:
    of = pairs(*two_classes())
    (made,) = hybrids(of, [View(1.0, "blur")], SplitLBI())
    assert made.clipped == 0
    large, small = (decisions(classifier, made.images, of) for classifier in (sees_large, sees_small))
    assert (large.shape_share, large.either, large.count) == (1.0, 6, 6)
    assert (small.shape_share, small.either, small.count) == (0.0, 6, 6)
    neither = decisions(lambda images: jnp.eye(3)[2] + jnp.zeros((len(images), 3)), made.images, of)
    assert neither.either == 0
    assert np.isnan(neither.shape_share)


def test_clipping_is_counted_as_energy() -> None:
    of = pairs(*two_classes())
    steep = type(of)(2 * of.large - 0.5, 2 * of.small - 0.5, of.large_labels, of.small_labels)
    views = [View(1.0, "blur")]
    (made,) = hybrids(steep, views, SplitLBI())
    sums = (split(steep.large, views, SplitLBI())[0] + split(steep.small, views, SplitLBI())[1])[0]
    assert (made.images == np.clip(sums, 0, 1)).all()
    lost = ((sums - made.images) ** 2).sum() / ((sums - sums.mean((1, 2), keepdims=True)) ** 2).sum()
    assert made.clipped == pytest.approx(lost, rel=1e-5)
    assert made.clipped > 0


def test_tables_and_pictures_of_hybrids() -> None:
    of = pairs(*two_classes())
    views = [View(1.0, "blur"), View(2.0)]
    made = {str(view): one for view, one in zip(views, hybrids(of, views, SplitLBI(nu=1.0)), strict=True)}
    seen = {
        "one": {text: [Decisions(3, 1, 6)] for text in made},
        "two": {text: [Decisions(3, 1, 6), Decisions(2, 2, 6)] for text in made},
        "blind": {text: [Decisions(0, 0, 6)] for text in made},
    }
    shares = shape_shares(seen)
    one = shares["one"]["blur:1"]
    assert isinstance(one, Estimate)
    # Wilson's interval of 3 of 4.
    assert (one.mean, one.low, one.high) == pytest.approx((0.75, 0.3006, 0.9544), abs=1e-4)
    two = shares["two"]["blur:1"]
    assert isinstance(two, Estimate)
    assert two.values == (0.75, 0.5)
    assert shares["blind"]["dense:2"] == "no decision for either"
    facts, _, either = cue_tables(seen, made)
    assert either.rows["one"][0].mean == pytest.approx(4 / 6)  # type: ignore[union-attr]
    assert facts.columns == ("blur:1", "dense:2")
    assert [ax.get_title() for ax in hybrids_figure(of, made).axes[:4]] == ["A", "B", "blur:1", "dense:2"]
    panels = shape_share_figure(shares, made).axes
    assert [ax.get_title() for ax in panels] == ["split by Gaussians", "split by the path"]
    assert panels[0].containers[0].lines[0].get_ydata().tolist() == [75.0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"splits": ()}, "splits must be one or more; got none"),
        ({"splits": ("wavelet:2",)}, "view .*'wavelet:2'"),
        ({"heights": (0.0,)}, "heights must be a finite number > 0; got 0.0"),
        ({"sides": (60,)}, "side must be an integer from 1 to 46; got 60"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scales(**settings)


def test_entrants_that_are_no_trainings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"entrants must be trainings here, .*; got \['path@dense:4'\]"):
        run(Scales(entrants=("path@dense:4",)))


def test_the_section_shows_hybrids_to_every_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = two_classes()
    monkeypatch.setattr(scales, "referee_images", lambda *_: data.Split(images, labels))
    monkeypatch.setattr(scales, "_networks", lambda *_: {"raw": [sees_small], "path": [sees_large, sees_large]})
    claim = Scales(
        study=study_of_size(out=tmp_path),
        entrants=("raw", "path", "noise"),
        splits=("blur:1",),
        nus=(1.0,),
        sides=(2, 4),
        heights=(1.0,),
        ground=12,
        stripe_nus=(1.0,),
    )
    section = run(claim)
    shares = section.tables[1]
    assert {name: row[0].mean for name, row in shares.rows.items()} == {"raw": 0, "path": 1}  # type: ignore[union-attr]
    page = write_section(section, tmp_path, claim).read_text()
    assert "Trainings: raw 1, path 2." in page
    assert "Not finished, and left out: noise." in page
    assert set(section.pictures) == {"hybrids", "shape_share", "entry"}


def test_a_look_at_a_study_without_trainings_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no finished training of raw, path"):
        scales._networks(("raw", "path"), study_of_size(out=tmp_path, finished_only=True))
