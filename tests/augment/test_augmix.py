import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from PIL import Image, ImageOps
from scipy import stats

from isvs_jax.augment._augmix import AugMixConfig
from isvs_jax.augment._augmix import augmix as eager
from isvs_jax.augment._augmix_operations import MAPS, OPERATIONS, apply_operation, autocontrast_table, equalize_table

augmix = jax.jit(eager, static_argnums=2)
operation = jax.jit(apply_operation)
KEYS = jax.random.split(jax.random.key(0), 8)
IMAGES = jax.random.uniform(jax.random.key(1), (8, 8, 8, 3))
HEIGHT, WIDTH = 17, 22


@pytest.fixture(scope="module", autouse=True)
def _cheap() -> None:
    """Compiled as usual: grey levels are compared to the bit, and other kernels round a product and a sum otherwise."""


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


def test_an_image_depends_on_its_own_key_and_pixels_alone() -> None:
    together = augmix(KEYS, IMAGES, AugMixConfig())
    order = np.array([4, 1, 5, 0, 7, 2, 6, 3])
    np.testing.assert_array_equal(augmix(KEYS[order], IMAGES[order], AugMixConfig()), together[order])
    others = augmix(KEYS.at[1:].set(KEYS[0]), IMAGES.at[1:].set(IMAGES[0]), AugMixConfig())
    np.testing.assert_array_equal(others, jnp.broadcast_to(together[0], others.shape))
    other_keys = augmix(jnp.roll(KEYS, 1), IMAGES, AugMixConfig())
    assert (np.asarray(other_keys) != together).any((1, 2, 3)).all()
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("batch")
    divided = jax.jit(jax.shard_map(eager, mesh=mesh, in_specs=spec, out_specs=spec))(KEYS, IMAGES)
    np.testing.assert_allclose(divided, together, atol=1e-6)


def test_mixtures_are_images() -> None:
    mixed = augmix(KEYS, IMAGES, AugMixConfig())
    assert mixed.dtype == jnp.float32
    assert bool((mixed >= 0).all() & (mixed <= 1).all())
    assert (np.asarray(mixed) != IMAGES).any((1, 2, 3)).all()
    assert jax.eval_shape(augmix, KEYS, IMAGES.astype(jnp.bfloat16), AugMixConfig()).dtype == jnp.bfloat16


def test_weights_follow_dirichlet_and_beta() -> None:
    module = importlib.import_module("isvs_jax.augment._augmix")
    config = AugMixConfig(width=3, alpha=0.7)
    keys = jax.random.split(jax.random.key(2), 2000)
    weights, share = jax.jit(jax.vmap(lambda key: module._random_weights(key, config)))(keys)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    # The margins of a Dirichlet are Beta distributions.
    for margin in np.asarray(weights, np.float64).T:
        assert stats.kstest(margin, stats.beta(0.7, 1.4).cdf).pvalue > 1e-4
    assert stats.kstest(np.asarray(share, np.float64), stats.beta(0.7, 0.7).cdf).pvalue > 1e-4
    assert abs(np.corrcoef(share, weights[:, 0])[0, 1]) < 5 / np.sqrt(2000)


def test_chains_have_the_depth_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an operation that adds 1, a chain counts itself."""
    module = importlib.import_module("isvs_jax.augment._augmix")
    monkeypatch.setattr(module, "apply_operation", lambda image, operation, level, sign: image + 1)

    def depths(config: AugMixConfig) -> np.ndarray:
        longest = 3 if config.depth == -1 else config.depth
        numbers = jax.random.uniform(jax.random.key(3), (600, 1 + 3 * longest))
        return np.asarray(jax.vmap(lambda drawn: module._chain(drawn, jnp.zeros(()), config))(numbers))

    assert set(depths(AugMixConfig(depth=4))) == {4}
    counts = np.bincount(depths(AugMixConfig()).astype(int), minlength=4)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - 200) < 5 * np.sqrt(600 * 2 / 9)).all()


def test_operations_levels_and_signs_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("isvs_jax.augment._augmix")

    def told(image: jax.Array, operation: jax.Array, level: jax.Array, sign: jax.Array) -> jax.Array:
        return jnp.stack([operation.astype(jnp.float32), level, sign])

    monkeypatch.setattr(module, "apply_operation", told)
    numbers = jax.random.uniform(jax.random.key(4), (1800, 4))
    chain = jax.vmap(lambda drawn: module._chain(drawn, jnp.zeros(3), AugMixConfig(depth=1, severity=5)))
    choice, level, sign = np.asarray(chain(numbers)).T
    counts = np.bincount(choice.astype(int), minlength=len(OPERATIONS))
    assert len(counts) == 9
    assert (np.abs(counts - 200) < 5 * np.sqrt(1800 * 8 / 81)).all()
    assert stats.kstest(level, stats.uniform(0.1, 4.9).cdf).pvalue > 1e-4
    assert 780 < (sign == 1).sum() < 1020
    assert set(sign) == {-1, 1}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_grey_image_is_treated_as_a_channel_is(name: str) -> None:
    colour = jnp.asarray(photograph(), jnp.float32)
    number = OPERATIONS.index(name)
    grey = operation(colour[..., 1:2], number, 2.7, 1.0)
    np.testing.assert_array_equal(grey[..., 0], operation(colour, number, 2.7, 1.0)[..., 1])
    assert jax.eval_shape(augmix, KEYS, IMAGES[..., :1], AugMixConfig()).shape == (8, 8, 8, 1)


def test_maps_leave_black_behind() -> None:
    white = jnp.full((HEIGHT, WIDTH, 1), 255.0)
    for name in MAPS:
        shown = np.asarray(operation(white, OPERATIONS.index(name), 10.0, 1.0))
        assert set(np.unique(shown)) == {0, 255}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"severity": 0}, "severity is 0"),
        ({"severity": 11}, "severity is 11"),
        ({"width": 0}, "width is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"depth": -2}, "depth is -2"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": float("nan")}, "alpha is nan"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        AugMixConfig(**arguments)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"width is 2\.0"):
        AugMixConfig(width=2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"images has shape \(8, 8, 3\)"):
        eager(KEYS, IMAGES[0])
    with pytest.raises(ValueError, match=r"keys has shape \(7,\); it may be \(8,\)"):
        eager(KEYS[:7], IMAGES)
