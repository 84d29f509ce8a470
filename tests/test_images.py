"""What every public function that takes images says of one that is hardly meant: by its shape, by its values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import isvs_jax
from isvs_jax import augment, filters
from isvs_jax._images import as_image

KEY = jax.random.key(0)


def keys(images):
    return jax.random.split(KEY, len(images))


def versions(images):
    return augment.show_versions(images, np.zeros(len(images), np.int32), (augment.View(1.0),))


# What time, noise or weight mean depends on the scale of the values.
ON_A_SCALE = {
    "smooth": lambda images: isvs_jax.smooth(images, 1.0),
    "smooth_until": lambda images: isvs_jax.smooth_until(images, 0.5),
    "scale_space": lambda images: isvs_jax.scale_space(images, [1.0, 2.0]),
    "init": lambda images: isvs_jax.SplitLBI().init(images),
    "along_path": lambda images: augment.along_path(KEY, images),
    "augment": lambda images: augment.augment(keys(images), images, augment.Augmentation(noise=0.1)),
    "augmix": lambda images: augment.augmix(keys(images), images),
    "show_versions": versions,
    "show_views": lambda images: augment.show_views(images, (augment.View(1.0),)),
    "path_bands": lambda images: augment.path_bands(images, [1.0]),
    "scale_mix": lambda images: augment.scale_mix(KEY, images),
    "mix": lambda images: augment.mix([augment.along_path])(KEY, images),
    "rof": lambda images: filters.rof(images, 0.1),
}
LINEAR = {
    "piecewise_constant": lambda images: isvs_jax.piecewise_constant(
        images, jax.tree.map(lambda edges: edges > 0, isvs_jax.difference(images))
    ),
    "difference": isvs_jax.difference,
    "gaussian_blur": lambda images: filters.gaussian_blur(images, 1.0),
    "low_pass": lambda images: filters.low_pass(images, 0.5),
}


@pytest.mark.parametrize("function", [*ON_A_SCALE, *LINEAR])
@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((5, 8, 9), r"got shape \(5, 8, 9\), one image of 9 channels\. For grey images \[N, H, W\] write images?\["),
        ((3, 8, 9), r"one image of 9 channels\. .*for \[C, H, W\] write jnp\.moveaxis\(images?, 0, -1\)"),
        ((2, 3, 8, 9), r"images of 3 rows and 9 channels\. For \[\.\.\., C, H, W\] write jnp\.moveaxis\(images?, -3"),
        ((0, 8, 9, 3), r"at least one row, column, channel and image; got shape \(0, 8, 9, 3\)"),
        ((8, 9), r"got shape \(8, 9\)\. Add the channel axis with images?\[\.\.\., None\]"),
    ],
)
def test_a_shape_that_is_hardly_meant_is_refused(function, shape, sentence):
    with pytest.raises(ValueError, match=rf"^images? must be \[\.\.\., H, W, C\].*{sentence}"):
        (ON_A_SCALE | LINEAR)[function](np.zeros(shape, np.float32))


@pytest.mark.parametrize("function", ON_A_SCALE)
def test_values_of_another_scale_are_refused(function):
    images = np.linspace(0, 255, 2 * 8 * 9 * 3, dtype=np.float32).reshape(2, 8, 9, 3)
    sentence = r"^images? must have values in \[0, 1\] or near; got values from 0 to 255\. Divide by 255 first\."
    for given in (images, jnp.asarray(images)):
        with pytest.raises(ValueError, match=sentence):
            ON_A_SCALE[function](given)


@pytest.mark.parametrize("function", LINEAR)
def test_what_is_linear_takes_values_of_any_scale(function):
    image = np.random.default_rng(0).random((8, 9, 1), np.float32)
    for far, near in zip(*(jax.tree.leaves(LINEAR[function](s * image)) for s in (255, 1)), strict=True):
        np.testing.assert_allclose(far, 255 * near, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 16), "from 0 to 16. Bring them to"),
        ((-128, 127), "from -128 to 127. Bring them to"),
        ((0, 65535), "from 0 to 65535. Bring them to"),
        ((np.nan, 255), "from 0 to 255. Divide by 255"),
        ((-np.inf, 11), "from 0 to 11. Bring them to"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, jnp.bfloat16])
def test_what_is_far_is_said(values, said, dtype):
    if dtype is jnp.bfloat16 and max(values) > 256:
        said = "from 0 to 65536. Bring them to"
    with pytest.raises(ValueError, match=said):
        as_image(np.resize(np.array(values), (4, 4, 1)).astype(dtype))


@pytest.mark.parametrize("values", [(-0.5, 1.5), (-6.2, 7.2), (0, np.nan), (-np.inf, np.inf), (np.nan, np.nan)])
def test_noise_and_broken_pixels_pass(values):
    image = np.resize(np.array(values, np.float32), (4, 4, 1))
    np.testing.assert_array_equal(as_image(image), image)


@pytest.mark.parametrize("shape", [(8, 9, 4), (1, 9, 3), (1, 8, 9, 31), (2, 4, 4, 64), (9, 1, 1), (2, 9, 2, 40)])
def test_shapes_that_may_be_meant_pass(shape):
    assert as_image(np.zeros(shape, np.float32)).shape == shape


def test_shapes_are_looked_at_under_jit_and_values_are_not():
    assert jax.jit(as_image)(np.full((4, 4, 1), 255, np.float32)).max() == 255
    with pytest.raises(ValueError, match="one image of 9 channels"):
        jax.jit(as_image)(np.zeros((5, 8, 9), np.float32))


def test_an_array_elsewhere_is_not_waited_for(monkeypatch):
    """An accelerator is stood in for by the platform that the array's devices name."""
    images = jnp.full((4, 4, 1), 255, jnp.float32)

    class Device:
        platform = "gpu"

    monkeypatch.setattr(type(images), "devices", lambda _: {Device()})
    assert as_image(images) is images
