import numpy as np
import pytest

from isvs_jax import data
from isvs_jax.data.dataset import Dataset, Split, limited, stratified_indices


def split(count: int = 6, size: int = 4) -> Split:
    return Split(np.zeros((count, size, size, 1), np.uint8), np.arange(count, dtype=np.int32) % 2)


def test_a_split_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        split().images[0] = 1


@pytest.mark.parametrize(
    ("images", "labels", "named"),
    [
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int32), r"images must be \[N, .*; got shape"),
        (np.zeros((2, 4, 4, 2), np.uint8), np.zeros(2, np.int32), r"images must be \[N, .*; got shape"),
        (np.zeros((2, 4, 4, 1), np.float64), np.zeros(2, np.int32), "images must be uint8 or .* float64"),
        (np.full((2, 4, 4, 1), 255, np.float32), np.zeros(2, np.int32), r"in \[0, 1\]; got values from 255.0 to"),
        (np.full((2, 4, 4, 1), np.nan, np.float32), np.zeros(2, np.int32), "must be finite .*; got values from nan to"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int32), r"must be int32 of shape \(2,\); got int32 of shape"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64), "labels must be int32 .* got int64"),
    ],
)
def test_what_cannot_be_a_split_is_refused(images: np.ndarray, labels: np.ndarray, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Split(images, labels)


def test_labels_past_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="train must have labels from 0 to 0; got labels from 0 to 1"):
        Dataset("x", "x", ("one",), split(), split(), mirror=True)


def test_as_float() -> None:
    values = np.array([0, 51, 255], np.uint8)
    np.testing.assert_array_equal(data.as_float(values), np.array([0, 0.2, 1], np.float32))
    assert data.as_float(values.astype(np.float32)).dtype == np.float32
    deep = np.array([0, 13107, 65535], np.uint16)
    np.testing.assert_array_equal(data.as_float(deep), np.array([0, 0.2, 1], np.float32))
    with pytest.raises(TypeError, match="images must be uint8, uint16 or of a floating dtype; got dtype int64"):
        data.as_float(values.astype(np.int64))


def test_stratified_parts_keep_the_shares_and_share_nothing() -> None:
    labels = np.repeat([0, 1, 2], [30, 60, 3])
    train, test = stratified_indices(labels, 1 / 3, seed=0)
    assert sorted(np.concatenate([train, test])) == list(range(93))
    np.testing.assert_array_equal(np.bincount(labels[test]), [10, 20, 1])
    other = stratified_indices(labels, 1 / 3, seed=1)[1]
    assert not np.array_equal(test, other)
    with pytest.raises(ValueError, match=r"class 7 must have two images or more, .*; got 1"):
        stratified_indices(np.array([7, 8, 8]), 0.5, seed=0)


def test_limited_draws_without_replacement() -> None:
    numbered = Split(np.arange(100, dtype=np.uint8)[:, None, None, None], np.zeros(100, np.int32))
    drawn = limited(numbered, 10, seed=3).images.ravel()
    assert len(set(drawn)) == 10
    assert list(drawn) == sorted(drawn)
    assert list(drawn) == list(limited(numbered, 10, seed=3).images.ravel())
    assert list(drawn) != list(limited(numbered, 10, seed=4).images.ravel())
    assert limited(numbered, 100, seed=0) is numbered


def test_a_holdout_never_touches_the_test_images() -> None:
    train = Split(np.full((50, 2, 2, 1), 7, np.uint8), np.arange(50, dtype=np.int32) % 2)
    test = Split(np.full((4, 2, 2, 1), 9, np.uint8), np.zeros(4, np.int32))
    held = data.holdout(Dataset("x", "x", ("a", "b"), train, test, mirror=False), 0.2)
    assert (len(held.train), len(held.test)) == (40, 10)
    assert (held.test.images == 7).all()
    with pytest.raises(ValueError, match=r"fraction must be a number in \(0, 1\); got 1\."):
        data.holdout(held, 1)


def test_a_choice_is_checked_when_it_is_made() -> None:
    for name, value in (("image_size", 0), ("limit_train", 0), ("limit_test", -1), ("draw_seed", -1)):
        with pytest.raises(ValueError, match=rf"{name} must be an integer of at least \d; got {value}\."):
            data.DataChoice(**{name: value})
    with pytest.raises(ValueError, match=r"validation_share must be a number in \[0, 1\); got 1\."):
        data.DataChoice(validation_share=1)
