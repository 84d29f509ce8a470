"""The operations of AugMix, compiled as usual: grey levels are compared to the bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps

from isvs_jax.augment.operations import MAPS, OPERATIONS, apply_operation, autocontrast_table, equalize_table
from tests.compilation import as_usual

operation = jax.jit(apply_operation, compiler_options=as_usual())
HEIGHT, WIDTH = 17, 22


def photograph() -> np.ndarray:
    image = np.random.default_rng(0).integers(20, 230, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    image[3:9, 4:12] = [30, 90, 200]
    return image


def in_pillow(name: str, level: float, sign: int) -> np.ndarray:
    """The operations as the code of the paper calls them."""
    image = Image.fromarray(photograph())
    whole = {"posterize": 4, "solarize": 256, "rotate": 30, "translate_x": WIDTH / 3, "translate_y": HEIGHT / 3}
    amount = sign * int(level * whole.get(name, 0) / 10)
    shear = sign * level * 0.3 / 10

    def affine(*coefficients: float) -> Image.Image:
        return image.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)

    done = {
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "posterize": lambda: ImageOps.posterize(image, 4 - abs(amount)),
        "solarize": lambda: ImageOps.solarize(image, 256 - abs(amount)),
        "rotate": lambda: image.rotate(amount, resample=Image.Resampling.BILINEAR),
        "shear_x": lambda: affine(1, shear, 0, 0, 1, 0),
        "shear_y": lambda: affine(1, 0, 0, shear, 1, 0),
        "translate_x": lambda: affine(1, 0, amount, 0, 1, 0),
        "translate_y": lambda: affine(1, 0, 0, 0, 1, amount),
    }
    return np.asarray(done[name](), np.float32)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_those_of_pillow(name: str) -> None:
    # Pillow computes stretches and bilinear weights in double precision, and cuts off what is behind the point.
    exact = name in ("equalize", "posterize", "solarize", "translate_x", "translate_y")
    for level in (1.0, 2.7, 9.3):
        for sign in (1, -1):
            ours = operation(jnp.asarray(photograph(), jnp.float32), OPERATIONS.index(name), level, float(sign))
            difference = np.abs(np.asarray(ours) - in_pillow(name, level, sign))
            assert difference.max() <= (0 if exact else 1)
            assert (difference > 0).mean() < 0.01


def test_tables_of_few_grey_levels_are_those_of_pillow() -> None:
    rng = np.random.default_rng(1)
    cases = [
        np.full((8, 8), 77),
        rng.integers(0, 2, (40, 40)) * 90 + 10,
        rng.integers(100, 104, (9, 7)),
        np.zeros((3, 3)),
    ]
    for plane in cases:
        counts = jnp.asarray(np.bincount(plane.astype(int).ravel(), minlength=256))
        image = Image.fromarray(plane.astype(np.uint8))
        for table, pillow in ((autocontrast_table, ImageOps.autocontrast), (equalize_table, ImageOps.equalize)):
            ours = np.asarray(table(counts))[plane.astype(int)]
            assert np.abs(ours - np.asarray(pillow(image), int)).max() <= (table is autocontrast_table)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_grey_image_is_treated_as_a_channel_is(name: str) -> None:
    colour = jnp.asarray(photograph(), jnp.float32)
    number = OPERATIONS.index(name)
    grey = operation(colour[..., 1:2], number, 2.7, 1.0)
    np.testing.assert_array_equal(grey[..., 0], operation(colour, number, 2.7, 1.0)[..., 1])


def test_maps_leave_black_behind() -> None:
    white = jnp.full((HEIGHT, WIDTH, 1), 255.0)
    for name in MAPS:
        shown = np.asarray(operation(white, OPERATIONS.index(name), 10.0, 1.0))
        assert set(np.unique(shown)) == {0, 255}
