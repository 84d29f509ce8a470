import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.training import Inputs, View
from isvs_jax.training.inputs import choose

VIEWS = (View(1.0), View(2.0), View(4.0, "sparse"))


def shares(inputs: Inputs, progress: float = 0.5, count: int = 40_000) -> np.ndarray:
    version = choose(inputs, jax.random.key(0), count, jnp.float32(progress))
    assert version.dtype == jnp.int32
    return np.bincount(version, minlength=1 + len(inputs.views)) / count


def test_raw_and_fixed() -> None:
    np.testing.assert_array_equal(shares(Inputs()), [1])
    np.testing.assert_array_equal(shares(Inputs("fixed", VIEWS[:1])), [0, 1])


@pytest.mark.parametrize("raw_share", [0.0, 0.25, 0.5, 1.0])
def test_random_keeps_the_shares(raw_share: float) -> None:
    expected = [raw_share, *[(1 - raw_share) / 3] * 3]
    # Five standard deviations of a share among 40,000 draws.
    np.testing.assert_allclose(shares(Inputs("random", VIEWS, raw_share)), expected, atol=5 * 0.5 / 200)


def test_coarse_to_fine_goes_through_the_views_in_order_and_ends_raw() -> None:
    inputs = Inputs("coarse_to_fine", VIEWS)
    seen = [int(np.argmax(shares(inputs, progress, 10))) for progress in np.arange(0, 1, 0.05)]
    assert seen == [1] * 5 + [2] * 5 + [3] * 5 + [0] * 5


def test_keys_count() -> None:
    inputs = Inputs("random", VIEWS)
    one, two = (choose(inputs, jax.random.key(k), 100, jnp.float32(0)) for k in (1, 2))
    assert (one != two).any()
    np.testing.assert_array_equal(jax.jit(choose, static_argnums=(0, 2))(inputs, jax.random.key(1), 100, 0.0), one)


def test_views_are_parsed() -> None:
    assert View.parse("sparse:0.5") == View(0.5, "sparse")
    assert str(View.parse("dense:8")) == "dense:8"
    for text in ("dense", "8", "soft:8", "dense:-1", "dense:nan", "dense:x", ""):
        with pytest.raises(ValueError, match="it may be 'dense:TIME' or 'sparse:TIME'"):
            View.parse(text)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("other",), "way is 'other'"),
        (("raw", VIEWS), "takes no views"),
        (("fixed", VIEWS), "takes one view"),
        (("fixed",), "takes one view"),
        (("random",), "takes one view or more"),
        (("random", VIEWS, 1.5), "raw_share is 1.5"),
        (("coarse_to_fine", VIEWS[::-1]), "in the order of their times"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Inputs(*arguments)
