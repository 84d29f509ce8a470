"""Low resolution against Pillow and by hand; accuracy over chance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isvs_jax.robustness import INTERPOLATIONS, RESOLUTIONS, Resolution, chance_corrected, low_resolution

PILLOW = {"bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos3": "LANCZOS", "area": "BOX"}


@pytest.fixture(scope="module")
def images() -> jax.Array:
    rng = np.random.default_rng(2)
    return jnp.asarray(rng.uniform(0.2, 0.8, (2, 16, 24, 3)), jnp.float32)


@pytest.mark.parametrize("method", PILLOW)
def test_shrinking_and_enlarging_are_pillows(method, images):
    """Pillow resizes float32 planes without rounding; its kernels are widened like ours."""
    picture = pytest.importorskip("PIL.Image", reason="Pillow is the reference of resizing")
    filters = picture.Resampling[PILLOW[method]]

    def resize(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return np.clip(np.asarray(picture.fromarray(plane).resize(size, filters)), 0, 1)

    output = np.asarray(low_resolution(images, 4, down=method, up=method))
    for image, low in zip(np.asarray(images), output, strict=True):
        for channel in range(3):
            expected = resize(resize(image[..., channel], (6, 4)), (24, 16))
            # Bicubic: Pillow's a = -0.5, as in jax.image. Lanczos differs by the cut of its kernel.
            np.testing.assert_allclose(low[..., channel], expected, atol=2e-6)


def test_nearest_keeps_one_pixel_of_a_block(images):
    output = low_resolution(images, 2, down="nearest", up="nearest")
    np.testing.assert_array_equal(output, images[:, 1::2, 1::2].repeat(2, 1).repeat(2, 2))


def test_fine_stripes_are_averaged_unless_nearest():
    stripes = jnp.tile(jnp.array([0.0, 1.0]), 16)[None, None, :, None] * jnp.ones((1, 32, 1, 3))
    for down in INTERPOLATIONS:
        inner = low_resolution(stripes, 4, down=down, up="nearest")[:, 8:-8, 8:-8]
        if down == "nearest":
            assert float(inner.min()) == 0 or float(inner.max()) == 1
        else:
            np.testing.assert_allclose(inner, 0.5, atol=0.02)


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 1, width=32), st.sampled_from(RESOLUTIONS[:4]))
def test_a_flat_image_stays_flat(value, setting):
    flat = jnp.full((1, 16, 16, 3), value, jnp.float32)
    output = low_resolution(flat, **setting._asdict())
    # JPEG rounds to grey levels, and the mean of a block to its quantisation step.
    np.testing.assert_allclose(output, flat, atol=2e-6 if setting.jpeg_quality is None else 2.5 / 255)


def test_jpeg_codes_the_small_image(images):
    coded = low_resolution(images, 2, up="nearest", jpeg_quality=10)
    blocks = np.asarray(coded).reshape(2, 8, 2, 12, 2, 3)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    assert float(jnp.abs(coded - low_resolution(images, 2, up="nearest")).max()) > 0.01


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtype_is_kept(dtype, images):
    assert low_resolution(images.astype(dtype), 2).dtype == jnp.dtype(dtype)


def test_factor_one_and_vmap(images):
    np.testing.assert_array_equal(low_resolution(images, 1), images)
    mapped = jax.vmap(lambda image: low_resolution(image[None], 2)[0])(images)
    np.testing.assert_allclose(mapped, low_resolution(images, 2), atol=1e-6)


def test_standard_settings_are_distinct():
    assert len(set(RESOLUTIONS)) == len(RESOLUTIONS) == 12
    assert Resolution(2) == (2, "area", "bilinear", None)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"factor": 3}, ValueError, "factor must divide the 16×24 pixels of the images; got 3"),
        ({"factor": 0}, ValueError, "factor must be an integer of at least 1; got 0"),
        ({"factor": 2.0}, TypeError, "factor must be an integer of at least 1"),
        ({"down": "linear"}, ValueError, "down must be one of 'area'"),
        ({"up": "cubic"}, ValueError, "up must be one of 'area'"),
        ({"jpeg_quality": 0}, ValueError, "jpeg_quality must be an integer from 1 to 100; got 0"),
        ({"jpeg_quality": 75.0}, TypeError, "jpeg_quality must be an integer"),
        ({"images": jnp.zeros((1, 16, 24, 3), jnp.int32)}, TypeError, "Divide integer images by 255"),
        ({"images": jnp.zeros((16, 24, 3))}, ValueError, r"images must be \[B, H, W, C\]"),
        ({"images": jnp.full((1, 16, 24, 3), 2.0)}, ValueError, r"images must have values in \[0, 1\]"),
        ({"images": jnp.zeros((1, 64, 64, 3)).at[0, 9, 9].set(jnp.nan)}, ValueError, "got values from nan to nan"),
    ],
)
def test_refusals(change, error, words, images):
    arguments = {"images": images, "factor": 2} | change
    with pytest.raises(error, match=words):
        low_resolution(arguments.pop("images"), arguments.pop("factor"), **arguments)


def test_chance_corrected():
    np.testing.assert_allclose(chance_corrected(jnp.array([0.1, 0.55, 1.0]), 10), [0, 0.5, 1], atol=1e-6)
    assert float(chance_corrected(0.0, 2)) == -1
    with pytest.raises(ValueError, match="num_classes must be an integer of at least 2"):
        chance_corrected(0.5, 1)
    with pytest.raises(ValueError, match=r"accuracy must be in \[0, 1\]"):
        chance_corrected(55.0, 10)
