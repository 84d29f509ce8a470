from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.augment import Augmentation
from isvs_jax.augment import augment as eager

# A compiled batch is shared by tests of one shape.
augment = jax.jit(eager, static_argnums=2)
KEYS = jax.random.split(jax.random.key(0), 400)


def ramp(count: int = 400, versions: int = 1) -> jax.Array:
    """Images whose pixels tell their place: 8 rows, 6 columns; each version is half as bright as the one before."""
    image = jnp.arange(48.0).reshape(8, 6, 1) / 48 * 0.5 ** jnp.arange(versions)[:, None, None, None]
    return jnp.broadcast_to(image, (count, versions, 8, 6, 1))


def test_nothing_asked_nothing_done() -> None:
    np.testing.assert_array_equal(eager(KEYS, ramp(), Augmentation()), ramp())


def test_compiled_eager_and_without_versions_agree() -> None:
    moved = Augmentation(crop=2)
    together = augment(KEYS, ramp(), moved)
    np.testing.assert_array_equal(eager(KEYS, ramp(), moved), together)
    np.testing.assert_array_equal(augment(jax.random.key(0), ramp(), moved), together)
    np.testing.assert_array_equal(augment(KEYS, ramp()[:, 0], moved), together[:, 0])


def test_crops_are_windows_of_the_padded_image_and_all_occur() -> None:
    wide = np.pad(np.asarray(ramp(1)[0, 0]), ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = {wide[i : i + 8, j : j + 6].tobytes() for i in range(3) for j in range(3)}
    found = {image.tobytes() for image in np.asarray(augment(KEYS, ramp(), Augmentation(crop=1)))[:, 0]}
    assert found == windows


def test_half_are_mirrored() -> None:
    flipped = np.asarray(augment(KEYS, ramp(), Augmentation(flip=True)))
    mirrored = (flipped == ramp()[:, :, :, ::-1]).all((1, 2, 3, 4))
    assert (mirrored | (flipped == ramp()).all((1, 2, 3, 4))).all()
    assert 150 <= mirrored.sum() <= 250  # five standard deviations


def test_versions_move_as_one() -> None:
    moved = np.asarray(augment(KEYS, ramp(versions=3), Augmentation(crop=2, flip=True)))
    np.testing.assert_array_equal(moved[:, 1], moved[:, 0] / 2)
    np.testing.assert_array_equal(moved[:, 2], moved[:, 0] / 4)


def test_noise_has_its_level_in_each_version_and_stays_in_the_box() -> None:
    grey = jnp.full((400, 2, 16, 16, 1), 0.5)
    noise = np.asarray(augment(KEYS, grey, Augmentation(noise=0.1)) - grey)
    levels = noise.std((2, 3, 4))
    # Each level is estimated from 256 pixels, to about 5%.
    assert levels.min() < 0.01
    assert 0.085 < levels.max() < 0.12
    assert 0.04 < levels.mean() < 0.06
    assert np.abs(levels[:, 0] - levels[:, 1]).max() > 0.05
    one, two = noise[:, 0].ravel(), noise[:, 1].ravel()
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(one.size)
    bright = augment(KEYS, grey + 0.5, Augmentation(noise=0.1))
    assert bool((bright <= 1).all())
    assert bool((bright < 1).any())


def test_noise_is_added_to_those_who_are_named() -> None:
    images = jnp.full((400, 2, 16, 16, 1), 0.5)
    moved, named = Augmentation(noise=0.1), np.arange(800).reshape(400, 2) % 3 == 0
    expected = np.where(named[..., None, None, None], augment(KEYS, images, moved), images)
    np.testing.assert_allclose(augment(KEYS, images, moved, noisy=named), expected, atol=1e-7)
    one_version = jax.eval_shape(partial(eager, augmentation=moved), KEYS, images[:, 0], noisy=named[:, 0])
    assert one_version.shape == (400, 16, 16, 1)
    with pytest.raises(TypeError, match="noisy must be bool; got dtype int32"):
        eager(KEYS, images, moved, noisy=named.astype(np.int32))
    with pytest.raises(ValueError, match=r"noisy must have shape \(400, 2\), one for each image; got shape \(400,\)"):
        eager(KEYS, images, moved, noisy=named[:, 0])


def test_contrast_is_lowered_about_the_mean_of_each_channel() -> None:
    image = jax.random.uniform(jax.random.key(2), (8, 8, 3))
    images = jnp.broadcast_to(image, (400, 2, 8, 8, 3))
    lowered = np.asarray(augment(KEYS, images, Augmentation(contrast=0.8)))
    mean = np.asarray(image.mean((0, 1)))
    centred = np.asarray(image) - mean
    share = ((lowered[:, 0] - mean) * centred).sum((1, 2, 3)) / (centred**2).sum()
    expected = np.broadcast_to(mean + share[:, None, None, None, None] * centred, lowered.shape)
    np.testing.assert_allclose(lowered, expected, atol=1e-6)
    assert 0.2 <= share.min() < 0.23
    assert 0.97 < share.max() <= 1 + 1e-3


def test_an_example_depends_on_its_own_key_and_image_alone() -> None:
    augmentation = Augmentation(crop=2, flip=True, contrast=0.5, noise=0.1)
    images = jax.random.uniform(jax.random.key(1), (6, 2, 8, 6, 3))
    together = augment(KEYS[:6], images, augmentation)
    order = np.array([4, 1, 5, 0, 3, 2])
    np.testing.assert_array_equal(augment(KEYS[order], images[order], augmentation), together[order])
    others = images.at[1:].set(0.5)
    np.testing.assert_array_equal(augment(KEYS[:6].at[1:].set(KEYS[9]), others, augmentation)[0], together[0])
    assert (np.asarray(augment(KEYS[6:12], images, augmentation)) != together).any((1, 2, 3, 4)).all()
    assert jax.eval_shape(augment, KEYS[:6], images.astype(jnp.bfloat16), augmentation).dtype == jnp.bfloat16
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(partial(eager, augmentation=augmentation), KEYS[:6], images)


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="crop must be an integer of at least 0; got -1"):
        Augmentation(crop=-1)
    with pytest.raises(TypeError, match=r"crop must be an integer of at least 0; got 1\.5"):
        Augmentation(crop=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"contrast must be a number in \[0, 1\); got 1\.0"):
        Augmentation(contrast=1.0)
    with pytest.raises(ValueError, match="noise must be a finite standard deviation ≥ 0; got nan"):
        Augmentation(noise=float("nan"))
    with pytest.raises(ValueError, match=r"images must be \[B, H, W, C\] or \[B, K, H, W, C\]; got shape \(8, 8, 1\)"):
        augment(KEYS[:2], jnp.zeros((8, 8, 1)), Augmentation())
    with pytest.raises(ValueError, match=r"key must be one PRNG key, .* or 2 of them, .*; got keys of shape \(3,\)"):
        augment(KEYS[:3], jnp.zeros((2, 1, 8, 8, 1)), Augmentation())
