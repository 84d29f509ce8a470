"""Entrants: a training, and what stands before the network."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.claims.comparison import Comparison
from experiments.judging import Entrant
from experiments.study import study_of_size
from isvs_jax import SplitLBI

NAMES = st.from_regex(r"[a-z][a-z_-]{0,20}", fullmatch=True)
TIMES = st.floats(0.01, 100).map(lambda time: f"{time:g}")
BEFORE = st.one_of(
    st.none(),
    st.builds("{}:{}".format, st.sampled_from(["dense", "sparse"]), TIMES),
    st.builds("by-noise:{},{}".format, st.just("2"), st.sampled_from(["4", "8.5"])),
)


@settings(deadline=None, max_examples=40)
@given(NAMES, BEFORE)
def test_text_and_back(training: str, before: str | None) -> None:
    entrant = Entrant(training, before)
    assert Entrant.parse(str(entrant)) == entrant
    assert (entrant.defence(SplitLBI()) is None) == (before is None)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.builds(Entrant, NAMES, BEFORE), unique=True))
def test_folders_differ_where_entrants_do(entrants: list[Entrant]) -> None:
    names = [entrant.folder_name for entrant in entrants]
    assert len(set(names)) == len(names)
    assert not any(letter in name for name in names for letter in "/:\\ ")


@pytest.mark.parametrize("text", ["", "@dense:4", "raw@"])
def test_half_an_entrant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="entrant must be TRAINING or TRAINING@BEFORE"):
        Entrant.parse(text)


@pytest.mark.parametrize("before", ["dense", "dense:x", "blur:1", "by-noise", "by-noise:4,x", "by-noise:8,4", "why:1"])
def test_what_cannot_stand_before_a_network_is_refused(before: str) -> None:
    with pytest.raises(ValueError, match=f"before must be dense:TIME, sparse:TIME or by-noise.*got '{before}'"):
        Entrant("raw", before).defence(SplitLBI())


def test_those_named_stand_before_the_usual_ones() -> None:
    class Some(Comparison):
        usual, few = ("raw", "path", "path@dense:4"), ("raw",)

    assert Some(entrants=("noise",)).chosen == (Entrant("noise"),)
    assert Some().chosen == (Entrant("raw"),)
    assert Some(study_of_size("cpu")).chosen[-1] == Entrant("path", "dense:4")
