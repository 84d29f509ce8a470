import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.training import Augmentation, augment

KEY = jax.random.key(0)


def ramp(count: int = 400) -> jax.Array:
    """Images whose pixels tell their place: 8 rows, 6 columns."""
    image = jnp.arange(48.0).reshape(8, 6, 1) / 48
    return jnp.broadcast_to(image, (count, 8, 6, 1))


def test_nothing_asked_nothing_done() -> None:
    np.testing.assert_array_equal(augment(KEY, ramp(), Augmentation()), ramp())


def test_crops_are_windows_of_the_padded_image_and_all_occur() -> None:
    wide = np.pad(np.asarray(ramp(1)[0]), ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = {wide[i : i + 8, j : j + 6].tobytes() for i in range(3) for j in range(3)}
    found = {image.tobytes() for image in np.asarray(augment(KEY, ramp(), Augmentation(crop=1)))}
    assert found == windows


def test_half_are_mirrored() -> None:
    flipped = np.asarray(augment(KEY, ramp(), Augmentation(flip=True)))
    mirrored = (flipped == ramp()[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored | (flipped == ramp()).all((1, 2, 3))).all()
    assert 150 <= mirrored.sum() <= 250  # five standard deviations


def test_noise_has_its_level_and_stays_in_the_box() -> None:
    grey = jnp.full((400, 16, 16, 1), 0.5)
    noisy = augment(KEY, grey, Augmentation(noise=0.1))
    levels = np.asarray(noisy - grey).std((1, 2, 3))
    # Each level is estimated from 256 pixels, to about 5%.
    assert levels.min() < 0.01
    assert 0.085 < levels.max() < 0.12
    assert 0.04 < levels.mean() < 0.06
    bright = augment(KEY, jnp.ones((4, 8, 8, 1)), Augmentation(noise=0.5))
    assert bool((bright <= 1).all())
    assert bool((bright < 1).any())


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="crop is -1"):
        Augmentation(crop=-1)
    with pytest.raises(ValueError, match="noise is nan"):
        Augmentation(noise=float("nan"))
