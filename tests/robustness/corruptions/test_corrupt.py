"""What holds for all nineteen corruptions: shapes, ranges, dtypes, keys, batches, compilations, refusals."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isvs_jax.robustness import CATEGORIES, CORRUPTIONS, VALIDATION_CORRUPTIONS, corrupt
from isvs_jax.robustness.corruptions._tables import TABLE_SIZES, TABLES, nearest_table_size, table_rows
from isvs_jax.robustness.corruptions.blur import disk_kernel
from isvs_jax.robustness.corruptions.digital import pixelate_bounds

MODULE = importlib.import_module("isvs_jax.robustness.corruptions._corrupt")
ALL = CORRUPTIONS + VALIDATION_CORRUPTIONS
# Nothing random in them: the key must not matter.
FIXED = (
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
)
SEVERITIES = range(1, 6)


def test_names():
    assert len(CORRUPTIONS) == 15
    assert VALIDATION_CORRUPTIONS == ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert set(CATEGORIES) == set(ALL)
    assert set(CATEGORIES.values()) == {"noise", "blur", "weather", "digital"}
    assert [CATEGORIES[name] for name in CORRUPTIONS].count("noise") == 3


@pytest.mark.parametrize("name", ALL)
def test_tables_are_complete(name):
    assert set(TABLES[name]) == set(TABLE_SIZES)
    rows = [table_rows(name, size) for size in TABLE_SIZES]
    assert {row.shape for row in rows} == {rows[0].shape}
    assert len(rows[0]) == 5
    # No two severities of a table are the same.
    assert all(len(np.unique(row, axis=0)) == 5 for row in rows)


@pytest.mark.parametrize(("size", "table"), [(28, 32), (32, 32), (48, 64), (64, 64), (96, 64), (160, 224), (299, 224)])
def test_the_nearest_table_is_chosen(size, table):
    assert nearest_table_size(size, size) == table
    assert nearest_table_size(size, 3 * size) == table


@pytest.mark.parametrize("name", ALL)
def test_range_determinism_batch_and_one_compilation(name, images, key, monkeypatch):
    traces = []
    monkeypatch.setattr(MODULE, "table_rows", lambda *which: traces.append(which) or table_rows(*which))
    outputs = [corrupt(images, name, severity, key, table=224) for severity in SEVERITIES]
    # None where another test has compiled it.
    assert traces in ([], [(name, 224)])
    for output in outputs:
        assert output.shape == images.shape
        assert output.dtype == images.dtype
        assert float(output.min()) >= 0
        assert float(output.max()) <= 1
    again = corrupt(images, name, 3, key, table=224)
    np.testing.assert_array_equal(again, outputs[2])
    other = corrupt(images, name, 3, jax.random.key(12), table=224)
    assert bool(jnp.array_equal(other, outputs[2])) == (name in FIXED)
    # An image is told by its index, not by its place or its companions.
    order = np.array([2, 0, 0])
    shuffled = corrupt(images[order], name, 3, key, table=224, indices=order)
    np.testing.assert_array_equal(shuffled, outputs[2][order])
    errors = [float(jnp.mean((output - images) ** 2)) for output in outputs]
    assert min(errors) > 0
    if name not in ("elastic_transform", "saturate"):  # whose severities differ in kind
        assert errors[4] > errors[0]


@pytest.mark.parametrize("name", ["gaussian_noise", "glass_blur", "motion_blur"])
def test_a_batch_of_one_gives_the_same(name, images, key):
    whole = corrupt(images, name, 2, key, table=224)
    alone = corrupt(images[1:2], name, 2, key, table=224, indices=np.array([1]))
    # Fused sums of another shape may round otherwise.
    np.testing.assert_allclose(alone[0], whole[1], atol=1e-6)


@pytest.mark.parametrize("name", ["impulse_noise", "zoom_blur"])
def test_vmap_over_severities_is_a_loop(name, images, key):
    mapped = jax.vmap(lambda severity: corrupt(images, name, severity, key, table=224))(jnp.arange(1, 6))
    for severity, output in zip(SEVERITIES, mapped, strict=True):
        np.testing.assert_allclose(output, corrupt(images, name, severity, key, table=224), atol=1e-6)


@pytest.mark.parametrize("name", ["brightness", "saturate"])
def test_jit_is_eager(name, images, key):
    compiled = corrupt(images, name, 4, key, table=224)
    with jax.disable_jit():
        eager = corrupt(images, name, 4, key, table=224)
    np.testing.assert_allclose(eager, compiled, atol=2e-6)


def test_jit_of_the_caller_and_traced_severity(images, key):
    caller = jax.jit(lambda severity: corrupt(images, "contrast", severity, key, table=224))
    np.testing.assert_allclose(caller(2), corrupt(images, "contrast", 2, key, table=224), atol=1e-6)
    for unknown in (0, 6):
        assert bool(jnp.isnan(caller(unknown)).all())


@pytest.mark.parametrize(
    ("name", "dtype"), [("gaussian_noise", "bfloat16"), ("contrast", "float16"), ("pixelate", "bfloat16")]
)
def test_low_precision_is_kept_and_computed_in_float32(name, dtype, images, key):
    low = images.astype(dtype)
    output = corrupt(low, name, 3, key, table=224)
    assert output.dtype == low.dtype
    wide = corrupt(low.astype("float32"), name, 3, key, table=224)
    np.testing.assert_array_equal(output, wide.astype(dtype))


@pytest.mark.parametrize("name", ["shot_noise", "motion_blur", "fog", "glass_blur"])
def test_float64_sees_the_same_noise(name, grey_levels, key, x64):
    double = corrupt(jnp.asarray(grey_levels / 255.0), name, 3, key, table=224)
    assert double.dtype == jnp.float64
    single = corrupt(jnp.asarray(grey_levels / np.float32(255)), name, 3, key, table=224)
    assert single.dtype == jnp.float32
    # A value on the border of a photon count or a threshold may fall to the other side.
    assert float((jnp.abs(double - single.astype(double.dtype)) > 1e-4).mean()) < 1e-3


@pytest.mark.parametrize("name", ["brightness", "saturate", "jpeg_compression", "glass_blur"])
def test_a_grey_image_gets_what_its_colour_picture_gets(name, images, key):
    grey = images[..., :1]
    colour = corrupt(jnp.repeat(grey, 3, -1), name, 2, key, table=224)
    alone = corrupt(grey, name, 2, key, table=224)
    assert alone.shape == grey.shape
    tolerance = 1.01 / 255 if name == "jpeg_compression" else 1e-5
    np.testing.assert_allclose(alone[..., 0], colour[..., 0], atol=tolerance)


@pytest.mark.parametrize(("name", "severity"), [("frost", 5), ("spatter", 2), ("spatter", 5), ("snow", 3)])
def test_grey_images_of_the_others(name, severity, images, key):
    output = corrupt(images[..., :1], name, severity, key, table=32)
    assert output.shape == (*images.shape[:3], 1)
    assert bool(jnp.isfinite(output).all())


@pytest.mark.parametrize("name", ["snow", "contrast"])
def test_quantize_gives_grey_levels_below(name, images, key):
    levels = 255 * np.asarray(corrupt(images, name, 3, key, table=224, quantize=True), np.float64)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    if name == "contrast":  # nothing is rounded on the way
        exact = 255 * np.asarray(corrupt(images, name, 3, key, table=224), np.float64)
        assert (exact - levels > -1e-3).all()
        assert (exact - levels < 1 + 1e-3).all()


def test_kinds_of_keys(images):
    typed = corrupt(images, "gaussian_noise", 1, jax.random.key(5), table=224)
    legacy = corrupt(images, "gaussian_noise", 1, jax.random.PRNGKey(5), table=224)
    np.testing.assert_array_equal(typed, legacy)


def test_names_severities_and_indices_have_noise_of_their_own(key):
    grey = jnp.full((3, 32, 40, 3), 0.5)
    noise = {
        (name, severity): np.asarray(corrupt(grey, name, severity, key, table=224) - grey)
        for name in ("gaussian_noise", "speckle_noise")
        for severity in (1, 2)
    }
    fields = np.array([image.ravel() for batch in noise.values() for image in batch])
    correlation = np.corrcoef(fields) - np.eye(len(fields))
    # The correlation of independent fields of 3,840 values has a deviation of 1/sqrt(3840) = 0.016.
    assert np.abs(correlation).max() < 5 / np.sqrt(3840)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.3, 1.0), st.integers(1, 5), st.integers(0, 2**31 - 1))
def test_a_constant_image_stays_constant_under_blur(value, severity, seed):
    flat = jnp.full((3, 32, 40, 3), value, jnp.float32)
    for name in ("gaussian_blur", "defocus_blur", "zoom_blur", "motion_blur", "pixelate", "contrast"):
        output = corrupt(flat, name, severity, jax.random.key(seed), table=224)
        # The widest disk touches the border of its grid, at which the originals mirror it.
        disk = disk_kernel(*table_rows(name, 224)[severity - 1]).sum() if name == "defocus_blur" else 1.0
        np.testing.assert_allclose(output, np.minimum(disk * flat, 1), atol=2e-6)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"name": "gaussian"}, ValueError, "name must be one of"),
        ({"name": ["fog", "snow"]}, ValueError, r"name must be one of .*; got \['fog', 'snow'\]"),
        ({"severity": 0}, ValueError, "severity must be an integer from 1 to 5; got 0"),
        ({"severity": 6}, ValueError, "severity must be an integer from 1 to 5; got 6"),
        ({"severity": 2.0}, TypeError, r"severity must be an integer from 1 to 5; got 2\.0"),
        ({"severity": np.arange(1, 3)}, TypeError, r"severity must be one integer from 1 to 5; got .*shape \(2,\)"),
        ({"images": jnp.zeros((1, 4, 4, 3), jnp.uint8)}, TypeError, "Divide integer images by 255"),
        ({"images": jnp.zeros((4, 4, 3))}, ValueError, r"with C = 1 or 3; got shape \(4, 4, 3\)"),
        ({"images": jnp.zeros((1, 4, 4, 4))}, ValueError, "C = 1 or 3"),
        ({"images": jnp.full((1, 4, 4, 3), 200.0)}, ValueError, r"must have values in \[0, 1\]; got values from 200"),
        ({"images": jnp.full((1, 4, 4, 3), jnp.nan)}, ValueError, r"must have values in \[0, 1\]"),
        ({"images": jnp.zeros((1, 64, 64, 3)).at[0, 9, 9].set(jnp.nan)}, ValueError, "got values from nan to nan"),
        ({"table": 96}, ValueError, "table must be 'auto', 32, 64, 224; got 96"),
        ({"table": "cifar"}, ValueError, "table must be 'auto', 32, 64, 224; got 'cifar'"),
        ({"indices": jnp.arange(2)}, ValueError, "one for each of the 1 images"),
        ({"indices": jnp.zeros(1)}, TypeError, "indices must be integers"),
        ({"key": 3}, TypeError, "key must be one PRNG key"),
        ({"key": None}, TypeError, "key must be one PRNG key, .*; got None"),
        ({"key": np.random.default_rng(0)}, TypeError, "key must be one PRNG key, .*; got Generator"),
        ({"key": np.zeros(3, np.uint32)}, TypeError, "key must be one PRNG key"),
        ({"key": jax.random.split(jax.random.key(0))}, ValueError, "key must be one PRNG key"),
    ],
)
def test_refusals(change, error, words):
    arguments = {"images": jnp.zeros((1, 4, 4, 3)), "name": "contrast", "severity": 1, "key": jax.random.key(0)}
    with pytest.raises(error, match=words):
        corrupt(**(arguments | change))


def test_sides_of_one_and_two_pixels(key):
    """There is nothing finer than a pixel: a mean of boxes and a displacement leave a flat image as it is."""
    flat = jnp.full((2, 1, 2, 3), 0.4)
    for name in ("pixelate", "elastic_transform", "gaussian_blur"):
        np.testing.assert_allclose(corrupt(flat, name, 3, key, table=224), flat, atol=2e-6, err_msg=name)
    assert pixelate_bounds(2, 0.4)[0].tolist() == [0, 0]
    assert pixelate_bounds(2, 0.4)[1].tolist() == [2, 2]


def test_an_empty_batch_stays_empty(key):
    assert corrupt(jnp.zeros((0, 8, 8, 3)), "contrast", 1, key).shape == (0, 8, 8, 3)
