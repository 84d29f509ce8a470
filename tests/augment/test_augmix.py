import importlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from scipy import stats

from isvs_jax import SplitLBI
from isvs_jax.augment import AugMixConfig, View, show_views
from isvs_jax.augment import augmix as eager
from isvs_jax.augment.operations import OPERATIONS

augmix = jax.jit(eager, static_argnums=2)
KEYS = jax.random.split(jax.random.key(0), 8)
IMAGES = jax.random.uniform(jax.random.key(1), (8, 8, 8, 3))
VIEWS = (View(0.5), View(1.0), View(0.8, "blur"))


def test_an_image_depends_on_its_own_key_and_pixels_alone() -> None:
    together = augmix(KEYS, IMAGES, AugMixConfig())
    order = np.array([4, 1, 5, 0, 7, 2, 6, 3])
    np.testing.assert_array_equal(augmix(KEYS[order], IMAGES[order], AugMixConfig()), together[order])
    others = augmix(KEYS.at[1:].set(KEYS[0]), IMAGES.at[1:].set(IMAGES[0]), AugMixConfig())
    np.testing.assert_array_equal(others, jnp.broadcast_to(together[0], others.shape))
    other_keys = augmix(jnp.roll(KEYS, 1), IMAGES, AugMixConfig())
    assert (np.asarray(other_keys) != together).any((1, 2, 3)).all()
    one_key = jax.random.key(9)
    np.testing.assert_array_equal(augmix(one_key, IMAGES), augmix(jax.random.split(one_key, 8), IMAGES))
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("batch")
    divided = jax.jit(jax.shard_map(eager, mesh=mesh, in_specs=spec, out_specs=spec))(KEYS, IMAGES)
    np.testing.assert_allclose(divided, together, atol=1e-6)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        for config in (AugMixConfig(), AugMixConfig(views=VIEWS)):
            share = jax.shard_map(partial(eager, config=config), mesh=mesh, in_specs=spec, out_specs=spec)
            jax.eval_shape(share, KEYS, IMAGES)
            jax.eval_shape(partial(eager, config=config), KEYS, IMAGES.astype(jnp.bfloat16))


def test_mixtures_are_images() -> None:
    mixed = augmix(KEYS, IMAGES, AugMixConfig())
    assert mixed.dtype == jnp.float32
    assert bool((mixed >= 0).all() & (mixed <= 1).all())
    assert (np.asarray(mixed) != IMAGES).any((1, 2, 3)).all()
    assert jax.eval_shape(augmix, KEYS, IMAGES.astype(jnp.bfloat16), AugMixConfig()).dtype == jnp.bfloat16
    assert jax.eval_shape(augmix, KEYS, IMAGES[..., :1], AugMixConfig()).shape == (8, 8, 8, 1)


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


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"severity": 0}, r"severity must be a number in \[1, 10\]; got 0\."),
        ({"severity": 11}, "severity must be .* got 11"),
        ({"width": 0}, "width must be an integer of at least 1; got 0"),
        ({"depth": 0}, "depth must be .* got 0"),
        ({"depth": -2}, "depth must be .* got -2"),
        ({"alpha": 0.0}, "alpha must be a finite number > 0; got 0.0"),
        ({"alpha": float("nan")}, "alpha must be .* got nan"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        AugMixConfig(**arguments)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"width must be an integer of at least 1; got 2\.0"):
        AugMixConfig(width=2.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"views must be a tuple of View; got 'dense:4'"):
        AugMixConfig(views="dense:4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"images must be \[B, H, W, C\]; got shape \(8, 8, 3\)"):
        eager(KEYS, IMAGES[0])
    with pytest.raises(ValueError, match=r"key must be one PRNG key, .* or 8 of them, .*; got keys of shape \(7,\)"):
        eager(KEYS[:7], IMAGES)
    with pytest.raises(TypeError, match=r"key must be one PRNG key, as of jax.random.key\(0\); got 0\."):
        eager(0, IMAGES)


def test_views_are_one_more_operation_and_what_they_smooth_is_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an operation that subtracts 1, and a mixture that is the chains alone, what they started from is seen."""
    module = importlib.import_module("isvs_jax.augment._augmix")
    monkeypatch.setattr(module, "apply_operation", lambda image, operation, level, sign: image - 1)
    config = AugMixConfig(width=1, depth=2, views=VIEWS)
    images = np.tile(np.float32(0.25) + np.float32(0.5) * np.asarray(IMAGES)[:1], (64, 1, 1, 1))
    keys = jax.random.split(jax.random.key(5), 64)

    @jax.jit
    @jax.vmap
    def drawn(key):
        return jax.random.uniform(jax.random.split(key)[1], (1, 7)), module._draw(key, config).share

    numbers, share = (np.asarray(array) for array in drawn(keys))
    numbers, share = numbers[:, 0], share[:, None, None, None]
    operations, strength = np.floor(10 * numbers[:, [1, 4]]).astype(int), numbers[:, [2, 5]]
    shows = operations == 9
    assert 3 < shows.any(1).sum() < 30
    first = np.take_along_axis(strength, shows.argmax(1)[:, None], 1)[:, 0]
    starts = np.where(shows.any(1), 1 + np.floor(3 * first), 0).astype(int)
    assert set(starts) == {0, 1, 2, 3}
    solver = SplitLBI(kappa=1.0)
    versions = np.concatenate([images[:1], np.asarray(show_views(images[:1], VIEWS, solver))[:, 0]])
    levels = np.floor(versions * 255 + 0.5)[starts] - (~shows).sum(1)[:, None, None, None]
    # Not `_augmix` itself, which would keep what is compiled here.
    mixed = jax.jit(lambda keys, images: module._augmix.__wrapped__(keys, images, config, solver))(keys, images)
    np.testing.assert_allclose(mixed, (1 - share) * images + share * levels / 255, atol=2e-3)
    near = np.abs(mixed - ((1 - share) * images + share * levels / 255))
    assert near.mean() < 1e-5  # a grey level more or less only where a pixel lies between two


def test_only_examples_whose_chains_show_a_view_are_smoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("isvs_jax.augment._augmix")
    smoothed: list[int] = []

    def counting(images: jax.Array, views: object, solver: object) -> jax.Array:
        jax.debug.callback(lambda: smoothed.append(len(images)))
        return images[None]

    monkeypatch.setattr(module, "show_views", counting)
    config, images = AugMixConfig(views=VIEWS[:1]), jnp.zeros((64, 2, 2, 1))
    for starts, groups in ((0, 0), (1, 1), (8, 1), (9, 2), (64, 8)):
        jax.block_until_ready(module._levels(images, (jnp.arange(64) < starts)[:, None].astype(int), config, None))
        jax.effects_barrier()
        assert smoothed == [8] * groups
        smoothed.clear()
