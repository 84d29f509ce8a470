import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.training import correct, evaluate


def mean_logits(images: jax.Array) -> jax.Array:
    return images.mean((1, 2))


def test_every_image_counts_once_whatever_the_batch() -> None:
    images = np.asarray(jax.random.uniform(jax.random.key(0), (11, 4, 4, 3)))
    labels = np.arange(11) % 3
    expected = images.mean((1, 2)).argmax(-1) == labels
    for batch_size in (1, 4, 11, 50):
        np.testing.assert_array_equal(correct(mean_logits, images, labels, batch_size=batch_size), expected)
    assert evaluate(mean_logits, images, labels) == pytest.approx(expected.mean())


def test_uint8_is_scaled() -> None:
    def bright(images: jax.Array) -> jax.Array:
        assert images.dtype == jnp.float32
        level = images.mean((1, 2, 3))
        return jnp.stack([level, 0.5 - 0 * level], -1)

    images = np.stack([np.full((2, 2, 1), 100), np.full((2, 2, 1), 200)]).astype(np.uint8)
    assert correct(bright, images, np.array([1, 0])).all()


def test_logits_that_are_not_finite_are_wrong() -> None:
    images = np.ones((2, 2, 2, 3), np.float32)
    images[0] = np.nan
    np.testing.assert_array_equal(correct(mean_logits, images, np.array([0, 0])), [False, True])


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one label an image"):
        correct(mean_logits, np.ones((2, 2, 2, 3), np.float32), np.array([0]))
    with pytest.raises(ValueError, match="one or more images"):
        evaluate(mean_logits, np.ones((0, 2, 2, 3), np.float32), np.zeros(0, np.int32))
