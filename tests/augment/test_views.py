import importlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, PartitionSpec

from isvs_jax import SplitLBI, smooth
from isvs_jax.augment import View, show_views
from isvs_jax.filters import gaussian_blur, low_pass, rof

# Not in the order of their times, and one time twice.
VIEWS = (View(2.0), View(0.8, "blur"), View(0.5, "sparse"), View(0.4, "lowpass"), View(0.1, "rof"), View(2.0, "sparse"))
IMAGES = jax.random.uniform(jax.random.key(0), (8, 8, 8, 2))
SOLVER = SplitLBI(kappa=4.0)
show = jax.jit(show_views, static_argnums=(1, 2))


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 1), st.sampled_from(["dense", "sparse", "blur", "lowpass", "rof"]))
def test_parse_is_the_inverse_of_str(strength: float, kind: str) -> None:
    assert View.parse(str(View(strength, kind))) == View(strength, kind)


def test_views_are_written_short() -> None:
    assert str(View.parse("dense:4.0")) == "dense:4"
    assert str(View.parse("blur:0.75")) == "blur:0.75"
    assert [view.is_path for view in VIEWS] == [True, False, True, False, False, True]


@pytest.mark.parametrize("text", ["dense", "8", "soft:8", "dense:-1", "dense:nan", "dense:x", "", "blur:inf", "rof:0"])
def test_what_is_no_view_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"view must be KIND:STRENGTH, such as dense:4, .*; got "):
        View.parse(text)


def test_the_range_is_said() -> None:
    with pytest.raises(ValueError, match=r"strength of kind 'lowpass' must be a share of .* in \(0, 1\]; got 1\.5"):
        View(1.5, "lowpass")
    with pytest.raises(ValueError, match=r"kind must be one of 'dense', .*; got 'soft'"):
        View(1.0, "soft")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="strength of kind 'dense' must be a finite time ≥ 0; got '4'"):
        View("4")  # type: ignore[arg-type]


def test_each_view_is_what_its_name_says() -> None:
    shown = show(IMAGES, VIEWS, SOLVER)
    expected = [
        smooth(IMAGES, 2.0, SOLVER),
        gaussian_blur(IMAGES, 0.8),
        smooth(IMAGES, 0.5, SOLVER, "sparse"),
        low_pass(IMAGES, 0.4),
        rof(IMAGES, 0.1),
        smooth(IMAGES, 2.0, SOLVER, "sparse"),
    ]
    np.testing.assert_allclose(shown, np.stack(expected), atol=2e-6)


def test_the_path_is_followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("isvs_jax.augment.views")
    calls = []

    def counted(images: jax.Array, times: list[float], solver: SplitLBI) -> object:
        calls.append(times)
        return original(images, times, solver)

    original = module.scale_space
    monkeypatch.setattr(module, "scale_space", counted)
    jax.eval_shape(partial(show_views, views=VIEWS), IMAGES)
    assert calls == [[0.5, 2.0]]
    jax.eval_shape(partial(show_views, views=(View(1.0, "blur"),)), IMAGES)
    assert len(calls) == 1


def test_eight_devices_show_what_one_shows() -> None:
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec(None, "batch")
    divided = jax.jit(
        jax.shard_map(
            lambda images: show_views(images, VIEWS, SOLVER), mesh=mesh, in_specs=PartitionSpec("batch"), out_specs=spec
        )
    )
    np.testing.assert_allclose(divided(IMAGES), show(IMAGES, VIEWS, SOLVER), atol=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="views must hold at least one view; got none"):
        show_views(IMAGES, ())
    with pytest.raises(ValueError, match=r"images must be \[B, H, W, C\]; got shape \(8, 8, 2\)"):
        show_views(jnp.zeros((8, 8, 2)), VIEWS)
