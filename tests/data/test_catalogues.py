import numpy as np
import pytest
from scipy.ndimage import zoom
from sklearn.datasets import load_digits as embedded

from isvs_jax import data


def test_every_digit_is_there_once_and_as_it_was() -> None:
    digits = data.load("digits", image_size=8)
    images = np.concatenate([digits.train.images, digits.test.images])
    labels = np.concatenate([digits.train.labels, digits.test.labels])
    table = embedded()
    order, expected_order = (np.lexsort(x.reshape(len(x), -1).T) for x in (images, table.images))
    np.testing.assert_array_equal(images[order][..., 0], table.images[expected_order].astype(np.float32) / 16)
    np.testing.assert_array_equal(labels[order], table.target[expected_order])


def test_enlarged_as_scipy_does() -> None:
    small, large = data.load("digits", image_size=8), data.load("digits")
    assert large.image_shape == (32, 32, 1)
    expected = zoom(small.test.images[5, ..., 0], 4, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(large.test.images[5, ..., 0], expected, atol=1e-6)
    assert large.train.images.min() == 0
    assert large.train.images.max() == 1


def test_the_split_is_the_same_each_time_and_stratified() -> None:
    one, two = data.load("digits"), data.load("digits")
    np.testing.assert_array_equal(one.test.images, two.test.images)
    assert np.ptp(np.bincount(one.test.labels)) <= 4
    assert not one.mirror


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"image_size must be an integer of at least 8; got 4\."):
        data.load("digits", image_size=4)
    with pytest.raises(ValueError, match=r"limit_test must be an integer of at least 1; got 0\."):
        data.load("digits", limit_test=0)
    for spec in ("", "tfds:", "/no/such/place", "digit"):
        with pytest.raises(ValueError, match=r"spec must be 'digits', 'tfds:NAME' .*; got '"):
            data.load(spec)
