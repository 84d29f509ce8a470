"""Batches of one shape: every row once, and fillers that are known."""

import jax
import numpy as np
import pytest

from isvs_jax.robustness._batches import Layout, batches, filled


@pytest.mark.parametrize(("count", "size"), [(1, 4), (4, 4), (5, 4), (8, 4), (3, 1)])
def test_every_row_comes_once_in_batches_of_one_shape(count: int, size: int) -> None:
    rows = 10 + np.arange(count)
    whole, real = filled(rows, size)
    assert len(whole) % size == 0
    assert len(whole) - count < size
    assert real == count
    assert (whole[count:] == rows[0]).all()
    cut = list(batches(rows, size))
    assert all(len(batch) == size for batch, _ in cut)
    assert np.concatenate([batch[:true] for batch, true in cut]).tolist() == rows.tolist()
    assert list(batches(rows[:0], size)) == []


def test_batches_fit_the_examples_and_the_devices() -> None:
    layout = Layout.over(jax.devices()[:3], 12)
    assert layout.fitted(5).batch_size == 6
    assert layout.fitted(50).batch_size == 12
    assert [layout.whole_size(count) for count in (2, 5, 50)] == [2, 3, 12]
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 3 devices; got 8"):
        Layout.over(jax.devices()[:3], 8)
