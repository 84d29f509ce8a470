import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from isvs_jax.comparison import wilson


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_as_scipy(case: tuple[int, int]) -> None:
    successes, count = case
    expected = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert wilson(successes, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("case", [(1, 0), (3, 2), (-1, 2)])
def test_what_is_no_proportion_is_refused(case: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"successes is {case[0]} of count {case[1]}"):
        wilson(*case)
